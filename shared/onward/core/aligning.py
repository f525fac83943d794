"""Aligning two sequences: what stands in both, in the same order, and what lies between."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import takewhile
from typing import TypeVar

T = TypeVar("T")
Key = Callable[[T], Hashable]
Aligned = tuple[T | None, T | None]


def align(a: Sequence[T], b: Sequence[T], keys: Sequence[Key[T]]) -> list[Aligned[T]]:
    """Pair what belongs together, in order; what has no counterpart stands alone.

    First is paired whatever has the same first key, as much of it as possible; between these what has the same second
    key, and so on. Quick: thousands on either side take some milliseconds.
    """
    if not keys or not a or not b:
        return [*((one, None) for one in a), *((None, other) for other in b)]
    found, at, to = list[Aligned[T]](), 0, 0
    for i, j in [*common([keys[0](one) for one in a], [keys[0](other) for other in b]), (len(a), len(b))]:
        between = align(a[at:i], b[to:j], keys[1:])
        found += between
        found += [(a[i], b[j])] if i < len(a) else []
        at, to = i + 1, j + 1
    return found


def common(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """The places of a longest common subsequence of both."""
    ahead = _alike(a, b)
    behind = min(_alike(a[::-1], b[::-1]), len(a) - ahead, len(b) - ahead)
    inner = _common(a[ahead : len(a) - behind], b[ahead : len(b) - behind])
    return [
        *((at, at) for at in range(ahead)),
        *((i + ahead, j + ahead) for i, j in inner),
        *((len(a) - at, len(b) - at) for at in range(behind, 0, -1)),
    ]


def _alike(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """How many at the beginning are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _common(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """By rows of bits: in row `i` bit `j` is unset where one more of `b` up to `j` is found in `a` up to `i`."""
    places: dict[Hashable, int] = {}
    for j, key in enumerate(b):
        places[key] = places.get(key, 0) | 1 << j
    every = (1 << len(b)) - 1
    row, rows = every, list[int]()
    for key in a:
        hit = row & places.get(key, 0)
        row = ((row + hit) | (row - hit)) & every
        rows.append(row)
    return list(_traced(rows, len(b)))[::-1]


def _traced(rows: Sequence[int], width: int) -> Iterator[tuple[int, int]]:
    """The pairs of one longest subsequence, from the end."""
    i, j = len(rows) - 1, width - 1
    while i >= 0 and j >= 0:
        if rows[i] >> j & 1:
            j -= 1
        elif i > 0 and not rows[i - 1] >> j & 1:
            i -= 1
        else:
            yield i, j
            i, j = i - 1, j - 1
