"""The ready-made tool that waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from onward import Agent, BadInput, Pending, ScriptedModel, sleep
from tests.unit.play import Play, call


def waiting(wait: Any, **options: Any) -> Play:
    turns = [{"calls": [call("sleep", wait=wait)]}, {"text": "awake"}, {"text": "again"}]
    return Play(Agent("night", model=ScriptedModel(turns), tools=[sleep], **options))


async def results(play: Play) -> list[Any]:
    return [entry.value for entry in (await play.state()).transcript if entry.kind == "result"]


@pytest.mark.parametrize(
    ("wait", "hours"),
    [("2h", 2), ("1d12h", 36), ("2026-01-05T10:30:00+01:00", 0.5), ("2026-01-06T09:00:00Z", 24), ("365d", 8760)],
)
async def test_g10_it_waits_as_a_timer_and_goes_on_when_the_time_is_up(wait: str, hours: float) -> None:
    play = waiting(wait)
    await play.start()
    (pending,) = await play.bodies("call_pending")
    assert pending.expires_at == datetime(2026, 1, 5, 9, tzinfo=UTC) + timedelta(hours=hours)
    assert pending.ends == "done"
    await play.pass_time(hours * 3600 - 1)
    assert (await play.check()).ended is None
    await play.pass_time(2)
    assert (await play.check()).output == "awake"
    assert await results(play) == [{"waited": "to the end"}]


@pytest.mark.parametrize("on_input", ["enqueue", "interrupt"])
async def test_an_input_wakes_it(on_input: Any) -> None:
    play = waiting("30d", on_input=on_input)
    await play.start()
    await play.send("wake up")
    assert (await play.check()).output == "awake"
    assert await results(play) == [{"waited": "until an input came"}]


@pytest.mark.parametrize(
    ("wait", "says"),
    [
        ("soon", "'soon' is neither a time span nor a time; write a time span"),
        ("", "'' is neither"),
        ("-1h", "'-1h' is neither"),
        ("366d", "'366d' is more than 365 days"),
        ("2026-02-01T09:00:00", "has no time zone"),
        (3600, "valid string"),
        ("x" * 9000, "is neither"),
    ],
)
async def test_a_wait_that_makes_no_sense_is_refused_at_once(wait: Any, says: str) -> None:
    play = waiting(wait)
    await play.start()
    ((refused),) = await results(play)
    assert refused["code"] == "bad_arguments"
    assert says in refused["message"]
    assert len(refused["message"]) < 400


@pytest.mark.parametrize(
    ("wait", "says"),
    [
        ("2026-01-05T08:00:00Z", "is past: it is 2026-01-05T09:00:00+00:00 now"),
        ("2028-01-05T08:00:00Z", "is more than 366 days ahead"),
    ],
)
async def test_a_time_that_is_past_or_too_far_is_told_with_the_time_that_it_is(wait: str, says: str) -> None:
    play = waiting(wait)
    await play.start()
    ((failed),) = await results(play)
    assert failed["code"] == "not_performed"
    assert says in failed["message"]
    assert len(await play.bodies("call_failed")) == 1


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"timeout": "1h", "until": NOON, "ends": "done"},
        {"until": NOON},
        {"until": NOON.replace(tzinfo=None), "ends": "done"},
        {"timeout": "never"},
    ],
)
def test_a_wrong_pending_is_refused(options: Any) -> None:
    with pytest.raises(BadInput, match="Pending"):
        Pending(**options)
