"""What authors of workflows get wrong: orders that change, contexts elsewhere, names and effects of another meaning."""

import asyncio
from typing import Any

import pytest

from onward import BadInput, Context, StepFailed
from onward.programs.loop import Loop
from tests.unit.flows import DONE, Flow, flow, nothing_done, once, read  # noqa: F401

# --- order -------------------------------------------------------------------------------------------------------


async def test_a_set_of_items_is_refused_as_its_order_is_another_in_each_process() -> None:
    async def body(ctx: Context) -> list[str]:
        said = []
        for many in (ctx.map, ctx.map_settled, ctx.first):
            with pytest.raises(BadInput) as caught:
                await many({"a", "b"}, lambda item: ctx.sleep("1h"))
            said.append(str(caught.value))
        return said

    state = await Flow(flow(body)).start()
    assert state.output == ["items: a set has another order in each process; give sorted(...) or a list"] * 3


def test_sets_of_tasks_have_the_order_in_which_the_tasks_were_made() -> None:
    async def nothing() -> None: ...

    def order() -> list[int]:
        loop, junk = Loop(lambda: 0.0, lambda handle: None), list[Any]()  # type: ignore[abstract]
        tasks = list[asyncio.Task[Any]]()
        for _ in range(40):
            tasks.append(loop.spawn(nothing(), _scope()))
            junk.append([object() for _ in range(len(junk) * 7 % 11)])  # so that they lie anywhere in memory
        found = [tasks.index(task) for task in set(reversed(tasks))]
        loop.pump()
        return found

    assert order() == list(range(40))


def _scope() -> Any:
    from onward.programs.loop import Scope

    return Scope()


async def test_as_completed_takes_tasks_and_no_coroutines() -> None:
    async def branch(ctx: Context, n: int) -> int:
        await ctx.sleep(60.0 * n)
        return n

    async def wrong(ctx: Context) -> None:
        for each in asyncio.as_completed([branch(ctx, 1)]):
            await each

    async def right(ctx: Context) -> list[int]:
        tasks = [asyncio.create_task(branch(ctx, n)) for n in range(1, 30)]
        return [await each for each in asyncio.as_completed(tasks)]

    state = await Flow(flow(wrong)).start()
    assert state.error is not None
    assert "as_completed: give it tasks" in state.error.message
    play = Flow(flow(right))
    await play.start()
    state = await Flow(flow(right), runner=play.runner).finish()
    assert state.output == list(range(1, 30))


# --- the context in the wrong place --------------------------------------------------------------------------------


async def test_a_step_that_uses_the_context_is_told_whose_it_is() -> None:
    async def body(ctx: Context) -> list[str]:
        async def within(what: str) -> Any:
            return await ctx.step(once, 1) if what == "step" else getattr(ctx, what)

        said = []
        for what in ("step", "random"):
            with pytest.raises(StepFailed) as caught:
                await read(ctx, within, what)
            said.append(str(caught.value))
        return said

    state = await Flow(flow(body)).start()
    assert ["only the workflow's body asks" in said for said in state.output] == [True, True]
    assert DONE == []


# --- steps -------------------------------------------------------------------------------------------------------


def made(kind: Any, default: Any) -> Any:
    async def gives(x: kind = default) -> kind:
        return x

    return gives


async def test_functions_of_the_same_code_are_read_by_their_own_types_and_defaults() -> None:
    async def body(ctx: Context) -> list[Any]:
        one = await read(ctx, made(int, 1), 5, name="one")
        two = await read(ctx, made(str, "a"), "x", name="two")
        three = await read(ctx, made(str, "b"), name="three")
        return [one, two, three, await read(ctx, made(int, 7), name="four")]

    assert (await Flow(flow(body)).start()).output == [5, "x", "b", 7]


async def test_what_may_be_interrupted_has_no_undo() -> None:
    async def undo(n: int) -> None: ...

    async def body(ctx: Context) -> None:
        await ctx.step(once, 1, effect="idempotent", undo=undo)

    state = await Flow(flow(body)).start()
    assert state.error is not None
    assert "undo= is for effect='compensatable', and this one is idempotent" in state.error.message
    assert DONE == []


@pytest.mark.parametrize("name", ["undo:once", "patch:mail"])
async def test_no_step_is_named_as_undos_and_marks_are(name: str) -> None:
    async def body(ctx: Context) -> None:
        await read(ctx, once, 1, name=name)

    state = await Flow(flow(body)).start()
    assert state.error is not None
    assert "is a patch's mark or an undo" in state.error.message
