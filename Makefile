# `make` lists the targets. GNU make 3.81 (macOS) is enough. PYTHON=python3.12 chooses the Python that .venv is made from.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo demo-cloud emulators test check fmt docs screenshots bench bench-cloud clean FORCE

PYTHON ?= python3
PY := .venv/bin/python
ARGS ?=

# Set only if the caller chose a Python: then a .venv made from another one is replaced.
ASKED := $(if $(filter file,$(origin PYTHON)),,$(PYTHON))
INSTALL = @sh .ci/venv install "$(PYTHON)" "$(ASKED)" "$(firstword $(MAKECMDGOALS))"

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s  %s\n", $$1, $$2 }' Makefile

demo: .venv/runtime.stamp ## an agent refunds a customer once, through an approval and a kill -9 (ASK=1: you approve)
	@$(PY) functions/agents/demo.py

demo-cloud: .venv/dev.stamp ## the same on the whole cloud, on this machine (needs Java)
	@PYTHONPATH=. $(PY) functions/agents/demo_cloud.py

emulators: .venv/dev.stamp ## the whole cloud on this machine: emulators, stand-ins, functions (ARGS='--app FILE'; needs Java)
	@$(PY) -m emulators $(ARGS)

test: .venv/dev.stamp ## run all tests (ARGS='-k lease' to choose)
	@.ci/test $(ARGS)

check: .venv/dev.stamp ## lint, formatting, types, import contracts
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports --no-logo

fmt: .venv/dev.stamp ## format the code and mend what the linter can mend
	@$(PY) -m ruff check --fix --exit-zero --quiet .
	@$(PY) -m ruff format .

docs: .venv/dev.stamp ## write the reference anew from the docstrings
	@$(PY) docs/reference/generate.py

screenshots: .venv/dev.stamp ## take the pictures of the console anew (needs Chromium)
	@PYTHONPATH=. $(PY) docs/screenshots.py

permissions: .venv/dev.stamp ## write anew what the functions are granted, from what they ask the emulators for (needs Java)
	@PYTHONPATH=. $(PY) -m tests.infra.permissions

pins: ## write functions/requirements.txt anew, from the newest of everything that pyproject.toml allows
	@$(PYTHON) .ci/pins

bench: .venv/dev.stamp ## measure speed, size and cost (results in bench-results)
	@$(PY) tests/benchmarks/bench.py $(ARGS)

bench-cloud: .venv/dev.stamp ## the same for the functions, on the emulators (ARGS=--quick; needs Java)
	@$(PY) tests/benchmarks/bench_cloud.py $(ARGS)

clean: ## remove .venv, caches and build products; databases stay
	@rm -rf .venv build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

# pip runs only if pyproject.toml is newer than the stamp, or .venv is no longer fit for use (unfinished, moved, without Python).
.venv/runtime.stamp: pyproject.toml
	$(INSTALL) runtime

.venv/dev.stamp: pyproject.toml
	$(INSTALL) dev

ifneq ($(shell sh .ci/venv fit "$(ASKED)"),yes)
.venv/runtime.stamp .venv/dev.stamp: FORCE
endif
