"""What `import onward` offers, and what it must not load."""

import subprocess
import sys
from importlib import import_module

import pytest

import onward

HEAVY = (
    "asyncio",
    "click",
    "concurrent",
    "fastapi",
    "google",
    "http",
    "hypothesis",
    "logging",
    "pytest",
    "sqlite3",
    "ssl",
)


def loaded_by(code: str) -> set[str]:
    """Every module that this code loads into a fresh process, which some packages have begun to fill (`*.pth`)."""
    code = f"import sys; before = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_all_is_sorted_and_says_where_each_name_lives() -> None:
    assert onward.__all__ == sorted(onward.__all__) == sorted(onward._HOME)


@pytest.mark.parametrize("name", onward.__all__)
def test_each_name_is_taken_from_the_module_that_defines_it(name: str) -> None:
    assert getattr(onward, name) is getattr(import_module(onward._HOME[name]), name)
    assert getattr(onward, name).__module__ == onward._HOME[name]


def test_every_name_can_be_listed() -> None:
    assert set(onward.__all__) <= set(dir(onward))


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'onward' has no attribute 'agent'"):
        onward.agent  # type: ignore[attr-defined]  # noqa: B018


def test_importing_onward_loads_nothing() -> None:
    loaded = loaded_by("import onward")
    assert {name for name in loaded if name.startswith("onward")} == {"onward"}
    assert not loaded & {"pydantic", *HEAVY}


def test_declaring_a_program_loads_no_engine_and_no_store() -> None:
    code = """
from onward import Agent, App, Approval, Call, Limits, ScriptedModel, tool

@tool(approval=Approval())
def refund(order: str, *, call: Call) -> None:
    "Refund an order."

App(programs=[Agent("desk", model=ScriptedModel([]), tools=[refund], limits=Limits(turns=3))])
"""
    loaded = loaded_by(code)
    assert not loaded & set(HEAVY)
    assert not {name for name in loaded if name.startswith(("onward.engine", "onward.surfaces", "onward.testing"))}


def test_declaring_a_workflow_loads_nothing_that_runs_it() -> None:
    code = """
from onward import App, Context, tool, workflow

@tool(effect="read")
def find(order: str) -> str:
    "Find an order."

@workflow(deadline="7d")
async def orders(ctx: Context, order: str) -> str:
    found = await ctx.step(find, order)
    return await ctx.signal("paid", str, timeout="3d")

App([orders])
"""
    loaded = loaded_by(code)
    assert not loaded & set(HEAVY)
    assert not {name for name in loaded if name.startswith(("onward.engine", "onward.surfaces", "onward.testing"))}
    running = {"fanning", "loop", "noticing", "proposing", "running", "unwinding"}
    assert not loaded & {f"onward.programs.{name}" for name in running}


def test_declaring_gemini_loads_nothing_that_reaches_it() -> None:
    loaded = loaded_by('from onward import Agent, Gemini; Agent("desk", model=Gemini("gemini-3-flash", api_key="k"))')
    assert not loaded & {*HEAVY, "httpx", "httpx2"}
