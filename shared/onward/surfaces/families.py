"""The family of a session, as a tree: who is a branch of whom, where it left, and what it has of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from onward.core.events import NotInherited
from onward.core.head import Head
from onward.errors import OnwardError
from onward.runtime.access import Access
from onward.surfaces.telling_branches import changes

TOGETHER = 16
"""Logs that are read at a time."""


@dataclass(frozen=True, slots=True)
class Own:
    """What a branch has that its parent had not, in words, and what it has not inherited."""

    changed: tuple[str, ...] = ()
    left: tuple[NotInherited, ...] = ()


NOTHING = Own()


@dataclass(frozen=True, slots=True)
class Member:
    """One session in the tree; of one that is gone without a trace there is no `head`. `open` says of each level above
    whether more of it follow below."""

    id: str
    head: Head | None
    own: Own
    depth: int
    last: bool
    open: tuple[bool, ...]

    @property
    def lines(self) -> str:
        """How it hangs in the tree."""
        if not self.depth:
            return ""
        return "".join("│  " if more else "   " for more in self.open[1:]) + ("└─ " if self.last else "├─ ")


async def family(access: Access, id: str, tenant: str = "default") -> list[Member]:
    """The tree that a session is in, from its root, each branch below what it left. Raises NotFound."""
    heads = await access.family(id, tenant)
    return list(tree(heads, await _own(access, heads)))


async def _own(access: Access, heads: Sequence[Head]) -> dict[str, Own]:
    found = dict[str, Own]()
    for start in range(0, len(heads), TOGETHER):
        some = heads[start : start + TOGETHER]
        found |= zip(
            [head.id for head in some], await asyncio.gather(*(own(access, each) for each in some)), strict=True
        )
    return found


async def own(access: Access, head: Head) -> Own:
    """What a branch has of its own; nothing, where its log can't be read."""
    try:
        began = await access.beginning(head.id, head.tenant)
    except OnwardError:
        return NOTHING
    if began is None:
        return NOTHING
    return Own(tuple(changes(began.forked, began.told)), tuple(began.forked.not_inherited))


def tree(heads: Sequence[Head], own: Mapping[str, Own]) -> Iterator[Member]:
    """The members of a family in the order in which they are shown."""
    known = {head.id: head for head in heads}
    parents = {head.id: head.origin.session for head in heads if head.origin and not _circular(head, known)}
    below = dict[str, list[str]]()
    for name, parent in parents.items():
        below.setdefault(parent, []).append(name)
    roots = [name for name in known if name not in parents] + [name for name in below if name not in known]
    waiting = [(name, 0, at == len(roots) - 1, tuple[bool, ...]()) for at, name in enumerate(roots)][::-1]
    while waiting:
        name, depth, last, open = waiting.pop()
        yield Member(name, known.get(name), own.get(name, NOTHING), depth, last, open)
        children = sorted(below.get(name, ()), key=lambda child: _place(known[child]))
        ends = [at == len(children) - 1 for at in range(len(children))]
        waiting += [(child, depth + 1, end, (*open, not last)) for child, end in zip(children, ends, strict=True)][::-1]


def _circular(head: Head, known: Mapping[str, Head]) -> bool:
    """Whether what it is a branch of leads back to itself: it was imported under the id of one that it came from."""
    seen, name = set[str](), head.id
    while name not in seen and name in known and (origin := known[name].origin) is not None:
        seen.add(name)
        name = origin.session
    return name == head.id and name in seen


def _place(head: Head) -> tuple[int, str, str]:
    """Branches of one session stand in the order in which they left it."""
    return (head.origin.seq if head.origin else 0), head.created_at.isoformat(), head.id
