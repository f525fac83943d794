"""A session as it was: what its log amounted to after an earlier event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onward.core.codec import stamp
from onward.core.events import Event
from onward.core.head import Head
from onward.core.state import OpenCall, State
from onward.runtime.access import Access
from onward.surfaces.documents import event_doc, plain, whole
from onward.surfaces.operations import open_text
from onward.surfaces.output import Output
from onward.surfaces.reports import event_line, facts_lines, spent_text
from onward.surfaces.text import moment, said, shown
from onward.surfaces.timeline import Telling

RECENT = 8


async def show_at(runtime: Access, id: str, at: int, output: Output) -> None:
    """The state after this event, and the events that led to it."""
    state = await runtime.state(id, at=at)
    recent = [event async for event in runtime.events(id, after=max(0, at - RECENT)) if event.seq <= at]
    if output.json:
        return output.doc(await past_doc(runtime, await runtime.get(id), state, recent[-1]))
    output.lines(_lines(state, recent, output))


async def past_doc(access: Access, head: Head, state: State, event: Event) -> dict[str, Any]:
    """The state of a session after this event, for programs."""
    return {
        "id": head.id,
        "at": state.seq,
        "time": state.at and stamp(state.at),
        "status": status(state),
        "program": state.program,
        "version": state.version,
        "input": plain(await access.value(head.id, state.input, head.tenant)),
        "output": plain(await access.value(head.id, state.output, head.tenant)),
        "error": (error := state.parked or state.paused or state.error) and error.model_dump(),
        "calls": [_call_doc(call) for call in state.calls.values()],
        "timers": {name: stamp(due) for name, due in state.timers.items()},
        "spent": state.spent.model_dump(),
        "limits": state.limits.model_dump(),
        "labels": state.labels,
        "transcript": [entry.model_dump(mode="json", exclude_defaults=True) for entry in state.transcript],
        "event": event_doc(await whole(access, head.id, event, head.tenant)),
    }


def _call_doc(call: OpenCall) -> dict[str, Any]:
    return call.model_dump(mode="json", exclude_defaults=True)


def status(state: State) -> str:
    """What the session did at that event, as far as its state says."""
    if state.ended:
        return state.ended
    if state.parked:
        return "needs_attention"
    return "paused" if state.paused else "closing" if state.closing else "going on"


def _lines(state: State, recent: list[Event], output: Output) -> Iterator[str]:
    now = state.at or recent[-1].at
    error = state.parked or state.paused or state.error
    facts = [
        ("session", state.session),
        ("event", f"{state.seq}, {moment(now, now)}"),
        ("program", f"{state.program} {state.version}"),
        ("status", status(state).replace("_", " ")),
        ("error", f"{said(error.message)} [{error.code}]" if error else ""),
        ("spent", spent_text(state.spent, state.limits)),
        ("labels", ", ".join(f"{name}={shown(value)}" for name, value in sorted(state.labels.items()))),
        ("timers", ", ".join(f"{name} {moment(due, now)}" for name, due in state.timers.items())),
        ("entries", f"{len(state.transcript)} in the transcript"),
    ]
    yield from facts_lines(facts, output.paper)
    for call in state.calls.values():
        yield f"{output.paper.tint('call', 'dim')}      {call.id} {call.status}: {open_text(call, now)}"
    yield ""
    telling = Telling.of(state)
    for event in recent:
        yield event_line(event, telling, output.paper)
