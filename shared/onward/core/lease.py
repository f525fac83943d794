"""The lease: who may append, and what a visitor does meanwhile (R1 to R4, R11). Pure judgement; stores apply it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from onward.core.retry import stall_delay

TTL = 90.0
"""Seconds a lease lasts after its last renewal."""

RENEW_AFTER = 45.0
TICK = 0.001
"""What stores keep of a time; less than this is not worth waiting for, nor could a timer be set to it."""

MARGIN = 5.0
"""Seconds kept in hand wherever two judgements of time could differ by a little."""


@dataclass(frozen=True, slots=True)
class LeaseFields:
    """The lease as a head holds it. `age` is seconds since the last renewal, on the store's clock.

    `settled` is the epoch of the last attempt that left a trace; `mark` the (epoch, seq) at which a visitor found the
    session busy; `dead` says that the store knows the holder to be gone.
    """

    epoch: int
    held: bool
    age: float
    settled: int
    mark: tuple[int, int] | None
    seq: int
    format: int
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Busy:
    """Held by somebody who may be alive. Look again in `wait` seconds; `marked`: a visitor has seen to that. `now` is
    the store's time, where it has a clock of its own."""

    epoch: int
    seq: int
    wait: float
    marked: bool
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """Not to be claimed yet: attempts died without a trace, or the log needs a newer reader."""

    wait: float
    reason: str
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Free:
    """May be claimed, as this epoch; so many attempts before it died without a trace."""

    epoch: int
    stalls: int


def judge(lease: LeaseFields, ttl: float, reads: int) -> Free | Busy | Later:
    """Whether a session may be claimed now. `reads` is the newest format the claimant can read (R21)."""
    if lease.format > reads:
        return Later(wait=60.0, reason="format")
    if lease.held and not lease.dead and lease.age < ttl:
        return Busy(lease.epoch, lease.seq, ttl - lease.age + MARGIN, lease.mark == (lease.epoch, lease.seq))
    stalls = lease.epoch - lease.settled
    wait = stall_delay(stalls) - (lease.age if lease.dead or not lease.held else lease.age - ttl)
    if stalls and wait >= TICK:
        return Later(wait=wait, reason="stalled")
    return Free(lease.epoch + 1, stalls)
