"""Inputs that a workflow waits for by their names: what is taken, and what is refused before anything is filed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from onward import Agent, ScriptedModel, tool
from onward.core.ids import session_key
from onward.core.signals import Signal, filed_as
from onward.errors import BadInput, Refused
from onward.surfaces.reports import status_text, wait_text
from onward.surfaces.timeline import Telling
from onward.surfaces.verbs import Place, verbs
from onward.testing.runner import START
from tests.unit.play import ANN, Play, call
from tests.waiting import AMOUNT, Waiting

KEY = session_key("default", "s")
FIVE = {"content": {"amount": 5}, "name": "paid"}


async def waiting(*waits: tuple[str | None, Any], **options: Any) -> Play:
    one = Play(Waiting(*(waits or (("paid", AMOUNT),)), **options))
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


async def filed(one: Play) -> int:
    return len((await one.runner.backend.store.pending(KEY)).signals)


async def test_an_input_is_taken_by_the_wait_that_asks_for_its_name() -> None:
    one = await waiting(("paid", AMOUNT), ("seen", None))
    await one.signal("input", FIVE)
    assert [wait.note for wait in (await one.head()).waits] == ["seen"]
    await one.signal("input", {"content": None, "name": "seen"})
    assert (await one.state()).output == [{"amount": 5}, None]


async def test_an_input_that_comes_before_its_wait_is_kept_for_it() -> None:
    one = await waiting(("paid", AMOUNT), ("seen", None))
    await one.signal("input", {"content": "early", "name": "seen"})
    assert [wait.note for wait in (await one.head()).waits] == ["paid"]
    await one.signal("input", FIVE)
    assert (await one.state()).output == [{"amount": 5}, "early"]


async def test_inputs_with_and_without_a_name_are_not_taken_for_each_other() -> None:
    one = await waiting((None, None))
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
    one = await waiting()
    before = await one.kinds()
    with pytest.raises(BadInput, match=f"^{field}: ") as no:
        await one.signal("input", {"content": content, "name": "paid"}, settle=False)
    assert "five" not in str(no.value)
    assert await filed(one) == 0
    assert await one.kinds() == before


@pytest.mark.parametrize("name", ["", "x" * 257, 5])
async def test_g15_a_name_that_is_none_is_refused(name: Any) -> None:
    one = await waiting()
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


async def test_r16_an_input_that_was_taken_is_the_same_input_when_it_comes_again() -> None:
    """Whatever is waited for by then."""
    one = await waiting(("paid", AMOUNT), ("paid", {"type": "string"}))
    for _ in range(2):
        await one.runner.parts.gateway.signal(KEY, "input", FIVE, ANN, "the same")
        await one.settle()
    assert (await one.kinds()).count("input_received") == 1


async def test_what_is_recorded_of_an_input_that_came_too_early_for_its_form_says_nothing_of_it() -> None:
    one = await waiting(("seen", None), ("paid", AMOUNT))
    secret = Signal(filed_as(ANN, "input", "k"), "input", {"content": "my secret", "name": "paid"}, ANN)
    await one.signal("input", {"content": 1, "name": "seen"})
    await one.runner.parts.gateway.file(KEY, secret)
    await one.settle()
    (refused,) = await one.bodies("signal_refused")
    assert refused.error.message == "content: it is not of the form that is waited for"


# --- what is said of it ------------------------------------------------------------------------------------------


async def test_it_is_said_which_input_is_waited_for_until_when_and_how_it_is_given() -> None:
    one = await waiting(until=START + timedelta(hours=1))
    head = await one.head()
    (wait,) = head.waits
    assert status_text(head) == "waiting: input paid"
    assert wait_text(wait, START).startswith("the input paid, until ")
    assert wait_text(wait, START).endswith("(in 1 h)")
    (verb,) = verbs(head, Place("onward.db", default=True))
    assert (verb.command, verb.does) == ("onward send s --name paid --value JSON", "give it the input paid")


async def test_a_wait_for_an_input_without_a_name_is_said_as_ever() -> None:
    head = await (await waiting((None, None))).head()
    assert status_text(head) == "waiting: input"
    assert wait_text(head.waits[0], START) == "an input"
    (verb,) = verbs(head, Place("onward.db", default=True))
    assert verb.command == "onward send s --value JSON"


async def test_a_name_is_shown_in_the_log_and_nothing_that_a_terminal_would_obey() -> None:
    one = await waiting(("\x1b[2Jpaid", None))
    assert "\x1b" not in wait_text((await one.head()).waits[0], START) + status_text(await one.head())
    await one.signal("input", {"content": 5, "name": "\x1b[2Jpaid"})
    (told,) = [Telling().note(event) for event in await one.events() if event.kind == "input_received"]
    assert told.text == "\\x1b[2Jpaid, by ann@x"
