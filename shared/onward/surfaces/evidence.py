"""What a person needs to know to say what became of a call: exactly what was asked for, when, how often, and with
which key the other side can be asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from onward.core.head import Head
from onward.core.ledger import LedgerEntry
from onward.core.payload import Blob
from onward.runtime.access import Access
from onward.surfaces.effects import effect_text, outcome_text
from onward.surfaces.telling import who, why
from onward.surfaces.text import Paper, indented, moment, said

_OPEN = ("in_doubt", "started", "open")


async def evidence(runtime: Access, head: Head) -> list[LedgerEntry]:
    """The calls of a session that were tried and are not settled, with the whole arguments."""
    found = runtime.effects(head.id, tenant=head.tenant, reads=True)
    tried = [entry async for entry in found if entry.outcome in _OPEN and entry.attempts]
    for entry in tried:
        if isinstance(entry.arguments, Blob):
            entry.arguments = await runtime.value(head.id, entry.arguments, head.tenant)
    return tried


def evidence_lines(found: Sequence[LedgerEntry], paper: Paper, now: datetime) -> Iterator[str]:
    """Each call in full."""
    for entry in found:
        yield ""
        yield f"Call {entry.call} is {paper.tint(outcome_text(entry), 'bad')}:"
        for name, text in _facts(entry, now):
            first, *more = indented(text, paper.width, 16)
            yield f"  {paper.tint(f'{name:<12}', 'dim')}  {first}"
            yield from (f"{'':16}{part}" for part in more)


def _facts(entry: LedgerEntry, now: datetime) -> Iterator[tuple[str, str]]:
    yield "call", effect_text(entry)
    yield "effect", entry.effect
    yield "key", entry.key
    for by in entry.approvals:
        reason = f": {said(by.reason)}" if by.reason else ""
        yield by.verdict, f"by {who(by.by)}, {moment(by.at, now)}{reason}"
    for attempt in entry.attempts:
        began = f"begun {moment(attempt.started_at, now)}, " if attempt.started_at else ""
        ended = (
            f"{attempt.outcome.replace('_', ' ')} {moment(attempt.ended_at, now)}" if attempt.ended_at else "no word"
        )
        error = f": {why(attempt.error)}" if attempt.error else ""
        yield f"attempt {attempt.number}", f"{began}{ended}{error}"
    if entry.reconciled:
        yield "tool says", said(entry.reconciled)
