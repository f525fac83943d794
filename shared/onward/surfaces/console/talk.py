"""A session's events as a conversation: what was said to it, what the model said, and what its calls came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from onward.core import events as ev
from onward.core.branch import Base
from onward.core.events import Event
from onward.core.ids import call_id
from onward.core.payload import Blob, Erased
from onward.core.state import Entry
from onward.surfaces.console.values import written
from onward.surfaces.operations import name_of, named
from onward.surfaces.telling import Tools, who, why
from onward.surfaces.telling_branches import recorded
from onward.surfaces.text import safe

Side = Literal["person", "model", "call", "result", "note"]


@dataclass(frozen=True, slots=True)
class Message:
    """One thing said, in event `seq`, there the `at`-th. What a branch has taken over is `inherited`: from an event of
    its parent's, or from before that (0)."""

    seq: int
    index: int
    at: datetime
    side: Side
    name: str
    text: str
    bad: bool = False
    inherited: int | None = None


Part = tuple[Side, str, str, bool]

MOST = 100
"""Of what a branch has taken over so many entries are shown: the last."""


def talk(events: Sequence[Event], tools: Tools) -> list[Message]:
    """What these events say, in order; of a branch's first ones what it has taken over, too."""
    origin = next((event.body.origin for event in events if isinstance(event.body, ev.SessionStarted)), None)
    return [each for event in events for each in _messages(event, tools, origin)]


def _messages(event: Event, tools: Tools, origin: ev.Origin | None) -> Iterator[Message]:
    if isinstance(event.body, ev.SessionForked):
        for index, (seq, (side, name, text, bad)) in enumerate(inherited(event.body.base)):
            there = max(0, origin.seq + seq) if origin else 0
            yield Message(event.seq, index, event.at, side, safe(name), text, bad, there)
        return
    for index, (side, name, text, bad) in enumerate(_parts(event, tools)):
        yield Message(event.seq, index, event.at, side, safe(name), text, bad)


# --- what a branch has taken over ------------------------------------------------------------------------------


def inherited(base: Any) -> Iterator[tuple[int, Part]]:
    """What a branch goes on from, each thing with its place before the branch."""
    if isinstance(base, Blob | Erased):
        yield 0, ("note", "what it goes on from", written(base), False)
        return
    transcript = Base.model_validate(base).transcript
    if len(transcript) > MOST:
        yield 0, ("note", "what it goes on from", f"{len(transcript) - MOST:,} earlier entries are in its state", False)
    for entry in transcript[-MOST:]:
        for each in _entry(entry):
            yield entry.seq, each


def _entry(entry: Entry) -> Iterator[Part]:
    if entry.kind == "answer":
        yield from _inherited_answer(entry)
    elif entry.kind == "result":
        edited = f"with {written(entry.arguments)}\n" if entry.arguments is not None else ""
        yield "result", name_of(entry.tool or "a call", entry.name), f"{edited}{_result(entry)}", entry.failed
    else:
        side: Side = "person" if entry.kind == "input" else "note"
        yield side, entry.kind, written(entry.value), False


def _result(entry: Entry) -> str:
    failure = entry.value if entry.failed and isinstance(entry.value, Mapping) else {}
    return safe(str(failure["message"])) if "message" in failure else written(entry.value)


def _inherited_answer(entry: Entry) -> Iterator[Part]:
    answer = entry.value
    if not isinstance(answer, Mapping):
        yield "model", entry.model or "model", written(answer), False
        return
    if answer.get("text"):
        yield "model", entry.model or "model", written(answer["text"]), False
    for call in answer.get("calls") or ():
        yield "call", str(call.get("name")), written(call.get("arguments")), False


# --- event by event --------------------------------------------------------------------------------------------


def _parts(event: Event, tools: Tools) -> Iterator[Part]:
    """What an event says. What a workflow asked for, and what came of that, is shown by itself."""
    part, call = _SAYS.get(type(event.body)), getattr(event.body, "call", None)
    asked = call is not None and tools.kind(call) is not None
    return part(event, event.body, tools) if part is not None and not asked else iter(())


def _started(event: Event, body: ev.SessionStarted | ev.SessionContinued, tools: Tools) -> Iterator[Part]:
    if body.input is not None:
        yield "person", who(event.actor), written(body.input), False


def _input(event: Event, body: ev.InputReceived, tools: Tools) -> Iterator[Part]:
    named = f", {body.name}" if body.name is not None else ""
    yield "person", f"{who(event.actor)}{named}", written(body.content), False


def _answered(event: Event, body: ev.ModelAnswered, tools: Tools) -> Iterator[Part]:
    answer = body.answer
    text = answer.get("text") if isinstance(answer, Mapping) else answer
    if text:
        yield "model", _from(body.model, body.record), written(text), False


def _from(name: str, record: str | None) -> str:
    return f"{name}, {recorded(record)}" if record else name


def _compacted(event: Event, body: ev.TranscriptCompacted, tools: Tools) -> Iterator[Part]:
    yield "note", f"summary of the events up to {body.up_to}", written(body.summary), False


def _proposed(event: Event, body: ev.CallsProposed, tools: Tools) -> Iterator[Part]:
    whole = body.arguments
    for index, proposal in enumerate(body.calls):
        id = call_id(event.seq, index)
        tools.calls[id] = named(proposal.tool, body.operations[index] if body.operations else None)
        if body.operations:
            continue
        near = isinstance(whole, Sequence) and not isinstance(whole, str) and index < len(whole)
        yield "call", f"{proposal.tool} {id}", written(whole[index] if near else whole), False
        if proposal.refusal is not None:
            yield "result", f"{proposal.tool} {id}", why(proposal.refusal), True


def _decided(event: Event, body: ev.ApprovalDecided, tools: Tools) -> Iterator[Part]:
    name = f"{_name(tools, body.call, event)}, {body.verdict} by {who(event.actor)}"
    edited = f"with {written(body.arguments)}\n" if body.arguments is not None else ""
    answer = written(body.result) if body.verdict == "responded" else ""
    yield "note", name, f"{edited}{answer}{safe(body.reason)}", body.verdict == "rejected"


def _completed(event: Event, body: ev.CallCompleted, tools: Tools) -> Iterator[Part]:
    yield "result", _from(_name(tools, body.call, event), body.record), written(body.result), False


def _failed(event: Event, body: ev.CallFailed, tools: Tools) -> Iterator[Part]:
    if body.retry_at is None:
        yield "result", _from(_name(tools, body.call, event), body.record), why(body.error), True


def _refused(event: Event, body: ev.CallRefused, tools: Tools) -> Iterator[Part]:
    name = _name(tools, body.call, event)
    yield "result", f"{name}, blocked" if body.error.code == "blocked" else name, why(body.error), True


def _child(event: Event, body: ev.ChildEnded, tools: Tools) -> Iterator[Part]:
    text = why(body.error) if body.error else written(body.output)
    yield "result", _name(tools, body.call, event), text, body.status != "completed"


def _name(tools: Tools, call: str, event: Event) -> str:
    tool = tools.tool(call, event.actor)
    return tool if tool.endswith(call) else f"{tool} {call}"


_SAYS: Mapping[type[ev.Body], Callable[[Event, Any, Tools], Iterator[Part]]] = MappingProxyType(
    {
        ev.SessionStarted: _started,
        ev.SessionContinued: _started,
        ev.InputReceived: _input,
        ev.ModelAnswered: _answered,
        ev.TranscriptCompacted: _compacted,
        ev.CallsProposed: _proposed,
        ev.ApprovalDecided: _decided,
        ev.CallCompleted: _completed,
        ev.CallFailed: _failed,
        ev.CallRefused: _refused,
        ev.ChildEnded: _child,
    }
)
