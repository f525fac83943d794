"""Which versions of programs sessions still run, counted from their heads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import get_args

from onward.core.head import ENDED, Head, Status

GOING: tuple[Status, ...] = tuple(each for each in get_args(Status) if each not in ENDED)
"""Statuses of what has not ended."""


@dataclass(slots=True)
class VersionRow:
    """The sessions of one version of a program that have not ended: how many are in which status, which of them was
    started first, and those that stopped because the version was not there, in the order of their starts."""

    program: str
    version: str
    counts: Counter[Status] = field(default_factory=Counter)
    oldest: Head | None = None
    stranded: list[Head] = field(default_factory=list)

    @property
    def sessions(self) -> int:
        return self.counts.total()

    def add(self, head: Head) -> None:
        """Count one more session; the older come first."""
        self.counts[head.status] += 1
        self.oldest = self.oldest or head
        if head.status == "needs_attention" and head.error is not None and head.error.code == "unknown_version":
            self.stranded.append(head)


def versions(heads: Iterable[Head]) -> list[VersionRow]:
    """A row for each version that one of these sessions runs, by program, those with the oldest session first. A head
    that comes twice counts as it came last, one that has ended not at all."""
    known = {head.key: head for head in heads}
    going = [head for head in known.values() if not head.ended]
    rows: dict[tuple[str, str], VersionRow] = {}
    for head in sorted(going, key=lambda head: (head.created_at, head.key)):
        rows.setdefault((head.program, head.version), VersionRow(head.program, head.version)).add(head)
    return sorted(rows.values(), key=lambda row: row.program)
