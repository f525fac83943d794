"""What an agent's author wrote, checked when it is declared and never when a model calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast, get_args

from onward.core.events import OnInput
from onward.errors import BadInput
from onward.programs.compaction import Compaction
from onward.programs.output import OutputType
from onward.programs.proposals import Offer
from onward.programs.team import AgentTool, HandoverTool
from onward.programs.tools import Tool

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


def checked_name(name: Any, what: str = "agent") -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(f"{what} {name!r}: a name has 1 to 63 of a-z, 0-9 and -, and starts with a letter")
    return name


def checked_version(name: str, version: Any, what: str = "agent") -> str:
    if not isinstance(version, str) or not 1 <= len(version) <= 64:
        raise BadInput(f"{what} {name}: version {version!r} is no text of 1 to 64 characters")
    return version


def checked_on_input(name: str, on_input: Any) -> OnInput:
    of_agents = [known for known in get_args(OnInput) if known != "deliver"]
    if on_input not in of_agents:
        raise BadInput(f"agent {name}: on_input {on_input!r} is none of {', '.join(of_agents)}")
    return cast(OnInput, on_input)


def checked_compaction(name: str, compaction: Any) -> Compaction | None:
    if compaction is not None and not isinstance(compaction, Compaction):
        raise BadInput(f"agent {name}: compaction must be a Compaction, such as Compaction(at=100_000)")
    return compaction


def checked_output(name: str, output_type: Any) -> OutputType | None:
    return None if output_type is None else OutputType(output_type, f"agent {name}")


def offers_in(name: str, tools: Sequence[Any]) -> dict[str, Offer]:
    """The tools by their names; an agent among them is asked in a session of its own. Raises BadInput."""
    known: dict[str, Offer] = {}
    for index, given in enumerate(_listed(name, "tools", tools)):
        tool = given.as_tool() if callable(getattr(given, "as_tool", None)) else given
        if not isinstance(tool, Tool | AgentTool | HandoverTool):
            raise BadInput(f"agent {name}: tools[{index}] is no tool: {given!r}; put @tool above the function")
        _add(name, known, tool)
    return known


def with_handovers(name: str, offers: Mapping[str, Offer], handovers: Sequence[Any]) -> dict[str, Offer]:
    """The offers, and the agents that can take over. Raises BadInput."""
    known = dict(offers)
    for index, given in enumerate(_listed(name, "handovers", handovers)):
        handover = given.as_handover() if callable(getattr(given, "as_handover", None)) else given
        if not isinstance(handover, HandoverTool):
            raise BadInput(f"agent {name}: handovers[{index}] is no agent: {given!r}")
        _add(name, known, handover)
    return known


def _listed(name: str, field: str, given: Any) -> list[Any]:
    if not isinstance(given, Iterable):
        raise BadInput(f"agent {name}: {field} is no list: {given!r}")
    return list(given)


def _add(name: str, known: dict[str, Offer], tool: Offer) -> None:
    if tool.name in known:
        raise BadInput(f"agent {name}: two tools are named {tool.name}; give one of them another name=")
    known[tool.name] = tool
