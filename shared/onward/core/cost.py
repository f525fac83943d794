"""What steps and sessions cost: operations of the services, counted, by list prices (`core.prices`).

The operations of a kind of step are what the engine asks of its services where nothing goes wrong; tests compare them
with what is counted on Google's emulator. Those of a session are told from its log alone, wherever it ran.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from types import MappingProxyType

from onward.core.head import SNAPSHOT_EVERY
from onward.core.prices import LEAST_MESSAGE, PRICES, Location


@dataclass(frozen=True, slots=True)
class Operations:
    """Documents read, written and deleted in Firestore, operations of Cloud Tasks, bytes that Pub/Sub charges for
    (published and delivered), objects written to Cloud Storage and read from it."""

    reads: int = 0
    writes: int = 0
    deletes: int = 0
    tasks: int = 0
    message_bytes: int = 0
    puts: int = 0
    gets: int = 0

    def __add__(self, other: Operations) -> Operations:
        return Operations(*(mine + theirs for (_, mine), (_, theirs) in zip(self.items(), other.items(), strict=True)))

    def __mul__(self, times: int) -> Operations:
        return Operations(*(count * times for _, count in self.items()))

    def items(self) -> Iterator[tuple[str, int]]:
        """Each by its name, under which it has its price."""
        return ((field.name, getattr(self, field.name)) for field in fields(self))


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that stay: in documents (without what the service adds to each), and in objects."""

    stored_in_firestore: int = 0
    stored_in_bucket: int = 0


def usd(operations: Operations, location: Location) -> Decimal:
    """What these operations cost."""
    prices = PRICES[location]
    return sum((count * prices[name].each for name, count in operations.items()), Decimal(0))


def usd_a_month(stored: Stored, location: Location) -> Decimal:
    """What keeping so many bytes for a month costs."""
    prices = PRICES[location]
    return sum((getattr(stored, field.name) * prices[field.name].each for field in fields(stored)), Decimal(0))


# --- what the engine asks for ----------------------------------------------------------------------------------

CLAIM = Operations(reads=1, writes=1)
RELEASE = Operations(writes=1)
"""Of a lease that no append lets go: nothing was appended last, or something was owed first."""

APPEND = Operations(writes=2, message_bytes=LEAST_MESSAGE)
"""The commit and the head, and one request with its events."""

WAKE = Operations(message_bytes=2 * LEAST_MESSAGE)
"""Published, and delivered to the function."""

LOOK = Operations(reads=1)
"""A look at the inbox: at least one read."""

AGAIN = Operations(reads=1, message_bytes=LEAST_MESSAGE)
"""The first who finds a session at rest can't know that its last events were published, and publishes them again."""

ASKED = Operations(reads=1)
"""The head of a session that is to be told something, or started."""

FILED = Operations(writes=2, deletes=1)
"""A signal: it is filed, settled by the append that absorbs it, and later expires."""

TASK = Operations(tasks=2)
"""A timer: armed and delivered."""

FURTHER_VISIT = CLAIM + LOOK + RELEASE
VISIT = FURTHER_VISIT + AGAIN
"""Somebody looks at a session at rest and finds nothing to do. Those who do so after him know what is published."""

PUT = Operations(puts=1)
SIGNAL = ASKED + FILED + LOOK + AGAIN
OVERDUE_READS = 32
"""One query for each of 16 shards, for sessions and for signals; each is at least one read."""

SWEEP = Operations(reads=OVERDUE_READS + 2 + 2 + 9, writes=1)
"""What is parked and paused is looked through, what needs attention for its first, and nine kinds of rest are counted:
a read each where there are few. That it was done is one write."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of step, or what something adds to the steps it leads to."""

    name: str
    what: str
    operations: Operations


_ALL = (
    Kind("step", "a model turn, reads, or an idempotent call", CLAIM + APPEND + WAKE),
    Kind("irreversible", "a call, written down before it begins", CLAIM + APPEND * 2 + WAKE),
    Kind("further", "one more under one lease (steps_per_wake)", APPEND),
    Kind("start", "beside the first step", APPEND + LOOK),
    Kind("signal", "beside the step that takes it up", SIGNAL),
    Kind("timer", "beside the step that it wakes", TASK + LOOK + AGAIN),
    Kind("approval", "its decision, and its timer, a visit later", SIGNAL + TASK + VISIT),
    Kind("child", "its start and end, beside its own steps", APPEND + FILED + (ASKED + RELEASE + LOOK) * 2),
    Kind("visit", "a wake or timer that finds nothing to do", VISIT),
    Kind("busy", "a wake that finds it held, and comes again", Operations(1, 1) + TASK + WAKE),
    Kind("snapshot", "of a state above 16 KiB, at every 8th commit", PUT),
    Kind("cold", "such a state, met by a new instance, at most", Operations(SNAPSHOT_EVERY, gets=1)),
    Kind("sweep", "one run for all sessions, nothing found", SWEEP),
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ALL})

LEFT_OUT = (
    "Cloud Run: CPU and memory while a step runs, and its requests",
    "subscribers of the topic of events: each pays for its deliveries",
    "leases renewed by steps above 45 s: a write each",
    "the switches, and what was said of restores: a read each at most every 5 s in each instance that is at work",
    "people and programs that look, list and follow: a read for each document",
    "large values and files that models are shown again: an object read for each, unless at hand",
    "free quotas, discounts, taxes, traffic between regions",
)
"""What these figures don't have."""
