"""The commands that operate: deleting, erasing, switches, restores."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from onward.core.head import Head
from onward.core.incarnation import Restored
from onward.core.switches import Switch
from onward.errors import BadInput
from onward.runtime.access import Access
from onward.surfaces.documents import restored_doc, session_doc, switch_doc, turn_doc
from onward.surfaces.output import Output
from onward.surfaces.telling import quoted, who
from onward.surfaces.text import ago, moment, safe
from onward.surfaces.verbs import Place

TURNS = 10
"""Turns of switches that are listed."""


# --- deleting --------------------------------------------------------------------------------------------------


async def to_delete(runtime: Access, id: str) -> str:
    """What goes and what stays. Raises NotFound."""
    head = await runtime.get(id)
    if head.status == "deleted":
        return f"Session {id} is deleted already; what a crash may have left over goes."
    count = len(await runtime.branches(id))
    branches = f" Of it there are branches ({count}), which keep what they took over." if count else ""
    return (
        f"Session {id} ({safe(f'{head.program} {head.version}')}, {head.status}): its {head.seq} events, inbox, files "
        "and snapshots go for good. A tombstone stays: id, times, head hash, what it spent, who deleted it and why."
        f"{branches}"
    )


async def delete(runtime: Access, id: str, reason: str) -> Head:
    """Raises NotFound, and Refused for a session that has not ended."""
    return await runtime.delete(id, reason)


def tell_deleted(stone: Head, output: Output) -> None:
    """What is left."""
    if output.json:
        return output.doc(session_doc(stone))
    by = stone.error.message if stone.error else "deleted"
    output.lines([f"Session {stone.id} is {safe(by)}. Its id never starts again.", f"head {stone.hash}"])


async def erase(runtime: Access, id: str, seq: int, field: str, reason: str, output: Output) -> None:
    """Erase one private field for good."""
    await runtime.erase(id, seq, field, reason)
    head, branches = await runtime.get(id), [branch.id for branch in await runtime.branches(id)]
    if output.json:
        told = {"session": id, "seq": seq, "field": field, "erased": True, "event": head.seq}
        return output.doc(told | ({"branches": branches} if branches else {}))
    output.lines([f"erased: {field} of event {seq} of session {id}; its log still verifies"])
    if branches:
        output.lines([f"what branches took over is their own, and may have it still: {', '.join(branches)}"])


# --- switches --------------------------------------------------------------------------------------------------


async def turn(runtime: Access, scope: str, reason: str, off: bool, place: Place, output: Output) -> None:
    """Turn a switch, and say how it stands."""
    turned = await (runtime.switch_off(scope, reason) if off else runtime.switch_on(scope, reason))
    standing = [switch for switch in await runtime.switches() if switch.scope == scope]
    if output.json:
        return output.doc({"scope": scope, "off": off, "turned": turned, "switch": [switch_doc(s) for s in standing]})
    output.lines(_turned(scope, turned, standing, runtime.parts.clock.now(), place))


def _turned(scope: str, turned: bool, standing: list[Switch], now: datetime, place: Place) -> Iterator[str]:
    if not standing:
        yield f"{scope} is on again: what it held back goes on" if turned else f"{scope} was not off"
        return
    yield (
        switch_text(standing[0], now)
        if not turned
        else (f"{scope} is off: within ten seconds no process starts anything new of it; what is under way is finished")
    )
    yield f"It goes on with: {place.command('on', scope)}"


async def switches(runtime: Access, output: Output) -> None:
    """What is off, and the last turns."""
    off, turns = await runtime.switches(), await runtime.switch_history(TURNS)
    if output.json:
        return output.doc({"off": [switch_doc(switch) for switch in off], "turns": [turn_doc(turn) for turn in turns]})
    now = runtime.parts.clock.now()
    output.lines([switch_text(switch, now) for switch in off] or ["Nothing is switched off."])
    for each in turns:
        word = "off" if each.off else "on"
        by = f"{who(each.switch.by)}{quoted(each.switch.reason)}"
        output.lines([output.paper.tint(f"  {moment(each.switch.at, now)}  {each.switch.scope} {word} by {by}", "dim")])


def switch_text(switch: Switch, now: datetime) -> str:
    """A switch that is off, in a line."""
    return f"{switch.scope} is off, by {who(switch.by)} {ago(switch.at, now)}{quoted(switch.reason)}"


# --- restores --------------------------------------------------------------------------------------------------


async def restored(runtime: Access, reason: str, place: Place, output: Output) -> None:
    """Record a restore, and say what follows from it, and from the one before."""
    told = await runtime.restored(reason)
    before = [each for each in await runtime.restores() if each.number < told.number]
    if output.json:
        return output.doc(restored_doc(told) | {"before": [restored_doc(each) for each in before]})
    output.lines(_restored(told, before, runtime.parts.clock.now(), place))


def _restored(told: Restored, before: list[Restored], now: datetime, place: Place) -> Iterator[str]:
    yield f"{safe(place.name)} is in incarnation {told.number}: within ten seconds no session that began before now"
    yield "starts anything compensatable or irreversible until somebody has looked at it, and said retry."
    yield f"They stop there and are listed with: {place.command('list', '--attention')}"
    if before:
        yield f"Restored before: {restored_text(before[0], now)}. If this was meant to say the same, each session now"
        yield "needs one more look, and nothing else has changed."


def restored_text(told: Restored, now: datetime) -> str:
    """A restore, in a line."""
    return f"incarnation {told.number}, by {who(told.by)} {ago(told.at, now)}{quoted(told.reason)}"


def confirmed(asked: bool, output: Output, text: str) -> bool:
    """Whether a person says yes. Raises BadInput where nobody is there to be asked."""
    if asked:
        return True
    if output.json or not output.terminal:
        raise BadInput("nobody is here to be asked: say --yes")
    import click

    click.echo(text)
    return click.confirm("Go on?", default=False)
