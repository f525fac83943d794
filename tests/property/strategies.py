"""Random events and logs, of every kind there is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st

from onward.core.codec import encode
from onward.core.events import BODIES, Actor, Body, Event, Value
from onward.core.log import ROOT, Commit, seal

texts = st.text(max_size=12)
times = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - naive bounds are asked for
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
floats = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | floats | texts | st.just({"$blob": "mine"}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
actors = st.builds(Actor, kind=st.sampled_from(["program", "model", "tool", "person", "timer"]), name=texts)


def bodies_of(kind: type[Body]) -> st.SearchStrategy[Body]:
    """Random bodies of one kind; whatever may hold any JSON holds some."""
    return _built(kind)


def _built(kind: type[Value]) -> st.SearchStrategy[Any]:
    fields = {
        name: _of(field.annotation)
        for name, field in kind.model_fields.items()
        if not (issubclass(kind, Body) and name == "kind")
    }
    return st.builds(lambda **values: kind(**values), **fields)


def _of(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation of an event's field."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return values
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (Union, UnionType):
        return st.one_of([_of(part) for part in inner])
    if origin is list:
        return st.lists(_of(inner[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(texts, _of(inner[1]), max_size=2)
    if isinstance(annotation, type) and issubclass(annotation, Value):
        return _built(annotation)
    return _SIMPLE[annotation]


_SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    bool: st.booleans(),
    int: st.integers(1, 10**9),
    float: st.floats(0.5, 1e9),
    datetime: times,
    type(None): st.none(),
}

bodies = st.one_of([bodies_of(kind) for kind in BODIES.values()])
events = st.builds(Event, seq=st.integers(1, 10**6), at=times, actor=actors, body=bodies, trace=st.none() | texts)


def salts() -> Iterator[str]:
    return (f"{number:016x}" for number in count())


@st.composite
def logs(draw: st.DrawFn) -> list[Commit]:
    """A valid log of one to five commits."""
    commits: list[Commit] = []
    seq, last = 0, ROOT
    for number in range(draw(st.integers(1, 5))):
        facts = draw(st.lists(st.tuples(bodies, actors, times), min_size=1, max_size=3))
        salt = salts()
        records = [
            encode(Event(seq=seq + at, at=when, actor=actor, body=body), salt)  # type: ignore[arg-type]
            for at, (body, actor, when) in enumerate(facts, start=1)
        ]
        genesis = None if number else {"tenant": "t", "session": "s", "origin": None}
        commits.append(seal(records, prev=last, epoch=number, token=f"token{number}", genesis=genesis))
        seq, last = commits[-1].last_seq, commits[-1].hash
    return commits
