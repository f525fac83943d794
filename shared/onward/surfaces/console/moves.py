"""What a session can be told on its page: by forms, each of which says what it will do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from onward.core.head import Head
from onward.core.signals import parse
from onward.errors import BadInput, NotFound
from onward.surfaces.console.page import Form, Visit, value, wanted
from onward.surfaces.console.saying import said
from onward.surfaces.verbs import limit_reached

LIMITS = ("turns", "calls", "tokens", "time")


@dataclass(frozen=True, slots=True)
class Move:
    """A form by which an operator moves a session."""

    name: str
    title: str
    does: str
    danger: bool = False


_PAUSE = Move("pause", "Pause", "Nothing new is started until somebody resumes it. What is under way is finished.")
_RESUME = Move("resume", "Resume", "It goes on where it was.")
_RETRY = Move("retry", "Try again", "It goes on where it was held up, under the limits given here.")
_FINISH = Move(
    "finish",
    "Finish",
    "It ends as completed, and what it waits for is dropped. Refused while it is not known what came of something that "
    "was begun.",
    danger=True,
)
_CANCEL = Move(
    "cancel", "Cancel", "It ends as cancelled, once what was begun is settled; so do sessions that it started.", True
)


def moves(head: Head, closing: bool, readable: bool) -> list[Move]:
    """What makes sense now. Of one that can't be read nothing but the head is known."""
    if head.ended or closing:
        return []
    asleep = any(wait.kind == "timer" and wait.note == "step" for wait in head.waits)
    fits = {
        _RETRY: head.status == "needs_attention" or asleep,
        _RESUME: head.status == "paused" and head.switch is None,
        _PAUSE: readable and head.status in ("scheduled", "running", "waiting"),
        _FINISH: readable and head.status != "running",
        _CANCEL: True,
    }
    return [move for move, sensible in fits.items() if sensible]


def raised(head: Head) -> dict[str, str]:
    """The limits that it may go on under, as a form says them: those it has, but twice the one that holds it up."""
    held = limit_reached(head)
    limits = {name: getattr(head.limits, name) for name in LIMITS}
    doubled = {name: max(1, limit * 2) for name, limit in limits.items() if limit is not None and name == held}
    return {name: _text(limit) for name, limit in (limits | doubled).items()}


def standing(head: Head) -> dict[str, str]:
    """The limits that a session has, as a form says them."""
    return {name: _text(getattr(head.limits, name)) for name in LIMITS}


def _text(limit: float | None) -> str:
    return "" if limit is None else f"{limit:.15g}" if isinstance(limit, float) else str(limit)


# --- done ------------------------------------------------------------------------------------------------------


async def moved(visit: Visit, form: Form, id: str, name: str) -> str:
    """Tell a session so, and answer the code of what became of it. Raises UsageError."""
    if name != "input" and name not in _BODIES:
        raise NotFound(f"there is nothing to do by the name {name[:60]}")
    tenant = visit.asked.tenant("operator")
    body = _BODIES[name](form) if name != "input" else await said(visit, await visit.asked.caller.get(id, tenant), form)
    kind = "resume" if name == "retry" else name
    parse(kind, body)
    outcome = await visit.asked.caller.tell(id, kind, body, wanted(form, "key"), tenant)
    return name if outcome.decided else "accepted"


def _reason(form: Form) -> dict[str, Any]:
    return {"reason": form.get("reason", "")}


def _retry(form: Form) -> dict[str, Any]:
    """The limits are told only where they are others."""
    told = {name: form.get(name, "").strip() for name in LIMITS}
    same = all(told[name] == form.get(f"was_{name}", "") for name in LIMITS)
    return _reason(form) | ({} if same else {"limits": _limits(told)})


def _limits(told: Mapping[str, str]) -> dict[str, Any]:
    return {name: _number(name, text) for name, text in told.items() if text}


def _number(name: str, text: str) -> float:
    try:
        number = float(text) if name == "time" else int(text)
    except ValueError:
        raise BadInput(f"{name}: it is no {'number' if name == 'time' else 'whole number'}") from None
    return number


def _finish(form: Form) -> dict[str, Any]:
    given = {"output": value(form, "output")} if form.get("output", "").strip() else {}
    return _reason(form) | given


_BODIES: Mapping[str, Callable[[Form], dict[str, Any]]] = MappingProxyType(
    {
        "pause": _reason,
        "resume": _reason,
        "retry": _retry,
        "finish": _finish,
        "cancel": _reason,
    }
)

DONE: Mapping[str, str] = MappingProxyType(
    {
        "input": "The session has got the input.",
        "pause": "The session is paused.",
        "resume": "The session goes on.",
        "retry": "The session goes on.",
        "finish": "The session was finished.",
        "cancel": "The session is being cancelled.",
        "fork": "The branch is made, and goes on.",
        "accepted": "It was taken, and is not decided yet. What becomes of it will be among the events.",
    }
)
"""What is told of what was done, by its code."""
