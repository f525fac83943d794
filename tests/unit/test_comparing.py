"""Two sessions side by side: what belongs together is found, and what differs is said in a line."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onward import Agent, App, Approval, Compaction, tool
from onward.adapters.local.scripted import ScriptedModel
from onward.core.aligning import common
from onward.core.comparing import Comparison, compare, doc
from onward.core.events import Actor, Failure, Origin, Usage
from onward.core.payload import Erased
from onward.core.trajectory import trajectory
from onward.core.turns import Answer, Call, Decision, Said, Trajectory, Turn, totals
from onward.runtime import Runtime


def call(tool: str, result: Any = "ok", asked: str = "", by: str = "mia", **arguments: Any) -> Call:
    """A call that was made; `asked` is what a person said to it, if one was asked."""
    decisions = (Decision(Actor(kind="person", name=by), asked),) if asked and asked != "open" else ()
    failed = isinstance(result, Failure)
    return Call(
        id="1.0",
        seq=0,
        tool=tool,
        written=arguments,
        arguments=arguments,
        outcome="failed" if failed else "open" if asked == "open" else "done",
        result=None if failed else result,
        error=result if failed else None,
        rule="a rule" if asked else None,
        decisions=decisions,
    )


def turn(*calls: Call, says: str = "", told: Any = None) -> Turn:
    said = (Said(0, "input", told),) if told is not None else ()
    return Turn(0, said, Answer(0, says, "m", Usage(output_tokens=3)), calls, spent=Usage(output_tokens=3))


def session(*turns: Turn, **more: Any) -> Trajectory:
    """A session of these turns, its events numbered as they would be."""
    numbered, seq = list[Turn](), 1
    for number, each in enumerate(turns, start=1):
        said = tuple(replace(one, seq=seq) for one in each.said)
        answer = each.answer and replace(each.answer, seq=seq + 1)
        calls = tuple(replace(one, seq=seq + 2, id=f"{seq + 2}.{at}") for at, one in enumerate(each.calls))
        numbered.append(replace(each, number=number, said=said, answer=answer, calls=calls))
        seq += 4
    final = turns[-1].answer.text if turns and turns[-1].answer else None
    fields = {"status": "completed", "output": final, "session": "s", "tenant": "t", "program": "p", "version": "1"}
    return Trajectory(**fields | {"turns": tuple(numbered), "totals": totals(numbered), "seq": seq} | more)


LOOK, DONE = call("look", x=1), turn(says="done")
BASE = session(turn(LOOK, told="go"), turn(call("refund", amount=35)), DONE)

PAIRS = [
    ("same", BASE, BASE, "same", None),
    (
        "another_answer",
        BASE,
        session(turn(LOOK, told="go"), turn(call("refund", amount=35)), turn(says="finished")),
        "same calls, another answer",
        (3, 3),
    ),
    (
        "other_arguments",
        BASE,
        session(turn(LOOK, told="go"), turn(call("refund", amount=20)), turn(says="less")),
        "diverges at turn 2: refund(amount=20) instead of refund(amount=35)",
        (2, 2),
    ),
    (
        "one_call_more",
        BASE,
        session(turn(LOOK, told="go"), turn(call("check", id=7)), turn(call("refund", amount=35)), DONE),
        "B makes one call more: check(id=7)",
        (None, 2),
    ),
    (
        "one_call_fewer",
        session(turn(LOOK, call("check", id=7), told="go"), turn(call("refund", amount=35)), DONE),
        BASE,
        "B makes one call fewer: check(id=7)",
        (1, 1),
    ),
    (
        "another_call",
        BASE,
        session(turn(LOOK, told="go"), turn(call("escalate", why="old")), DONE),
        'diverges at turn 2: escalate(why="old") instead of refund(amount=35)',
        (2, 2),
    ),
    (
        "another_order",
        session(turn(call("look", x=1), call("count"), told="go"), DONE),
        session(turn(call("count"), call("look", x=1), told="go"), DONE),
        "diverges at turn 1: count, look instead of look, count, in this order",
        (1, 1),
    ),
    (
        "another_decision",
        session(turn(call("refund", asked="approved", amount=99), told="go"), DONE),
        session(turn(call("refund", asked="approved", by="bob", amount=99), told="go"), DONE),
        "diverges at turn 1: refund was approved by bob instead of approved by mia",
        (1, 1),
    ),
    (
        "nobody_asked",
        session(turn(call("refund", asked="approved", amount=99), told="go"), DONE),
        session(turn(call("refund", amount=99), told="go"), DONE),
        "diverges at turn 1: refund was not asked about instead of approved by mia",
        (1, 1),
    ),
    (
        "another_result",
        session(turn(call("look", {"name": "Ann", "age": 7}), told="go"), DONE),
        session(turn(call("look", {"name": "Bea", "age": 7}), told="go"), DONE),
        'diverges at turn 1: look: name="Bea" instead of name="Ann"',
        (1, 1),
    ),
    (
        "a_failure",
        session(turn(LOOK, told="go"), DONE),
        session(turn(call("look", Failure(code="gone", message="it is gone"), x=1), told="go"), DONE),
        'diverges at turn 1: look: failed (it is gone) instead of "ok"',
        (1, 1),
    ),
    (
        "told_otherwise",
        session(turn(says="hello", told="hi"), turn(says="bye", told="go")),
        session(turn(says="hello", told="hi"), turn(says="bye", told="leave")),
        'diverges at turn 2: B was told "leave" instead of "go"',
        (2, 2),
    ),
    (
        "another_end",
        BASE,
        replace(BASE, status="failed", output=None, error=Failure(code="limit_reached", message="no")),
        "same calls, another end: failed (limit_reached) instead of completed",
        None,
    ),
    (
        "other_words",
        BASE,
        session(turn(LOOK, told="go", says="let me see"), turn(call("refund", amount=35)), DONE),
        "same calls and answers, other words beside the calls",
        (1, 1),
    ),
    (
        "a_turn_more",
        session(turn(says="hello", told="hi")),
        session(turn(says="hello", told="hi"), turn(says="bye", told="go"), output="hello"),
        'diverges at turn 2 of B: B has a turn more: "bye"',
        (None, 2),
    ),
]
CODES = {
    "same": "same",
    "another_answer": "answer_differs",
    "other_arguments": "arguments_differ",
    "one_call_more": "calls_differ",
    "one_call_fewer": "calls_differ",
    "another_call": "calls_differ",
    "another_order": "calls_differ",
    "another_decision": "approvals_differ",
    "nobody_asked": "approvals_differ",
    "another_result": "results_differ",
    "a_failure": "results_differ",
    "told_otherwise": "inputs_differ",
    "another_end": "end_differs",
    "other_words": "words_differ",
    "a_turn_more": "turns_differ",
}


@pytest.mark.parametrize(("name", "a", "b", "verdict", "first"), PAIRS, ids=[pair[0] for pair in PAIRS])
def test_of_a_pair_made_by_hand_the_verdict_is_known(
    name: str, a: Trajectory, b: Trajectory, verdict: str, first: tuple[int | None, int | None] | None
) -> None:
    found = compare(a, b)
    assert (found.verdict, found.code) == (verdict, CODES[name])
    assert parted(found) == first
    assert json.loads(json.dumps(doc(found)))["same"] is (name == "same")


def parted(found: Comparison) -> tuple[int | None, int | None] | None:
    if found.first is None:
        return None
    return found.first.a and found.first.a.number, found.first.b and found.first.b.number


def test_of_arguments_and_results_it_is_said_where_they_differ() -> None:
    a = session(turn(call("send", {"to": [1, 2]}, to={"name": "Ann", "age": 7}, cc=["x", "y"])))
    b = session(turn(call("send", {"to": [1, 3]}, to={"name": "Bea", "age": 7}, cc=["x"])))
    found = [each.doc() for each in compare(a, b).pairs[0].differences]
    assert [(each["kind"], each["path"], each.get("a"), each.get("b")) for each in found] == [
        ("arguments", "to.name", "Ann", "Bea"),
        ("arguments", "cc[1]", "y", None),
        ("result", "to[1]", 2, 3),
    ]
    assert "b" not in found[1]


def test_tokens_cost_time_models_and_numbers_make_no_difference() -> None:
    slow = replace(DONE, answer=Answer(900, "done", "other", Usage(output_tokens=999)), seconds=99.0)
    retried = replace(call("refund", amount=35), attempts=3, seconds=50.0, id="77.0")
    other = session(turn(LOOK, told="go"), turn(retried), slow, version="2", session="other", program="q")
    assert compare(BASE, other).same
    assert compare(BASE, other).b.session == "other"


def test_what_was_erased_is_neither_the_same_nor_different() -> None:
    erased = replace(call("refund"), arguments=Erased(), written=Erased())
    other = session(turn(LOOK, told=Erased()), turn(erased), DONE)
    found = compare(BASE, other)
    assert (found.code, found.untold) == ("same", 2)
    assert found.verdict == "same, as far as can be told: 2 values were erased"


def test_words_that_are_the_same_by_chance_do_not_draw_calls_apart() -> None:
    a = session(turn(LOOK, told="go", says="hm"), turn(LOOK), turn(LOOK, says="now"), DONE)
    b = session(turn(LOOK, told="go"), turn(LOOK, says="hm"), turn(LOOK), DONE)
    assert compare(a, b).code == "words_differ"
    one, two, three, four = (call("look", x=number) for number in range(4))
    found = compare(session(turn(one), turn(two), turn(three), DONE), session(turn(two), turn(three), turn(four), DONE))
    assert [(pair.a is None, pair.b is None) for pair in found.pairs] == [
        (False, True),
        (False, False),
        (False, False),
        (True, False),
        (False, False),
    ]
    shifted = compare(
        session(turn(one), turn(call("pay")), turn(two)), session(turn(two), turn(call("pay")), turn(four))
    )
    assert shifted.code == "arguments_differ"


def test_what_counts_of_a_failure_is_what_the_model_was_told() -> None:
    told = call("ask", Failure(code="interrupted", message="an input came"))
    left, refused = (session(turn(replace(told, outcome=how))) for how in ("left", "refused"))
    assert compare(left, refused).same
    other = session(turn(call("ask", Failure(code="interrupted", message="another came"))))
    assert compare(left, other).code == "results_differ"
    blocked = [replace(told, outcome="blocked", error=Failure(code="blocked", message=why)) for why in ("a", "b")]
    assert compare(*(session(turn(each)) for each in blocked)).same


def test_true_is_not_one() -> None:
    a, b = session(turn(call("set", on=True))), session(turn(call("set", on=1)))
    assert compare(a, b).code == "arguments_differ"
    assert compare(b, session(turn(call("set", on=1.0)))).same


def test_a_branch_whose_base_was_erased_is_compared_from_where_it_left() -> None:
    own = [replace(each, said=()) for each in BASE.turns[1:]]
    gone = Turn(0, (Said(0, "summary", Erased()),), own[0].answer, own[0].calls)
    branch = replace(session(gone, own[1]), origin=Origin(session="s", seq=4, hash="h"))
    branch = replace(branch, turns=(replace(branch.turns[0], said=gone.said), *branch.turns[1:]))
    found = compare(BASE, branch)
    assert (found.code, found.hidden) == ("same", (1, 0))


# --- laws ------------------------------------------------------------------------------------------------------

calls = st.builds(call, st.sampled_from(["look", "pay"]), st.sampled_from(["ok", None]), x=st.integers(0, 2))
turns = st.builds(
    lambda calls, says, told: turn(*calls, says=says, told=told),
    st.lists(calls, max_size=2),
    st.sampled_from(["", "yes"]),
    st.sampled_from([None, "go"]),
)
sessions = st.lists(turns, max_size=8).map(lambda each: session(*each))


@given(sessions)
def test_a_session_is_the_same_as_itself(one: Trajectory) -> None:
    found = compare(one, one)
    assert found.same
    assert all(pair.a == pair.b for pair in found.pairs)


@given(sessions, turns, st.data())
def test_a_turn_put_in_is_found_as_exactly_that(one: Trajectory, new: Turn, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(one.turns)))
    longer = session(*one.turns[:at], new, *one.turns[at:], output=one.output)
    for found, more, less in ((compare(one, longer), "b", "a"), (compare(longer, one), "a", "b")):
        alone = [pair for pair in found.pairs if getattr(pair, less) is None]
        assert len(alone) == 1
        assert getattr(alone[0], more).calls == new.calls or all(
            replace(x, seq=0, id="") == replace(y, seq=0, id="")
            for x, y in zip(getattr(alone[0], more).calls, new.calls, strict=True)
        )
        assert not any(pair.differences for pair in found.pairs if pair not in alone)


@given(sessions, sessions)
def test_every_turn_has_its_place_once_and_in_order(a: Trajectory, b: Trajectory) -> None:
    found = compare(a, b)
    assert [pair.a.number for pair in found.pairs if pair.a] == [each.number for each in a.turns]
    assert [pair.b.number for pair in found.pairs if pair.b] == [each.number for each in b.turns]
    assert found.same is compare(b, a).same
    assert found.code == compare(b, a).code or found.code in ("calls_differ", "turns_differ", "arguments_differ")


@given(st.lists(st.integers(0, 3), max_size=9), st.lists(st.integers(0, 3), max_size=9))
def test_as_much_as_possible_is_found_in_both(a: list[int], b: list[int]) -> None:
    found = common(a, b)
    assert all(a[i] == b[j] for i, j in found)
    assert all(i < k and j < m for (i, j), (k, m) in pairwise(found))
    assert len(found) == _longest(tuple(a), tuple(b))


def _longest(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    row = [0] * (len(b) + 1)
    for one in a:
        before = row[:]
        for j, other in enumerate(b):
            row[j + 1] = before[j] + 1 if one == other else max(row[j], before[j + 1])
    return row[-1]


# --- branches --------------------------------------------------------------------------------------------------


@tool(effect="read")
async def look(x: str) -> str:
    """Look."""
    return f"r{x}"


@tool(effect="irreversible", approval=Approval(when=lambda arguments: arguments.n > 5))
async def pay(n: int) -> str:
    """Pay."""
    return f"paid {n}"


WORDS = st.sampled_from(["a", "b"])
SCRIPTED = st.one_of(
    st.builds(lambda x: {"tool": "look", "arguments": {"x": x}}, WORDS),
    st.builds(lambda n: {"tool": "pay", "arguments": {"n": n}}, st.sampled_from([1, "2", 9])),
    st.sampled_from([{"tool": "no", "arguments": {}}, {"tool": "look", "arguments": {"y": 1}}]),
)
SCRIPTS = st.lists(st.builds(lambda each: {"calls": each}, st.lists(SCRIPTED, min_size=1, max_size=3)), max_size=3)


@settings(max_examples=6, deadline=None)
@given(SCRIPTS, st.sampled_from(["approved", "rejected", "edited"]), st.data())
async def test_g14_a_branch_answered_from_the_record_and_run_to_its_end_is_the_same_as_its_parent(
    tmp_path_factory: pytest.TempPathFactory, script: list[Any], verdict: str, data: st.DataObject
) -> None:
    agent = Agent("desk", model=ScriptedModel([*script, {"text": "done"}]), tools=[look, pay])
    async with Runtime(App(programs=[agent]), tmp_path_factory.mktemp("db") / "a.db") as runtime:
        parent = await decided(runtime, verdict)
        for number in range(3):
            at = data.draw(st.integers(1, parent.seq))
            await runtime.fork("p", at=at, branch=f"f{number}")
            await runtime.wait(f"f{number}", ended=True)
            branch = await told(runtime, f"f{number}")
            found = compare(parent, branch)
            assert found.same, (at, found.verdict)
            then = data.draw(st.integers(2, branch.seq))
            await runtime.fork(branch.session, at=then, branch=f"g{number}")
            await runtime.wait(f"g{number}", ended=True)
            further = await told(runtime, f"g{number}")
            assert compare(branch, further).same, (at, then)
            assert compare(parent, further).same, (at, then)


async def decided(runtime: Runtime, verdict: str) -> Trajectory:
    """The parent, run to its end, every question answered."""
    await runtime.start("desk", "go", id="p")
    while not (head := await runtime.wait("p")).ended:
        wait = next(wait for wait in head.waits if wait.kind == "approval")
        more: dict[str, Any] = {"arguments": {"n": 7}} if verdict == "edited" else {}
        await runtime.decide("p", "rejected" if verdict == "rejected" else "approved", call=wait.call, **more)
    return await told(runtime, "p")


async def told(runtime: Runtime, id: str) -> Trajectory:
    return trajectory(await runtime.recording(id))


async def test_turns_that_a_branch_has_only_as_a_summary_are_left_out(tmp_path: Path) -> None:
    compaction = Compaction(at=1, keep=1, by=lambda _: "in short")
    model = ScriptedModel([{"text": "yes"}] * 9)
    agent = Agent("desk", model=model, conversation=True, compaction=compaction)
    async with Runtime(App(programs=[agent]), tmp_path / "a.db") as runtime:
        await runtime.start("desk", "0", id="p")
        for number in range(1, 5):
            await runtime.wait("p")
            await runtime.send("p", str(number))
        head = await runtime.wait("p")
        parent = await told(runtime, "p")
        assert len(parent.turns) == 5
        for at in range(1, head.seq + 1):
            await runtime.fork("p", at=at, branch=f"f{at}")
            await runtime.wait(f"f{at}")
            branch = await told(runtime, f"f{at}")
            found = compare(parent, branch)
            assert {each.kind for pair in found.pairs for each in pair.differences} <= {"turn"}, at
            assert all(pair.a for pair in found.pairs), at
            assert found.hidden == (len(parent.turns) - len(found.pairs), 0), at
        assert found.same
        assert found.hidden[0] > 0


async def test_the_places_where_a_branch_was_changed_are_where_it_parts(tmp_path: Path) -> None:
    script = [{"calls": [{"tool": "look", "arguments": {"x": "a"}}]}, {"text": "done"}]
    agent = Agent("desk", model=ScriptedModel(script), tools=[look])
    async with Runtime(App(programs=[agent]), tmp_path / "a.db") as runtime:
        parent = await decided(runtime, "approved")
        (result,) = [each.seq async for each in runtime.events("p") if each.kind == "call_completed"]
        await runtime.fork("p", at=result, branch="f", edits={result: "another"})
        await runtime.wait("f", ended=True)
        found = compare(parent, await told(runtime, "f"))
    assert found.verdict == 'diverges at turn 1: look: "another" instead of "ra"'
    assert [pair.shared for pair in found.pairs] == [True, False]
    assert (found.a_totals.turns, found.b_totals.turns) == (1, 1)
