"""The commands by which people move sessions, and what they are told became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from onward.core.events import Limits
from onward.core.head import Head
from onward.errors import BadInput, Refused
from onward.runtime.access import Access
from onward.runtime.signals import DECISION_WAIT, Outcome
from onward.surfaces.documents import event_doc, session_doc
from onward.surfaces.output import Output
from onward.surfaces.questions import Question, questions
from onward.surfaces.reports import status_text
from onward.surfaces.telling import who
from onward.surfaces.text import said, shown
from onward.surfaces.verbs import Place

Verdict = Literal["approved", "rejected"]
Edit = Callable[[dict[str, Any]], dict[str, Any]]
"""What makes of a call's arguments those to approve instead."""

GOES_ON = 0.25
"""Seconds in which a session shows that somebody works on it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a command: its outcome, the session afterwards, and what to say in a line."""

    outcome: Outcome
    head: Head
    text: str


@dataclass(frozen=True, slots=True)
class Which:
    """Which open approval is meant: by its call, by the beginning of its digest, or the only one."""

    call: str | None = None
    digest: str | None = None


async def decide(
    runtime: Access, id: str, which: Which, verdict: Verdict, reason: str, edit: Edit | None = None
) -> Told:
    """Decide an approval; with `edit`, approve it with the arguments that this makes of those shown."""
    question = await _meant(runtime, await runtime.get(id), which.call, which.digest)
    call, digest = (question.call, question.digest) if question else (which.call, which.digest)
    arguments = edit(_shown(question, id)) if edit else None
    outcome = await runtime.decide(id, verdict, call=call, digest=digest, arguments=arguments, reason=reason)
    changed = f" with {shown(arguments, True)}" if arguments is not None else ""
    by = await _decided_by(runtime, outcome)
    return await _told(runtime, id, outcome, f"{verdict} by {by}: {_what(question, call)}{changed}")


def _shown(question: Question | None, id: str) -> dict[str, Any]:
    if question is None or not isinstance(question.arguments, dict):
        raise Refused("edit refused", "not_open", f"session {id} asks about no call whose arguments can be changed")
    return question.arguments


def _what(question: Question | None, call: str | None) -> str:
    return question.text if question is not None else f"call {call}"


async def approve_all(runtime: Access, id: str, reason: str) -> list[Told]:
    """Approve everything that the session asks this person, each exactly as it stands now."""
    open = await questions(runtime, await runtime.get(id))
    person = await runtime.decider()
    asked = [question for question in open if question.for_person(person)]
    if not asked:
        raise Refused("nothing approved", "not_open", f"session {id} asks {person} nothing")
    return [await decide(runtime, id, Which(each.call, each.digest), "approved", reason) for each in asked]


async def respond(runtime: Access, id: str, which: Which, result: Any, reason: str) -> Told:
    """Give the call's result instead of letting it happen."""
    question = await _meant(runtime, await runtime.get(id), which.call, which.digest)
    call, digest = (question.call, question.digest) if question else (which.call, which.digest)
    outcome = await runtime.respond(id, result, call=call, digest=digest, reason=reason)
    by = await _decided_by(runtime, outcome)
    return await _told(runtime, id, outcome, f"answered by {by}: {_what(question, call)} came to {shown(result)}")


async def delegate(runtime: Access, id: str, which: Which, to: str, reason: str) -> Told:
    """Pass the question on."""
    question = await _meant(runtime, await runtime.get(id), which.call, which.digest)
    call, digest = (question.call, question.digest) if question else (which.call, which.digest)
    outcome = await runtime.delegate(id, to, call=call, digest=digest, reason=reason)
    by = await _decided_by(runtime, outcome)
    return await _told(runtime, id, outcome, f"delegated to {to} by {by}: {_what(question, call)}")


async def _meant(runtime: Access, head: Head, call: str | None, digest: str | None) -> Question | None:
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
    runtime: Access, id: str, status: Literal["done", "not_done", "failed"], call: str | None, result: Any, reason: str
) -> Told:
    """Say what became of a call in doubt."""
    outcome = await runtime.resolve(id, status, call=call, result=result, reason=reason)
    words = {
        "done": "it happened",
        "not_done": "it did not happen, and may be performed",
        "failed": "it failed for good",
    }
    return await _told(runtime, id, outcome, f"resolved by {_by(runtime, outcome)}: {words[status]}")


async def skip(runtime: Access, id: str, call: str | None, result: Any, reason: str) -> Told:
    """Give a call a result, so that it need not be performed."""
    outcome = await runtime.skip(id, result, call=call, reason=reason)
    return await _told(runtime, id, outcome, f"skipped by {_by(runtime, outcome)}, with the result {shown(result)}")


async def pause(runtime: Access, id: str, reason: str) -> Told:
    outcome = await runtime.pause(id, reason)
    return await _told(runtime, id, outcome, f"paused by {_by(runtime, outcome)}")


async def resume(runtime: Access, id: str, reason: str) -> Told:
    outcome = await runtime.resume(id, reason)
    return await _told(runtime, id, outcome, f"resumed by {_by(runtime, outcome)}")


async def finish(runtime: Access, id: str, output: Any, reason: str) -> Told:
    outcome = await runtime.finish(id, output, reason)
    return await _told(runtime, id, outcome, f"finished by {_by(runtime, outcome)}")


async def cancel(runtime: Access, id: str, reason: str) -> Told:
    outcome = await runtime.cancel(id, reason)
    return await _told(runtime, id, outcome, f"cancel asked for by {_by(runtime, outcome)}")


async def send(runtime: Access, id: str, content: Any, name: str | None, key: str | None) -> Told:
    outcome = await runtime.send(id, content, name=name, key=key)
    named = "" if name is None else f" {name}"
    return await _told(runtime, id, outcome, f"input{named} by {_by(runtime, outcome)}")


async def retry(runtime: Access, id: str, raised: dict[str, Any], reason: str) -> Told:
    """Set a session going, with these of its limits raised."""
    head = await runtime.get(id)
    limits = Limits.model_validate({**head.limits.model_dump(), **raised}) if raised else None
    outcome = await runtime.retry(id, reason, limits=limits)
    return await _told(runtime, id, outcome, f"resumed by {_by(runtime, outcome)}")


def _by(runtime: Access, outcome: Outcome) -> str:
    return who(outcome.event.actor) if outcome.event else runtime.identity


async def _decided_by(runtime: Access, outcome: Outcome) -> str:
    return _by(runtime, outcome) if outcome.event else await runtime.decider()


async def _told(runtime: Access, id: str, outcome: Outcome, text: str) -> Told:
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


def tell_all(all: Sequence[Told], place: Place, app: str, output: Output) -> None:
    """The same for several of one session."""
    if output.json:
        return output.doc([_document(told) for told in all])
    for told in all[:-1]:
        output.lines(_lines(told, place, app)[:1])
    output.lines(_lines(all[-1], place, app))


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
    if head.ended or head.status in ("waiting", "needs_attention", "paused"):
        needs = head.status == "needs_attention"
        return ["The session needs attention." if needs else f"The session is {status_text(head)}."]
    if head.seq > seq or place.project is not None:
        return ["The session goes on."]
    return [
        "Unless a worker has it, it goes on with one of:",
        *(f"  {command}" for command in _commands(head, place, app)),
    ]


def _commands(head: Head, place: Place, app: str) -> list[str]:
    return [place.command("run", app, "--id", head.id), place.command("worker", app)]
