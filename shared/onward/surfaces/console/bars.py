"""Bars on a line of time: what was at work when, and what was waited for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from onward.core.events import Event
from onward.surfaces.text import safe, span

ROWS = 200
"""Rows of a chart: those that began last."""

Look = Literal["work", "bad", "wait", "doubt"]
"""work: something was done · bad: and failed · wait: it was waited for · doubt: it was waited for somebody to look."""


def lasted(seconds: float) -> str:
    """A span of time; of a short one its milliseconds."""
    return (
        span(seconds)
        if seconds >= 10
        else f"{max(0.0, seconds):.1f} s"
        if seconds >= 1
        else f"{max(0.0, seconds) * 1000:.0f} ms"
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """From when to when, and what. What goes on still has no end."""

    look: Look
    begun: datetime
    ended: datetime | None
    text: str

    def said(self, now: datetime) -> str:
        """It in words, with how long it took."""
        took = lasted(((self.ended or now) - self.begun).total_seconds())
        return f"{safe(self.text)}, {took}{'' if self.ended else ' so far'}"


@dataclass(slots=True)
class Row:
    """What happened to one call, one turn of the model, or one wait, which began with event `seq`; with 0 it goes on
    since the last."""

    seq: int
    label: str
    bars: list[Bar] = field(default_factory=list)
    call: str = ""


@dataclass(slots=True)
class _Open:
    """What goes on in a row. What is `idle` is only worth a bar if something comes of it."""

    look: Look
    begun: datetime
    text: str
    idle: bool = False


@dataclass(slots=True)
class Track:
    """A row, and what goes on in it. Of an approval so many people are still `needed`; `kind` is what a workflow asked
    for."""

    row: Row
    open: _Open | None = None
    needed: int = 1
    kind: str = ""

    def begin(self, look: Look, at: datetime, text: str, idle: bool = False) -> None:
        """Something begins, and what went on is over."""
        self.end(at)
        self.open = _Open(look, at, text, idle)

    def end(self, at: datetime, more: str = "") -> None:
        """What went on is over, and how it ended."""
        if (open := self.open) is not None and not open.idle:
            self.row.bars.append(Bar(open.look, open.begun, at, open.text + more))
        self.open = None

    def done(self, look: Look, at: datetime, text: str) -> None:
        """What was at work has ended so; a wait ends with the word on it."""
        open = self.open
        if open is not None and open.look in ("wait", "doubt"):
            self.row.bars.append(Bar(look if look == "bad" else open.look, open.begun, at, f"{open.text}: {text}"))
        else:
            self.row.bars.append(Bar(look, open.begun if open else at, at, text))
        self.open = None


Key = tuple[str, str]


class Chart:
    """The rows that are drawn, and what goes on in them."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._tracks: dict[Key, Track] = {}
        self.before: datetime | None = None
        """When the event before this one was."""
        self.idle: datetime | None = None
        """Since when the program has had nothing to work on."""

    def since(self, event: Event) -> datetime:
        """When what this event tells of began, as far as that is known."""
        return self.before or event.at

    def mark(self, event: Event, label: str, *bars: Bar) -> Row:
        """A new row."""
        self.rows.append(Row(event.seq, label, list(bars)))
        return self.rows[-1]

    def new(self, key: Key, event: Event, label: str) -> Track:
        """What goes on under this key from now on, in a new row."""
        track = self._tracks[key] = Track(self.mark(event, label))
        return track

    def open(self, key: Key) -> Track | None:
        """What goes on under this key."""
        return self._tracks.get(key)

    def track(self, key: Key, event: Event, label: str) -> Track:
        """The same, in a new row if there is none."""
        return self.open(key) or self.new(key, event, label)

    def call(self, event: Event, call: str) -> Track:
        """What goes on with a call."""
        track = self.track(("call", call), event, f"call {call}")
        track.row.call = call
        return track

    def drop(self, key: Key) -> None:
        """What comes under this key gets another row."""
        self._tracks.pop(key, None)

    def close(self, at: datetime, kind: str | None = None, more: str = "") -> None:
        """End everything of a kind, or at all."""
        for key in [key for key in self._tracks if kind in (None, key[0])]:
            self._tracks.pop(key).end(at, more)

    def drawn(self, first: int, called: Collection[str | None], waits_for_input: bool) -> list[Row]:
        """The rows that began last, of those that began with this event or later, and of these calls."""
        wanted = [row for row in self.rows if row.seq >= first or row.call in called]
        rows = [row for row in map(self._whole, wanted) if row.bars]
        if waits_for_input and self.idle is not None:
            rows.append(Row(0, "input", [Bar("wait", self.idle, None, "waited for")]))
        return rows[-ROWS:]

    def _whole(self, row: Row) -> Row:
        """The row with what goes on in it still."""
        going = [track.open for track in self._tracks.values() if track.row is row and track.open is not None]
        return replace(row, bars=[*row.bars, *(Bar(open.look, open.begun, None, open.text) for open in going)])


# --- on the line -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drawn:
    """A bar as it lies: from `x`, so `wide`, in percent of the line."""

    look: Look
    x: str
    wide: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """The span of time that rows take up."""

    begun: datetime
    ended: datetime

    @classmethod
    def of(cls, rows: Sequence[Row], now: datetime) -> Line:
        """From the first bar to the last, or to now where one has not ended. There must be a bar."""
        bars = [bar for row in rows for bar in row.bars]
        return cls(min(bar.begun for bar in bars), max(bar.ended or max(now, bar.begun) for bar in bars))

    def drawn(self, row: Row, now: datetime) -> list[Drawn]:
        """The bars of a row."""
        return [self._bar(bar, now) for bar in row.bars]

    def _bar(self, bar: Bar, now: datetime) -> Drawn:
        begun, ended = self._at(bar.begun), self._at(bar.ended or now)
        return Drawn(bar.look, f"{begun:.3f}%", f"{max(0.0, ended - begun):.3f}%", bar.said(now))

    def _at(self, at: datetime) -> float:
        whole = max(self.ended - self.begun, timedelta(milliseconds=1))
        return min(100.0, max(0.0, (at - self.begun) / whole * 100))
