"""What still runs on which version, and whether an application has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from onward.core.codec import stamp
from onward.core.head import Head
from onward.core.versions import GOING, VersionRow
from onward.programs.app import App
from onward.runtime.access import Access
from onward.surfaces.output import Output
from onward.surfaces.reports import verb_lines
from onward.surfaces.text import ago, safe, table
from onward.surfaces.verbs import Place, Verb, verbs

NAMED = 5
"""Sessions whose commands are shown on a terminal."""

_TITLES = {"needs_attention": "ATTENTION"}


async def versions(
    runtime: Access, app: App | None, name: str, program: str | None, place: Place, output: Output
) -> None:
    """The versions in use; with an application those that it has, too. `name` is what it is called."""
    rows = await runtime.versions(program)
    if app is not None:
        rows = _with_registered(rows, app, program)
    if output.json:
        return output.doc([_doc(row, app, place) for row in rows])
    now = runtime.parts.clock.now()
    output.lines(_table(rows, app, name, output, now) if rows else ["No sessions."])
    for row in rows:
        output.lines(_left(row, app, name, place, output))


def _with_registered(rows: Sequence[VersionRow], app: App, program: str | None) -> list[VersionRow]:
    """What the application does not have, and then what it has, in its order."""
    known = {(row.program, row.version): row for row in rows}
    has = [of for of in app.programs if program in (None, of[0])]
    gone = [row for of, row in known.items() if of not in app.programs]
    return sorted([*gone, *(known.get(of) or VersionRow(*of) for of in has)], key=lambda row: row.program)


def _table(rows: Sequence[VersionRow], app: App | None, name: str, output: Output, now: datetime) -> list[str]:
    statuses = [_TITLES.get(status, status.upper()) for status in GOING]
    head = ("PROGRAM", "VERSION", "SESSIONS", *statuses, *(("OLDEST", f"IN {safe(name)}") if app else ("OLDEST",)))
    return table(head, [_cells(row, app, now) for row in rows], output.paper)


def _cells(row: VersionRow, app: App | None, now: datetime) -> tuple[str, ...]:
    counts = [f"{row.counts[status]:,}" for status in GOING]
    oldest = f"{row.oldest.id}, {ago(row.oldest.created_at, now)}" if row.oldest else ""
    there = () if app is None else (_there(row, app),)
    return (safe(row.program), safe(row.version), f"{row.sessions:,}", *counts, oldest, *there)


def _there(row: VersionRow, app: App) -> str:
    """Whether an application has a version, and whether anybody needs it."""
    if app.program(row.program, row.version) is None:
        return "missing"
    if _newest(row, app):
        return "newest"
    return "registered" if row.sessions else "not needed"


def _newest(row: VersionRow, app: App) -> bool:
    newest = app.newest(row.program)
    return newest is not None and newest.version == row.version


# --- sessions that stand -----------------------------------------------------------------------------------------


def _left(row: VersionRow, app: App | None, name: str, place: Place, output: Output) -> Iterator[str]:
    """What is to be done about a version that is not there."""
    what = f"{safe(row.program)} {safe(row.version)}"
    missing = app is not None and _there(row, app) == "missing"
    if not (missing or row.stranded):
        return
    yield ""
    if missing:
        yield output.paper.tint(f"{what} is not in {safe(name)}: put it back until its sessions have ended.", "bad")
    if row.stranded:
        many = f"{len(row.stranded):,} session{'s' * (len(row.stranded) != 1)}"
        yield f"{many} of {what} stopped because it was not there. Once it is they go on within a minute, or at once:"
        yield from verb_lines(_moving(row, place), output.paper)


def _moving(row: VersionRow, place: Place) -> list[Verb]:
    found = [_retry(head, place) for head in row.stranded[:NAMED]]
    if len(row.stranded) <= NAMED:
        return found
    more = place.command("list", "--attention", "--program", row.program, "--version", row.version)
    return [*found, Verb(more, f"the other {len(row.stranded) - NAMED:,}")]


def _retry(head: Head, place: Place) -> Verb:
    """What moves a session that stopped so."""
    return verbs(head, place)[0]


def _doc(row: VersionRow, app: App | None, place: Place) -> dict[str, Any]:
    oldest = row.oldest
    doc: dict[str, Any] = {"program": row.program, "version": row.version, "sessions": row.sessions}
    doc |= {status: row.counts[status] for status in GOING}
    doc["oldest"] = oldest and {"id": oldest.id, "tenant": oldest.tenant, "created_at": stamp(oldest.created_at)}
    doc["stranded"] = [head.id for head in row.stranded]
    doc["next"] = [_retry(head, place).command for head in row.stranded]
    if app is not None:
        registered = app.program(row.program, row.version) is not None
        doc |= {"registered": registered, "newest": registered and _newest(row, app)}
    return doc
