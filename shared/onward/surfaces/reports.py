"""What is known of sessions, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from onward.core.events import Event, Limits
from onward.core.head import ASKS, ASLEEP, Head, Wait
from onward.core.state import Spent
from onward.surfaces.operations import name_of
from onward.surfaces.questions import Question, people_text, question_lines
from onward.surfaces.telling import quoted, who
from onward.surfaces.telling_branches import EFFECTS, origin_text
from onward.surfaces.text import (
    Paper,
    Tone,
    ago,
    brief,
    columns,
    input_text,
    moment,
    safe,
    said,
    shown,
    span,
    table,
    until,
)
from onward.surfaces.timeline import Telling
from onward.surfaces.verbs import Place, Verb, decisions, needs_attention, verbs, wait_verbs

_TONES: dict[str, Tone] = {"completed": "good", "failed": "bad", "cancelled": "bad", "needs_attention": "bad"}
_TIMERS = {
    "start": "its start",
    "deadline": "its deadline",
    "model": "the next attempt to ask the model",
    "step": "its next attempt",
}


# --- waits -----------------------------------------------------------------------------------------------------


def status_text(head: Head) -> str:
    """The status in words, with what a waiting session waits for."""
    waits = [wait for wait in head.waits if wait.note != "deadline" or wait.kind != "timer" or len(head.waits) == 1]
    kinds = list(dict.fromkeys(_kind_text(wait) for wait in waits))
    words = head.status.replace("_", " ")
    return f"{words}: {', '.join(kinds)}" if head.status == "waiting" and kinds else words


def _kind_text(wait: Wait) -> str:
    return f"input {safe(wait.note)}" if wait.kind == "input" and wait.note else wait.kind


def wait_text(wait: Wait, now: datetime) -> str:
    """One wait in a line."""
    of = f"{name_of(wait.tool, wait.name or None)} (call {wait.call})" if wait.tool else ""
    if wait.kind == "approval" and wait.note == ASKS:
        return f"a person's answer to {of}{_people(wait)}{_until(wait, now)}"
    if wait.kind == "approval":
        return f"a person's decision on {of}: {safe(wait.rule or '')}{_people(wait)}{_until(wait, now)}"
    if wait.kind == "external":
        return f"{of}, which goes on outside{_until(wait, now)}"
    if wait.kind == "operator":
        return _operator_text(wait, of)
    if wait.kind == "timer":
        return _timer_text(wait, of, now)
    if wait.kind == "child":
        named = f"{name_of(wait.tool or '', wait.name)}, " if wait.name else ""
        return f"{named}session {wait.session}"
    return f"{input_text(wait.note)}{_until(wait, now)}"


def _people(wait: Wait) -> str:
    """How many must approve, and who has."""
    if wait.needed == 1 and not wait.approvers:
        return ""
    return f" ({people_text(wait.needed, wait.approved_by, wait.approvers)})"


def _operator_text(wait: Wait, of: str) -> str:
    code, _, reason = wait.note.partition(": ")
    if wait.call is None and code in ("paused", "switched_off"):
        return f"somebody to let it go on{quoted(reason)}"
    return f"somebody to look into {of or 'it'}: {said(wait.note)}"


def _timer_text(wait: Wait, of: str, now: datetime) -> str:
    due = f", at {until(wait.until, now)}" if wait.until else ""
    if is_asleep(wait):
        return f"{f'{of}: ' if wait.name else ''}its time to pass{_until(wait, now)}"
    if of and wait.note:
        return f"the next attempt at {of}{due}, after {said(wait.note)}"
    if of:
        return f"word of {of}, which was begun{_until(wait, now)}" if wait.until else f"{of} to be made"
    return f"{_TIMERS.get(wait.note, f'its timer {said(wait.note)}')}{due}"


def is_asleep(wait: Wait) -> bool:
    """Whether all there is to do is to let time pass."""
    return wait.kind == "timer" and wait.note == ASLEEP


def _until(wait: Wait, now: datetime) -> str:
    return f", until {until(wait.until, now)}" if wait.until else ""


def verb_lines(found: Sequence[Verb], paper: Paper) -> list[str]:
    """Commands, each with what it does."""
    room = max((columns(verb.command) for verb in found), default=0)
    wide = room + 30 > paper.width
    return [_verb(verb, 0 if wide else room, paper) for verb in found]


def _verb(verb: Verb, room: int, paper: Paper) -> str:
    return f"  {paper.tint(f'{verb.command:<{room}}', 'strong')}   {paper.tint(verb.does, 'dim')}"


SHOWN = 20
"""Of what a session waits for so much is said where it comes to rest, and as many questions."""


def rest_lines(head: Head, asked: Sequence[Question], place: Place, paper: Paper, now: datetime) -> Iterator[str]:
    """Why a session rests, and the commands that move it."""
    yield from question_block(asked[:SHOWN], place, paper, now, alone=len(asked) == 1)
    waits = [wait for wait in head.waits if wait.kind != "approval"]
    told = [wait for wait in waits if wait.kind != "timer" or (wait.until and wait.note != "deadline")]
    for wait in told[:SHOWN]:
        yield f"Waits for {wait_text(wait, now)}"
        yield from verb_lines(wait_verbs(head, wait, place), paper)
    untold = len(waits) - len(told)
    left = len(head.waits) + head.unlisted - untold - len(told[:SHOWN]) - len(asked[:SHOWN])
    if left > 0:
        yield f"Waits for {left:,} more: {place.command('show', head.id)}"
    if not head.waits and head.error:
        yield f"Needs attention: {said(head.error.message)} [{said(head.error.code)}]"
        yield from verb_lines(verbs(head, place), paper)


def unlisted_lines(head: Head) -> Iterator[str]:
    """How much it waits for that its head does not tell of."""
    if head.unlisted:
        yield f"Waits for {head.unlisted} more"


def question_block(
    asked: Sequence[Question], place: Place, paper: Paper, now: datetime, alone: bool | None = None
) -> Iterator[str]:
    """Open approvals of one session, each with the commands that decide it."""
    for question in asked:
        yield "Waits for a person to answer:" if question.asks else "Waits for a person to decide:"
        yield from question_lines(question, paper, now)
        only = len(asked) == 1 if alone is None else alone
        found = decisions(question.session, question.call, question.digest, place, only, question.asks)
        yield from verb_lines(found, paper)


# --- many sessions ---------------------------------------------------------------------------------------------


def list_lines(heads: Sequence[Head], paper: Paper, now: datetime) -> list[str]:
    """A table, a session in each row."""
    rows = [_list_row(head, now) for head in heads]
    return table(("SESSION", "PROGRAM", "STATUS", "AGE", "MOVED", "EVENTS", ""), rows, paper)


def _list_row(head: Head, now: datetime) -> tuple[str, ...]:
    age, moved = (span((now - at).total_seconds()) for at in (head.created_at, head.updated_at))
    error = brief(safe(head.error.message), 200) if head.error and head.status != "cancelled" else ""
    more = ", ".join(part for part in (origin_text(head), error) if part)
    return (
        head.id,
        said(f"{head.program} {head.version}"),
        status_text(head),
        age,
        f"{moved} ago",
        str(head.seq),
        more,
    )


def attention_lines(heads: Sequence[Head], place: Place, paper: Paper, now: datetime) -> Iterator[str]:
    """Sessions that nothing moves but somebody who looks, each with the commands that do."""
    for head in heads:
        program = paper.tint(f"{said(head.program)} {said(head.version)}, since {ago(head.updated_at, now)}", "dim")
        yield f"{paper.tint(head.id, 'strong')}  {program}"
        for wait in head.waits:
            if wait.kind == "operator":
                yield f"  {wait_text(wait, now)}"
        if not head.waits and head.error:
            yield f"  {said(head.error.message)} [{said(head.error.code)}]"
        yield from verb_lines(attention_verbs(head, place), paper)
        yield ""


def attention_verbs(head: Head, place: Place) -> list[Verb]:
    """What an operator can do about a session."""
    found = [verb for wait in head.waits if wait.kind == "operator" for verb in wait_verbs(head, wait, place)]
    return found or verbs(head, place)


# --- one session -----------------------------------------------------------------------------------------------


def show_lines(
    head: Head,
    recent: Sequence[Event],
    telling: Telling,
    place: Place,
    paper: Paper,
    now: datetime,
    branches: int = 0,
    asked: Sequence[Question] = (),
) -> Iterator[str]:
    """A session in full, but for its log; `asked` has its questions."""
    yield from facts_lines(_identity(head, paper, now), paper)
    if branches:
        yield from facts_lines([("branches", f"{branches}: {place.command('branches', head.id)}")], paper)
    questions = {question.call: question for question in asked if question.asks}
    for wait in head.waits:
        yield ""
        if wait.call in questions:
            yield from question_block([questions[wait.call]], place, paper, now, alone=len(asked) == 1)
            continue
        yield f"Waits for {wait_text(wait, now)}"
        yield from verb_lines(wait_verbs(head, wait, place), paper)
    if head.unlisted:
        yield from ("", *unlisted_lines(head))
    if not head.waits and needs_attention(head):
        yield from ("", *verb_lines(verbs(head, place), paper))
    yield ""
    for event in recent:
        yield event_line(event, telling, paper)


def facts_lines(facts: Sequence[tuple[str, str]], paper: Paper) -> Iterator[str]:
    """Names and what is known under them; what is empty is left out."""
    for name, text in facts:
        if text:
            yield f"{paper.tint(f'{name:<9}', 'dim')} {text}"


def _identity(head: Head, paper: Paper, now: datetime) -> list[tuple[str, str]]:
    tone = _TONES.get(head.status, "ask" if head.waits else "plain")
    return [
        ("session", paper.tint(head.id, "strong")),
        ("program", said(f"{head.program} {head.version}")),
        ("branch", origin_text(head).removeprefix("branch ")),
        ("effects", f"{head.effects}: {EFFECTS[head.effects]}" if head.effects else ""),
        ("status", paper.tint(status_text(head), tone)),
        ("error", f"{said(head.error.message)} [{said(head.error.code)}]" if head.error else ""),
        ("started", f"{moment(head.created_at, now)} ({ago(head.created_at, now)})"),
        ("moved", f"{moment(head.updated_at, now)} ({ago(head.updated_at, now)}), {head.seq} events"),
        ("next", until(head.wake_at, now) if head.wake_at and head.waits else ""),
        ("spent", spent_text(head.spent, head.limits)),
        ("labels", ", ".join(f"{name}={shown(value)}" for name, value in head.labels)),
        ("head", head.hash),
    ]


def spent_text(spent: Spent, limits: Limits) -> str:
    """What was spent, and of how much."""
    parts = [_of(getattr(spent, name), getattr(limits, name), name) for name in ("turns", "calls", "tokens")]
    parts += [f"at most {span(limits.time)}"] if limits.time else []
    parts += [f"{spent.lost} lost"] if spent.lost else []
    return ", ".join(parts)


def _of(used: int, allowed: int | None, name: str) -> str:
    return f"{name} {used:,}" if allowed is None else f"{name} {used:,} of {allowed:,}"


def event_line(event: Event, telling: Telling, paper: Paper) -> str:
    """An event in one line."""
    note = telling.note(event)
    by = brief(who(event.actor), 24)
    words = " ".join(part for part in (note.text, *note.below) if part)
    start = f"{event.seq:>5}  {event.at.astimezone():%Y-%m-%d %H:%M:%S}  "
    rest = f"{event.kind:<19} {by:<20} "
    text = brief(words, max(30, paper.width - len(start) - len(rest)))
    kind, actor = paper.tint(f"{event.kind:<19}", note.tone), paper.tint(f"{by:<20}", "dim")
    return f"{paper.tint(start, 'dim')}{kind} {actor} {text}".rstrip()
