"""What a replay comes to: the same, the first event that is decided differently, or that it can't be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onward.core.canonical import canonical
from onward.core.events import Body
from onward.core.payload import Erased

SHOWN = 3
"""Differences that a line names."""

LONGEST = 120
"""Characters of a value in a line."""

_NOT_THERE = "(nothing)"
Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Same:
    """Everything was decided as recorded: so many `decisions`, in a log of so many `events`."""

    events: int
    decisions: int

    @property
    def line(self) -> str:
        """The verdict in words."""
        return f"same: {self.decisions} decisions in {self.events} events"

    def doc(self, private: bool = True) -> Doc:
        """The verdict for programs."""
        return {"verdict": "same", "events": self.events, "decisions": self.decisions}


@dataclass(frozen=True, slots=True)
class Divergence:
    """Event `seq` is the first that is decided differently: `expected` was recorded, `got` is what the program of today
    decides. Each has a `kind`, that of an event or `rests`, `asks_model`, `makes_call`, `raises`, and its fields; those
    named in `hidden` are private. `goes_on` says of a workflow whether it leads a session on from the log's end all the
    same, and else `why_not`: it would be parked."""

    seq: int
    expected: Doc
    got: Doc
    hidden: frozenset[str] = frozenset()
    goes_on: bool | None = None
    why_not: str = ""

    @property
    def line(self) -> str:
        """The verdict in words, private values in it."""
        return self._line(private=True)

    def _line(self, private: bool) -> str:
        return f"{self._what(private)}{self._then()}"

    def _then(self) -> str:
        if self.goes_on is None:
            return ""
        return "; it goes on from the log's end" if self.goes_on else f"; it would be parked: {self.why_not}"

    def _what(self, private: bool) -> str:
        if self.expected["kind"] != self.got["kind"]:
            recorded, today = (_told(self._open(each, private)) for each in (self.expected, self.got))
            return f"event {self.seq} is decided differently: recorded {recorded}; today {today}"
        return f"event {self.seq} ({self.got['kind']}) is decided differently: {self._changes(private)}"

    def _changes(self, private: bool) -> str:
        differ = list(differences(self.expected, self.got))
        shown = [_change(*each, private or each[0].partition(".")[0] not in self.hidden) for each in differ[:SHOWN]]
        more = len(differ) - len(shown)
        return "; ".join([*shown, f"and {more} more"] if more else shown)

    def _open(self, side: Doc, private: bool) -> Doc:
        return {name: value for name, value in side.items() if private or name not in self.hidden}

    def doc(self, private: bool = True) -> Doc:
        """The verdict for programs; without `private` nothing of private fields is in it."""
        sides = {"expected": self._open(self.expected, private), "got": self._open(self.got, private)}
        then = {} if self.goes_on is None else {"goes_on": self.goes_on, "why_not": self.why_not}
        return {"verdict": "differs", "seq": self.seq, **sides, **then, "line": self._line(private)}


@dataclass(frozen=True, slots=True)
class Unclear:
    """From event `seq` on it can't be told, as what the decision rests on was erased."""

    seq: int
    erased: tuple[int, ...] = ()

    @property
    def line(self) -> str:
        """The verdict in words."""
        what = f"event {self.erased[0]}" if self.erased else "what it began with"
        return f"it can't be told from event {self.seq} on: {what} was erased, and the decision rests on it"

    def doc(self, private: bool = True) -> Doc:
        """The verdict for programs."""
        return {"verdict": "unclear", "seq": self.seq, "erased": list(self.erased), "line": self.line}


Verdict = Same | Divergence | Unclear


def fields_of(body: Body) -> Doc:
    """An event's body as plain values, with its kind; what was erased is not in it."""
    open = body.model_dump(mode="json", exclude=set(body.private))
    private = {name: getattr(body, name) for name in sorted(body.private)}
    return open | {name: value for name, value in private.items() if not isinstance(value, Erased)}


def differences(expected: Any, got: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two values differ: path, the one, the other."""
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        for name in dict.fromkeys([*expected, *got]):
            below = f"{path}.{name}" if path else str(name)
            yield from differences(expected.get(name, _NOT_THERE), got.get(name, _NOT_THERE), below)
    elif _are_lists(expected, got) and len(expected) == len(got):
        for at, (one, other) in enumerate(zip(expected, got, strict=True)):
            yield from differences(one, other, f"{path}.{at}")
    elif canonical(expected) != canonical(got):
        yield path, expected, got


def _are_lists(*values: Any) -> bool:
    return all(isinstance(value, Sequence) and not isinstance(value, str) for value in values)


def _change(path: str, expected: Any, got: Any, shown: bool) -> str:
    return f"{path} was {_short(expected)}, today {_short(got)}" if shown else f"{path.partition('.')[0]} differs"


def _told(side: Doc) -> str:
    said = [f"{name}={_short(value)}" for name, value in side.items() if name != "kind" and value not in (None, "", [])]
    return f"{side['kind']}({', '.join(said[:SHOWN])}{', …' if len(said) > SHOWN else ''})" if said else side["kind"]


def _short(value: Any) -> str:
    text = value if value == _NOT_THERE else canonical(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
