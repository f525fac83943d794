"""The commands that move a session: exact, to be copied into a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from onward.core.head import ASKS, Head, Wait
from onward.surfaces.operations import name_of
from onward.surfaces.text import input_text

DEFAULT_DB = "onward.db"
DIGITS = 12
"""How much of a digest names a call well enough."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command works: the deployment of a project, or else the database, as they were named, and whether a bare
    command would find it."""

    db: str
    default: bool
    project: str | None = None

    @property
    def name(self) -> str:
        return self.db if self.project is None else f"project {self.project}"

    def command(self, *words: str, more: tuple[str, ...] = ()) -> str:
        where = () if self.default else ("--db", self.db) if self.project is None else ("--project", self.project)
        return shlex.join(("onward", *words, *where, *more))


@dataclass(frozen=True, slots=True)
class Verb:
    """A command, and what it does."""

    command: str
    does: str


def verbs(head: Head, place: Place) -> list[Verb]:
    """What moves this session on now."""
    return [verb for wait in head.waits for verb in wait_verbs(head, wait, place)] or _stopped(head, place)


def wait_verbs(head: Head, wait: Wait, place: Place) -> list[Verb]:
    """What ends this wait."""
    if wait.kind == "approval":
        alone, asks = _alone(head, "approval"), wait.note == ASKS
        return decisions(head.id, wait.call or "", wait.digest or "", place, alone, asks)
    if wait.kind == "input":
        return [_input(head, wait, place)]
    if wait.kind == "child":
        return [Verb(place.command("show", wait.session or ""), "see the session it waits for")]
    if wait.kind in ("operator", "external") and wait.call:
        return _outcomes(head, wait, place)
    return _stopped(head, place) if wait.kind == "operator" else []


def _input(head: Head, wait: Wait, place: Place) -> Verb:
    """An agent is told something; a workflow's wait is for a value of some form, and may have a name."""
    named = ("--name", wait.note) if wait.note else ()
    content = ("TEXT",) if wait.call is None else ("--value", "JSON")
    return Verb(place.command("send", head.id, more=(*named, *content)), f"give it {input_text(wait.note)}")


def _alone(head: Head, kind: str) -> bool:
    return sum(wait.kind == kind for wait in head.waits) <= 1


def decisions(session: str, call: str, digest: str, place: Place, alone: bool, asks: bool = False) -> list[Verb]:
    """How a person decides exactly this call, and none that the session may come to ask about instead; or what a
    workflow only `asks`."""
    named = (*(() if alone else ("--call", call)), "--digest", digest[:DIGITS])
    if asks:
        return [
            Verb(place.command("approve", session, more=named), "say yes"),
            Verb(place.command("reject", session, more=named), "say no"),
            Verb(place.command("respond", session, more=(*named, "--result", "JSON")), "answer something else"),
        ]
    return [
        Verb(place.command("approve", session, more=named), "let it happen"),
        Verb(place.command("reject", session, more=named), "refuse it"),
    ]


def _outcomes(head: Head, wait: Wait, place: Place) -> list[Verb]:
    call, tool = ("--call", wait.call or ""), wait.tool or ""
    return [
        Verb(place.command("resolve", head.id, more=(*call, "--done")), f"{name_of(tool, wait.name or None)} happened"),
        Verb(place.command("resolve", head.id, more=(*call, "--not-done")), "it did not, and may be performed again"),
        Verb(place.command("resolve", head.id, more=(*call, "--failed")), "it did not, and won't be tried again"),
    ]


def _stopped(head: Head, place: Place) -> list[Verb]:
    """What sets a session going that goes on no more by itself, or ends it."""
    if head.status == "paused" and head.switch:
        return [Verb(place.command("on", head.switch), "let everything that it holds back go on"), _cancel(head, place)]
    if head.status == "paused":
        return [Verb(place.command("resume", head.id), "let it go on"), _cancel(head, place)]
    return _parked(head, place) if head.status == "needs_attention" else []


def _cancel(head: Head, place: Place) -> Verb:
    return Verb(place.command("cancel", head.id), "end it")


def _parked(head: Head, place: Place) -> list[Verb]:
    code = head.error.code if head.error else ""
    if code == "restored":
        return _unlooked(head, place)
    if code in _OF_WORKFLOWS:
        return _OF_WORKFLOWS[code](head, place)
    raised = _raised(head)
    retry = "go on under a higher limit" if raised else "try again, once the cause is gone"
    return [Verb(place.command("retry", head.id, more=raised), retry), _cancel(head, place)]


def _unlooked(head: Head, place: Place) -> list[Verb]:
    """After a restore: whoever looked says of each call what came of it, or lets all be performed."""
    ready = [wait for wait in head.waits if wait.kind == "timer" and wait.call]
    skips = [
        Verb(
            place.command("skip", head.id, more=("--call", wait.call or "", "--result", "RESULT")),
            f"{wait.tool} has happened since the backup, and this is what it came to",
        )
        for wait in ready
    ]
    performed = "perform what is still to be done, since it has not happened"
    return [*skips, Verb(place.command("retry", head.id), performed), _cancel(head, place)]


def _other_code(head: Head, place: Place) -> list[Verb]:
    """The code asks for something else than what the log has: what it agrees with can be had again, or left."""
    at = agreed_up_to(head)
    branch = (*(() if at is None else ("--at", str(at))), "--effects", "live")
    anew = "or go on from there in a branch, by the code that is there: what came then is done anew"
    return [
        Verb(place.command("retry", head.id), "go on, once the code asks for what the log has"),
        Verb(place.command("fork", head.id, more=branch), anew),
        _cancel(head, place),
    ]


def agreed_up_to(head: Head) -> int | None:
    """The event up to which the log and the code agree, where a session stands because they don't behind it."""
    error = head.error if head.error and head.error.code == "nondeterministic" else None
    at = re.search(r"event (\d+)$", error.message) if error else None
    return int(at[1]) if at else None


def _not_undone(head: Head, place: Place) -> list[Verb]:
    """What could not be taken back is tried again, or dealt with by hand. To cancel it would take back the same."""
    undos = [wait for wait in head.waits if wait.call and wait.name.startswith("undo")]
    does = "take it back, once the cause is gone" if undos else "go on, with what is still to be taken back"
    by_hand = "or it was dealt with by hand: then retry, to go on without it"
    return [Verb(place.command("retry", head.id), does), *(Verb(_skip(head, wait, place), by_hand) for wait in undos)]


def _skip(head: Head, wait: Wait, place: Place) -> str:
    return place.command("skip", head.id, more=("--call", wait.call or ""))


def _unreadable(head: Head, place: Place) -> list[Verb]:
    """What it goes by is not there, or is not read by the code."""
    retry = [Verb(place.command("retry", head.id), "go on, once the code reads what was recorded")]
    output = Verb(place.command("finish", head.id, more=("--output", "JSON")), "end it with an output")
    return [*(retry if head.error and head.error.code.endswith("_unreadable") else []), output, _cancel(head, place)]


def _in_vain(head: Head, place: Place) -> list[Verb]:
    """Nothing will wake it but other code."""
    return [Verb(place.command("retry", head.id), "go on, once its code does"), _cancel(head, place)]


_OF_WORKFLOWS: Mapping[str, Callable[[Head, Place], list[Verb]]] = MappingProxyType(
    {
        "nondeterministic": _other_code,
        "undo_failed": _not_undone,
        "result_unreadable": _unreadable,
        "result_erased": _unreadable,
        "input_unreadable": _unreadable,
        "waits_for_nothing": _in_vain,
        "input_erased": _unreadable,
    }
)
"""What moves a session on that a workflow stopped, by the code of the reason."""


def _raised(head: Head) -> tuple[str, ...]:
    """Twice the limit that was reached, as options, if that is why the session stands."""
    name = limit_reached(head)
    allowed = getattr(head.limits, name) if name else None
    return () if allowed is None else (f"--{name}", f"{max(1, allowed * 2):.15g}{'s' if name == 'time' else ''}")


def limit_reached(head: Head) -> str | None:
    """The limit that was reached, if that is why the session stands."""
    if head.error is None or head.error.code != "limit_reached":
        return None
    name = head.error.message.partition(":")[0]
    return name if getattr(head.limits, name, None) is not None else None


def needs_attention(head: Head) -> bool:
    """Whether nothing will move this session but somebody who looks into what went wrong."""
    return head.status == "needs_attention" or any(wait.kind == "operator" and wait.call for wait in head.waits)
