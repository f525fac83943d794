"""The agents that the documentation shows are played, offline and in virtual time."""

from __future__ import annotations

import importlib.util
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from onward import File
from tests.unit.play import ANN, BEN, Play

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
LONGEST = 60


def example(name: str) -> ModuleType:
    """The example as a fresh module: what stands for the world starts empty."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where annotations are resolved
    spec.loader.exec_module(module)
    return module


async def texts(play: Play) -> list[Any]:
    return [body.answer["text"] for body in await play.bodies("model_answered") if body.answer["text"]]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short_and_has_an_application(path: Path) -> None:
    assert len(path.read_text().splitlines()) < LONGEST
    assert example(path.stem).app.names


async def test_the_support_desk_refunds_what_two_people_agreed_on() -> None:
    desk = example("support_desk")
    play = Play(app=desk.app)
    await play.start("A-17 came broken")
    (asked,) = await play.bodies("approval_requested")
    assert (asked.rule, asked.needed) == ("refunds above 50", 2)
    await play.decide("approved", ANN, arguments={"order": "A-17", "amount": "90.00"}, reason="half of it")
    assert desk.LEDGER == {}
    await play.decide("approved", BEN)
    assert list(desk.LEDGER.values()) == [Decimal("90.00")]
    assert (await play.check()).output == "Your refund for A-17 is on its way."


async def test_the_research_team_works_in_three_sessions() -> None:
    play = Play(app=example("research_team").app)
    await play.start("How do I heat my house?")
    state = await play.check()
    assert state.output == "Insulate first, then move heat with a pump."
    children = await play.bodies("child_ended")
    assert sorted(str(body.output).partition(":")[0] for body in children) == ["Heat pumps", "Insulation"]


async def test_the_companion_sleeps_reminds_and_goes_on_talking() -> None:
    module = example("reminder")
    play = Play(app=module.app)
    await play.start("hi")
    await play.send("To call Ann in two hours")
    assert module.SENT == []
    await play.pass_time(2 * 3600 + 1)
    assert module.SENT == ["Call Ann"]
    await play.send("No, thanks")
    assert (await texts(play))[-2:] == ["I have reminded you to call Ann. Anything else?", "You are welcome."]
    assert (await play.check()).ended is None


async def test_the_invoice_reader_gives_a_checked_value() -> None:
    module = example("invoices")
    play = Play(app=module.app)
    await play.start(["Read this", File.named("invoice.txt", b"Invoice 2026-17 ...")])
    state = await play.check()
    invoice = module.reader.output(state)
    assert (invoice.number, invoice.total) == ("2026-17", Decimal("180.00"))
    assert [body.model for body in await play.bodies("model_failed")] == ["quick", "quick"]
    assert len(await play.bodies("answer_refused")) == 1


async def test_the_front_desk_hands_over_and_gets_the_session_back() -> None:
    play = Play(app=example("front_desk").app)
    await play.start("What does B-3 say?")
    assert (await play.check()).program == "billing"
    await play.send("And when are you open?")
    assert (await play.check()).program == "front-desk"
    assert await texts(play) == ["Bill B-3 is 90. Anything else?", "We are open from 9 to 17."]
