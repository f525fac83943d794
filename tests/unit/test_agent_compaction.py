"""Long transcripts: when they are summed up, where they are cut, and what happens when that is of no help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward import Agent, BadInput, Compaction, ScriptedModel, tool
from onward.core.model import ModelRequest
from onward.core.state import Entry
from onward.programs.compaction import ASKED, next_prompt
from tests.unit.play import OPERATOR, Play, Watching, call, shown

LONG = "x" * 3000


@tool(effect="read")
async def look(order: str) -> str:
    """Look."""
    return f"{order}: " + LONG


def entry(kind: Any, seq: int, calls: int = 0) -> Entry:
    return Entry(kind=kind, seq=seq, value=kind, calls=calls)


def transcript(shape: str) -> tuple[Entry, ...]:
    """i input · a answer · r result · n notice · s summary, one event each; digits give another seq (i5)."""
    kinds = {"i": "input", "a": "answer", "r": "result", "n": "notice", "s": "summary"}
    return tuple(entry(kinds[word[0]], int(word[1:]) if word[1:] else at) for at, word in enumerate(shape.split(), 1))


# --- cutting ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "keep", "cut"),
    [
        ("i", 1, None),
        ("i a", 1, None),
        ("i a i", 1, None),
        ("i a i a", 1, 2),
        ("i a r a r", 1, 3),
        ("i a r r a r r", 1, 4),
        ("i a r a r", 2, None),
        ("i a i i a r", 1, 2),
        ("i a n a", 1, 3),
        ("s9 a r i a", 1, 3),
        ("s9 i a", 1, None),
        ("s9 a3 r4 a5", 1, 3),
        ("s9 a3 r4", 1, None),
        ("i a r4 i3 a5 i a", 1, 5),
        ("i a r5 i4 a6", 1, None),
        ("i a i a r6 i5 a7", 1, 2),
    ],
)
def test_the_cut_stands_between_whole_turns_and_takes_more_than_a_summary(shape: str, keep: int, cut: Any) -> None:
    assert Compaction(at=1, keep=keep).cut(transcript(shape), pressed=False) == cut


def test_a_prompt_that_no_model_takes_may_keep_fewer_answers() -> None:
    entries = transcript("i a i a")
    assert Compaction(at=1, keep=2).cut(entries, pressed=False) is None
    assert Compaction(at=1, keep=2).cut(entries, pressed=True) == 2


@st.composite
def transcripts(draw: st.DrawFn) -> tuple[Entry, ...]:
    """What sessions have: inputs, answers with their results, notices; inputs that waited for results are older."""
    entries, seq = [], 0
    if draw(st.booleans()):
        entries.append(entry("summary", 1000))
    for calls, before, waited in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans()), min_size=1, max_size=7)
    ):
        entries += [entry("input", seq := seq + 1) for _ in range(before)]
        entries.append(entry("answer", seq := seq + 1, calls))
        late = [entry("input", seq := seq + 1)] if waited and calls else []
        entries += [entry("result", seq := seq + 1) for _ in range(calls)]
        entries += late
    return tuple(entries)


@given(transcripts(), st.integers(1, 4), st.booleans())
def test_whatever_was_said_both_sides_of_a_cut_are_well_formed(entries: Any, keep: int, pressed: bool) -> None:
    cut = Compaction(at=1, keep=keep).cut(entries, pressed)
    if cut is None:
        return
    old, new = entries[:cut], entries[cut:]
    shown(old)
    shown(new)
    assert any(one.kind != "summary" for one in old)
    assert sum(one.kind == "answer" for one in new) >= (1 if pressed else keep)
    up_to = max(one.seq for one in old if one.kind != "summary")
    assert [one for one in entries if one.seq > up_to and one.kind != "summary"] == list(new)


# --- in a session ----------------------------------------------------------------------------------------------


def worker(request: ModelRequest) -> Mapping[str, Any]:
    """Looks at one order after the other, and sums up what it is shown if it is asked to."""
    last = request.transcript[-1]
    if last.value == ASKED:
        seen = [one.value["orders"] if isinstance(one.value, dict) else one.value for one in request.transcript[:1]]
        return {"text": f"({len(request.transcript) - 1} entries after {str(seen[0])[:20]})"}
    asked = [one.value["calls"][0]["arguments"]["order"] for one in request.transcript if one.kind == "answer"]
    number = int(asked[-1]) + 1 if asked else 1
    if number > 6:
        return {"text": "done"}
    size = sum(len(str(one.value)) for one in request.transcript) // 3
    return {"calls": [call("look", order=str(number))], "usage": {"input_tokens": size, "output_tokens": 10}}


def desk(*, by: Any = None, at: int = 2500, keep: int = 1, model: Any = worker, **options: Any) -> Agent:
    watched = Watching(ScriptedModel(model))
    return Agent("desk", model=watched, tools=[look], compaction=Compaction(at=at, keep=keep, by=by), **options)


async def test_a_long_transcript_is_summed_up_again_and_again_by_the_agents_own_model() -> None:
    agent = desk(instructions="Be a clerk.")
    play = Play(agent)
    await play.start("Look at all orders")
    state = await play.check()
    assert state.output == "done"
    compacted = await play.bodies("transcript_compacted")
    assert len(compacted) >= 2
    assert all(body.model == "scripted" and body.usage.total == 30 for body in compacted)
    watched: Any = agent.model
    summaries = [request for request in watched.requests if request.transcript[-1].value == ASKED]
    assert all(request.tools == () and request.instructions != "Be a clerk." for request in summaries)
    assert [request.transcript[0].kind for request in summaries] == ["input"] + ["summary"] * (len(summaries) - 1)
    after = watched.requests[watched.requests.index(summaries[0]) + 1]
    assert [one.kind for one in after.transcript] == ["summary", "answer", "result"]
    assert after.tools
    assert max(sum(one.kind == "summary" for one in request.transcript) for request in watched.requests) == 1
    assert state.spent.turns == len(watched.requests)


async def test_a_summary_gives_way_to_the_next_though_it_is_younger_than_what_is_kept() -> None:
    agent = desk(keep=2)
    play = Play(agent)
    await play.start()
    state = await play.check()
    watched: Any = agent.model
    assert len(await play.bodies("transcript_compacted")) >= 2
    assert max(sum(one.kind == "summary" for one in request.transcript) for request in watched.requests) == 1
    assert [entry.kind for entry in state.transcript].count("summary") == 1


def orders_seen(entries: Sequence[Entry]) -> Any:
    summary = entries[0].value["orders"] if entries[0].kind == "summary" else []
    return {"orders": [*summary, *(one.value.partition(":")[0] for one in entries if one.kind == "result")]}


async def test_a_rule_sums_up_without_a_model() -> None:
    agent = desk(by=orders_seen)
    play = Play(agent)
    await play.start()
    state = await play.check()
    compacted = await play.bodies("transcript_compacted")
    assert state.output == "done"
    assert [body.model for body in compacted] == [None] * len(compacted)
    orders = [body.summary["orders"] for body in compacted]
    assert len(orders) >= 2
    assert all(one == [str(number) for number in range(1, len(one) + 1)] for one in orders)
    assert state.spent.turns == 7


async def test_another_model_can_sum_up() -> None:
    small = Watching(ScriptedModel(lambda request: {"text": "short"}, name="small"))
    play = Play(desk(by=small))
    await play.start()
    assert (await play.check()).output == "done"
    assert {body.model for body in await play.bodies("transcript_compacted")} == {"small"}
    assert small.requests


@pytest.mark.parametrize("by", [lambda entries: 1 / 0, lambda entries: None, lambda entries: {1, 2}, lambda: "x"])
async def test_a_rule_that_fails_breaks_no_session(by: Any) -> None:
    play = Play(desk(by=by))
    await play.start()
    assert (await play.check()).output == "done"
    assert not await play.bodies("transcript_compacted")


def small_window(tokens: int) -> Any:
    """The worker, with a window: the longer prompt is refused."""

    def model(request: ModelRequest) -> Mapping[str, Any]:
        size = sum(len(str(one.value)) for one in request.transcript) // 3
        turn = dict(worker(request))
        return turn | ({"fails": [{"code": "prompt_too_long"}] * 99} if size > tokens else {})

    return model


async def test_a_prompt_that_was_too_long_is_made_shorter_and_asked_again() -> None:
    play = Play(desk(model=small_window(3500), at=10**6, keep=3))
    await play.start()
    state = await play.check()
    assert state.output == "done"
    failed = await play.bodies("model_failed")
    assert failed
    assert all(body.left and body.error.code == "prompt_too_long" for body in failed)
    assert len(await play.bodies("transcript_compacted")) == len(failed)


async def test_where_nothing_is_left_to_sum_up_the_session_is_parked_with_the_reason() -> None:
    play = Play(desk(model=small_window(1500), at=10**6))
    await play.start("y" * 9000)
    state = await play.check()
    assert state.parked is not None
    assert state.parked.code == "prompt_too_long"
    assert "nothing is left" in state.parked.message
    await play.resume()
    assert (await play.check()).parked is not None
    await play.signal("finish", {"output": "by hand"}, OPERATOR)
    assert (await play.state()).output == "by hand"


async def test_a_model_with_a_larger_window_is_asked_where_nothing_can_be_summed_up() -> None:
    small, large = ScriptedModel(small_window(1500), name="small"), ScriptedModel([{"text": "easy"}], name="large")
    play = Play(Agent("desk", model=[small, large], compaction=Compaction(at=10**6)))
    await play.start("y" * 9000)
    assert [body.model for body in await play.bodies("model_answered")] == ["large"]


async def test_without_compaction_a_prompt_that_is_too_long_parks_with_the_models_words() -> None:
    play = Play(Agent("desk", model=ScriptedModel(small_window(1500))))
    await play.start("y" * 9000)
    state = await play.check()
    assert state.parked is not None
    assert state.parked.message == "turn 1 of scripted is prompt too long by the script"


async def test_a_rule_that_fails_where_the_prompt_is_too_long_parks() -> None:
    play = Play(desk(model=small_window(2500), at=10**6, by=lambda entries: 1 / 0))
    await play.start()
    state = await play.check()
    assert state.parked is not None
    assert (state.parked.code, "ZeroDivisionError" in state.parked.message) == ("compaction_failed", True)


async def test_a_summary_that_fails_is_tried_again_later_and_one_too_long_for_it_parks() -> None:
    def model(request: ModelRequest) -> Mapping[str, Any]:
        asked = request.transcript[-1].value == ASKED
        return {**worker(request), **({"fails": [{"code": code}] * times} if asked else {})}

    code, times = "unavailable", 2
    play = Play(desk(model=model))
    await play.start()
    assert "model" in (await play.state()).timers
    await play.pass_time(3600)
    assert (await play.check()).output == "done"
    code, times = "prompt_too_long", 99
    play = Play(desk(model=model))
    await play.start()
    parked = (await play.check()).parked
    assert parked is not None
    assert parked.code == "prompt_too_long"


async def test_an_empty_summary_is_no_summary() -> None:
    def model(request: ModelRequest) -> Mapping[str, Any]:
        return {"text": " "} if request.transcript[-1].value == ASKED else worker(request)

    play = Play(desk(model=model))
    await play.start()
    await play.pass_time(86400)
    parked = (await play.check()).parked
    assert parked is not None
    assert parked.code == "bad_answer"


@pytest.mark.parametrize("code", ["refused", "unavailable", "prompt_too_long"])
async def test_a_summary_falls_back_like_an_answer(code: str) -> None:
    def big(request: ModelRequest) -> Mapping[str, Any]:
        asked = request.transcript[-1].value == ASKED
        return {**worker(request), **({"fails": [{"code": code}]} if asked else {})}

    models = [ScriptedModel(big, name="big"), ScriptedModel(worker, name="small")]
    play = Play(Agent("desk", model=models, tools=[look], compaction=Compaction(at=2500, keep=1)))
    await play.start()
    assert (await play.check()).output == "done"
    assert {body.model for body in await play.bodies("transcript_compacted")} == {"small"}
    assert {body.model for body in await play.bodies("model_answered")} == {"big"}


def test_what_came_since_the_newest_answer_counts_by_its_bytes() -> None:
    from onward.core.state import State, changed

    state = changed(State(), transcript=transcript("i a"), context=500)
    longer = changed(state, transcript=(*state.transcript, Entry(kind="input", seq=3, value=LONG)))
    assert next_prompt(state, 300) == 500
    assert next_prompt(longer, 300) == 1500
    assert next_prompt(changed(longer, context=0), 300) > 1100


async def awaited(entries: Any) -> str:
    return ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"at": 0}, "Compaction.at: 0 is no whole number"),
        ({"at": True}, "Compaction.at: True"),
        ({"keep": 0}, "Compaction.keep: 0"),
        ({"by": 3}, "Compaction.by: 3 is no function"),
        ({"by": ""}, "Compaction.by: a rule is"),
        ({"by": awaited}, "Compaction.by: a rule is a plain function"),
    ],
)
def test_a_wrong_compaction_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Compaction(**{"at": 100, **options})


def test_an_agent_takes_a_compaction_and_nothing_else() -> None:
    with pytest.raises(BadInput, match=r"agent desk: compaction must be a Compaction"):
        Agent("desk", model="m", compaction=100)  # type: ignore[arg-type]
