"""A session's events as a conversation: what was said to it, what the model said, and what its calls came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from onward.core import events as ev
from onward.core.events import Event
from onward.core.ids import call_id
from onward.surfaces.console.values import written
from onward.surfaces.telling import Tools, who, why
from onward.surfaces.text import safe

Side = Literal["person", "model", "call", "result", "note"]


@dataclass(frozen=True, slots=True)
class Message:
    """One thing said, in event `seq`, there the `at`-th."""

    seq: int
    index: int
    at: datetime
    side: Side
    name: str
    text: str
    bad: bool = False


Part = tuple[Side, str, str, bool]


def talk(events: Sequence[Event], tools: Tools) -> list[Message]:
    """What these events say, in order."""
    return [
        Message(event.seq, index, event.at, side, safe(name), text, bad)
        for event in events
        for index, (side, name, text, bad) in enumerate(_parts(event, tools))
    ]


def _parts(event: Event, tools: Tools) -> Iterator[Part]:
    part = _SAYS.get(type(event.body))
    return part(event, event.body, tools) if part is not None else iter(())


def _started(event: Event, body: ev.SessionStarted | ev.SessionContinued, tools: Tools) -> Iterator[Part]:
    if body.input is not None:
        yield "person", who(event.actor), written(body.input), False


def _input(event: Event, body: ev.InputReceived, tools: Tools) -> Iterator[Part]:
    yield "person", who(event.actor), written(body.content), False


def _answered(event: Event, body: ev.ModelAnswered, tools: Tools) -> Iterator[Part]:
    answer = body.answer
    text = answer.get("text") if isinstance(answer, Mapping) else answer
    if text:
        yield "model", body.model, written(text), False


def _compacted(event: Event, body: ev.TranscriptCompacted, tools: Tools) -> Iterator[Part]:
    yield "note", f"summary of the events up to {body.up_to}", written(body.summary), False


def _proposed(event: Event, body: ev.CallsProposed, tools: Tools) -> Iterator[Part]:
    whole = body.arguments
    for index, proposal in enumerate(body.calls):
        id = call_id(event.seq, index)
        tools.tools[id] = safe(proposal.tool)
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
    yield "result", _name(tools, body.call, event), written(body.result), False


def _failed(event: Event, body: ev.CallFailed, tools: Tools) -> Iterator[Part]:
    if body.retry_at is None:
        yield "result", _name(tools, body.call, event), why(body.error), True


def _refused(event: Event, body: ev.CallRefused, tools: Tools) -> Iterator[Part]:
    yield "result", _name(tools, body.call, event), why(body.error), True


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
