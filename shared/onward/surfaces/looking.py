"""The commands that only look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from onward.core.codec import stamp
from onward.core.head import Head
from onward.core.notices import operation_details
from onward.errors import Permanent
from onward.ports import Query
from onward.runtime import MANY
from onward.runtime.access import Access
from onward.surfaces.documents import event_doc, plain, session_doc, whole
from onward.surfaces.effects import entry_doc
from onward.surfaces.evidence import evidence, evidence_lines
from onward.surfaces.operating import switch_text
from onward.surfaces.output import Output
from onward.surfaces.questions import Question, questions, questions_in
from onward.surfaces.reports import attention_lines, event_line, list_lines, question_block, show_lines
from onward.surfaces.telling_branches import origin_text
from onward.surfaces.text import in_full, preview, said
from onward.surfaces.timeline import Telling
from onward.surfaces.verbs import Place, decisions, needs_attention, verbs

RECENT = 8
"""Events that `show` ends with."""

LINES = 40
MOST = 4000
"""How much of an output is shown on a terminal."""


# --- sessions --------------------------------------------------------------------------------------------------


async def sessions(runtime: Access, query: Query, output: Output) -> None:
    """The newest sessions that the query finds."""
    limit = query.limit
    heads = list(await runtime.list(replace(query, limit=limit + 1)))
    more, heads = len(heads) > limit, heads[:limit]
    if output.json:
        return output.doc([session_doc(head) for head in heads])
    now = runtime.parts.clock.now()
    output.lines(output.paper.tint(switch_text(switch, now), "bad") for switch in await runtime.switches())
    if not heads:
        return output.lines(["No sessions."])
    output.lines(list_lines(heads, output.paper, now))
    if more:
        output.lines([output.paper.tint(f"… and older ones: --limit {limit * 10}", "dim")])


async def attention(runtime: Access, query: Query, place: Place, output: Output) -> None:
    """Every session that the query finds and nothing moves but somebody who looks, the oldest first."""
    parked = await runtime.list(replace(query, status=("needs_attention",), limit=MANY))
    doubted = await runtime.list(replace(query, wait="operator", limit=MANY))
    found = {head.key: head for head in (*parked, *doubted) if needs_attention(head)}
    heads = sorted(found.values(), key=lambda head: head.updated_at)
    if output.json:
        return output.doc([_with_verbs(head, place) for head in heads])
    lines = attention_lines(heads, place, output.paper, runtime.parts.clock.now())
    output.lines(lines if heads else ["No session needs attention."])


def _with_verbs(head: Head, place: Place) -> dict[str, Any]:
    return session_doc(head) | {"next": [verb.command for verb in verbs(head, place)]}


async def show(runtime: Access, id: str, place: Place, output: Output) -> None:
    """One session, as far as its log can be read."""
    head = await runtime.get(id)
    if head.status == "deleted":
        return _show_head(runtime, head, None, place, output)
    try:
        state = await runtime.state(id)
    except Permanent as exc:
        return _show_head(runtime, head, exc, place, output)
    found = await evidence(runtime, head) if needs_attention(head) else []
    branches = len(await runtime.branches(id))
    if output.json:
        told = {"input": await runtime.value(id, state.input), "output": await runtime.value(id, state.output)}
        more = {name: plain(value) for name, value in told.items()}
        more |= {"branches": branches, "evidence": [entry_doc(entry) for entry in found]}
        return output.doc(_with_verbs(head, place) | more)
    recent = [event async for event in runtime.events(id, after=max(0, head.seq - RECENT))]
    telling, asked = Telling.of(state), await questions_in(runtime, head, state)
    now = runtime.parts.clock.now()
    output.lines(show_lines(head, recent, telling, place, output.paper, now, branches, asked))
    output.lines(evidence_lines(found, output.paper, now))
    if state.ended == "completed":
        text = in_full(await runtime.value(id, state.output))
        output.lines(["", preview(text, LINES, MOST) if output.out.isatty() else text])


def _show_head(runtime: Access, head: Head, error: Permanent | None, place: Place, output: Output) -> None:
    """As much as there is without a log: it can't be read, or is gone."""
    if output.json:
        told = {"log_error": {"code": error.code, "message": str(error)}} if error else {}
        return output.doc(_with_verbs(head, place) | told)
    output.lines(show_lines(head, (), Telling(), place, output.paper, runtime.parts.clock.now()))
    if error is None:
        return
    output.lines([output.paper.tint(f"The log can't be read: {said(str(error))} [{error.code}]", "bad")])


# --- one session's log -----------------------------------------------------------------------------------------


async def events(runtime: Access, id: str, after: int, follow: bool, output: Output) -> None:
    """The log after this event; with `follow`, as it goes on, until the session has ended."""
    telling = Telling.of(await runtime.state(id))
    async for event in runtime.events(id, after=after, follow=follow):
        if output.json:
            output.doc(event_doc(await whole(runtime, id, event)), indent=None)
        else:
            output.lines([event_line(event, telling, output.paper)])


async def verify(runtime: Access, id: str, head: str | None, output: Output) -> None:
    """Check the whole log. Raises CorruptLog."""
    seq, last = await runtime.verify(id, head)
    if output.json:
        return output.doc({"session": id, "verified": True, "seq": seq, "hash": last})
    against = "" if head is None else f"; {head} is one of its hashes"
    output.lines([f"whole: {seq} events{against}", f"head {last}"])


# --- approvals -------------------------------------------------------------------------------------------------


async def approvals(runtime: Access, place: Place, output: Output) -> None:
    """Every open approval, the oldest first."""
    resting = [head for head, _ in await runtime.approvals()]
    running = await runtime.list(Query(status=("running",), limit=MANY))
    heads = {head.id: head for head in sorted((*resting, *running), key=lambda head: head.updated_at)}
    asked = [await _questions(runtime, head) for head in heads.values()]
    if output.json:
        return output.doc([_question_doc(question, place, len(all)) for all in asked for question in all])
    lines = _approval_lines(heads, asked, place, output, runtime.parts.clock.now())
    output.lines(lines if any(asked) else ["No approval is open."])


async def _questions(runtime: Access, head: Head) -> list[Question]:
    """What one session asks; where its log can't be read that needs attention, and hides nothing of the others."""
    try:
        return await questions(runtime, head)
    except Permanent:
        return []


def _approval_lines(
    heads: Mapping[str, Head], asked: Sequence[Sequence[Question]], place: Place, output: Output, now: datetime
) -> Iterator[str]:
    for all in asked:
        for question in all:
            origin = origin_text(heads[question.session])
            branch = f", a {origin}, which may have done this already" if origin else ""
            yield f"{output.paper.tint(f'session {question.session}', 'strong')}{branch}"
            yield from question_block([question], place, output.paper, now, alone=len(all) == 1)
            yield ""


def _question_doc(question: Question, place: Place, open: int) -> dict[str, Any]:
    found = decisions(question.session, question.call, question.digest, place, open == 1, question.asks)
    return {
        "session": question.session,
        "call": question.call,
        "tool": question.tool,
        "arguments": question.arguments,
        "digest": question.digest,
        "rule": question.rule,
        "effect": question.effect,
        "needed": question.needed,
        "approved_by": list(question.approved_by),
        "approvers": list(question.approvers),
        "expires_at": question.expires_at and stamp(question.expires_at),
        "on_timeout": question.on_timeout,
        "next": [verb.command for verb in found],
    } | operation_details(question.operation)
