"""Comparisons as people and programs read them: two sessions side by side, turn by turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal, TextIO

from onward.core.comparing import Comparison, Pair, compare, doc
from onward.core.differences import approval, came_to
from onward.core.portable import Export, read
from onward.core.trajectory import trajectory
from onward.core.turns import Call, Totals, Trajectory, Turn
from onward.errors import BadInput, CorruptLog, UnreadableLog
from onward.runtime.access import Access
from onward.surfaces.operations import name_of, question_text, step_text
from onward.surfaces.output import Output
from onward.surfaces.porting import is_there
from onward.surfaces.text import Paper, call_text, columns, cut, safe, said, shown, span, table

Mark = Literal["", "!", "-", "+"]
"""Of a row: the same, different, only in A, only in B."""

AROUND = 1
"""Turns that are shown before and behind one that differs."""

LINE = 400
DIFFERENCES = 40


# --- the command -----------------------------------------------------------------------------------------------


def both_files(a: str, b: str) -> bool:
    """Whether no database is needed to compare these."""
    return is_there(a) and is_there(b)


async def compared(access: Access | None, a: str, b: str) -> Comparison:
    """The comparison of two sessions, each named by its id or by the file that it was exported to. Raises NotFound,
    CorruptLog, and BadInput for a file that is none."""
    return compare(await _side(access, a), await _side(access, b))


async def _side(access: Access | None, name: str) -> Trajectory:
    if access is None or is_there(name):
        try:
            with Path(name).open(encoding="utf-8") as file:
                return trajectory(_verified(name, file).recording())
        except OSError as exc:
            raise BadInput(f"{name}: it can't be read: {exc.strerror or exc}") from exc
    return await access.trajectory(name)


def _verified(name: str, file: TextIO) -> Export:
    try:
        return read(file)
    except (BadInput, CorruptLog, UnreadableLog) as exc:
        raise BadInput(f"{name}: {exc}") from exc


def tell(found: Comparison, every: bool, output: Output) -> None:
    """Write a comparison: a verdict, the turns side by side, what differs, and what was used."""
    if output.json:
        return output.doc(doc(found))
    output.lines(_lines(found, every, output.paper))


def _lines(found: Comparison, every: bool, paper: Paper) -> Iterator[str]:
    yield paper.tint(safe(found.verdict), "good" if found.same else "ask")
    yield ""
    yield from _side_by_side(found, every, paper)
    yield ""
    yield from _differences(found, paper)
    yield from table(("", "A", "B"), used(found), paper)


def _side_by_side(found: Comparison, every: bool, paper: Paper) -> Iterator[str]:
    half = (paper.width - 15) // 2
    yield paper.tint(_row("A", _named(found.a), "", "B", _named(found.b), half), "dim")
    for name, other, count in zip("AB", "BA", found.hidden, strict=True):
        if count:
            yield f"      {many(found, count)} of {name} left out: in {other} only as a summary, or erased"
    for row in rows(found, every):
        yield from [f"      {many(found, row)} alike"] if isinstance(row, int) else _drawn(row, half, paper)


def _named(side: Trajectory) -> str:
    return f"{safe(side.session)} {standing(side)}"


def _drawn(row: Row, half: int, paper: Paper) -> Iterator[str]:
    height = max(len(row.a), len(row.b))
    for at in range(height):
        one, other = (lines[at] if at < len(lines) else "" for lines in (row.a, row.b))
        a, b = (_number(turn) if at == 0 else "" for turn in (row.pair.a, row.pair.b))
        text = _row(a, one, row.mark, b, other, half)
        yield paper.tint(text, "ask") if row.mark else text


def _row(a: str, one: str, mark: str, b: str, other: str, half: int) -> str:
    left = cut(one, half)
    return f"{a:>4}  {left}{' ' * (half - columns(left))} {mark:1} {b:>4}  {cut(other, half)}".rstrip()


def _number(turn: Turn | None) -> str:
    return str(turn.number) if turn else ""


def _differences(found: Comparison, paper: Paper) -> Iterator[str]:
    lines = [(place(pair), each.kind, safe(each.text)) for pair in found.pairs for each in pair.differences]
    lines += [("end", each.kind, safe(each.text)) for each in found.end]
    lines = list(dict.fromkeys(lines))
    if lines:
        yield from table((unit(found).upper(), "DIFFERS", ""), lines[:DIFFERENCES], paper)
        yield from [f"… and {len(lines) - DIFFERENCES:,} more: --json has all"] if len(lines) > DIFFERENCES else []
        yield ""


def unit(found: Comparison) -> str:
    """What stands side by side: turns, or what workflows asked for."""
    return "operation" if found.by_name else "turn"


def many(found: Comparison, count: int) -> str:
    """So many of them."""
    return f"one {unit(found)}" if count == 1 else f"{count:,} {unit(found)}s"


# --- rows ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """Two turns beside each other, each in lines. `first`: here the sessions part."""

    pair: Pair
    a: tuple[str, ...]
    b: tuple[str, ...]
    mark: Mark
    first: bool


def rows(found: Comparison, every: bool = False) -> list[Row | int]:
    """The turns, in order; of those that are alike only the ones beside a difference, unless it is to be every one. In
    place of the others is how many they are."""
    differ = {at for at, pair in enumerate(found.pairs) if pair.differences}
    near = {at + step for at in differ for step in range(-AROUND, AROUND + 1)}
    shown, left = list[Row | int](), 0
    for at, pair in enumerate(found.pairs):
        if not every and at not in near and len(found.pairs) > 2 * AROUND + 2:
            left += 1
            continue
        shown += [left] if left else []
        left = 0
        shown.append(Row(pair, _cell(pair.a), _cell(pair.b), _mark(pair), pair is found.first))
    return [*shown, left] if left else shown


def _mark(pair: Pair) -> Mark:
    if pair.a is None or pair.b is None:
        return "+" if pair.a is None else "-"
    return "!" if pair.differences else ""


def _cell(turn: Turn | None) -> tuple[str, ...]:
    """A turn in lines: what was said, the calls and what they came to, the answer."""
    if turn is None:
        return ("",)
    lines = [f"> {_one_line(said(each.value))}" for each in turn.said if each.kind == "input"]
    if turn.answer is not None and turn.answer.text != "":
        lines.append(_one_line(said(turn.answer.text) if turn.answer.text is not None else "(erased)"))
    lines += [line for call in turn.calls for line in _call(call)]
    return tuple(lines) or ("(nothing said)",)


def _call(call: Call) -> Iterator[str]:
    yield _one_line(_written(call))
    if call.rule is not None and call.kind != "approval":
        yield f"  {safe(approval(call))}"
    way, value = came_to(call)
    if way == "done":
        yield f"  = {_one_line(shown(value))}{', from the record' if call.record else ''}"
    else:
        why = f": {safe(call.error.message)}" if call.error and way == "failed" else ""
        yield _one_line(f"  {call.outcome.replace('_', ' ')}{why}")


def _written(call: Call) -> str:
    """A call as one would write it; what a workflow asked for, by its name."""
    if call.name is None:
        return call_text(call.tool, call.arguments)
    if call.inherited or call.kind in ("sleep", "signal", "patch"):
        return name_of(call.tool, call.name)
    if call.kind == "approval":
        return f"{name_of(call.tool, call.name)}: {question_text(call.arguments)}"
    return step_text(call.tool, call.name, call.arguments)


def _one_line(text: str) -> str:
    return cut(text.replace("\n", " ⏎ "), LINE)


def place(pair: Pair) -> str:
    """Where a pair stands: the turn, of A where it has one."""
    return str(pair.a.number) if pair.a else f"{pair.b.number if pair.b else 0} of B"


def standing(side: Trajectory) -> str:
    """How a session stands, and of a branch where it comes from."""
    branch = f", branch of {safe(side.origin.session)} at {side.origin.seq}" if side.origin else ""
    return f"({side.status.replace('_', ' ')}{branch})"


# --- what was used ---------------------------------------------------------------------------------------------


def used(found: Comparison) -> list[tuple[str, str, str]]:
    """What the turns used that neither has from the other: it makes no difference by itself."""
    sides = ((found.a, found.a_totals), (found.b, found.b_totals))
    lines = [
        ("model", *(models(side) for side, _ in sides)),
        ("turns", *(f"{totals.turns:,}" for _, totals in sides)),
        ("calls", *(f"{totals.calls:,}" for _, totals in sides)),
        ("tokens", *(f"{totals.tokens:,}" for _, totals in sides)),
        ("USD", *(cost(totals) for _, totals in sides)),
        ("time", *(span(totals.seconds) for _, totals in sides)),
    ]
    of_models = ("model", "turns", "tokens", "USD") if found.by_name else ()  # a workflow has none
    return [(name, a, b) for name, a, b in lines if name not in of_models]


def models(side: Trajectory) -> str:
    """The models that answered."""
    names: Sequence[str] = list(dict.fromkeys(turn.answer.model for turn in side.turns if turn.answer))
    return ", ".join(safe(name) for name in names) or "none"


def cost(totals: Totals) -> str:
    """What the models' tokens cost."""
    return "unknown" if totals.usd is None else f"{totals.usd.quantize(Decimal('0.00000001')):f}"
