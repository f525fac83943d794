"""Branches in words: where they come from, what they have of their own, and what becomes of their effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from onward.core import events as ev
from onward.core.events import Effects, Event, NotInherited, Origin
from onward.core.head import Head
from onward.core.payload import Blob, Erased
from onward.surfaces.telling import Note, Tools, tells
from onward.surfaces.text import brief, said

EFFECTS: Mapping[Effects, str] = MappingProxyType(
    {
        "recorded": "calls and models are answered from the record; a call without an answer there is blocked",
        "live-model": "calls are answered from the record, and blocked without an answer there; models are asked",
        "blocked": "every call is blocked; models are asked",
        "live": "calls are made, under keys of their own; a person is asked before those that can't be repeated",
    }
)
"""What becomes of a branch's effects."""

LONG = 200
"""How much is shown of what a branch goes on from."""


def from_where(origin: Origin) -> str:
    """Which session a branch left, and where."""
    return f"branch of {said(origin.session)} at event {origin.seq}"


def origin_text(head: Head) -> str:
    """The same of a session, or nothing for one that is no branch."""
    return from_where(head.origin) if head.origin else ""


def changes(body: ev.SessionForked, told: bool = False) -> list[str]:
    """What a branch has of its own; `told` says that it was given an input."""
    model = [f"model {said(body.model)}"] if body.model is not None else []
    instructions = ["instructions"] if body.instructions is not None else []
    given = ["input"] if told else []
    return [*model, *instructions, *(f"event {seq}" for seq in body.edited), *given]


def left(found: Sequence[NotInherited]) -> list[str]:
    """What stays the parent's."""
    return [_left(each) for each in found]


def _left(each: NotInherited) -> str:
    if each.what == "timer":
        return f"timer {said(each.name)}"
    of = f"{said(each.tool)} (call {each.name})" if each.tool else f"call {each.name}"
    return f"the approval of {of}" if each.what == "approval" else of


def recorded(source: str | None) -> str:
    """Where something comes from that a branch has from the record."""
    return f"from the record of {said((source or '').rpartition('/')[0])}" if source else ""


def _goes_on(base: Any) -> str:
    """What it has taken over: how much, and the end of it."""
    if isinstance(base, Blob | Erased):
        return f"goes on from {brief(said(base), LONG)}"
    entries = base.get("transcript") or []
    if not entries:
        return "goes on from the beginning"
    end = entries[-1]
    value = end.get("value")
    text = value.get("text") or value.get("calls") if end["kind"] == "answer" and isinstance(value, Mapping) else value
    kind = f"{'an' if end['kind'] in ('input', 'answer') else 'a'} {end['kind']}"
    many = f"{len(entries)} inherited {'entry' if len(entries) == 1 else 'entries'}"
    return f"goes on from {many}, the last {kind}: {brief(said(text), LONG)}"


@tells(ev.SessionForked)
def _forked(tell: Tools, event: Event, body: ev.SessionForked) -> Note:
    changed, stays = changes(body), left(body.not_inherited)
    below = [f"changed: {', '.join(changed)}"] if changed else []
    below += [f"not inherited: {', '.join(stays)}"] if stays else []
    below += [_goes_on(body.base)]
    return Note("branch", f"of the family of {said(body.family)}", "strong", tuple(below))
