"""What a workflow did, does and waits for, as its page shows it: by the names that it has for all of it, scope by
scope, with what came of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from onward.core import events as ev
from onward.core.events import Event, Operation, OperationKind
from onward.core.ledger import LedgerEntry, ledger
from onward.core.words import LEFT, TAKEN
from onward.surfaces.console.bars import lasted
from onward.surfaces.effects import by_text, outcome_text
from onward.surfaces.operations import NOT_COMPLETED, details_of, name_of
from onward.surfaces.telling import why
from onward.surfaces.text import Tone, brief, said, shown

ROWS = 200
"""Of what a workflow asked for so much is shown: what it asked for last."""

PREVIEW = 300
"""Characters of what something came to."""

WORDS: Mapping[OperationKind, str] = MappingProxyType(
    {
        "step": "step",
        "undo": "undo",
        "sleep": "wait",
        "approval": "question",
        "signal": "input",
        "child": "session",
        "start": "session",
        "patch": "patch",
    }
)


@dataclass(frozen=True, slots=True)
class Doing:
    """One thing that a workflow asked for in event `seq`, or without one (0) the name of those below it. `session` is
    the one that it is; `asks` says that people are asked still; `event` has the input that was taken for it."""

    depth: int
    name: str
    seq: int = 0
    call: str = ""
    what: str = ""
    details: str = ""
    until: datetime | None = None
    status: str = ""
    tone: Tone = "plain"
    took: str = ""
    text: str = ""
    session: str = ""
    asks: bool = False
    event: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """What a workflow asked for since it started, or, with the event `afresh`, since it started afresh there."""

    afresh: int
    doings: Sequence[Doing]


@dataclass(frozen=True, slots=True)
class Doings:
    """All that is shown of it; `left` that there is more, which is not."""

    parts: Sequence[Part] = ()
    left: int = 0


def doings(session: str, proposals: Sequence[Event], events: Sequence[Event], now: datetime) -> Doings:
    """What these events say of it. `proposals` are events before them that proposed calls which these are about."""
    entries = _about(session, proposals, events)
    children = {event.body.call: event.body.session for event in events if isinstance(event.body, ev.ChildStarted)}
    afresh = [event.seq for event in events if isinstance(event.body, ev.SessionContinued)]
    shown = entries[-ROWS:]
    parts = [Part(since, _part(shown, since, end, children, now)) for since, end in _spans(afresh)]
    return Doings([part for part in parts if part.doings], len(entries) - len(shown))


def _spans(afresh: Sequence[int]) -> list[tuple[int, int | None]]:
    """From which event to which a workflow did not start afresh."""
    return list(zip([0, *afresh], [*afresh, None], strict=True))


def _about(session: str, proposals: Sequence[Event], events: Sequence[Event]) -> list[LedgerEntry]:
    """What a workflow asked for in these events, or what they tell of."""
    first = events[0].seq if events else 0
    called = {getattr(event.body, "call", None) for event in events}
    all = [entry for entry in ledger(session, [*proposals, *events]) if entry.operation is not None]
    return [entry for entry in all if _seq(entry) >= first or entry.call in called]


def _seq(entry: LedgerEntry) -> int:
    return int(entry.call.partition(".")[0])


# --- by scope ----------------------------------------------------------------------------------------------------


def _part(
    entries: Sequence[LedgerEntry], since: int, end: int | None, children: Mapping[str, str], now: datetime
) -> list[Doing]:
    """The rows of what was asked for between these events: each scope where it was met first."""
    mine = [entry for entry in entries if since < _seq(entry) and (end is None or _seq(entry) < end)]
    return [*_rows(_arranged(mine), children, now)]


def _arranged(entries: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    met: dict[tuple[str, ...], int] = {}
    keys = []
    for at, entry in enumerate(entries):
        scopes = [_scope(entry)[: depth + 1] for depth in range(len(_scope(entry)))]
        keys.append(([met.setdefault(scope, at) for scope in scopes], at))
    order = sorted(range(len(entries)), key=lambda at: [*keys[at][0], keys[at][1]])
    return [entries[at] for at in order]


def _scope(entry: LedgerEntry) -> tuple[str, ...]:
    """The scopes that it lies in. What takes something back lies in none."""
    operation = entry.operation
    return () if operation is None or operation.kind == "undo" else tuple(operation.name.split("/")[:-1])


def _rows(entries: Sequence[LedgerEntry], children: Mapping[str, str], now: datetime) -> Iterator[Doing]:
    known: tuple[str, ...] = ()
    for entry in entries:
        scope = _scope(entry)
        for depth in range(len(scope)):
            if scope[: depth + 1] != known[: depth + 1]:
                yield Doing(depth, said(scope[depth]))
        known = scope
        yield _row(entry, len(scope), children, now)


def _row(entry: LedgerEntry, depth: int, children: Mapping[str, str], now: datetime) -> Doing:
    operation = entry.operation
    assert operation is not None, "only what a workflow asked for is shown"
    kind, status = operation.kind, _status(entry, operation.kind)
    path = operation.name if kind in ("undo", "patch") else operation.name.rpartition("/")[2]
    return Doing(
        depth=depth,
        name=name_of(entry.tool, path),
        seq=_seq(entry),
        call=entry.call,
        what=WORDS[kind],
        details=_details(entry, operation),
        until=operation.until,
        status=status,
        tone=_tone(entry, kind),
        took=_took(entry, now),
        text=brief(_text(entry, kind), PREVIEW),
        session=children.get(entry.call, ""),
        asks=kind == "approval" and entry.outcome == "open" and entry.rule is not None,
        event=_taken(entry),
    )


def _details(entry: LedgerEntry, operation: Operation) -> str:
    text = brief(details_of(operation, entry.tool, entry.arguments), PREVIEW)
    return "" if text == "()" else text


# --- what came of it -------------------------------------------------------------------------------------------


_OPEN: Mapping[OperationKind, str] = MappingProxyType({"sleep": "waits", "signal": "waits", "approval": "asked"})
_DONE: Mapping[OperationKind, str] = MappingProxyType(
    {"sleep": "over", "signal": "came", "undo": "taken back", "start": "started", "patch": "new code"}
)


def _status(entry: LedgerEntry, kind: OperationKind) -> str:
    """How it stands, in a word or two."""
    code = entry.error.code if entry.error else ""
    if code == LEFT or (kind in _OPEN and entry.outcome == "not_performed"):
        return "not wanted any more"
    if kind == "signal" and code == NOT_COMPLETED:
        return "did not come in time"
    return _WORDED.get(entry.outcome, _plain)(entry, kind)


def _plain(entry: LedgerEntry, kind: OperationKind) -> str:
    return outcome_text(entry)


def _open(entry: LedgerEntry, kind: OperationKind) -> str:
    return "to be tried again" if entry.attempts else _OPEN.get(kind, "asked" if entry.rule else "to be done")


def _done(entry: LedgerEntry, kind: OperationKind) -> str:
    if kind == "approval" and isinstance(entry.receipt, Mapping):
        return {"responded": "answered"}.get(verdict := str(entry.receipt.get("verdict")), verdict)
    return _DONE.get(kind) or outcome_text(entry)


def _pending(entry: LedgerEntry, kind: OperationKind) -> str:
    return "under way" if kind == "child" else "goes on outside"


_WORDED: Mapping[str, Callable[[LedgerEntry, OperationKind], str]] = MappingProxyType(
    {"open": _open, "done": _done, "pending": _pending, "started": lambda entry, kind: "under way"}
)


def _tone(entry: LedgerEntry, kind: OperationKind) -> Tone:
    if entry.error is not None and entry.error.code == LEFT:
        return "dim"
    if entry.outcome in ("failed", "in_doubt"):
        return "ask" if kind == "signal" else "bad"
    return "ask" if entry.outcome in ("open", "started", "pending") else "plain"


def _took(entry: LedgerEntry, now: datetime) -> str:
    """How long it took from when it was begun, as far as that is known, or goes on."""
    began = next((attempt.started_at for attempt in entry.attempts if attempt.started_at), entry.proposed_at)
    if entry.operation is not None and entry.operation.kind == "patch":
        return ""
    return f"{lasted(((entry.ended_at or now) - began).total_seconds())}{'' if entry.ended_at else ' so far'}"


def _text(entry: LedgerEntry, kind: OperationKind) -> str:
    """What it came to."""
    if entry.error is not None:
        return "" if entry.error.code in (LEFT, NOT_COMPLETED) else why(entry.error)
    if entry.outcome not in ("done", "answered", "recorded") or kind in ("sleep", "signal", "patch", "start"):
        return ""
    if kind == "approval":
        return _decision(entry)
    return shown(entry.receipt)


def _decision(entry: LedgerEntry) -> str:
    receipt = entry.receipt if isinstance(entry.receipt, Mapping) else {}
    answer = "" if receipt.get("result") is None else f": {shown(receipt['result'])}"
    reason = f": {said(receipt['reason'])}" if receipt.get("reason") else ""
    by = by_text(entry)
    return f"{f'by {by}' if by else ''}{answer}{reason}"


def _taken(entry: LedgerEntry) -> int:
    taken: Any = entry.receipt if isinstance(entry.receipt, Mapping) else {}
    return taken[TAKEN] if entry.outcome == "done" and taken.keys() == {TAKEN} else 0
