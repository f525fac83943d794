"""Branches in words: where they come from, what they have of their own, and what becomes of their effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from onward.core import events as ev
from onward.core.events import Effects, Event, NotInherited, Origin
from onward.core.head import Head
from onward.surfaces.telling import Note, Tools, tells
from onward.surfaces.text import said

EFFECTS: Mapping[Effects, str] = MappingProxyType(
    {
        "recorded": "calls and models are answered from the record; a call without an answer there is blocked",
        "live-model": "calls are answered from the record, and blocked without an answer there; models are asked",
        "blocked": "every call is blocked; models are asked",
        "live": "calls are made, under keys of their own; a person is asked before those that can't be repeated",
    }
)
"""What becomes of a branch's effects."""


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


@tells(ev.SessionForked)
def _forked(tell: Tools, event: Event, body: ev.SessionForked) -> Note:
    changed, stays = changes(body), left(body.not_inherited)
    below = [f"changed: {', '.join(changed)}"] if changed else []
    below += [f"not inherited: {', '.join(stays)}"] if stays else []
    return Note("branch", f"of the family of {said(body.family)}", "strong", tuple(below))
