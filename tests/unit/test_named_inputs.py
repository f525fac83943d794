"""Inputs that a workflow waits for by their names: what is taken, and what is refused before anything is filed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from onward import Agent, Context, ScriptedModel, tool, workflow
from onward.core.ids import session_key
from onward.core.signals import Signal, filed_as
from onward.errors import BadInput, Refused
from onward.surfaces.console.chart import chart
from onward.surfaces.reports import status_text, wait_text
from onward.surfaces.timeline import Telling
from onward.surfaces.verbs import Place, verbs
from onward.testing.runner import START
from tests.unit.play import ANN, Play, call
from tests.waiting import Amount, waiting

KEY = session_key("default", "s")
FIVE = {"content": {"amount": 5}, "name": "paid"}


async def begun(*waits: tuple[str | None, Any], **options: Any) -> Play:
    one = Play(waiting(*(waits or (("paid", Amount),)), **options))
    await one.start()
    return one


@tool(effect="irreversible")
async def pay() -> str:
    """Pay."""
    raise RuntimeError("the line went dead")


async def doubting() -> Play:
    """An agent of which it is not known what it did."""
    one = Play(Agent("desk", model=ScriptedModel([{"calls": [call("pay")]}]), tools=[pay]))
    await one.start()
    return one


@workflow
async def both(ctx: Context) -> list[Any]:
    """Waits for a sum and for a text, of one name."""
    return list(await asyncio.gather(ctx.signal("paid", Amount), ctx.signal("paid", str)))


def filed_by(key: str, body: dict[str, Any]) -> Signal:
    """An input as it is filed where nobody has looked at what is waited for."""
    return Signal(filed_as(ANN, "input", key), "input", body, ANN)


async def filed(one: Play) -> int:
    return len((await one.runner.backend.store.pending(KEY)).signals)


async def test_an_input_is_taken_by_the_wait_that_asks_for_its_name() -> None:
    one = await begun(("paid", Amount), ("seen", Any))
    await one.signal("input", FIVE)
    assert [wait.note for wait in (await one.head()).waits] == ["seen"]
    await one.signal("input", {"content": None, "name": "seen"})
    assert (await one.state()).output == [{"amount": 5}, None]


async def test_an_input_that_comes_before_its_wait_is_kept_for_it() -> None:
    one = await begun(("paid", Amount), ("seen", Any))
    await one.signal("input", {"content": "early", "name": "seen"})
    assert [wait.note for wait in (await one.head()).waits] == ["paid"]
    await one.signal("input", FIVE)
    assert (await one.state()).output == [{"amount": 5}, "early"]


async def test_inputs_with_and_without_a_name_are_not_taken_for_each_other() -> None:
    one = await begun((None, Any))
    await one.signal("input", {"content": 1, "name": "paid"})
    assert (await one.state()).ended is None
    await one.send(2)
    assert (await one.state()).output == [2]


@pytest.mark.parametrize(
    ("content", "field"), [({"amount": "five"}, "content.amount"), ("five", "content"), ({}, "content")]
)
async def test_g15_an_input_of_another_form_than_is_waited_for_names_the_field_and_is_not_filed(
    content: Any, field: str
) -> None:
    one = await begun()
    before = await one.kinds()
    with pytest.raises(BadInput, match=f"^{field}: ") as no:
        await one.signal("input", {"content": content, "name": "paid"}, settle=False)
    assert "five" not in str(no.value)
    assert await filed(one) == 0
    assert await one.kinds() == before


@pytest.mark.parametrize("name", ["", "x" * 257, 5])
async def test_g15_a_name_that_is_none_is_refused(name: Any) -> None:
    one = await begun()
    with pytest.raises(BadInput, match=r"^input\.name: "):
        await one.signal("input", {"content": 1, "name": name}, settle=False)


async def test_an_agent_takes_no_names_and_nothing_is_filed() -> None:
    one = await doubting()
    with pytest.raises(Refused, match="takes inputs without a name") as no:
        await one.signal("input", FIVE, settle=False)
    assert no.value.code == "no_names"
    assert await filed(one) == 0


async def test_a_session_that_is_closing_takes_no_input_and_nothing_is_filed() -> None:
    one = await doubting()
    await one.signal("cancel", {})
    assert (await one.state()).closing is not None
    with pytest.raises(Refused) as no:
        await one.signal("input", FIVE, settle=False)
    assert no.value.code == "session_closing"
    assert await filed(one) == 0


async def test_inputs_that_come_close_behind_each_other_are_each_for_their_own_wait() -> None:
    """The second is not held against what the first is for, whether that is taken up already or not."""
    one = await begun(("paid", Amount), ("paid", str), ("paid", Amount))
    await one.signal("input", FIVE, settle=False)
    await one.signal("input", {"content": "five", "name": "paid"}, settle=False)
    await one.signal("input", FIVE)
    assert (await one.state()).output == [{"amount": 5}, "five", {"amount": 5}]


async def test_of_inputs_of_one_name_those_for_waits_that_are_open_are_checked() -> None:
    together = Play(both)
    await together.start(None)
    await together.runner.parts.gateway.file(KEY, filed_by("one", FIVE))
    await together.runner.parts.gateway.file(KEY, filed_by("two", FIVE))
    await together.settle()
    assert (await together.kinds()).count("signal_refused") == 1
    await together.signal("input", {"content": "five", "name": "paid"})
    assert (await together.state()).output == [{"amount": 5}, "five"]


async def test_r16_an_input_that_was_taken_is_the_same_input_when_it_comes_again() -> None:
    """Whatever is waited for by then."""
    one = await begun(("paid", Amount), ("paid", str))
    for _ in range(2):
        await one.runner.parts.gateway.signal(KEY, "input", FIVE, ANN, "the same")
        await one.settle()
    assert (await one.kinds()).count("input_received") == 1


async def test_what_is_recorded_of_an_input_that_came_too_early_for_its_form_says_nothing_of_it() -> None:
    one = await begun(("seen", Any), ("paid", Amount))
    await one.signal("input", {"content": 1, "name": "seen"})
    await one.runner.parts.gateway.file(KEY, filed_by("k", {"content": "my secret", "name": "paid"}))
    await one.settle()
    (refused,) = await one.bodies("signal_refused")
    assert refused.error.message == "content: it is not of the form that is waited for"


# --- what is said of it ------------------------------------------------------------------------------------------


async def test_it_is_said_which_input_is_waited_for_until_when_and_how_it_is_given() -> None:
    one = await begun(timeout="1h")
    head = await one.head()
    (wait,) = head.waits
    assert status_text(head) == "waiting: input paid"
    assert wait_text(wait, START).startswith("the input paid, until ")
    assert wait_text(wait, START).endswith("(in 1 h)")
    (verb,) = verbs(head, Place("onward.db", default=True))
    assert (verb.command, verb.does) == ("onward send s --name paid --value JSON", "give it the input paid")


async def test_a_wait_for_an_input_without_a_name_is_said_as_ever() -> None:
    head = await (await begun((None, Any))).head()
    assert status_text(head) == "waiting: input"
    assert wait_text(head.waits[0], START) == "an input"
    (verb,) = verbs(head, Place("onward.db", default=True))
    assert verb.command == "onward send s --value JSON"


async def test_a_name_is_shown_in_the_log_and_nothing_that_a_terminal_would_obey() -> None:
    one = await begun()
    await one.signal("input", {"content": 5, "name": "\x1b[2Jseen"})
    (told,) = [Telling().note(event) for event in await one.events() if event.kind == "input_received"]
    assert told.text == "\\x1b[2Jseen, by ann@x"


@workflow
async def dawdling(ctx: Context) -> None:
    """Waits in all ways."""
    ctx.patched("slower")
    await ctx.sleep("1h")
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            await ctx.signal("paid")
    await ctx.input(timeout="2h")


async def test_waits_are_told_and_drawn_as_what_they_are() -> None:
    one = Play(dawdling)
    await one.start(None)
    (asleep,) = (await one.head()).waits
    assert wait_text(asleep, START).startswith("its time to pass, until ")
    await one.pass_time(3700)
    await one.send("go on")
    assert (await one.state()).ended == "completed"
    events, telling = await one.events(), Telling()
    told = [telling.note(event) for event in events]
    waits = [text.partition(" until")[0] for note in told if note.label == "wait" for text in (note.text, *note.below)]
    assert [text.rstrip(",") for text in waits][1:] == ["for the input paid", "for an input"]
    assert "does not wait for paid any more" in [note.text for note in told if note.label == "left"]
    bars = [(row.label, bar.text) for row in chart([], events) for bar in row.bars]
    assert bars == [
        ("sleep", "waits for its time: it is over"),
        ("timer", "waits for its time: it is over"),
        ("paid", "waits for the input paid: it was not wanted any more"),
        ("input", "waits for an input: it came"),
        ("input", "waited for; by ann@x"),
    ]
