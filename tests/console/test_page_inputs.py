"""The forms by which a session is given the inputs that it waits for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onward import App
from tests.console.house import House, opened
from tests.console.visitor import Page
from tests.waiting import Amount, waiting

PAGE = "/sessions/i?tenant=default"


async def begun(house: House) -> Page:
    """A session that waits, and its page."""
    await house.api.ask("POST", "sessions", {"id": "i", "program": "waiting"})
    await house.rests("i", "waiting")
    return await house.visitor().get(PAGE)


def app(*waits: tuple[str | None, Any]) -> App:
    return App(programs=[waiting(*waits)])


async def output(house: House) -> Any:
    await house.rests("i", "completed")
    return (await house.api.ask("GET", "sessions/i?include=output")).doc["output"]


async def test_a_form_has_the_fields_of_what_is_waited_for_and_gives_it_its_name(tmp_path: Path) -> None:
    async with opened(tmp_path, app(("paid", Amount))) as house:
        page, me = await begun(house), house.visitor()
        assert "the input paid" in page.root.one("section", data_part="waits").text
        form = page.form("/sessions/i/input")
        (name,) = [name for name in page.fields(form) if name.endswith("/amount")]
        wrong = await me.send(page, form, **{name: "five"})
        assert wrong.status == 400
        assert "content.amount: write a whole number" in wrong.text
        assert wrong.fields(wrong.form("/sessions/i/input"))[name] == "five"
        assert (await me.send(page, form, **{name: "5"})).status == 303
        assert await output(house) == [{"amount": 5}]


async def test_each_input_that_is_waited_for_has_its_own_form(tmp_path: Path) -> None:
    """A text, any JSON, a number, nothing at all, and one without a name."""
    waits = [("text", str), ("any", Any), ("number", int), ("go", None)]
    async with opened(tmp_path, app(*waits, (None, Any))) as house:
        said = [{"content": "5"}, {"content": "[5]", "json": "1"}, {"number": "5"}, {}, {"content": "bye"}]
        page, me = await begun(house), house.visitor()
        for given in said:
            form = page.form("/sessions/i/input")
            (number,) = [name for name in page.fields(form) if name.endswith("/number")] or ["number"]
            sent = await me.send(page, form, **{number if name == "number" else name: v for name, v in given.items()})
            page = await me.follow(sent)
            if given != said[-1]:
                await house.rests("i", "waiting")
                page = await me.get(PAGE)
        assert await output(house) == ["5", [5], 5, None, "bye"]


async def test_a_form_means_what_it_was_drawn_for_whatever_is_waited_for_by_then(tmp_path: Path) -> None:
    """Sent twice it is one input."""
    async with opened(tmp_path, app(("paid", Amount), ("paid", str))) as house:
        page, me = await begun(house), house.visitor()
        form = page.form("/sessions/i/input")
        (name,) = [name for name in page.fields(form) if name.endswith("/amount")]
        for _ in range(2):
            assert (await me.send(page, form, **{name: "5"})).status == 303
        other = await me.send(page, form, key="another", **{name: "6"})
        assert other.status == 400
        assert "is not of type" in other.text
        assert (await house.kinds("i")).count("input_received") == 1


async def test_g15_a_form_for_what_is_no_wait_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, app((None, Any))) as house:
        page, me = await begun(house), house.visitor()
        for call in ("1.0", "2.7", "99.0", "x", "2", "2.x", "\u0662.0", f"{'9' * 5000}.0", f"2.{'9' * 5000}"):
            sent = await me.send(page, page.form("/sessions/i/input"), call=call, content="x")
            assert sent.status == 409, call
        assert "input_received" not in await house.kinds("i")


async def test_an_input_may_be_given_before_it_is_waited_for(tmp_path: Path) -> None:
    async with opened(tmp_path, app(("paid", Any), ("seen", Any))) as house:
        page, me = await begun(house), house.visitor()
        sent = await me.send(page, page.form("/sessions/i/input"), call=None, content="early", name="seen", json=None)
        assert sent.status == 303
        page = await me.get(PAGE)
        assert (await me.send(page, page.form("/sessions/i/input"), content="late", json=None)).status == 303
        assert await output(house) == ["late", "early"]
