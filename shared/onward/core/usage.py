"""What sessions have used up, added up from their heads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from onward.core.head import Head

UsageBy = Literal["session", "program", "tenant"]


@dataclass(slots=True)
class UsageRow:
    """What the sessions of one name have used: model turns, calls, tokens as the models count them, lost attempts.

    `tokens` is what counts against limits: input, output, thinking, and what lost attempts are taken to have cost.
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

    def add(self, head: Head) -> None:
        """Count one more session."""
        self.sessions += 1
        for name in ("turns", "calls", "tokens", "lost"):
            setattr(self, name, getattr(self, name) + getattr(head.spent, name))
        for name in ("input_tokens", "output_tokens", "cached_tokens", "thinking_tokens"):
            setattr(self, name, getattr(self, name) + getattr(head.spent.usage, name))


def usage(heads: Iterable[Head], by: UsageBy = "program") -> list[UsageRow]:
    """A row for each session, program or tenant, the largest in tokens first."""
    rows: dict[str, UsageRow] = {}
    for head in heads:
        name = {"session": head.id, "program": head.program, "tenant": head.tenant}[by]
        rows.setdefault(head.key if by == "session" else name, UsageRow(name)).add(head)
    return sorted(rows.values(), key=lambda row: (-row.tokens, row.name))
