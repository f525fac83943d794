"""What sessions did to the world, and what they used up: tables for people, documents for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from onward.core.codec import stamp
from onward.core.ledger import LedgerEntry
from onward.core.notices import operation_details
from onward.core.payload import Blob, Erased
from onward.core.usage import UsageBy, UsageRow
from onward.ports import Query
from onward.runtime.access import Access
from onward.surfaces.operations import step_text
from onward.surfaces.output import Output
from onward.surfaces.telling import who, why
from onward.surfaces.text import brief, moment, safe, shown, table


async def effects(
    runtime: Access,
    id: str | None,
    query: Query,
    tool: str | None,
    since: datetime | None,
    reads: bool,
    output: Output,
) -> None:
    """Every call, as the log has it."""
    found = [entry async for entry in runtime.effects(id, query=query, tool=tool, since=since, reads=reads)]
    if output.json:
        return output.doc([entry_doc(entry) for entry in found])
    output.lines(_table(found, output, runtime.parts.clock.now()) if found else ["No effects."])


def _table(found: Sequence[LedgerEntry], output: Output, now: datetime) -> list[str]:
    rows = [_row(entry, now) for entry in found]
    return table(("WHEN", "SESSION", "CALL", "EFFECT", "OUTCOME", "BY", ""), rows, output.paper)


def _row(entry: LedgerEntry, now: datetime) -> tuple[str, ...]:
    what = brief(effect_text(entry), 80)
    tries = f"{len(entry.attempts)} attempts; " if len(entry.attempts) > 1 else ""
    came = f" → {tries}{brief(receipt_text(entry), 80)}" if entry.ended_at else ""
    outcome = outcome_text(entry)
    return (moment(entry.moved_at, now), entry.session, entry.call, entry.effect, outcome, by_text(entry), what + came)


def effect_text(entry: LedgerEntry) -> str:
    """A call as one would write it, by the name that a workflow has for it."""
    path = entry.operation.name if entry.operation else entry.tool
    return step_text(entry.tool, path, entry.arguments)


def name_text(entry: LedgerEntry) -> str:
    """What a call is of: its tool, behind the name that a workflow has for it."""
    return step_text(entry.tool, entry.operation.name if entry.operation else entry.tool, {}).removesuffix("()")


def outcome_text(entry: LedgerEntry) -> str:
    """What came of a call, in words."""
    words = entry.outcome.replace("_", " ")
    return f"{words}, was in doubt" if entry.doubted and entry.outcome != "in_doubt" else words


def receipt_text(entry: LedgerEntry) -> str:
    """The result of a call, or why there is none."""
    return why(entry.error) if entry.error else shown(entry.receipt)


def by_text(entry: LedgerEntry) -> str:
    """The people who let a call happen, or said what became of it."""
    people = [by.by for by in entry.approvals] + ([entry.resolved_by] if entry.resolved_by else [])
    return safe(", ".join(dict.fromkeys(who(person) for person in people)))


def entry_doc(entry: LedgerEntry) -> dict[str, Any]:
    """A call of the ledger for programs. Of a large value there is a preview, of an erased one nothing."""
    return {
        "session": entry.session,
        "call": entry.call,
        "tool": entry.tool,
        "effect": entry.effect,
        "key": entry.key,
        "digest": entry.digest,
        "arguments": _value(entry.arguments),
        "proposed_at": stamp(entry.proposed_at),
        "ended_at": entry.ended_at and stamp(entry.ended_at),
        "outcome": entry.outcome,
        "doubted": entry.doubted,
        "attempts": [
            {
                "number": attempt.number,
                "started_at": attempt.started_at and stamp(attempt.started_at),
                "ended_at": attempt.ended_at and stamp(attempt.ended_at),
                "outcome": attempt.outcome,
                "error": attempt.error and attempt.error.model_dump(),
            }
            for attempt in entry.attempts
        ],
        "rule": entry.rule,
        "approvals": [
            {"by": by.by.model_dump(), "verdict": by.verdict, "at": stamp(by.at), "reason": by.reason}
            for by in entry.approvals
        ],
        "error": entry.error and entry.error.model_dump(),
        "receipt": _value(entry.receipt),
        "reconciled": entry.reconciled,
        "resolved_by": entry.resolved_by and entry.resolved_by.model_dump(),
        "reason": entry.reason,
    } | _seldom(entry)


def _seldom(entry: LedgerEntry) -> dict[str, Any]:
    """What only some calls have."""
    return operation_details(entry.operation) | ({"record": entry.record} if entry.record else {})


def _value(value: Any) -> Any:
    if isinstance(value, Blob):
        return {"preview": value.preview, "bytes": value.size}
    return {"erased": True} if isinstance(value, Erased) else value


# --- usage -----------------------------------------------------------------------------------------------------

_COLUMNS = ("sessions", "turns", "calls", "tokens", "input_tokens", "output_tokens", "cached_tokens", "thinking_tokens")
_TITLES = {"children_tokens": "TOKENS OF CHILDREN"}


async def usage(runtime: Access, by: UsageBy, since: datetime | None, output: Output) -> None:
    """What was used up, the largest first, and the sum."""
    rows = await runtime.usage(by, since=since)
    if output.json:
        return output.doc([{by: row.name} | {k: v for k, v in asdict(row).items() if k != "name"} for row in rows])
    output.lines(_usage_table(rows, by, output) if rows else ["No sessions."])


def _usage_table(rows: Sequence[UsageRow], by: UsageBy, output: Output) -> Iterator[str]:
    columns = (*_COLUMNS, "lost", *(["children_tokens"] if by == "session" else []))
    names = (by.upper(), *(_TITLES.get(name) or name.removesuffix("_tokens").upper() for name in columns))
    cells = [(safe(row.name), *(f"{getattr(row, name):,}" for name in columns)) for row in rows]
    if len(rows) > 1:
        cells.append(("(all)", *(_sum(rows, name) for name in columns)))
    yield from table(names, cells, output.paper)


def _sum(rows: Sequence[UsageRow], name: str) -> str:
    """Each token once: those of children are in their own rows."""
    if name == "children_tokens":
        return ""
    total = sum(getattr(row, name) for row in rows)
    return f"{total - sum(row.children_tokens for row in rows) if name == 'tokens' else total:,}"
