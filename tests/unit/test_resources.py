"""Resources and secrets: how they are declared, made, shared, given and closed."""

import asyncio
import contextlib
import copy
import json
import logging
import pickle
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any, Protocol

import pytest

from onward import Agent, App, Call, Done, Injected, NotDone, Pending, ScriptedModel, Secret, tool
from onward.config import secret_from_env
from onward.core.given import NOTHING, Given, NotPrepared
from onward.core.outcomes import NotPerformed
from onward.core.state import State
from onward.errors import BadInput
from onward.programs.resources import Resources
from onward.programs.supply import ProcessSupply
from onward.programs.tools import Tool
from tests.unit.play import open_call


class Clock:
    """A resource without any needs."""


class Payments(Protocol):
    def pay(self, amount: int) -> str: ...


class Bank(Payments):
    def __init__(self, key: str = "", clock: Clock | None = None) -> None:
        self.key = key
        self.clock = clock

    def pay(self, amount: int) -> str:
        return f"paid {amount}"


class Postbank(Bank):
    pass


@tool
async def refund(
    order: str, *, payments: Injected[Payments], key: Annotated[Secret, "BANK_KEY"], call: Call, note: str = ""
) -> str:
    """Refund an order."""
    return f"{payments.pay(3)} for {order} by {call.idempotency_key}"


@tool(effect="read")
def look(number: int, *, clock: Injected[Clock]) -> int:
    """Look."""
    return number


def app(*tools: Tool[..., Any], resources: Any = (), secrets: Any = None) -> App:
    return App(
        programs=[Agent("desk", model=ScriptedModel([]), tools=tools)], resources=list(resources), secrets=secrets
    )


def supply(*resources: Any, secrets: Any = None) -> ProcessSupply:
    return ProcessSupply(Resources(resources), {} if secrets is None else secrets)


def needing(*kinds: Any) -> Any:
    """What a tool needs that takes these."""
    parameters = ", ".join(f"p{index}: Injected[kinds[{index}]]" for index in range(len(kinds)))
    scope: dict[str, Any] = {"Injected": Injected, "kinds": kinds}
    exec(f"def look(*, {parameters}) -> None:\n    'Look.'", scope)
    return tool(effect="read")(scope["look"]).needs()


def a_call(tool: Tool[..., Any], **arguments: Any) -> Call:
    return Call("s1", "3.0", tool.name, arguments, attempt=1, idempotency_key="s1/3.0")


# --- declaring -------------------------------------------------------------------------------------------------


def test_a_model_sees_nothing_of_them() -> None:
    assert list(refund.spec.parameters["properties"]) == ["order", "note"]
    assert refund.form.settle({"order": "o1"})[1] == {"order": "o1", "note": ""}
    for name in ("payments", "key", "call"):
        with pytest.raises(BadInput, match=f"refund: {name}: there is no such parameter"):
            refund.form.settle({"order": "o1", name: "x"})


async def test_called_directly_a_tool_is_the_plain_function() -> None:
    call = a_call(refund)
    assert await refund("o1", payments=Bank(), key=Secret("test"), call=call) == "paid 3 for o1 by s1/3.0"


def test_what_is_missing_is_refused_when_the_application_is_declared() -> None:
    with pytest.raises(
        BadInput, match=r"^tool refund: parameter payments is a Payments, and no resource gives one: add"
    ):
        app(look, refund, resources=[Clock()])
    with pytest.raises(BadInput, match=r"^tool look: parameter clock is a Clock, and no resource"):
        app(look)


def test_what_undoes_a_tool_needs_its_resources_too() -> None:
    @tool(effect="compensatable", undo=look)
    def book(number: int) -> None:
        """Book."""

    with pytest.raises(BadInput, match=r"^tool look: parameter clock is a Clock"):
        app(book)


@pytest.mark.parametrize("role", ["reconcile", "poll"])
def test_what_a_reconcile_or_poll_function_misses_is_refused_too(role: str) -> None:
    @tool
    def ship(order: str) -> None:
        """Ship."""

    @getattr(ship, role)  # type: ignore[untyped-decorator]
    def shipped(order: str, clock: Injected[Clock]) -> Any: ...

    with pytest.raises(BadInput, match=f"^tool ship.{role}: parameter clock is a Clock"):
        app(ship)
    app(ship, resources=[Clock()])


def test_two_of_a_kind_are_refused_where_one_is_needed() -> None:
    def other() -> Clock:
        return Clock()

    with pytest.raises(BadInput, match="tool look: parameter clock is a Clock, and Clock and other both give one"):
        app(look, resources=[Clock(), other])


def test_a_class_that_inherits_will_do_and_the_class_itself_is_better() -> None:
    assert Resources([Postbank()]).provider(Payments).name == "Postbank"
    assert Resources([Postbank(), Bank()]).provider(Bank).name == "Bank"
    with pytest.raises(BadInput, match="is a Payments, and Postbank and Bank both give one"):
        Resources([Postbank(), Bank()]).provider(Payments)


def gives_nothing() -> None: ...
def says_nothing(): ...  # type: ignore[no-untyped-def]
def yields_untyped() -> Clock:
    yield Clock()  # type: ignore[misc]


def takes_more(number: int) -> Clock:
    return Clock()


def takes_unknown(bank: Injected[Bank]) -> Clock:
    return Clock()


def takes_bare(key: Secret) -> Clock:
    return Clock()


def unresolved() -> "NoSuchType": ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("resource", "says"),
    [
        (Clock, "resource <class .*Clock'> is neither an instance nor a function"),
        (None, "resource None is neither"),
        ("clock", "resource 'clock' is neither"),
        (gives_nothing, "resource gives_nothing: its return annotation must say what it gives"),
        (says_nothing, "resource says_nothing: its return annotation"),
        (yields_untyped, r"resource yields_untyped: it yields, so its return annotation must be Iterator\[T\]"),
        (takes_more, r"resource takes_more: parameter number is neither Injected\[...\] nor"),
        (takes_unknown, "resource takes_unknown: parameter bank is a Bank, and no resource gives one"),
        (takes_bare, "resource takes_bare: parameter key is a Secret without a name"),
        (unresolved, "resource unresolved: an annotation can't be resolved"),
    ],
)
def test_what_is_no_resource_is_refused(resource: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Resources([resource])


def first(bank: Injected[Bank]) -> Clock:
    return Clock()


def second(clock: Injected[Clock]) -> Bank:
    return Bank()


def test_a_circle_is_refused() -> None:
    with pytest.raises(BadInput, match="resource first: it needs itself: first needs second needs first"):
        Resources([first, second])


def test_resources_are_a_list_and_secrets_a_mapping_or_a_function() -> None:
    with pytest.raises(BadInput, match="app: resources is a Bank; give a list of them"):
        App(programs=[Agent("desk", model=ScriptedModel([]))], resources=Bank())  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="app: secrets is a list; give a mapping, or a function"):
        app(secrets=["KEY"])


def positional(clock: Injected[Clock]) -> None: ...
def positional_secret(key: Annotated[Secret, "KEY"]) -> None: ...
def bare(*, key: Secret) -> None: ...
def empty(*, key: Annotated[Secret, ""]) -> None: ...


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (positional, "parameter clock is injected and must be keyword-only: put it after *"),
        (positional_secret, "parameter key takes a secret and must be keyword-only"),
        (bare, "parameter key is a Secret without a name"),
        (empty, "parameter key is a Secret without a name"),
    ],
)
def test_parameters_that_cannot_be_given_are_refused(function: Any, says: str) -> None:
    function.__doc__ = "Do it."
    with pytest.raises(BadInput, match=f"^tool {function.__name__}: {says}".replace("*", r"\*")):
        tool(function)


def test_an_optional_one_is_given_too() -> None:
    @tool(effect="read")
    def peek(*, clock: Injected[Clock] | None = None, call: Call | None = None) -> bool:
        """Peek."""
        return clock is not None

    assert peek.needs().resources == {"clock": Clock}
    assert peek() is False
    assert peek.spec.parameters["properties"] == {}


def test_a_changed_application_keeps_them() -> None:
    changed = app(look, resources=[Clock()], secrets={"A": "secret"}).with_model(ScriptedModel([]))
    assert changed._resources.providers[0].gives is Clock
    assert changed._secrets == {"A": "secret"}


# --- giving ----------------------------------------------------------------------------------------------------


async def test_tools_are_invoked_with_what_they_need() -> None:
    given = await supply(Bank(), secrets={"BANK_KEY": "sk_live_1"}).give(refund.needs())
    assert await refund.invoke(a_call(refund, order="o1"), given) == "paid 3 for o1 by s1/3.0"
    assert given.values["key"].reveal() == "sk_live_1"
    assert "sk_live_1" not in repr(given)


async def test_g6_without_them_nothing_is_performed() -> None:
    with pytest.raises(NotPrepared, match="refund was not given payments, key"):
        await refund.invoke(a_call(refund, order="o1"))
    with pytest.raises(NotPrepared, match="look was not given clock"):
        look.invoke(a_call(look, number=1))
    assert issubclass(NotPrepared, NotPerformed)


async def test_reconcile_and_poll_functions_get_them_too() -> None:
    @tool
    def ship(order: str) -> Pending:
        """Ship."""
        return Pending("1h")

    @ship.reconcile
    async def shipped(call: Call, bank: Injected[Bank], order: str) -> Done[str]:
        return Done(bank.pay(1) + order)

    @ship.poll
    def arrived(key: Annotated[Secret, "KEY"], clock: Injected[Clock] | None = None) -> NotDone:
        assert key.reveal() == "hush"
        assert clock is not None
        return NotDone()

    here = supply(Bank(), Clock(), secrets={"KEY": "hush"})
    asked = await ship.ask(a_call(ship, order="o1"), await here.give(ship.needs("reconcile")))
    assert asked == Done("paid 1o1")
    assert await ship.check(a_call(ship, order="o1"), await here.give(ship.needs("poll"))) == NotDone()
    assert not ship.needs("invoke")


async def test_faulty_programs_have_what_the_real_ones_have() -> None:
    from onward.testing.faults import Plan, Process

    here = Process("first", Plan()).programs(app(look, resources=[Clock()]))
    tool = here.program("desk", "1").performer(open_call("look"), State())  # type: ignore[union-attr]
    assert tool is not None
    given = await here.supply().give(tool.needs())  # type: ignore[attr-defined]
    assert isinstance(given.values["clock"], Clock)
    assert tool.bounds is look.bounds
    assert await asyncio.to_thread(tool.invoke, a_call(look, number=4), given) == 4


# --- making and closing ----------------------------------------------------------------------------------------


async def test_each_kind_is_made_once_with_what_it_needs_and_closed_in_reverse_order() -> None:
    story: list[str] = []

    class A: ...

    class B: ...

    class C: ...

    class D: ...

    async def a() -> AsyncIterator[A]:
        story.append("a")
        yield A()
        story.append("close a")

    def b(a: Injected[A]) -> Iterator[B]:
        assert threading.current_thread() is not threading.main_thread()
        story.append("b")
        yield B()
        story.append("close b")

    @contextlib.asynccontextmanager
    async def c(b: Injected[B], key: Annotated[Secret, "KEY"]) -> AsyncIterator[C]:
        story.append(f"c {key.reveal()}")
        yield C()
        story.append("close c")

    async def d(c: Injected[C]) -> D:
        story.append("d")
        return D()

    here = supply(d, c, b, a, Clock(), secrets={"KEY": "hush"})
    assert story == [], "nothing is made before it is used"
    one, two = await asyncio.gather(here.give(needing(D, Clock)), here.give(needing(C, D)))
    assert one.values["p0"] is two.values["p1"]
    assert story == ["a", "b", "c hush", "d"]
    assert one.words == {"hush"}, "what a resource was made with is as secret as the resource knows it"
    await here.close()
    assert story[4:] == ["close c", "close b", "close a"]
    await here.close()
    with pytest.raises(NotPrepared, match="the resource d is closed"):
        await here.give(needing(D))
    assert len(story) == 7


async def test_one_that_could_not_be_made_is_tried_again() -> None:
    tries: list[int] = []

    async def clock(key: Annotated[Secret, "KEY"]) -> Clock:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError(f"refused {key.reveal()}")
        return Clock()

    here = supply(clock, secrets={"KEY": "hush-hush"})
    for _ in range(2):
        with pytest.raises(NotPrepared) as failure:
            await here.give(needing(Clock))
        assert str(failure.value) == "the resource clock (Clock) can't be made: ConnectionError: refused ***"
        assert failure.value.__cause__ is None
        assert failure.value.__context__ is None
    assert isinstance((await here.give(needing(Clock))).values["p0"], Clock)
    await here.give(needing(Clock))
    assert len(tries) == 3


async def test_who_waits_may_be_interrupted_and_the_resource_is_made_once() -> None:
    go_on, made = asyncio.Event(), list[int]()

    async def clock() -> Clock:
        made.append(1)
        await go_on.wait()
        return Clock()

    here = supply(clock)
    gone = asyncio.create_task(here.give(needing(Clock)))
    stays = asyncio.create_task(here.give(needing(Clock)))
    await asyncio.sleep(0.01)
    gone.cancel()
    go_on.set()
    assert isinstance((await stays).values["p0"], Clock)
    assert made == [1]


async def test_one_that_is_being_made_at_the_end_is_given_up_and_closed() -> None:
    story: list[str] = []

    async def clock() -> AsyncIterator[Clock]:
        try:
            await asyncio.Event().wait()
            yield Clock()
        finally:
            story.append("let go")

    here = supply(clock)
    waiting = asyncio.create_task(here.give(needing(Clock)))
    await asyncio.sleep(0.01)
    await here.close()
    assert story == ["let go"]
    with pytest.raises(NotPrepared, match="the resource clock was not made: the process ends"):
        await waiting


async def test_one_that_cannot_be_closed_keeps_no_other_from_it(caplog: pytest.LogCaptureFixture) -> None:
    closed: list[str] = []

    async def clock() -> AsyncIterator[Clock]:
        yield Clock()
        closed.append("clock")

    def bank(clock: Injected[Clock], key: Annotated[Secret, "KEY"]) -> Iterator[Bank]:
        yield Bank(key.reveal())
        raise OSError(f"hung up on {key.reveal()}")

    here = supply(clock, bank, secrets={"KEY": "hush-hush"})
    await here.give(needing(Bank))
    with caplog.at_level(logging.WARNING):
        await here.close()
    assert closed == ["clock"]
    assert [(record.message, vars(record)["error"]) for record in caplog.records] == [
        ("resource not closed", "OSError: hung up on ***")
    ]


async def test_a_generator_yields_once() -> None:
    async def nothing() -> AsyncIterator[Clock]:
        return
        yield Clock()

    def twice() -> Iterator[Bank]:
        yield Bank()
        yield Bank()

    here = supply(nothing, twice)
    with pytest.raises(NotPrepared, match="RuntimeError: it yielded nothing"):
        await here.give(needing(Clock))
    assert isinstance((await here.give(needing(Bank))).values["p0"], Bank)
    await here.close()


def in_disguise() -> Clock:
    async def later() -> Clock:
        return Clock()

    return later()  # type: ignore[return-value]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
async def test_an_awaitable_is_no_resource() -> None:
    with pytest.raises(NotPrepared, match="it is not async and gave an awaitable"):
        await supply(in_disguise).give(needing(Clock))


# --- secrets ---------------------------------------------------------------------------------------------------


async def look_up(name: str) -> str | None:
    return {"KEY": "hush"}.get(name)


def block_up(name: str) -> str | None:
    assert threading.current_thread() is not threading.main_thread()
    return {"KEY": "hush"}.get(name)


@pytest.mark.parametrize("source", [{"KEY": "hush"}, look_up, block_up])
async def test_a_secret_is_looked_up(source: Any) -> None:
    @tool(effect="read")
    def peek(*, key: Annotated[Secret, "KEY"]) -> None:
        """Peek."""

    @tool(effect="read")
    def miss(*, key: Annotated[Secret, "LOCK"]) -> None:
        """Miss."""

    here = supply(secrets=source)
    assert (await here.give(peek.needs())).values["key"].reveal() == "hush"
    with pytest.raises(NotPrepared, match=r"secret LOCK is missing: App\(secrets=...\) has none"):
        await here.give(miss.needs())


async def test_by_default_the_environment_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANK_KEY", "from the environment")
    assert secret_from_env("BANK_KEY") == "from the environment"
    here = ProcessSupply(Resources([Bank()]))
    assert (await here.give(refund.needs())).values["key"].reveal() == "from the environment"
    monkeypatch.delenv("BANK_KEY")
    with pytest.raises(NotPrepared, match="secret BANK_KEY is missing: set the environment variable BANK_KEY"):
        await here.give(refund.needs())


def breaks(name: str) -> str:
    raise KeyError("sk_live_other")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"BANK_KEY": ""}, "secret BANK_KEY is missing"),
        ({"BANK_KEY": "abc"}, "secret BANK_KEY is no text of 4 characters or more"),
        ({"BANK_KEY": 12345}, "secret BANK_KEY is no text of 4 characters or more"),
        (breaks, "secret BANK_KEY can't be looked up: KeyError$"),
    ],
)
async def test_what_is_no_secret_is_named_and_not_told(source: Any, says: str) -> None:
    with pytest.raises(NotPrepared, match=says) as failure:
        await supply(Bank(), secrets=source).give(refund.needs())
    assert failure.value.__context__ is None


def test_a_secret_shows_its_name_and_never_itself() -> None:
    secret = Secret("sk_live_1", "KEY")
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>40}",
        repr([secret]),
        repr({"a": secret}),
    ]
    assert all("sk_live_1" not in text and "<secret KEY>" in text for text in shown)
    assert repr(Secret("x")) == "<secret>"
    assert copy.deepcopy([secret])[0] is secret is copy.copy(secret)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        vars(secret)


# --- scrubbing -------------------------------------------------------------------------------------------------

WORD = 'sk/live "1"+\n=ü'


def base64_of(text: str) -> str:
    import base64

    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "write",
    [
        str,
        repr,
        json.dumps,
        lambda word: json.dumps({"a": [word]}, ensure_ascii=False),
        lambda word: repr({"a": word.encode()}),
        lambda word: __import__("urllib.parse").parse.urlencode({"key": word}),
        lambda word: __import__("urllib.parse").parse.quote(word),
        base64_of,
        lambda word: base64_of(f"u:{word}:"),
        lambda word: base64_of(f"us:{word}"),
        lambda word: base64_of(f"use:{word}more"),
    ],
)
def test_a_secret_is_starred_out_however_it_is_written(write: Callable[[str], str]) -> None:
    text = Given(words=[WORD]).scrub(f"<{write(WORD)}>")
    assert "***" in text
    assert "live" not in text
    assert base64_of(WORD)[4:12] not in text


def test_the_longest_secret_is_starred_out_first() -> None:
    assert Given(words=["abcd", "abcdefgh"]).scrub("abcdefgh abcde") == "*** ***e"


def test_json_is_starred_out_at_every_depth() -> None:
    given = Given(words=["hush"])
    assert given.scrub_json({"a hush": ["hush", 3, None, {"b": "x hush"}]}) == {
        "a ***": ["***", 3, None, {"b": "x ***"}]
    }
    value = {"a": ["hush"]}
    assert NOTHING.scrub_json(value) is value


def test_files_are_starred_out_and_stay_files() -> None:
    from onward import File
    from onward.core.files import Stash, file_in, stash

    dirty = {"report": File(data=b"key=hush;", media_type="text/plain", name="hush.txt").model_dump(mode="json")}
    clean = Given(words=["hush"]).scrub_json(dirty)["report"]
    file = file_in(clean)
    assert file is not None
    assert (file.data, file.name) == (b"key=***;", "***.txt")
    assert stash(clean, Stash())["$file"]["size"] == 8
