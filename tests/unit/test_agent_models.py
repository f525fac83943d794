"""Several models for one agent: rules over the turn, fallback, and what happens when all are out of reach."""

from __future__ import annotations

from typing import Any

import pytest

from onward import Agent, App, BadInput, Compaction, Limits, Route, ScriptedModel, Turn
from onward.programs.routing import LEAVE_ON, routes_of
from tests.unit.play import Play, Watching


def model(name: str, *turns: Any) -> Watching:
    return Watching(ScriptedModel(turns or [{"text": f"{name} here"}], name=name))


def failing(name: str, code: str, times: int = 1) -> Watching:
    return model(name, {"text": f"{name} is back", "fails": [{"code": code}] * times})


async def played(*models: Any, **options: Any) -> Play:
    play = Play(Agent("desk", model=list(models), **options))
    await play.start()
    return play


# --- fallback --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "recorded"),
    [
        ("unavailable", "model_unavailable"),
        ("rate_limited", "rate_limited"),
        ("refused", "model_refused"),
        ("blocked", "model_blocked"),
        ("prompt_too_long", "prompt_too_long"),
        ("bad_answer", "bad_answer"),
    ],
)
async def test_the_next_model_is_asked_at_once_whatever_the_first_one_fails_with(code: str, recorded: str) -> None:
    play = await played(failing("big", code), model("small"))
    state = await play.check()
    (failed,), (answered,) = await play.bodies("model_failed"), await play.bodies("model_answered")
    assert (failed.model, failed.error.code, failed.left, failed.retry_at) == ("big", recorded, True, None)
    assert answered.model == "small"
    assert (state.output, state.spent.turns) == ("small here", 2)


async def test_it_goes_down_the_list_and_the_next_turn_starts_at_its_top() -> None:
    turns = [{"calls": [{"tool": "nothing"}]}, {"text": "done"}]
    one = model("one", {"text": "", "fails": [{"code": "refused"}]}, {"text": "one ends it"})
    play = await played(one, failing("two", "blocked", 2), model("three", *turns))
    assert [failed.model for failed in await play.bodies("model_failed")] == ["one", "two"]
    assert [answered.model for answered in await play.bodies("model_answered")] == ["three", "one"]
    assert (await play.check()).output == "one ends it"


async def test_g13_an_outage_of_all_parks_nobody_and_the_first_model_is_asked_again() -> None:
    big, small = failing("big", "unavailable", 5), failing("small", "unavailable", 4)
    play = await played(big, small)
    state = await play.state()
    assert (state.parked, state.trouble, state.ended) == (None, (), None)
    assert "model" in state.timers
    await play.pass_time(3600)
    names = [failed.model for failed in await play.bodies("model_failed")]
    assert names == ["big", "small", "big", "small", "big"]
    assert [failed.left for failed in await play.bodies("model_failed")] == [True, False, True, False, True]
    assert (await play.check()).output == "small is back"


async def test_the_last_model_is_not_left_and_its_refusal_parks() -> None:
    play = await played(failing("big", "blocked"), failing("small", "refused", 2))
    state = await play.check()
    assert state.parked is not None
    assert state.parked.code == "model_refused"
    await play.resume()
    assert (await play.state()).output == "big is back"


async def test_g13_a_refusal_parks_nobody_while_a_better_model_is_only_out_of_reach() -> None:
    play = await played(failing("big", "rate_limited"), failing("small", "refused", 2))
    assert (await play.state()).parked is None
    await play.pass_time(60)
    assert (await play.check()).output == "big is back"


async def test_a_code_that_a_model_is_not_left_on_waits_for_it() -> None:
    play = await played(Route(failing("big", "unavailable"), leave_on=("prompt_too_long",)), model("small"))
    assert (await play.state()).ended is None
    await play.pass_time(60)
    assert (await play.check()).output == "big is back"


async def test_an_error_of_the_models_own_can_be_named() -> None:
    def broken(request: Any) -> Any:
        raise RuntimeError("mine")

    codes = {*LEAVE_ON, "model_error"}
    play = await played(Route(ScriptedModel(broken, name="big"), leave_on=codes), model("small"))
    assert (await play.check()).output == "small here"


# --- rules -----------------------------------------------------------------------------------------------------


async def test_the_first_model_whose_rule_holds_is_asked() -> None:
    big, small = model("big", {"calls": [{"tool": "x"}]}, {"text": "b"}), model("small", {"text": "a"}, {"text": "b"})
    seen: list[Turn] = []

    def first_turn(turn: Turn) -> bool:
        seen.append(turn)
        return turn.number == 1

    await played(Route(big, when=first_turn), small)
    assert (len(big.requests), len(small.requests)) == (1, 1)
    assert {(turn.agent, turn.version, turn.tenant, turn.input) for turn in seen} == {("desk", "1", "default", "hello")}
    assert {(turn.number, turn.context) for turn in seen} == {(1, 0), (2, 30)}


def no_such_thing(turn: Turn) -> bool:
    raise KeyError(turn.labels["tier"])


async def test_a_rule_that_raises_does_not_hold() -> None:
    play = await played(Route(model("big"), when=no_such_thing), model("small"))
    assert (await play.check()).output == "small here"


async def test_a_turns_number_is_the_same_at_each_attempt() -> None:
    """Else the second attempt would take another list, and ask a model that was left."""
    big, mid, small = failing("big", "blocked"), failing("mid", "blocked", 2), model("small")
    once = [Route(big, when=lambda turn: turn.number == 1), Route(mid, when=lambda turn: turn.number == 1)]
    play = await played(*once, small)
    assert [failed.model for failed in await play.bodies("model_failed")] == ["big", "mid"]
    assert (await play.check()).output == "small here"


# --- declaring -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ([], "desk: model is an empty list"),
        ([3], "desk: model is neither a Model nor the name of one: 3"),
        (["big", None], "desk: model is neither"),
        ([Route("big", when=no_such_thing)], "the last model is asked where no rule holds"),
        (Route("big", when=no_such_thing), "the last model is asked where no rule holds"),
    ],
)
def test_wrong_models_are_refused(models: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        routes_of("desk", models)


async def awaited(turn: Turn) -> bool:
    return True


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": 3}, "Route: model is neither"),
        ({"when": "always"}, "Route.when: give a plain function"),
        ({"when": awaited}, "Route.when: give a plain function"),
        ({"leave_on": ["rate_limit"]}, "Route.leave_on: 'rate_limit' is none of bad_answer, model_blocked"),
        ({"leave_on": "late"}, "Route.leave_on: 'late' is none of"),
    ],
)
def test_a_wrong_route_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Route(**{"model": "big", **options})


def test_names_in_lists_are_resolved_and_one_model_replaces_all() -> None:
    big, small = model("big"), model("small")
    agent = Agent("desk", model=["big", Route("theirs"), small], compaction=Compaction(at=9, by="big"))
    app = App(programs=[agent]).resolved({"big": big}.get)
    resolved: Any = app.choose()
    assert [route.model for route in resolved.routes] == [big, "theirs", small]
    assert resolved.compaction.by is big
    with pytest.raises(BadInput, match="no model is called 'theirs'"):
        resolved.reachable_model()
    other: Any = app.with_model(small).choose()
    assert [route.model for route in other.routes] == [small]
    assert other.compaction.by is small
    assert other.reachable_model() is small
    assert [route.model for route in agent.routes] == ["big", "theirs", small]


def test_a_name_that_only_compaction_uses_must_be_reachable_too() -> None:
    agent = Agent("desk", model=model("big"), compaction=Compaction(at=9, by="small"))
    with pytest.raises(BadInput, match="no model is called 'small'"):
        agent.reachable_model()


async def test_g11_each_attempt_counts() -> None:
    play = Play(Agent("desk", model=[failing("big", "blocked"), model("small")]))
    await play.start(limits=Limits(turns=1))
    state = await play.check()
    assert state.parked is not None
    assert state.parked.code == "limit_reached"
