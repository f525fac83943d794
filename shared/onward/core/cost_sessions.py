"""What one session cost, told from its log: what its leases, commits, signals and timers asked of the services, and the
tokens of its models. Sessions that it started have logs, and costs, of their own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from onward.core import events as ev
from onward.core.codec import Cell, decode
from onward.core.cost import (
    AGAIN,
    APPEND,
    ASKED,
    CLAIM,
    FILED,
    FURTHER_VISIT,
    LOOK,
    PUT,
    RELEASE,
    TASK,
    WAKE,
    Operations,
    Stored,
)
from onward.core.duties import duties_of
from onward.core.events import Event, Usage
from onward.core.files import MARK
from onward.core.fold import fold
from onward.core.head import HEAD_FOLD_BYTES, SNAPSHOT_EVERY, fold_text, snapshot_every
from onward.core.log import Commit
from onward.core.prices import LEAST_MESSAGE, TokenPrices, token_price
from onward.core.state import State

ENVELOPE = 400
"""Bytes of an event's message beside what it says, about."""


@dataclass(slots=True)
class ModelRow:
    """What one model was asked. `usd` is None where there is no price for it: that is not nothing."""

    model: str
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0
    usd: Decimal | None = Decimal(0)


@dataclass(slots=True)
class Tally:
    """A session, counted. `steps` are leases that left a trace, `visits` those that found nothing to do, or will, as
    their timers are armed; `wakes` are messages that brought somebody. `lost_tokens` are what failed and lost attempts
    are taken to have used, of which nobody knows what kind they were."""

    steps: int = 0
    visits: int = 0
    wakes: int = 0
    commits: int = 0
    events: int = 0
    signals: int = 0
    timers: int = 0
    children: int = 0
    snapshots: int = 0
    objects: int = 0
    operations: Operations = field(default_factory=Operations)
    stored: Stored = field(default_factory=Stored)
    lost_tokens: int = 0
    used: list[tuple[str, Usage]] = field(default_factory=list)

    def models(self, prices: TokenPrices) -> list[ModelRow]:
        """A row for each model, by these prices."""
        rows: dict[str, ModelRow] = {}
        for model, usage in self.used:
            _add(rows.setdefault(model, ModelRow(model)), usage, prices)
        return list(rows.values())


def _add(row: ModelRow, usage: Usage, prices: TokenPrices) -> None:
    row.calls += 1
    for name in Usage.model_fields:
        setattr(row, name, getattr(row, name) + getattr(usage, name))
    price = token_price(prices, row.model, usage)
    row.usd = None if row.usd is None or price is None else row.usd + price.of(usage)


@dataclass(slots=True)
class _Lease:
    """What was appended under one lease; `timer` is the next one that was armed at its end, if it rested."""

    epoch: int
    events: list[Event] = field(default_factory=list)
    last: list[Event] = field(default_factory=list)
    timer: datetime | None = None

    @property
    def signals(self) -> dict[str, Event]:
        """The signals that it took up, each by the first event that came of it."""
        named = [(getattr(event.body, "signal", None), event) for event in self.events]
        return {id: event for id, event in reversed(named) if id}


def tally(commits: Iterable[Commit], forked: Event | None = None) -> Tally:
    """Count a whole log, from its first commit; of a branch, `forked` is the event that it began with, whole. Raises
    UnreadableLog, and CorruptLog for a branch whose base lies elsewhere and is not given."""
    found, state, leases, folds, objects = Tally(), State(), list[_Lease](), _Folds(), dict[str, int]()
    for commit in commits:
        events = [decode(record) for record in commit.records]
        state = fold(state, [forked if forked and event.seq == forked.seq else event for event in events])
        objects |= dict(_objects(commit))
        folds.after(found.commits + 1, state)
        _count(found, commit, events)
        _held(leases, commit.epoch, events, min(state.timers.values(), default=None))
    _serve(found, leases, state.parent.session if state.parent else None)
    found.snapshots, found.objects = folds.snapshots, len(objects)
    found.operations += PUT * (found.snapshots + found.objects)
    found.stored = Stored(found.stored.stored_in_firestore + folds.in_head, sum(objects.values()) + folds.in_bucket)
    return found


def _count(found: Tally, commit: Commit, events: Sequence[Event]) -> None:
    """One append."""
    found.commits += 1
    found.events += len(events)
    said = sum(ENVELOPE + len((record.body.text or "").encode()) for record in commit.records)
    found.operations += APPEND + Operations(message_bytes=max(0, said - LEAST_MESSAGE))
    found.stored = Stored(found.stored.stored_in_firestore + len(commit.to_json().encode()))
    found.children += sum(isinstance(event.body, ev.ChildStarted) for event in events)
    for body in (event.body for event in events):
        if isinstance(body, ev.ModelAnswered | ev.TranscriptCompacted) and body.model and body.record is None:
            found.used.append((body.model, body.usage))
        if isinstance(body, ev.ModelFailed | ev.AttemptsLost):
            found.lost_tokens += body.tokens


def _held(leases: list[_Lease], epoch: int, events: Sequence[Event], timer: datetime | None) -> None:
    """The first commit is made under no lease."""
    if not leases or leases[-1].epoch != epoch:
        leases.append(_Lease(epoch))
    leases[-1].events += events
    leases[-1].last, leases[-1].timer = list(events), timer


# --- what leases asked for -------------------------------------------------------------------------------------


def _serve(found: Tally, leases: Sequence[_Lease], parent: str | None) -> None:
    held = [lease for lease in leases if lease.epoch]
    found.steps = len(held)
    fired, between, armed = 0, 0, set[datetime]()
    for before, lease in pairwise(leases):
        due = before.timer is not None and before.timer <= lease.events[0].at
        came = bool(lease.signals) or due
        armed |= {before.timer} if came and before.timer else set()
        fired += due and not lease.signals
        silent = max(0, lease.epoch - before.epoch - 1)
        between += silent
        found.operations += _again(before, parent) if came or silent else Operations()
        found.wakes += not due or bool(lease.signals)
        found.operations += CLAIM + LOOK * max(len(lease.signals), came or not before.epoch)
    found.timers = len(armed | {lease.timer for lease in leases[-1:] if lease.timer})
    for lease in held:
        _tell(found, lease, parent)
    _visits(found, fired, (held[-1].epoch if held else 0) - len(held))
    found.operations += _again(leases[-1], parent) if found.visits > between else Operations()
    found.operations += TASK * found.timers + WAKE * found.wakes


def _again(lease: _Lease, parent: str | None) -> Operations:
    """What the first who comes after it does. What was started, or let go of only after something owed, is known to be
    published."""
    return AGAIN if lease.epoch and not list(duties_of(lease.last, parent)) else Operations()


def _tell(found: Tally, lease: _Lease, parent: str | None) -> None:
    """What it took up, and what it owed: that is paid before the lease is let go."""
    owed = list(duties_of(lease.events, parent))
    found.operations += ASKED * len(owed)
    found.operations += RELEASE if list(duties_of(lease.last, parent)) else Operations()
    found.signals += len(lease.signals)
    for event in lease.signals.values():
        found.operations += FILED + (Operations() if _from_engine(event) else ASKED)


def _from_engine(event: Event) -> bool:
    """Whether another session sent the signal: then asking was that one's."""
    return event.actor.kind == "engine" or isinstance(event.body, ev.ChildEnded)


def _visits(found: Tally, fired: int, silent: int) -> None:
    """Timers come also where somebody was there before. Epochs that left no trace were visits, of those or others."""
    found.visits = max(found.timers - fired, silent)
    found.wakes += max(0, silent - (found.timers - fired))
    found.operations += FURTHER_VISIT * found.visits


# --- what is kept ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Folds:
    """Where the state was kept after each commit: in the head, or as a snapshot, of which the newest stays."""

    snapshots: int = 0
    in_head: int = 0
    in_bucket: int = 0
    _at: int = 0

    def after(self, number: int, state: State) -> None:
        if self.in_bucket and number - self._at < snapshot_every(state):
            return
        size = len(text := fold_text(state))
        if size > HEAD_FOLD_BYTES and self._at and number - self._at < SNAPSHOT_EVERY:
            return
        self._at, small = number, size <= HEAD_FOLD_BYTES
        self.in_head, self.in_bucket = (len(text.encode()), 0) if small else (0, len(text.encode()))
        self.snapshots += not small


def _objects(commit: Commit) -> Iterator[tuple[str, int]]:
    """The large values and files of a commit, by digest, with their bytes."""
    for record in commit.records:
        for cell in record.private.values():
            yield from _objects_of(cell)


def _objects_of(cell: Cell) -> Iterator[tuple[str, int]]:
    if cell.encoding == "blob":
        yield cell.digest, cell.size
    elif cell.text and f'"{MARK}"' in cell.text:
        yield from _files(json.loads(cell.text))


def _files(value: Any) -> Iterator[tuple[str, int]]:
    """Files lie there as base64 text."""
    if isinstance(value, dict) and set(value) == {MARK} and isinstance(value[MARK], dict):
        size = value[MARK].get("size")
        yield str(value[MARK].get("digest")), (size + 2) // 3 * 4 if isinstance(size, int) else 0
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _files(item)
