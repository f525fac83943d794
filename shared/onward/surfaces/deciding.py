"""The commands by which people move sessions, and what they are told became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from onward.core.events import Limits
from onward.core.head import Head
from onward.errors import BadInput, Refused
from onward.runtime import Runtime
from onward.runtime.signals import DECISION_WAIT, Outcome
from onward.surfaces.documents import event_doc, session_doc
from onward.surfaces.output import Output
from onward.surfaces.questions import Question, questions
from onward.surfaces.reports import status_text
from onward.surfaces.telling import who
from onward.surfaces.text import said
from onward.surfaces.verbs import Place

Verdict = Literal["approved", "rejected"]
GOES_ON = 0.25
"""Seconds in which a session shows that somebody works on it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a command: its outcome, the session afterwards, and what to say in a line."""

    outcome: Outcome
    head: Head
    text: str


async def decide(
    runtime: Runtime, id: str, verdict: Verdict, call: str | None, digest: str | None, reason: str
) -> Told:
    """Decide an approval. `digest` may be the beginning of one."""
    question = await _meant(runtime, await runtime.get(id), call, digest)
    if question is not None:
        call, digest = question.call, question.digest
    outcome = await runtime.decide(id, verdict, call=call, digest=digest, reason=reason)
    what = question.text if question is not None else f"call {call}"
    return await _told(runtime, id, outcome, f"{verdict} by {_by(runtime, outcome)}: {what}")


async def _meant(runtime: Runtime, head: Head, call: str | None, digest: str | None) -> Question | None:
    """The open approval that these name. Raises BadInput where they name several, Refused where another is open."""
    asked = await questions(runtime, head)
    found = [question for question in asked if call in (None, question.call)]
    exact = [question for question in found if question.digest.startswith(digest or "")]
    if len(exact) > 1:
        calls = "; ".join(f"--call {question.call} for {question.text}" for question in exact)
        raise BadInput(f"session {head.id} has {len(exact)} open approvals; say which: {calls}")
    if found and not exact:
        stands = "; ".join(f"{question.text} with digest {question.digest[:12]}" for question in found)
        raise Refused("decision refused", "wrong_digest", f"open is {stands}")
    return exact[0] if exact else None


async def resolve(
    runtime: Runtime, id: str, status: Literal["done", "not_done", "failed"], call: str | None, result: Any, reason: str
) -> Told:
    """Say what became of a call in doubt."""
    outcome = await runtime.resolve(id, status, call=call, result=result, reason=reason)
    words = {
        "done": "it happened",
        "not_done": "it did not happen, and may be performed",
        "failed": "it failed for good",
    }
    return await _told(runtime, id, outcome, f"resolved by {_by(runtime, outcome)}: {words[status]}")


async def cancel(runtime: Runtime, id: str, reason: str) -> Told:
    outcome = await runtime.cancel(id, reason)
    return await _told(runtime, id, outcome, f"cancel asked for by {_by(runtime, outcome)}")


async def send(runtime: Runtime, id: str, text: str, key: str | None) -> Told:
    outcome = await runtime.send(id, text, key=key)
    return await _told(runtime, id, outcome, f"input by {_by(runtime, outcome)}")


async def retry(runtime: Runtime, id: str, raised: dict[str, Any], reason: str) -> Told:
    """Set a session going, with these of its limits raised."""
    head = await runtime.get(id)
    limits = Limits.model_validate({**head.limits.model_dump(), **raised}) if raised else None
    outcome = await runtime.retry(id, reason, limits=limits)
    return await _told(runtime, id, outcome, f"resumed by {_by(runtime, outcome)}")


def _by(runtime: Runtime, outcome: Outcome) -> str:
    return who(outcome.event.actor) if outcome.event else runtime.identity


async def _told(runtime: Runtime, id: str, outcome: Outcome, text: str) -> Told:
    """With the session as it is a moment later, when somebody who works on it has shown that."""
    head = await runtime.get(id)
    if outcome.event and not head.ended:
        await runtime.news(head, outcome.event.seq, GOES_ON)
        head = await runtime.get(id)
    return Told(outcome, head, text)


def tell(told: Told, place: Place, app: str, output: Output) -> None:
    """What became of it, and how the session goes on."""
    if output.json:
        return output.doc(_document(told))
    output.lines(_lines(told, place, app))


def _document(told: Told) -> dict[str, Any]:
    event = event_doc(told.outcome.event) if told.outcome.event else None
    return {
        "decided": told.outcome.decided,
        "signal": told.outcome.signal,
        "event": event,
        "session": session_doc(told.head),
    }


def _lines(told: Told, place: Place, app: str) -> list[str]:
    id, head = told.head.id, told.head
    if told.outcome.event is None:
        look = place.command("events", id, more=("--follow",))
        return [f"accepted, not yet decided after {DECISION_WAIT:g} s: {said(told.text)}", f"Look for it with: {look}"]
    lines = [f"{said(told.text)} (session {id}, event {told.outcome.event.seq})"]
    return [*lines, *_onward(head, told.outcome.event.seq, place, app)]


def _onward(head: Head, seq: int, place: Place, app: str) -> list[str]:
    if head.ended or head.status in ("waiting", "needs_attention"):
        return [f"The session is {status_text(head)}."]
    if head.seq > seq:
        return ["The session goes on."]
    return [
        "Unless a worker has it, it goes on with one of:",
        *(f"  {command}" for command in _commands(head, place, app)),
    ]


def _commands(head: Head, place: Place, app: str) -> list[str]:
    return [place.command("run", app, "--id", head.id), place.command("worker", app)]
