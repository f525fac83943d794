"""Comparing two sessions by their trajectories: aligned by turn, what differs, and a verdict (G14)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from onward.core.aligning import Aligned, align
from onward.core.canonical import canonical, sha256
from onward.core.differences import ABSENT, Differ, Difference, Kind, alone, brief, came_to, made_with, paths
from onward.core.payload import Blob, Erased
from onward.core.turns import Said, Totals, Trajectory, Turn, plain, totals, totals_doc

Code = Literal[
    "same",
    "calls_differ",
    "arguments_differ",
    "approvals_differ",
    "results_differ",
    "turns_differ",
    "inputs_differ",
    "end_differs",
    "answer_differs",
    "words_differ",
]
"""What weighs most of all that differs. words_differ: the same calls and answers, and other words beside the calls."""

_WEIGHTS: tuple[tuple[Kind, Code], ...] = (
    ("call", "calls_differ"),
    ("order", "calls_differ"),
    ("arguments", "arguments_differ"),
    ("approval", "approvals_differ"),
    ("result", "results_differ"),
    ("turn", "turns_differ"),
    ("input", "inputs_differ"),
    ("end", "end_differs"),
    ("answer", "answer_differs"),
    ("words", "words_differ"),
)
_ONLY_WORDS: frozenset[Kind] = frozenset({"answer", "words"})


@dataclass(frozen=True, slots=True)
class Pair:
    """Two turns that belong together, or one that stands alone, and what differs."""

    a: Turn | None
    b: Turn | None
    differences: tuple[Difference, ...] = ()

    @property
    def shared(self) -> bool:
        """Whether one has it from the other, or both from a third."""
        return bool((self.a and self.a.inherited) or (self.b and self.b.inherited))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sessions side by side. `first` is the first pair in which they part; what they say counts only where nothing
    else differs. `end` is what differs in how they ended. `a_totals` and `b_totals` are those of the turns that neither
    has from the other. `untold` counts values that were erased in one of them, and `hidden` the turns of each that
    stand in the other as a summary: nothing can be told of either."""

    a: Trajectory
    b: Trajectory
    code: Code
    verdict: str
    pairs: tuple[Pair, ...]
    end: tuple[Difference, ...]
    first: Pair | None
    a_totals: Totals
    b_totals: Totals
    untold: int = 0
    hidden: tuple[int, int] = (0, 0)

    @property
    def same(self) -> bool:
        return self.code == "same"

    @property
    def by_name(self) -> bool:
        """Whether both are workflows', each turn of which is one thing that it asked for."""
        return self.a.by_name and self.b.by_name


def compare(a: Trajectory, b: Trajectory) -> Comparison:
    """What became different from `a` to `b`. Tokens, cost and time alone make no difference; nor do the names of models
    and versions."""
    ours, theirs = _levelled(a, b), _levelled(b, a)
    differ = Differ()
    pairs = tuple(_pairs(ours, theirs, differ))
    end = tuple(_ends(a, b, pairs))
    first = _first(pairs, end)
    code = _code([*_all(pairs), *end])
    own = [pair for pair in pairs if not pair.shared]
    return Comparison(
        a=a,
        b=b,
        code=code,
        verdict=_verdict(code, pairs, end, first, differ.untold, a.by_name and b.by_name),
        pairs=pairs,
        end=end,
        first=first,
        a_totals=totals(pair.a for pair in own if pair.a),
        b_totals=totals(pair.b for pair in own if pair.b),
        untold=differ.untold,
        hidden=(len(a.turns) - len(ours), len(b.turns) - len(theirs)),
    )


# --- alignment -------------------------------------------------------------------------------------------------


def _levelled(one: Trajectory, other: Trajectory) -> tuple[Turn, ...]:
    """The turns of one, without those that stand in the other only as the summary that it begins with, and without
    summaries: what they lead to is what counts."""
    up_to = _hidden(one, other)
    turns = [turn for turn in one.turns if turn.answer is None or up_to is None or turn.answer.seq > up_to]
    return tuple(replace(turn, said=tuple(said for said in turn.said if _counts(said, up_to))) for turn in turns)


def _counts(said: Said, up_to: int | None) -> bool:
    return said.kind != "summary" and (up_to is None or said.seq > up_to)


def _hidden(one: Trajectory, other: Trajectory) -> int | None:
    """The event of one up to which the other has nothing but a summary, which it has inherited."""
    known = next((said for turn in other.turns[:1] for said in turn.said if _inherited_summary(said)), None)
    if known is None:
        return None
    left_at = other.origin.seq if other.origin and other.origin.session == one.session else None
    if isinstance(known.value, Erased):
        return 0 if one.origin is not None and one.origin == other.origin else left_at
    before = one.seq if left_at is None else left_at
    same = [said for turn in one.turns for said in turn.said if said.kind == "summary" and said.value == known.value]
    return next((said.up_to for said in reversed(same) if said.seq <= before), None)


def _inherited_summary(said: Said) -> bool:
    return said.kind == "summary" and said.seq <= 0


def _pairs(a: Sequence[Turn], b: Sequence[Turn], differ: Differ) -> Iterable[Pair]:
    by_name = any(call.name for turn in (*a, *b) for call in turn.calls)
    for one, other in _by_name(a, b) if by_name else _aligned(a, b):
        if one is not None and other is not None:
            yield Pair(one, other, differ.turns(one, other))
        else:
            yield Pair(one, other, tuple(_alone(one or other, of_b=one is None)))


def _by_name(a: Sequence[Turn], b: Sequence[Turn]) -> Iterable[Aligned[Turn]]:
    """What workflows asked for belongs together by its name, in whichever order it was asked for."""
    names = {id(turn): name for turns in (a, b) for turn, name in _names(turns)}
    ours = {names[id(turn)] for turn in a}
    placed = align(a, b, [lambda turn: names[id(turn)]])
    others = {names[id(other)]: other for one, other in placed if one is None and other is not None}
    for one, other in placed:
        if one is not None:
            yield one, other or others.get(names[id(one)])
        elif other is not None and names[id(other)] not in ours:
            yield one, other


def _names(turns: Sequence[Turn]) -> Iterable[tuple[Turn, Hashable]]:
    """A workflow's calls by their names; what was said by how often something was before: whenever it started afresh,
    and at the end, what came before anybody waited for it."""
    said = 0
    for turn in turns:
        said += not turn.calls
        named = [(call.generation, call.name) for call in turn.calls]
        yield turn, named[0] if named else ("said", said, turn is turns[-1] and said > 1)


def _aligned(a: Sequence[Turn], b: Sequence[Turn]) -> Sequence[Aligned[Turn]]:
    """The turns that belong together. What matters most to find them is not known before: words that are the same by
    chance must not draw calls apart, nor calls the whole. So each key is tried as the first, and what differs least is
    taken."""
    inherited = any(turn.inherited for turn in (*a, *b))
    keys = {id(turn): _keys(turn, inherited) for turn in (*a, *b)}
    levels = [lambda turn, level=level: keys[id(turn)][level] for level in range(LEVELS)]

    def cost(aligned: Sequence[Aligned[Turn]]) -> float:
        pairs = [(keys[id(one)], keys[id(other)]) for one, other in aligned if one is not None and other is not None]
        apart = sum(1.0 if one[1] != other[1] else 0.5 for one, other in pairs if one[0] != other[0])
        return len(aligned) - len(pairs) + apart

    return min((align(a, b, levels[first:]) for first in range(LEVELS - 1)), key=cost)


LEVELS = 5


def _keys(turn: Turn, inherited: bool) -> tuple[str, ...]:
    """By what turns are found to belong together, the strictest first: all that is in them; what they were told and
    called; what they called; by which tools; whether they called at all."""
    told = [_text(said.value) for said in turn.said if said.kind == "input"]
    calls = [f"{call.tool}{_text(made_with(call, inherited))}" for call in turn.calls]
    results = [f"{way}{_text(value)}" for way, value in map(came_to, turn.calls)]
    says = turn.answer.text if turn.answer else None
    tools = [call.tool for call in turn.calls]
    everything = [says, told, calls, results]
    return tuple(repr(key) for key in (everything, [told, calls], calls, tools, [bool(tools), turn.answer is None]))


def _text(value: Any) -> str:
    """A value as it is compared, short however long it is."""
    text = repr(plain(value)) if isinstance(value, Erased | Blob) else canonical(value)
    return text if len(text) < 100 else sha256(text)


def _alone(turn: Turn | None, of_b: bool) -> Iterable[Difference]:
    """What there is to say of a turn that only one of them has."""
    assert turn is not None, "somebody has it"
    yield from (alone(call, of_b) for call in turn.calls)
    if not turn.calls:
        said = turn.answer.text if turn.answer else next((said.value for said in turn.said), None)
        text = f"B has a turn {'more' if of_b else 'less'}: {brief(said)}"
        yield Difference("turn", text, *((ABSENT, said) if of_b else (said, ABSENT)))


# --- the end ---------------------------------------------------------------------------------------------------


def _ends(a: Trajectory, b: Trajectory, pairs: Sequence[Pair]) -> Iterable[Difference]:
    one, other = _how(a), _how(b)
    if one != other:
        yield Difference("end", f"{other} instead of {one}", one, other)
    elif not any(each.kind == "answer" for each in _all(pairs)) and _other(a.output, b.output):
        yield Difference("answer", f"B gives {brief(b.output)} instead of {brief(a.output)}", a.output, b.output)


def _other(a: Any, b: Any) -> bool:
    """Whether two values are known to be others."""
    return not isinstance(a, Erased | Blob) and not isinstance(b, Erased | Blob) and next(paths(a, b), None) is not None


def _how(trajectory: Trajectory) -> str:
    """How a session stands, in words."""
    code = f" ({trajectory.error.code})" if trajectory.error and trajectory.status != "cancelled" else ""
    return f"{trajectory.status.replace('_', ' ')}{code}"


# --- the verdict -----------------------------------------------------------------------------------------------


def _all(pairs: Iterable[Pair]) -> list[Difference]:
    return [difference for pair in pairs for difference in pair.differences]


def _code(found: Sequence[Difference]) -> Code:
    kinds = {difference.kind for difference in found}
    return next((code for kind, code in _WEIGHTS if kind in kinds), "same")


def _first(pairs: Sequence[Pair], end: Sequence[Difference]) -> Pair | None:
    decides = [pair for pair in pairs if any(each.kind not in _ONLY_WORDS for each in pair.differences)]
    words = [pair for pair in pairs if pair.differences]
    return next(iter(decides or words), None)


def _verdict(
    code: Code, pairs: Sequence[Pair], end: Sequence[Difference], first: Pair | None, untold: int, by_name: bool
) -> str:
    if code == "same":
        return "same" if not untold else f"same, as far as can be told: {_many(untold, 'value')} erased"
    if code == "answer_differs":
        return "same calls, another answer"
    if code == "words_differ":
        return "same calls and answers, other words beside the calls"
    if code == "end_differs":
        return f"same calls, another end: {end[0].text}"
    found = [each for each in _all(pairs) if each.kind not in _ONLY_WORDS]
    return _one_way(found) or _diverges(first, "operation" if by_name else "turn")


def _one_way(found: Sequence[Difference]) -> str | None:
    """Where all that differs is that one of them does more."""
    for more, word in (("b", "more"), ("a", "fewer")):
        other = "a" if more == "b" else "b"
        if all(each.kind == "call" and getattr(each, other) is ABSENT for each in found):
            calls = f"{len(found)} calls" if len(found) > 1 else "one call"
            return f"B makes {calls} {word}: {', '.join(str(getattr(each, more)) for each in found[:3])}"
    return None


def _diverges(first: Pair | None, what: str) -> str:
    assert first is not None, "something differs"
    turn, whose = (first.a, "") if first.a else (first.b, " of B")
    text = next((each.text for each in first.differences if each.kind not in _ONLY_WORDS), first.differences[0].text)
    return f"diverges at {what} {turn.number if turn else 0}{whose}: {text}"


def _many(count: int, what: str) -> str:
    return f"one {what} was" if count == 1 else f"{count} {what}s were"


# --- as a document ---------------------------------------------------------------------------------------------


def doc(comparison: Comparison) -> dict[str, Any]:
    """A comparison as plain JSON values: of turns their numbers and events, and what differs."""
    first = comparison.first
    return {
        "code": comparison.code,
        "same": comparison.same,
        "by_name": comparison.by_name,
        "verdict": comparison.verdict,
        "a": _side_doc(comparison.a, comparison.a_totals, comparison.hidden[0]),
        "b": _side_doc(comparison.b, comparison.b_totals, comparison.hidden[1]),
        "first": first and {"a": _turn_doc(first.a), "b": _turn_doc(first.b)},
        "turns": [_pair_doc(pair) for pair in comparison.pairs],
        "end": [difference.doc() for difference in comparison.end],
        "untold": comparison.untold,
    }


def _side_doc(side: Trajectory, compared: Totals, hidden: int) -> dict[str, Any]:
    models = list(dict.fromkeys(turn.answer.model for turn in side.turns if turn.answer))
    named = {name: getattr(side, name) for name in ("session", "program", "version", "status", "seq", "effects")}
    origin = side.origin.model_dump() if side.origin else None
    return named | {"origin": origin, "models": models, "totals": totals_doc(compared), "hidden_turns": hidden}


def _pair_doc(pair: Pair) -> dict[str, Any]:
    differences = [difference.doc() for difference in pair.differences]
    return {"a": _turn_doc(pair.a), "b": _turn_doc(pair.b), "shared": pair.shared, "differences": differences}


def _turn_doc(turn: Turn | None) -> dict[str, Any] | None:
    if turn is None:
        return None
    return {"turn": turn.number, "events": list(turn.seqs), "inherited": turn.inherited}
