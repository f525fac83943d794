"""The tree of a family, from whatever heads are there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from onward.core.events import Origin
from onward.core.head import Head
from onward.surfaces.families import tree
from onward.testing.contracts.story import START


def head(id: str, parent: str | None = None, seq: int = 1, minute: int = 0) -> Head:
    origin = Origin(session=parent, seq=seq, hash="h") if parent else None
    at = START + timedelta(minutes=minute)
    return Head(id, "default", id, "p", "1", "completed", 9, "h", 1, at, at, origin=origin, family=parent and "root")


def drawn(*heads: Head) -> list[str]:
    return [f"{member.lines}{member.id}{'' if member.head else '?'}" for member in tree(heads, {})]


@pytest.mark.parametrize(
    ("heads", "lines"),
    [
        ([head("a")], ["a"]),
        ([head("a"), head("c", "a", 5), head("b", "a", 2)], ["a", "├─ b", "└─ c"]),
        ([head("a"), head("c", "a", 2, minute=2), head("b", "a", 2, minute=1)], ["a", "├─ b", "└─ c"]),
        (
            [head("a"), head("b", "a"), head("c", "b"), head("d", "a", 2), head("e", "d")],
            ["a", "├─ b", "│  └─ c", "└─ d", "   └─ e"],
        ),
        ([head("b", "a"), head("c", "b")], ["a?", "└─ b", "   └─ c"]),
        ([head("b", "x"), head("c", "y")], ["x?", "└─ b", "y?", "└─ c"]),
    ],
)
def test_each_member_hangs_below_what_it_left(heads: list[Head], lines: list[str]) -> None:
    assert drawn(*heads) == lines


@pytest.mark.parametrize(
    ("heads", "lines"),
    [
        ([head("a", "a")], ["a"]),
        ([head("a", "b"), head("b", "a"), head("c", "a")], ["a", "└─ c", "b"]),
        ([head("c", "a"), head("a", "a")], ["a", "└─ c"]),
    ],
)
def test_an_import_that_has_the_id_of_what_it_came_from_is_below_nothing(heads: list[Head], lines: list[str]) -> None:
    assert drawn(*heads) == lines


def test_a_long_line_of_branches_is_drawn_whole() -> None:
    line = [head("0"), *(head(str(number), str(number - 1)) for number in range(1, 400))]
    assert len(drawn(*line)) == 400
