"""What a run depends on: the same run has the same id, and is made and paid for once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from onward.core.canonical import digest
from onward.core.program import Program
from onward.programs.agent import Agent
from onward.programs.workflow import Workflow

Named = Callable[[str], list[str]]
"""What can be told of a model of which there is only the name."""


def program_facts(program: Program | None, named: Named) -> list[Any]:
    """What can be told of a program, and of those that it gives work to: what its models are told and offered, and what
    is written in a workflow. Another version is another program."""
    return [_facts(each, named) for each in _team(program)] if program is not None else []


def _team(program: Program) -> Iterator[Program]:
    waiting, seen = [program], set[tuple[str, str]]()
    while waiting:
        each = waiting.pop(0)
        if (each.name, each.version) not in seen:
            seen.add((each.name, each.version))
            waiting += getattr(each, "team", ())
            yield each


def _facts(program: Program, named: Named) -> list[Any]:
    if isinstance(program, Workflow):
        return [program.name, program.version, _written(program)]
    if not isinstance(program, Agent):
        return [program.name, program.version]
    asked = [route.model for route in program.routes]
    models = [named(model) if isinstance(model, str) else [model.name] for model in asked]
    tools = [
        [name, offer.spec.description, dict(offer.spec.parameters)] for name, offer in sorted(program.offers.items())
    ]
    told = [program.instructions, program.output_schema, program.max_output_tokens, program.conversation]
    return [program.name, program.version, models, told, tools, _compaction(program)]


def _written(program: Workflow[Any, Any]) -> str:
    """What is written in its body, as far as that can be had."""
    try:
        return inspect.getsource(inspect.unwrap(program))
    except (OSError, TypeError):
        return ""


def _compaction(program: Agent) -> list[Any] | None:
    rule = program.compaction
    return None if rule is None else [rule.at, rule.keep, rule.instructions]


def run_id(slug: str, facts: Any, repeat: int) -> str:
    """The id of a run's session."""
    return f"{slug}-{digest(facts)[:12]}-{repeat}"
