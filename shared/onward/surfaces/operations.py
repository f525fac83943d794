"""What a workflow asks for, in words: each call by what it is, and by the name that the workflow has for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from onward.core.events import CallsProposed, Operation, OperationKind
from onward.core.payload import Blob, Erased
from onward.core.state import Entry, OpenCall, State
from onward.core.words import TAKEN
from onward.surfaces.text import brief, call_text, input_text, said, shown, until

LABELS: Mapping[OperationKind, str] = MappingProxyType(
    {
        "step": "step",
        "undo": "undo",
        "sleep": "wait",
        "approval": "asks",
        "signal": "wait",
        "child": "child",
        "start": "child",
        "patch": "patch",
    }
)

NOT_COMPLETED = "not_completed"
"""The code of a wait that ended because nothing came in time."""

EVIDENCE = 160
"""Characters of what is shown beside a question in a line."""


@dataclass(frozen=True, slots=True)
class Named:
    """A call, as it is told: its name, and what it is where a workflow asked for it."""

    name: str
    kind: OperationKind | None = None


def named(tool: str, operation: Operation | None) -> Named:
    """What a call is told as."""
    if operation is None:
        return Named(said(tool))
    return Named(name_of(tool, operation.name), operation.kind)


def called(call: OpenCall) -> str:
    """The name of an open call."""
    return named(call.tool, call.operation).name


def name_of(tool: str, path: str | None) -> str:
    """A call's name, for people: what is taken back goes by the step that it takes back."""
    if path is None or path == tool:
        return said(tool)
    kind, colon, rest = path.partition(":")
    if colon and kind.partition("#")[0] == "undo":
        return f"undo of {said(rest)}"
    return said(rest if colon and kind == "patch" else path)


def calls_of(state: State) -> dict[str, Named]:
    """Each call of a state, as it is told."""
    settled = {entry.call: _settled(entry) for entry in state.transcript if entry.call and entry.tool}
    return settled | {call.id: named(call.tool, call.operation) for call in state.calls.values()}


def _settled(entry: Entry) -> Named:
    """What was settled is known by its name, and by what it came to."""
    return Named(name_of(entry.tool or "", entry.name), None if entry.name is None else _kind_of(entry))


def _kind_of(entry: Entry) -> OperationKind:
    path, value = entry.name or "", entry.value if isinstance(entry.value, Mapping) else {}
    if path.partition(":")[0].partition("#")[0] in ("undo", "patch") and ":" in path:
        return "undo" if path.startswith("undo") else "patch"
    if entry.tool == "sleep" and value.keys() == {"waited"}:
        return "sleep"
    if value.keys() == {TAKEN} or (entry.tool in ("signal", "input") and value.get("code") == NOT_COMPLETED):
        return "signal"
    return "approval" if entry.tool == "approval" and "verdict" in value else "step"


# --- what is asked for -----------------------------------------------------------------------------------------


def asked(body: CallsProposed, at: datetime) -> tuple[str, list[str]]:
    """What a workflow asks for at once: a label for all of it, and a line for each."""
    labels = {LABELS[operation.kind] for operation in body.operations}
    alone = len(labels) == 1
    lines = [
        _line(operation, proposal.tool, argument_of(body.arguments, index), at, alone)
        for index, (proposal, operation) in enumerate(zip(body.calls, body.operations, strict=True))
    ]
    return labels.pop() if alone else "call", lines


def argument_of(arguments: Any, index: int) -> Any:
    """The arguments of one call of those that were proposed together, as far as they are there."""
    there = isinstance(arguments, Sequence) and not isinstance(arguments, str) and index < len(arguments)
    return arguments[index] if there else arguments


def open_text(call: OpenCall, at: datetime) -> str:
    """An open call, as what it is."""
    if call.operation is None:
        return call_text(call.tool, call.arguments)
    return _line(call.operation, call.tool, call.arguments, at, alone=False)


def _line(operation: Operation, tool: str, arguments: Any, at: datetime, alone: bool) -> str:
    """One thing that is asked for. Behind a label that says what it is, the verb is left out."""
    verb, text = _said(operation, tool, arguments, at)
    waits = operation.kind in ("sleep", "signal", "approval")
    prefix = f"{name_of(tool, operation.name)}: " if waits and operation.name != (operation.signal or tool) else ""
    return f"{prefix}{'' if alone or not verb else f'{verb} '}{text}"


def _said(operation: Operation, tool: str, arguments: Any, at: datetime) -> tuple[str, str]:
    kind, end = operation.kind, f"until {until(operation.until, at)}" if operation.until else ""
    if kind == "sleep":
        return "sleeps", end
    if kind == "signal":
        return "waits", f"for {input_text(operation.signal)}{', ' if end else ''}{end}"
    if kind == "approval":
        return "asks people:", question_text(arguments)
    if kind == "patch":
        return "patch", f"{name_of(tool, operation.name)}: the new code from here on"
    if kind == "undo":
        return "", f"takes back {name_of(tool, operation.name).removeprefix('undo of ')}: {call_text(tool, arguments)}"
    if kind == "step":
        return "", step_text(tool, operation.name, arguments)
    return "starts", _child(operation, tool, arguments)


def details_of(operation: Operation, tool: str, arguments: Any) -> str:
    """What stands beside the name of something that was asked for, but until when it is waited for."""
    if operation.kind in ("step", "undo"):
        last = operation.name.rpartition("/")[2].partition("#")[0]
        return call_text(tool, arguments).removeprefix(said(tool) if last == tool else "")
    if operation.kind in ("child", "start"):
        given = _given(arguments)
        return "" if given is None else shown(given)
    if operation.kind == "patch":
        return "the new code from here on"
    if operation.kind == "approval":
        return question_text(arguments)
    return "" if operation.kind == "sleep" else f"waits for {input_text(operation.signal)}"


def step_text(tool: str, path: str, arguments: Any) -> str:
    """A step as one would write it, by the name that it has among all."""
    last = path.rpartition("/")[2].partition("#")[0]
    return call_text(path, arguments) if last == tool else f"{name_of(tool, path)}: {call_text(tool, arguments)}"


def _child(operation: Operation, tool: str, arguments: Any) -> str:
    given, text = _given(arguments), step_text(tool, operation.name, {}).removesuffix("()")
    left = ", and does not wait for it" if operation.kind == "start" else ""
    return f"{text}({'' if given is None else shown(given)}){left}"


def _given(arguments: Any) -> Any:
    """What a session is started with."""
    return arguments["input"] if isinstance(arguments, Mapping) and "input" in arguments else arguments


def question_text(arguments: Any) -> str:
    """What people are asked, and the beginning of what they are shown."""
    if not isinstance(arguments, Mapping) or isinstance(arguments, Blob | Erased):
        return shown(arguments)
    evidence = arguments.get("evidence")
    more = "" if evidence is None else f"  {brief(shown(evidence), EVIDENCE)}"
    return f"{said(arguments.get('question', ''))}{more}"
