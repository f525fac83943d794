"""A workflow's session and its questions, as pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from onward import App, Context, Retry, tool, workflow
from tests.console.house import House, house, opened
from tests.console.shop import HOSTILE
from tests.console.visitor import Element, Page

__all__ = ["house"]
PAGE = "/sessions/r-1?tenant=default"


async def begun(house: House) -> str:
    """A workflow that waits in two branches, and the path of what it asks."""
    path = await house.asking("r-1", "replacement", input="A-1042")
    await house.rests("r-1", "waiting")
    return path


def doings(page: Page) -> list[str]:
    """What it did and waits for, line by line; times left out."""
    part = page.root.one("section", data_part="doings")
    return [_untimed(line) for line in part.all("li")]


def _untimed(line: Element) -> str:
    words = [each for each in line.text.split() if each not in ("ms", "s", "so", "far")]
    return " ".join(word for word in words if not word.replace(".", "").isdigit())


async def test_what_a_workflow_does_is_shown_scope_by_scope_with_what_came_of_it(house: House) -> None:
    await begun(house)
    page = await house.visitor().get(PAGE)
    lines = doings(page)
    assert [line.split(" event")[0] for line in lines] == [
        "find_order step done",
        "reserve step done",
        "parcel",
        "print_label step done",
        "collected input waits",
        "answer",
        "approval question asked",
    ]
    assert '(order="A-1042")' in lines[0]
    assert '{"arrived": "broken", "article": "Coffee grinder", "order": "A-1042", "paid": "89.00 EUR"}' in lines[0]
    assert "waits for the input collected, until" in lines[4]
    assert "Send a new Coffee grinder at once?" in lines[6]
    assert "Look at it and decide" in lines[6]
    assert "What was said to it" in page.text
    assert "calls find_order" not in page.text


async def test_a_question_is_put_as_one_and_nothing_else_is_done_by_its_answer(house: House) -> None:
    path = await begun(house)
    page = await house.visitor().get(path)
    assert page.root.one("h1").text == "Send a new Coffee grinder at once? call 7.1"
    evidence = page.root.one("table", class_="arguments")
    assert evidence.text == 'Evidence arrived"broken" article"Coffee grinder" order"A-1042" paid"89.00 EUR"'
    for words in (
        "A workflow asks, and goes on with the answer. Nothing else is done by it.",
        "The workflow goes on with a yes; nothing else is done.",
        "The workflow goes on with a no, and is told your reason.",
        "then it goes on without an answer",
        "The workflow is given this, and neither a yes nor a no.",
    ):
        assert words in page.text
    for words in ("changes nothing", "It is performed", "Change it, and approve that", "Why it is asked"):
        assert words not in page.text


async def test_a_question_is_answered_and_its_page_says_how(house: House) -> None:
    path, me = await begun(house), house.visitor()
    page = await me.get(path)
    said = {"verdict": "responded", "result": '{"later": true}', "json": "1"}
    page = await me.follow(await me.send(page, page.form("/approvals/r-1", "responded"), **said))
    assert "Answered by grace@shop.example" in page.text
    assert page.root.one("h1").text.startswith("Send a new Coffee grinder at once?")
    await house.rests("r-1", "failed")
    (line,) = [line for line in doings(await me.get(PAGE)) if line.startswith("approval")]
    assert "answered" in line
    assert 'by grace@shop.example: {"later": true}' in line


async def test_the_inbox_shows_the_question_and_takes_an_answer(house: House) -> None:
    await begun(house)
    me = house.visitor()
    page = await me.get("/approvals?for=all")
    (card,) = page.root.all("article")
    assert card.one("h2").text.startswith("Send a new Coffee grinder at once?")
    assert "Answer something else, or pass on" in card.text
    await me.send(page, page.form("/approvals/r-1", "rejected"), verdict="rejected", reason="no more of them")
    await house.rests("r-1", "failed")
    (line,) = [line for line in doings(await me.get(PAGE)) if line.startswith("approval")]
    assert "rejected" in line
    assert "no more of them" in line


async def test_what_is_taken_back_is_marked_as_that(house: House) -> None:
    await begun(house)
    me = house.visitor()
    await house.api.ask("POST", "sessions/r-1/cancel", {"reason": "sold"})
    await house.rests("r-1", "cancelled")
    page = await me.get(PAGE)
    lines = [line.split(" event")[0] for line in doings(page)]
    assert lines[-1] == "undo of reserve undo taken back"
    assert "collected input not wanted any more" in lines
    assert "approval question not wanted any more" in lines
    assert [each["what"] for each in house.books] == ["reserve", "put back"]


async def test_what_starts_afresh_is_shown_in_parts(tmp_path: Path) -> None:
    @workflow
    async def rounds(ctx: Context, round: int = 0) -> Any:
        await ctx.step(count, round, effect="read")
        return ctx.continue_as(round + 1) if round < 2 else round

    async with opened(tmp_path, App(programs=[rounds])) as house:
        await house.api.ask("POST", "sessions", {"id": "r-1", "program": "rounds"})
        await house.rests("r-1", "completed")
        part = (await house.visitor().get(PAGE)).root.one("section", data_part="doings")
        assert [each.text.split("(")[1][0] for each in part.all("li")] == ["r"] * 3
        assert part.text.count("Afresh, in the same session") == 2
        assert len(part.all("ol")) == 3


async def count(round: int) -> int:
    return round


async def test_nothing_that_a_workflow_says_is_more_than_text(tmp_path: Path) -> None:
    @workflow
    async def hostile(ctx: Context, input: str) -> str:
        await ctx.step(echo, HOSTILE, effect="read")
        await ctx.approval(HOSTILE, evidence={HOSTILE[:60]: HOSTILE})
        return "never"

    async with opened(tmp_path, App(programs=[hostile])) as house:
        path = await house.asking("r-1", "hostile", input=HOSTILE)
        me = house.visitor()
        for page in (await me.get(PAGE), await me.get(path), await me.get("/approvals?for=all")):
            assert not [each for each in page.root.all("h1") if each.attributes.get("id") == "forged"]
            assert not page.root.all("img")
            assert "\u202e" not in page.html


async def echo(text: str) -> str:
    return text


# --- where it stands -----------------------------------------------------------------------------------------------


async def failing(attempt: int) -> None:
    raise ValueError("no")


async def test_g13_what_could_not_be_taken_back_is_passed_by_on_the_page_of_attention(tmp_path: Path) -> None:
    @tool(effect="idempotent", retry=Retry(attempts=1))
    async def give_back(round: int) -> None:
        """Give it back."""
        raise ValueError("closed")

    @workflow
    async def saga(ctx: Context) -> None:
        await ctx.step(count, 5, undo=give_back, name="room")
        await ctx.step(failing, 1, effect="read", retry=1)

    async with opened(tmp_path, App(programs=[saga])) as house:
        await house.api.ask("POST", "sessions", {"id": "r-1", "program": "saga"})
        await house.rests("r-1", "needs_attention")
        me = house.visitor()
        page = await me.get("/attention")
        card = page.root.one("article").text
        assert "what room did could not be taken back" in card
        assert "What it did is taken back once more: remove the cause first." in card
        form = page.form("/attention/r-1", "skip")
        assert "Pass by undo of room" in form.text
        await me.send(page, form, do="skip", reason="done by hand")
        await house.rests("r-1", "needs_attention")
        page = await me.get("/attention")
        await me.send(page, page.form("/attention/r-1", "retry"), do="retry")
        await house.rests("r-1", "failed")


async def test_g12_other_code_is_shown_with_where_a_branch_could_go_on(tmp_path: Path) -> None:
    def rounds(round: int) -> Any:
        @workflow(name="rounds")
        async def rounds(ctx: Context) -> Any:
            await ctx.step(count, round, effect="read")
            return await ctx.signal("go", int)

        return rounds

    async with opened(tmp_path, App(programs=[rounds(1)])) as house:
        await house.api.ask("POST", "sessions", {"id": "r-1", "program": "rounds"})
        await house.rests("r-1", "waiting")
    async with opened(tmp_path, App(programs=[rounds(2)])) as house:
        await house.api.ask("POST", "sessions/r-1/inputs", {"content": 5, "name": "go"})
        await house.rests("r-1", "needs_attention")
        page = await house.visitor().get("/attention")
        card = page.root.one("article")
        assert "It goes on once the code asks for what the log has, and is parked again until then." in card.text
        (fork,) = [each for each in card.all("a") if each.text.startswith("Fork it after event 1")]
        assert (await house.visitor().get(fork.attributes["href"])).status == 200


async def test_effects_are_named_as_the_workflow_names_them(house: House) -> None:
    await begun(house)
    page = await house.visitor().get("/effects?reads=1")
    calls = [each.text.partition(" ")[0] for each in page.root.all("td", data_name="Call")]
    assert calls == ["find_order", "reserve", "parcel/print_label"]


# --- starting it ---------------------------------------------------------------------------------------------------


class Order(BaseModel):
    article: str = Field(min_length=1)
    pieces: int = Field(ge=1)


@workflow
async def orders(ctx: Context, order: Order) -> int:
    return order.pieces


@workflow
async def greets(ctx: Context, name: str) -> str:
    return f"Hello {name}"


async def test_a_workflow_is_started_by_a_form_of_what_it_takes(tmp_path: Path) -> None:
    async with opened(tmp_path, App(programs=[orders, greets])) as house:
        me = house.visitor()
        page = await me.get("/")
        (link,) = [each for each in page.root.all("a") if each.text == "orders"]
        assert not [each for each in page.root.all("a") if each.text == "greets"]
        page = await me.get(link.attributes["href"])
        form = page.form("/sessions")
        wrong = await me.send(page, form, **{"value/input/article": "cup", "value/input/pieces": "many", "id": "o-1"})
        assert wrong.status == 400
        assert "input.pieces: write a whole number" in wrong.text
        assert wrong.fields(wrong.form("/sessions"))["value/input/article"] == "cup"
        none = await me.send(page, form, **{"value/input/article": "cup", "value/input/pieces": "0", "id": "o-1"})
        assert none.status == 400
        assert (await house.api.ask("GET", "sessions/o-1")).status == 404
        sent = await me.send(page, form, **{"value/input/article": "cup", "value/input/pieces": "2", "id": "o-1"})
        assert sent.status == 303
        await house.rests("o-1", "completed")
        assert (await house.api.ask("GET", "sessions/o-1?include=output")).doc["output"] == 2


async def test_what_is_written_is_a_text_where_one_is_taken_and_else_json(tmp_path: Path) -> None:
    async with opened(tmp_path, App(programs=[orders, greets])) as house:
        me = house.visitor()
        page = await me.get("/")
        form = page.form("/sessions")
        for id, program, said, output in (
            ("o-1", "orders", '{"article": "cup", "pieces": 3}', 3),
            ("o-2", "greets", '{"article": "cup"}', 'Hello {"article": "cup"}'),
        ):
            assert (await me.send(page, form, program=program, input=said, id=id)).status == 303
            await house.rests(id, "completed")
            assert (await house.api.ask("GET", f"sessions/{id}?include=output")).doc["output"] == output
        wrong = await me.send(page, form, program="orders", input="a cup", id="o-3")
        assert (wrong.status, "input: Input should be an object; and what is written is no JSON" in wrong.text) == (
            400,
            True,
        )
