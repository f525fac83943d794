"""What differs between two turns that belong together: calls, arguments, approvals, results, words.

Numbers of events, ids of calls and times are none of it; nor are tokens, cost, attempts and the model's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from onward.core.canonical import canonical
from onward.core.payload import Blob, Erased
from onward.core.turns import Call, Turn, plain

Kind = Literal["input", "call", "order", "arguments", "approval", "result", "turn", "answer", "words", "end"]
"""input: it was told something else · call: another call, or one that only one of them made · order: the same calls in
another order · arguments: the same tool, called with something else · approval: another was asked, or decided otherwise
· result: a call came to something else · turn: only one of them has it · answer: an answer without calls, or the
output · words: what was said beside calls · end: how it ended."""


class Absent:
    """Stands where one of two has nothing."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "nothing"


ABSENT = Absent()
SHORT = 60


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is `a` in one and `b` in the other, or Absent. `tool` is the call's, and `name` its name where a
    workflow asked for it; `path` says where in its arguments or result, and `text` says it in a line."""

    kind: Kind
    text: str
    a: Any = ABSENT
    b: Any = ABSENT
    tool: str | None = None
    path: str | None = None
    name: str | None = None

    def doc(self) -> dict[str, Any]:
        """The difference as plain JSON values; what is absent is not there."""
        found: dict[str, Any] = {"kind": self.kind, "text": self.text, "tool": self.tool, "path": self.path}
        found |= {"name": self.name} if self.name else {}
        return found | {name: plain(value) for name in ("a", "b") if (value := getattr(self, name)) is not ABSENT}


@dataclass(slots=True)
class Differ:
    """Tells turns apart; `untold` counts the values of which nothing can be told, because they were erased."""

    untold: int = 0
    _found: list[Difference] = field(default_factory=list)

    def turns(self, a: Turn, b: Turn) -> tuple[Difference, ...]:
        """What differs between two turns."""
        self._found = []
        self._inputs(a, b)
        self._calls(a, b)
        self._words(a, b)
        return tuple(self._found)

    # --- what was said -----------------------------------------------------------------------------------------

    def _inputs(self, a: Turn, b: Turn) -> None:
        told = [[said.value for said in turn.said if said.kind == "input"] for turn in (a, b)]
        if len(told[0]) == len(told[1]):
            pairs: Iterator[tuple[Any, Any]] = zip(*told, strict=True)
            if all(self._same(one, other) for one, other in pairs):
                return
        one, other = ([plain(value) for value in values] for values in told)
        text = f"B was told {_listed(other)} instead of {_listed(one)}"
        self._found.append(Difference("input", text, one, other))

    def _words(self, a: Turn, b: Turn) -> None:
        if a.answer is None or b.answer is None:
            return
        one, other = a.answer.text, b.answer.text
        if one is None or other is None:
            self.untold += 1
        elif one != other:
            kind: Kind = "words" if a.calls or b.calls else "answer"
            self._found.append(Difference(kind, f"B says {brief(other)} instead of {brief(one)}", one, other))

    # --- calls -------------------------------------------------------------------------------------------------

    def _calls(self, a: Turn, b: Turn) -> None:
        inherited = any(call.inherited for turn in (a, b) for call in turn.calls)
        pairs, alone = paired(a.calls, b.calls, inherited)
        self._found += alone
        order = [index for _, index in pairs]
        if not alone and order != sorted(order):
            one, other = ([call.label for call in turn.calls] for turn in (a, b))
            text = f"{', '.join(other)} instead of {', '.join(one)}, in this order"
            self._found.append(Difference("order", text, one, other))
        for at, to in pairs:
            self._call(a.calls[at], b.calls[to], inherited)

    def _call(self, a: Call, b: Call, inherited: bool) -> None:
        known = a.name is None or not (
            a.inherited or b.inherited
        )  # of a workflow's call only what it came to goes along
        if known:
            self._arguments(a, made_with(a, inherited), made_with(b, inherited))
        if not (_elsewhere(a) or _elsewhere(b) or a.kind == "approval"):
            self._approvals(a, b)
        if a.kind != "start" or a.outcome != b.outcome:
            self._results(a, b)

    def _arguments(self, call: Call, a: Any, b: Any) -> None:
        if self._same(a, b):
            return
        found = list(paths(a, b))
        one, other = _sides(found)
        text = f"{call.label}({other}) instead of {call.label}({one})"
        self._found += [_of(call, "arguments", text, one, other, path) for path, one, other in found]

    def _approvals(self, a: Call, b: Call) -> None:
        one, other = approval(a), approval(b)
        if one != other:
            self._found.append(_of(a, "approval", f"{a.label} was {other} instead of {one}", one, other))

    def _results(self, a: Call, b: Call) -> None:
        one, other = came_to(a), came_to(b)
        if one[0] == other[0] and self._same(one[1], other[1]):
            return
        same_end = one[0] == other[0] and isinstance(one[1], dict) and isinstance(other[1], dict)
        inner = list(paths(one[1], other[1])) if same_end else []
        was, now = _sides(inner) if inner else (_outcome(a), _outcome(b))
        text = f"{a.label}: {now or 'nothing'} instead of {was or 'nothing'}"
        whole = _of(a, "result", text, _shown(a), _shown(b))
        self._found += [_of(a, "result", text, x, y, path) for path, x, y in inner] or [whole]

    def _same(self, a: Any, b: Any) -> bool:
        """Whether two values are the same, as far as can be told."""
        if _is_gone(a) or _is_gone(b):
            self.untold += 1
            return True
        return canonical(a) == canonical(b) or next(paths(a, b), None) is None


def _of(call: Call, kind: Kind, text: str, a: Any, b: Any, path: str | None = None) -> Difference:
    return Difference(kind, text, a, b, call.tool, path, call.name)


def alone(call: Call, of_b: bool) -> Difference:
    """A call that only one of them made."""
    text = written(call)
    also, does_not = ("also calls", "does not call") if call.name is None else ("also has", "does not have")
    if of_b:
        return _of(call, "call", f"B {also} {text}", ABSENT, text)
    return _of(call, "call", f"B {does_not} {text}", text, ABSENT)


def paired(a: Sequence[Call], b: Sequence[Call], inherited: bool) -> tuple[list[tuple[int, int]], list[Difference]]:
    """Which calls of two turns belong together: the same ones, then those of the same tool; and what is left over."""
    left, right, pairs = list(range(len(a))), list(range(len(b))), list[tuple[int, int]]()
    for exact in (True, False):
        for at in list(left):
            to = next((to for to in right if _alike(a[at], b[to], exact, inherited)), None)
            if to is not None:
                pairs.append((at, to))
                left.remove(at)
                right.remove(to)
    both = min(len(left), len(right))
    found = [_instead(a[at], b[to]) for at, to in zip(left, right, strict=False)]
    found += [alone(a[at], False) for at in left[both:]] + [alone(b[to], True) for to in right[both:]]
    return sorted(pairs), found


def _instead(a: Call, b: Call) -> Difference:
    one, other = written(a), written(b)
    return _of(a, "call", f"{other} instead of {one}", one, other)


def _alike(a: Call, b: Call, exact: bool, inherited: bool) -> bool:
    if a.tool != b.tool or not exact:
        return a.tool == b.tool
    one, other = made_with(a, inherited), made_with(b, inherited)
    return _is_gone(one) or _is_gone(other) or canonical(one) == canonical(other)


def made_with(call: Call, inherited: bool) -> Any:
    """The arguments by which calls are compared. Of those that were inherited only what the model wrote is known, and
    what a person changed."""
    return call.written if inherited and not call.edited else call.arguments


def _elsewhere(call: Call) -> bool:
    """Whether nobody could be asked about the call here."""
    return call.inherited or call.record is not None or call.outcome in ("blocked", "not_inherited")


def approval(call: Call) -> str:
    """Who was asked about a call and what was decided, in words."""
    if call.rule is None:
        return "not asked about"
    said = [f"{each.verdict} by {each.by.name or each.by.kind}" for each in call.decisions]
    return ", ".join(said) or "asked about, and not decided"


_UNTOLD = ("blocked", "not_inherited", "open", "in_doubt")
"""Outcomes by which calls are the same, whatever is said of why."""


def came_to(call: Call) -> tuple[str, Any]:
    """What a call came to, as far as that is compared: in what way, and the value."""
    if call.outcome in ("done", "answered"):
        return "done", call.result
    if call.error is None or call.error.code == "left" or call.outcome in _UNTOLD:
        return call.outcome, None
    return "failed", [call.error.code, call.error.message]


def _shown(call: Call) -> Any:
    way, value = came_to(call)
    return value if way == "done" else {"outcome": call.outcome, "error": call.error and call.error.model_dump()}


def _outcome(call: Call) -> str:
    way, value = came_to(call)
    if way == "done":
        return brief(value)
    why = f" ({call.error.message or call.error.code})" if call.error is not None and way == "failed" else ""
    return f"{call.outcome.replace('_', ' ')}{why}"


# --- values ----------------------------------------------------------------------------------------------------


def paths(a: Any, b: Any, at: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two values differ: `customer.name`, `items[2]`."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in dict.fromkeys([*a, *b]):
            yield from paths(a.get(name, ABSENT), b.get(name, ABSENT), f"{at}.{name}" if at else str(name))
    elif isinstance(a, list) and isinstance(b, list):
        for index in range(max(len(a), len(b))):
            one, other = (each[index] if index < len(each) else ABSENT for each in (a, b))
            yield from paths(one, other, f"{at}[{index}]")
    elif isinstance(a, bool) is not isinstance(b, bool) or a != b:
        yield at, a, b


def _is_gone(value: Any) -> bool:
    return isinstance(value, Erased | Blob)


def written(call: Call) -> str:
    """A call as one would write it, its values cut."""
    if call.kind in _WAITS or (call.name is not None and call.inherited):
        return call.label
    if isinstance(call.arguments, Mapping):
        return f"{call.label}({_named(call.arguments)})"
    return f"{call.label}({brief(call.arguments)})"


_WAITS = ("sleep", "signal", "patch")
"""Kinds of a workflow's calls of which the name says it all."""


def _sides(found: Sequence[tuple[str, Any, Any]]) -> tuple[str, str]:
    """What differs, as each side has it."""
    one, other = ({path: value for path, *pair in found if (value := pair[at]) is not ABSENT} for at in (0, 1))
    return _named(one), _named(other)


def _named(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={brief(value)}" for name, value in values.items())


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(brief(value) for value in values) or "nothing"


def brief(value: Any) -> str:
    """A value in one short line."""
    if _is_gone(value):
        return "(erased)" if isinstance(value, Erased) else f"({value.size:,} bytes)"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"
