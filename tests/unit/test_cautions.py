"""What is said of a workflow's source when it is declared, each with its line, and what is not worth saying."""

import asyncio
import asyncio as aio
import contextlib
import functools
import inspect
import linecache
import os
import threading
import time
import warnings
from asyncio import to_thread as aside
from asyncio.tasks import Task
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep as rest
from typing import Any

import pytest

from onward import Context as Given
from onward.programs.cautions import WorkflowCaution, cautions

CLEANED: list[str] = []
EVERYTHING = BaseException
LOCK = threading.Lock()


class Wait:
    """An await that rests, as a workflow does."""

    def __await__(self) -> Generator[None, None, str]:
        yield
        return "done"


class Context:
    """What the workflows here are given: each of its calls rests."""

    async def step(self, *given: Any, **more: Any) -> str:
        return await Wait()

    sleep = poll = first = step


@contextmanager
def cleaning() -> Iterator[None]:
    try:
        yield
    finally:
        CLEANED.append("with")


class Cleaning:
    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *exc: object) -> None:
        CLEANED.append("async with")


# ---------------------------------------------------------------- clean-up, which is seen to run or not


async def has_finally(ctx: Context) -> None:
    try:
        await ctx.step()
    finally:
        CLEANED.append("finally")  # here


async def has_finally_around_a_handler(ctx: Context) -> None:
    try:
        raise KeyError
    except KeyError:
        await ctx.step()
    finally:
        CLEANED.append("finally")  # here


async def has_finally_around_an_async_loop(ctx: Context) -> None:
    async def pages() -> AsyncIterator[str]:
        yield await ctx.step()

    try:
        print([page async for page in pages()])
    finally:
        CLEANED.append("finally")  # here


async def has_bare_except(ctx: Context) -> None:
    try:
        await ctx.step()
    except:  # noqa: E722 here
        CLEANED.append("except")


async def has_base_exception(ctx: Context) -> None:
    try:
        await ctx.step()
    except ValueError:
        pass
    except BaseException:  # here
        CLEANED.append("except")
        raise


async def has_generator_exit_among_others(ctx: Context) -> None:
    try:
        await ctx.step()
    except (KeyError, GeneratorExit):  # here
        CLEANED.append("except")


async def has_base_exception_by_another_name(ctx: Context) -> None:
    try:
        await ctx.step()
    except EVERYTHING:  # here
        CLEANED.append("except")


async def has_with(ctx: Context) -> None:
    with cleaning():  # here
        await ctx.step()


async def has_with_among_harmless_ones(ctx: Context) -> None:
    with suppress(ValueError), cleaning():  # here
        await ctx.step()


async def has_async_with(ctx: Context) -> None:
    async with Cleaning():  # here
        await ctx.step()


async def has_it_in_a_nested_function(ctx: Context) -> None:
    async def branch() -> None:
        try:
            await ctx.step()
        finally:
            CLEANED.append("finally")  # here

    await branch()


async def has_it_in_a_condition_in_a_loop(ctx: Context) -> None:
    for number in range(3):
        if number == 1:
            try:
                await ctx.step()
            finally:
                CLEANED.append("finally")  # here


async def has_except_exception(ctx: Context) -> None:
    try:
        await ctx.step()
    except (Exception, asyncio.CancelledError):
        CLEANED.append("except")
    else:
        CLEANED.append("else")


async def has_a_handler_that_passes_it_on(ctx: Context) -> None:
    try:
        await ctx.step()
    except GeneratorExit:
        raise
    except BaseException:
        CLEANED.append("except")


async def has_a_finally_that_calls_nothing(ctx: Context) -> None:
    busy = True
    try:
        await ctx.step(busy)
    finally:
        busy = False


async def has_clean_up_before_it_waits(ctx: Context) -> None:
    try:
        int("1")
    finally:
        int("2")
    with cleaning():
        pass
    CLEANED.clear()
    await ctx.step()


async def has_a_handler_that_waits(ctx: Context) -> None:
    try:
        raise KeyError
    except BaseException:
        await ctx.step()
        CLEANED.append("except")


async def has_a_nested_function_that_waits_elsewhere(ctx: Context) -> None:
    with cleaning():

        async def branch() -> None:
            await ctx.step()

        later = lambda: ctx.step()  # noqa: E731
    CLEANED.clear()
    await asyncio.gather(branch()) if later is None else await branch()


async def has_suppress(ctx: Context) -> None:
    with contextlib.suppress(ValueError), contextlib.nullcontext():
        await ctx.step()


CLEANS = [
    has_finally,
    has_finally_around_a_handler,
    has_finally_around_an_async_loop,
    has_bare_except,
    has_base_exception,
    has_generator_exit_among_others,
    has_base_exception_by_another_name,
    has_with,
    has_with_among_harmless_ones,
    has_async_with,
    has_it_in_a_nested_function,
    has_it_in_a_condition_in_a_loop,
]
CLEANS_NOTHING = [
    has_except_exception,
    has_a_handler_that_passes_it_on,
    has_a_finally_that_calls_nothing,
    has_clean_up_before_it_waits,
    has_a_handler_that_waits,
    has_a_nested_function_that_waits_elsewhere,
    has_suppress,
]


def marked(function: Callable[..., Any]) -> list[int]:
    """The lines of the function that end with "here"."""
    first = function.__code__.co_firstlineno
    lines = list(enumerate(linecache.getlines(__file__)[first - 1 :], first))
    end = next((at for at, line in lines[1:] if line[:1].strip()), lines[-1][0] + 1)
    return [at for at, line in lines if at < end and line.rstrip().endswith("here")]


def dropped(workflow: Callable[[Context], Any]) -> list[str]:
    """What cleans up when an instance drops the workflow at its first rest."""
    CLEANED.clear()
    coroutine = workflow(Context())
    coroutine.send(None)
    coroutine.close()
    return list(CLEANED)


@pytest.mark.parametrize("workflow", CLEANS)
def test_clean_up_that_runs_when_a_workflow_is_dropped_is_said(workflow: Callable[..., Any]) -> None:
    assert dropped(workflow) != []
    said = cautions(workflow)
    assert [text.split(": ")[0] for text in said] == [f"test_cautions.py:{line}" for line in marked(workflow)]
    assert len(said) == 1
    assert "when an instance drops this waiting workflow from memory" in said[0]
    assert "every ctx call is refused" in said[0]
    assert "undo=" in said[0]


@pytest.mark.parametrize("workflow", CLEANS_NOTHING)
def test_clean_up_that_does_not_run_then_is_not(workflow: Callable[..., Any]) -> None:
    assert dropped(workflow) == []
    assert cautions(workflow) == []


def test_it_says_which_clean_up() -> None:
    heads = [cautions(workflow)[0].split(": ")[1] for workflow in (*CLEANS[:1], *CLEANS[3:6], *CLEANS[7:10])]
    assert heads == [
        "finally around an await",
        "bare except around an await",
        "except BaseException around an await",
        "except (KeyError, GeneratorExit) around an await",
        "with cleaning() around an await",
        "with cleaning() around an await",
        "async with Cleaning() around an await",
    ]


def test_what_is_given_to_it_is_not_repeated() -> None:
    async def secretive(ctx: Context, connect: Any) -> None:
        async with connect("mail", password="hunter2").session(retries=3):
            await ctx.step()

    (said,) = cautions(secretive)
    assert ": async with connect(...).session(...) around" in said


# ---------------------------------------------------------------- what asyncio has for it


async def uses_asyncio(ctx: Context, turns: asyncio.Semaphore) -> None:
    from asyncio import timeout_at

    lock = aio.Lock()
    places: asyncio.Semaphore = asyncio.Semaphore(3)
    async with asyncio.timeout(5), timeout_at(9), asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(1))
        await ctx.step()
    async with lock, places, turns:
        await ctx.step()


async def uses_locks_of_its_own(ctx: Context, turns: Any) -> None:
    lock = asyncio.Lock()
    lock = turns
    async with lock:  # here
        await ctx.step()
    async with turns:  # here
        await ctx.step()
    with LOCK:  # here
        await ctx.step()
    with suppress(BaseException):  # here
        await ctx.step()


async def shadows_asyncio(ctx: Context, asyncio: Any) -> None:
    async with asyncio.timeout(5):  # here
        await ctx.step()


def test_what_asyncio_offers_is_harmless() -> None:
    assert cautions(uses_asyncio) == []


@pytest.mark.parametrize("workflow", [uses_locks_of_its_own, shadows_asyncio])
def test_what_only_looks_like_it_is_not(workflow: Callable[..., Any]) -> None:
    assert [int(text.split(":")[1]) for text in cautions(workflow)] == marked(workflow)


# ---------------------------------------------------------------- calls that are wrong


async def calls_wrongly(ctx: Context) -> None:
    time.sleep(1)  # here
    rest(1)  # here
    await asyncio.to_thread(int)  # here
    await aside(int)  # here
    await asyncio.get_running_loop().run_in_executor(None, int)  # here
    ctx.step(int)  # type: ignore[unused-coroutine] # here
    [ctx.step(n) for n in range(3)]
    if ctx:
        ctx.sleep(  # type: ignore[unused-coroutine] # here
            10,
        )


async def calls_rightly(ctx: Any, later: list[Any], time: Any) -> Any:
    await ctx.step(int)
    await asyncio.sleep(1)
    time.sleep(1)
    branch: Task[Any] = asyncio.create_task(ctx.step(int))
    later.append(ctx.sleep(3))
    ctx.log.info("once")
    ctx.patched("new-mail")
    later[0].step(3)
    await asyncio.gather(branch, *(ctx.step(one) for one in later))
    await ctx.first(later, lambda one: ctx.step(one))
    return ctx.continue_as(1)


async def performs_its_own(ctx: Context) -> None:
    def charge() -> str:
        time.sleep(1)
        with open(os.devnull) as file:  # noqa: PTH123
            return file.read()

    async def refund() -> None:
        try:
            await asyncio.to_thread(int)
        finally:
            print("refunded")

    async def check() -> None:
        with cleaning():
            await Wait()

    def helper() -> None:
        time.sleep(1)  # here

    await ctx.step(charge, undo=refund)
    await ctx.poll(check, until=helper)


@pytest.mark.parametrize("workflow", [calls_wrongly, performs_its_own])
def test_each_wrong_call_is_said_with_its_line(workflow: Callable[..., Any]) -> None:
    assert [int(text.split(":")[1]) for text in cautions(workflow)] == marked(workflow) != []


def test_each_says_what_to_write() -> None:
    said = [text.split(": ", 1)[1] for text in cautions(calls_wrongly)]
    assert (
        said[0]
        == said[1]
        == ("time.sleep() stops every session of the instance, at each replay again. Write: await ctx.sleep(...)")
    )
    assert (
        said[2]
        == said[3]
        == ("asyncio.to_thread() needs threads, and a workflow has none. Make it a step: await ctx.step(...)")
    )
    assert said[4].startswith("run_in_executor() needs threads")
    assert said[5] == "ctx.step(...) is not awaited, so it never happens. Write: await ctx.step(...)"
    assert said[6].startswith("ctx.sleep(...) is not awaited")


def test_right_calls_are_left_alone() -> None:
    assert cautions(calls_rightly) == []


# ---------------------------------------------------------------- where the source is


def test_a_workflow_declared_inside_something_is_read_with_its_own_lines() -> None:
    text = "said"

    def declared(function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    if text:

        @declared
        async def nested(given: Any) -> str:
            said = """
not indented
"""
            rest(3)
            given.step(text)
            return said

    first = nested.__code__.co_firstlineno
    assert [text.split(": ")[0] for text in cautions(nested)] == [
        f"test_cautions.py:{first + 5}",
        f"test_cautions.py:{first + 6}",
    ]


def test_a_wrapped_function_is_read_itself() -> None:
    @functools.wraps(has_finally)
    async def wrapper(*given: Any) -> None:
        await has_finally(*given)

    assert cautions(wrapper) == cautions(has_finally) != []


def test_names_that_are_not_set_yet_are_no_error() -> None:
    async def early(ctx: Context) -> None:
        async with later():  # here
            await ctx.step()

    said = cautions(early)
    later = Cleaning
    assert len(said) == 1


def test_names_that_stand_for_something_unbound_are_no_error() -> None:
    class Proxy:
        @property
        def __class__(self) -> Any:
            raise RuntimeError("outside of a request")

    proxy: Any = Proxy()

    async def proxied(ctx: Context) -> None:
        with proxy():
            await ctx.step()

    assert len(cautions(proxied)) == 1


@pytest.mark.parametrize("function", [int, functools.partial(has_finally), lambda ctx: time.sleep(ctx)])
def test_what_has_no_source_of_its_own_has_no_cautions(function: Callable[..., Any]) -> None:
    assert cautions(function) == []


def test_a_function_without_a_file_has_no_cautions() -> None:
    names: dict[str, Any] = {}
    exec("async def made(ctx):\n    import time\n    time.sleep(1)", names)
    assert cautions(names["made"]) == []


@pytest.mark.parametrize(
    "now", ["x = 1\n", "async def other(ctx):\n    import time\n    time.sleep(1)\n", "async def (("]
)
def test_a_file_that_has_changed_since_has_no_cautions(now: str, tmp_path: Path) -> None:
    file, names = tmp_path / "orders.py", dict[str, Any]()
    source = "async def made(ctx):\n    import time\n    time.sleep(1)\n"
    file.write_text(source)
    exec(compile(source, str(file), "exec"), names)
    assert [text.split(": ")[0] for text in cautions(names["made"])] == ["orders.py:3"]
    file.write_text(now)
    linecache.checkcache(str(file))
    assert cautions(names["made"]) == []


def test_they_can_be_filtered_by_their_kind() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", WorkflowCaution)
        warnings.warn("one", WorkflowCaution, stacklevel=1)
        with pytest.raises(UserWarning, match="two"):
            warnings.warn("two", UserWarning, stacklevel=1)


def test_all_that_a_context_can_be_awaited_for_is_known(tmp_path: Path) -> None:
    calls = {name: call.__annotations__["return"] for name, call in vars(Given).items() if inspect.isfunction(call)}
    calls = {name: answer for name, answer in calls.items() if not name.startswith("_")}
    source = "".join(["async def forgets(ctx):\n", *(f"    ctx.{name}()\n" for name in calls)])
    file, names = tmp_path / "forgets.py", dict[str, Any]()
    file.write_text(source)
    exec(compile(source, str(file), "exec"), names)
    said = {text.split(" ")[1] for text in cautions(names["forgets"])}
    assert said == {f"ctx.{name}(...)" for name, answer in calls.items() if answer.startswith("Wait[")}
