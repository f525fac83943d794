"""Scores of what a run called: against the recorded session or a list, and by what a call must or must not be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from onward.core.canonical import digest
from onward.core.events import Value
from onward.evals.paths import MISSING, at_path, number, same
from onward.evals.reading import Made, made, recorded
from onward.evals.scores import Help, Run, Score, Scorer, short, yes_or_no

Match = Literal["exact", "in_order", "any_order", "precision", "recall"]
Kind = tuple[str, str | None]
"""A tool, and the digest of its arguments, if they are looked at."""


class Wanted(Value):
    """A call that is wanted: of this tool, and if they are given with exactly these arguments."""

    tool: str
    arguments: dict[str, Any] | None = None


class Calls(Scorer):
    """How the calls of a run are those of the recorded session, or those of a list.

    exact: the same calls in the same order · in_order: those that are wanted come in that order, others may come
    between · any_order: they come · precision: the share of the run's calls that are wanted · recall: the share of the
    wanted calls that the run made. Without `arguments` only tools are compared.
    """

    kind: Literal["calls"] = "calls"
    match: Match = "exact"
    arguments: bool = True
    calls: tuple[str | Wanted, ...] | None = None

    def _title(self) -> str:
        return f"calls {self.match}"

    def score(self, run: Run, help: Help) -> Score:
        wanted, found = self._wanted(run), made(run)
        return _MATCHES[self.match](wanted, [(each.tool, digest(each.arguments)) for each in found])

    def _wanted(self, run: Run) -> list[Kind]:
        if self.calls is None:
            return [(each.tool, digest(each.arguments) if self.arguments else None) for each in recorded(run)]
        return [self._kind(each) for each in self.calls]

    def _kind(self, each: str | Wanted) -> Kind:
        if isinstance(each, str):
            return each, None
        return each.tool, None if each.arguments is None or not self.arguments else digest(each.arguments)


def _fits(wanted: Kind, found: Kind) -> bool:
    return wanted[0] == found[0] and wanted[1] in (None, found[1])


def _exact(wanted: Sequence[Kind], found: Sequence[Kind]) -> Score:
    at = next((at for at, pair in enumerate(zip(wanted, found, strict=False)) if not _fits(*pair)), None)
    if at is not None:
        other = "with other arguments" if wanted[at][0] == found[at][0] else f"instead of {wanted[at][0]}"
        return Score(0.0, f"call {at + 1} is {found[at][0]} {other}")
    if len(wanted) > len(found):
        return Score(0.0, f"{wanted[len(found)][0]} was not called as call {len(found) + 1}")
    more = found[len(wanted) :]
    return yes_or_no(not more, f"{more[0][0]} was called besides" if more else "")


def _in_order(wanted: Sequence[Kind], found: Sequence[Kind]) -> Score:
    left = iter(found)
    missed = next((each for each in wanted if not any(_fits(each, call) for call in left)), None)
    return yes_or_no(missed is None, f"{missed[0]} was not called, or not in its place" if missed else "")


def _any_order(wanted: Sequence[Kind], found: Sequence[Kind]) -> Score:
    missed = _missed(wanted, found)
    return yes_or_no(not missed, f"{_tools(missed)} was not called, or with other arguments" if missed else "")


def _recall(wanted: Sequence[Kind], found: Sequence[Kind]) -> Score:
    missed = _missed(wanted, found)
    return Score(1 - len(missed) / len(wanted) if wanted else 1.0, f"missing: {_tools(missed)}" if missed else "")


def _precision(wanted: Sequence[Kind], found: Sequence[Kind]) -> Score:
    if not found:
        return yes_or_no(not wanted, "nothing was called")
    fitting = len(wanted) - len(_missed(wanted, found))
    return Score(fitting / len(found), "" if fitting == len(found) else f"{len(found) - fitting} calls are not wanted")


def _missed(wanted: Sequence[Kind], found: Iterable[Kind]) -> list[Kind]:
    """The wanted calls that no call is left for, each call being good for one. Those with arguments choose first: what
    they take is the same to whom any arguments are good enough."""
    left, missed = Counter(found), list[Kind]()
    for each in sorted(wanted, key=lambda kind: kind[1] is None):
        taken = next((call for call, count in left.items() if count and _fits(each, call)), None)
        if taken is None:
            missed.append(each)
        else:
            left[taken] -= 1
    return missed


def _tools(kinds: Iterable[Kind]) -> str:
    return ", ".join(sorted({tool for tool, _ in kinds}))


_MATCHES = {
    "exact": _exact,
    "in_order": _in_order,
    "any_order": _any_order,
    "precision": _precision,
    "recall": _recall,
}


class Required(Scorer):
    """Tools that are to be called: the share of them that was."""

    kind: Literal["required"] = "required"
    tools: tuple[str, ...] = Field(min_length=1)

    def _title(self) -> str:
        return f"requires {', '.join(self.tools)}"

    def score(self, run: Run, help: Help) -> Score:
        called = {each.tool for each in made(run)}
        missing = [tool for tool in self.tools if tool not in called]
        return Score(1 - len(missing) / len(self.tools), f"not called: {', '.join(missing)}" if missing else "")


class Forbidden(Scorer):
    """Tools that are not to be called."""

    kind: Literal["forbidden"] = "forbidden"
    tools: tuple[str, ...] = Field(min_length=1)

    def _title(self) -> str:
        return f"forbids {', '.join(self.tools)}"

    def score(self, run: Run, help: Help) -> Score:
        called = [each for each in made(run) if each.tool in self.tools]
        return yes_or_no(not called, f"called: {_call(called[0])}" if called else "")


class Arguments(Scorer):
    """A check of a tool's arguments, in every call or in some: the value at `path`, as `order.id`, or all of them.

    `equals` a value, or is `one_of` several, has a `regex` in it as text, is `at_least` or `at_most` a number, which
    may be written as text. Of `every` call it is the share that fits, and 1 without any; for `some` one is enough.
    """

    kind: Literal["arguments"] = "arguments"
    tool: str
    path: str = ""
    of: Literal["every", "some"] = "every"
    equals: Any = None
    one_of: list[Any] | None = None
    regex: str | None = None
    at_least: int | float | None = None
    at_most: int | float | None = None

    @model_validator(mode="after")
    def _checks_something(self) -> Arguments:
        checks = {"equals", "one_of", "regex", "at_least", "at_most"} & self.model_fields_set
        if not checks:
            raise ValueError("write equals, one_of, regex, at_least or at_most")
        compiled(self.regex)
        return self

    def _title(self) -> str:
        return f"{self.tool}.{self.path}" if self.path else f"{self.tool} arguments"

    def score(self, run: Run, help: Help) -> Score:
        called = [each for each in made(run) if each.tool == self.tool]
        complaints = [complaint for each in called if (complaint := self._complaint(each)) is not None]
        if self.of == "some":
            reason = complaints[0] if complaints else f"{self.tool} was not called"
            return yes_or_no(len(complaints) < len(called), reason)
        return Score(1 - len(complaints) / len(called) if called else 1.0, complaints[0] if complaints else "")

    def _complaint(self, call: Made) -> str | None:
        value = at_path(call.arguments, self.path)
        if value is MISSING:
            return f"{_call(call)} has no {self.path}"
        return None if self._fits(value) else f"{self.path or 'it'} is {short(value)} in {_call(call)}"

    def _fits(self, value: Any) -> bool:
        size, given = number(value), self.model_fields_set
        return all(
            (
                "equals" not in given or same(value, self.equals),
                self.one_of is None or any(same(value, each) for each in self.one_of),
                self.regex is None or re.search(self.regex, value if isinstance(value, str) else str(value)),
                self.at_least is None or (size is not None and size >= _exactly(self.at_least)),
                self.at_most is None or (size is not None and size <= _exactly(self.at_most)),
            )
        )


def _exactly(bound: float) -> Any:
    return number(bound)


def compiled(regex: str | None) -> None:
    """Raises ValueError for what is no regular expression."""
    try:
        re.compile(regex or "")
    except re.error as exc:
        raise ValueError(f"regex: {regex!r} is none: {exc}") from exc


def _call(call: Made) -> str:
    given = call.arguments if isinstance(call.arguments, dict) else {}
    return short(f"{call.tool}({', '.join(f'{name}={value!r}' for name, value in given.items())})", 120)
