"""What sessions have used up, added up from their heads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from onward.core.head import Head

UsageBy = Literal["session", "program", "tenant"]


@dataclass(slots=True)
class UsageRow:
    """What the sessions of one name have used: model turns, calls, tokens as the models count them, lost attempts.

    `tokens` is what counts against limits: input, output, thinking, and what lost attempts are taken to have cost. Of
    one session that is with the sessions that it started: `children_tokens` are those in it that are in their rows too.
    By program and tenant each token is counted once, for the session that used it.
    """

    name: str
    sessions: int = 0
    turns: int = 0
    calls: int = 0
    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0
    lost: int = 0
    children_tokens: int = 0

    def add(self, head: Head) -> None:
        """Count one more session, but for its `tokens`."""
        self.sessions += 1
        for name in ("turns", "calls", "lost"):
            setattr(self, name, getattr(self, name) + getattr(head.spent, name))
        for name in ("input_tokens", "output_tokens", "cached_tokens", "thinking_tokens"):
            setattr(self, name, getattr(self, name) + getattr(head.spent.usage, name))


def usage(heads: Iterable[Head], by: UsageBy = "program") -> list[UsageRow]:
    """A row for each session, program or tenant, the largest in tokens first. Of a child and the session that started
    it, either may be missing. Imports don't count: what they used was used elsewhere."""
    heads, rows = [head for head in heads if head.status != "imported"], dict[str, UsageRow]()
    started = Counter[tuple[str, str | None]]()
    for head in heads:
        started[head.tenant, head.parent] += head.spent.tokens
    for head in heads:
        name = {"session": head.id, "program": head.program, "tenant": head.tenant}[by]
        row = rows.setdefault(head.key if by == "session" else name, UsageRow(name))
        row.add(head)
        theirs = head.spent.tokens - _own(head, started[head.tenant, head.id])
        row.tokens += head.spent.tokens if by == "session" else head.spent.tokens - theirs
        row.children_tokens = theirs if by == "session" else 0
    return sorted(rows.values(), key=lambda row: (-row.tokens, row.name))


def _own(head: Head, children: int) -> int:
    """What a session used itself, where its children used so much by now: what its own models counted at the least, for
    a child without a limit is in its parent's figure only once it has ended."""
    return max(head.spent.usage.total, head.spent.tokens - children)
