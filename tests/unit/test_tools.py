"""Tools: how they are declared, and what the engine gets from them."""

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from onward.core.outcomes import Call, Done, NotDone, NotPerformed, Pending, Unknown
from onward.core.program import Performer
from onward.core.retry import Retry
from onward.errors import BadInput
from onward.programs.approvals import Approval
from onward.programs.tools import Tool, tool


class Receipt(BaseModel):
    order: str
    amount: Decimal
    key: str = ""


@tool
async def refund(order: str, amount: Decimal, *, call: Call) -> Receipt:
    """Refund an order.

    Only what was paid.
    """
    return Receipt(order=order, amount=amount, key=call.idempotency_key)


@tool(effect="read")
def find(order: str, limit: int = 3) -> list[str]:
    """Find orders."""
    return [order] * limit


def a_call(tool: Tool[..., Any], **arguments: Any) -> Call:
    return Call("s1", "3.0", tool.name, arguments, attempt=1, idempotency_key="s1/3.0")


# --- declaring -------------------------------------------------------------------------------------------------


def test_a_tool_is_what_the_engine_needs() -> None:
    performer: Performer = refund
    assert (performer.name, performer.effect, performer.timeout, performer.blocking) == (
        "refund",
        "irreversible",
        300.0,
        False,
    )
    assert performer.retry == Retry(attempts=3)
    assert find.blocking


def test_a_model_is_shown_name_docstring_and_schema() -> None:
    assert refund.spec.name == "refund"
    assert refund.spec.description == "Refund an order.\n\nOnly what was paid."
    assert set(refund.spec.parameters["properties"]) == {"order", "amount"}


def test_every_option_is_kept() -> None:
    approval = Approval(timeout="1h")

    @tool(effect="compensatable", approval=approval, timeout=timedelta(seconds=9), retry=5, name="book_it", undo=refund)
    def book(order: str) -> None:
        """Book."""

    assert (book.name, book.effect, book.timeout, book.undo) == ("book_it", "compensatable", 9.0, refund)
    assert book.approval is approval
    assert book.retry.attempts == 5


async def test_called_directly_it_is_the_plain_function() -> None:
    call = a_call(refund)
    assert (await refund("o1", Decimal(3), call=call)).amount == Decimal(3)
    assert find("o1", limit=1) == ["o1"]
    assert find.__name__ == "find"
    assert find.__doc__ == "Find orders."
    assert list(inspect.signature(find).parameters) == ["order", "limit"]


def test_a_bound_method_can_be_a_tool() -> None:
    class Shop:
        def __init__(self, name: str) -> None:
            self.name = name

        def greet(self, who: str) -> str:
            """Greet."""
            return f"{self.name} greets {who}"

    greet = tool(effect="read")(Shop("Kiosk").greet)
    assert greet.invoke(a_call(greet, who="Ada")) == "Kiosk greets Ada"


def plain(order: str) -> None:
    """Do it."""


def no_words(order: str) -> None: ...
def blank(order: str) -> None:
    """ """


def yields(order: str) -> Iterator[str]:
    """Do it."""
    yield order


def hides(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@hides
async def hidden(order: str) -> None:
    """Do it."""


@pytest.mark.parametrize(
    ("function", "options", "says"),
    [
        (no_words, {}, "tool no_words: it has no docstring"),
        (blank, {}, "tool blank: it has no docstring"),
        (yields, {}, "tool yields: it yields"),
        (hidden, {}, "tool hidden: a decorator hides that it is async"),
        (refund, {}, "tool refund: it is a tool already"),
        ("read", {}, "tool: 'read' is no Python function"),
        (Receipt, {}, "is no Python function"),
        (len, {}, "is no Python function"),
        (lambda: None, {}, "'<lambda>': a name is"),
        (plain, {"name": "2nd"}, "'2nd': a name is"),
        (plain, {"name": "a" * 65}, "a name is"),
        (
            plain,
            {"effect": "write"},
            "tool plain: effect 'write' is none of read, idempotent, compensatable, irreversible",
        ),
        (plain, {"effect": "compensatable"}, "tool plain: a compensatable effect names the tool that undoes it"),
        (plain, {"undo": refund}, "undo= is for effect='compensatable', and this one is irreversible"),
        (plain, {"effect": "compensatable", "undo": plain}, "undo must be a tool"),
        (plain, {"retry": 0}, "retry must be a Retry"),
        (plain, {"retry": True}, "retry must be a Retry"),
        (plain, {"timeout": "soon"}, "tool plain: timeout: 'soon' is not a time span"),
        (plain, {"approval": True}, "approval must be an Approval"),
        (plain, {"approval": Approval(on_timeout="approve")}, "irreversible effect is never approved by a timeout"),
    ],
)
def test_a_wrong_declaration_is_refused(function: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        tool(**options)(function) if options else tool(function)


def test_what_can_be_undone_may_be_approved_by_a_timeout() -> None:
    assert tool(effect="compensatable", undo=refund, approval=Approval(on_timeout="approve"))(plain).approval


# --- performing ------------------------------------------------------------------------------------------------


async def test_the_function_gets_typed_arguments_and_the_call_and_gives_json() -> None:
    result = await refund.invoke(a_call(refund, order="o1", amount="3.50"))
    assert result == {"order": "o1", "amount": "3.50", "key": "s1/3.0"}
    assert find.invoke(a_call(find, order="o1", limit=2)) == ["o1", "o1"]


async def test_g6_a_call_whose_arguments_no_longer_fit_was_not_performed() -> None:
    with pytest.raises(NotPerformed, match="don't fit this version of the tool: refund: amount: Field required"):
        await refund.invoke(a_call(refund, order="o1"))
    with pytest.raises(NotPerformed, match="don't fit this version"):
        find.invoke(a_call(find, order=1))


async def test_pending_passes_and_done_is_the_result() -> None:
    @tool
    def ship(order: str) -> Receipt | Pending | Done[Receipt] | NotDone | Unknown:
        """Ship."""
        answers = {"long": Pending("1h"), "done": Done(Receipt(order="o", amount=Decimal(1))), "not": NotDone()}
        return answers.get(order, Unknown("the carrier is silent"))  # type: ignore[return-value]

    assert ship.invoke(a_call(ship, order="long")) == Pending("1h")
    assert ship.invoke(a_call(ship, order="done")) == {"order": "o", "amount": "1", "key": ""}
    with pytest.raises(NotPerformed):
        ship.invoke(a_call(ship, order="not"))
    with pytest.raises(RuntimeError, match="the carrier is silent"):
        ship.invoke(a_call(ship, order="?"))


async def test_g6_an_awaitable_nobody_awaits_is_no_result() -> None:
    never = asyncio.get_running_loop().create_future()

    @tool
    def ship(order: str):  # type: ignore[no-untyped-def]
        """Ship."""
        return never

    with pytest.raises(TypeError, match="gave an awaitable"):
        ship.invoke(a_call(ship, order="o1"))


async def test_what_the_function_raises_is_raised() -> None:
    @tool
    async def ship(order: str) -> None:
        """Ship."""
        raise NotPerformed("the shop is closed")

    with pytest.raises(NotPerformed, match="the shop is closed"):
        await ship.invoke(a_call(ship, order="o1"))


# --- reconcile and poll ----------------------------------------------------------------------------------------


def answering(answer: Any, role: str = "reconcile") -> Tool[..., Any]:
    @tool
    def ship(order: str, count: int = 2) -> Receipt:
        """Ship."""
        raise AssertionError

    def function() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    getattr(ship, role)(function)
    return ship


def test_a_tool_says_whether_it_reconciles() -> None:
    assert answering(NotDone()).reconciles()
    assert not answering(NotDone(), "poll").reconciles()


async def test_a_reconcile_function_gets_the_call_and_typed_arguments() -> None:
    @tool
    async def ship(order: str, amount: Decimal) -> Receipt:
        """Ship."""
        raise AssertionError

    @ship.reconcile
    async def shipped(amount: Decimal, call: Call, client: str = "shop") -> Done[Receipt]:
        return Done(Receipt(order=client, amount=amount, key=call.id))

    answer = await ship.ask(a_call(ship, order="o1", amount="3.50"))
    assert answer == Done({"order": "shop", "amount": "3.50", "key": "3.0"})
    assert inspect.iscoroutinefunction(shipped), "the function stays what it is"


async def test_a_blocking_reconcile_function_does_not_hold_up_the_loop() -> None:
    ship, there = answering(NotDone(), "poll"), threading.Event()

    @ship.reconcile
    def shipped(order: str) -> NotDone:
        assert there.wait(5), "the loop stood still"
        return NotDone()

    async def meanwhile() -> None:
        there.set()

    answer, _ = await asyncio.gather(ship.ask(a_call(ship, order="o1")), meanwhile())
    assert answer == NotDone()


@pytest.mark.parametrize("answer", [NotDone(), Unknown("who knows")])
async def test_reconcile_answers_pass(answer: Any) -> None:
    ship = answering(answer)
    assert await ship.ask(a_call(ship, order="o1")) == answer


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "None"),
        (False, "a bool"),
        ({"a": 1}, "a dict"),
        (Pending("1h"), "a Pending"),
        (NotDone, "the class NotDone"),
    ],
)
async def test_g6_anything_else_is_no_answer(answer: Any, said: str) -> None:
    ship = answering(answer)
    told = await ship.ask(a_call(ship, order="o1"))
    assert isinstance(told, Unknown)
    assert f"reconcile answered {said};" in told.reason


async def test_g6_what_reconcile_raises_never_means_not_done() -> None:
    ship = answering(NotPerformed("the lookup was not performed"))
    with pytest.raises(NotPerformed):
        await ship.ask(a_call(ship, order="o1"))


async def test_recorded_arguments_that_no_longer_fit_leave_the_doubt() -> None:
    ship = answering(NotDone(), "poll")

    @ship.reconcile
    def shipped(order: str) -> NotDone:
        return NotDone()

    told = await ship.ask(a_call(ship, orders="o1"))
    assert isinstance(told, Unknown)
    assert "could not be asked" in told.reason


async def test_a_reconcile_function_that_wants_only_the_call_is_asked_whatever_the_arguments() -> None:
    ship = answering(NotDone())
    assert await ship.ask(replace(a_call(ship), arguments=None)) == NotDone()


async def test_without_a_function_nothing_is_known() -> None:
    assert await find.ask(a_call(find)) == Unknown("find has no reconcile function")
    assert await find.check(a_call(find)) == Unknown("find has no poll function")


@pytest.mark.parametrize("answer", [Pending("1h", poll_every="5s"), NotDone(), Unknown("?")])
async def test_poll_answers_pass(answer: Any) -> None:
    ship = answering(answer, "poll")
    assert await ship.check(a_call(ship, order="o1")) == answer


async def test_a_poll_gives_results_as_json_and_not_performed_as_not_done() -> None:
    done = answering(Done(Receipt(order="o1", amount=Decimal("3.50"))), "poll")
    assert await done.check(a_call(done, order="o1")) == Done({"order": "o1", "amount": "3.50", "key": ""})
    no = answering(NotPerformed("the carrier lost it"), "poll")
    assert await no.check(a_call(no, order="o1")) == NotDone()


async def test_a_poll_without_an_answer_raises_and_so_settles_nothing() -> None:
    ship = answering(None, "poll")
    with pytest.raises(TypeError, match="poll answered None"):
        await ship.check(a_call(ship, order="o1"))


def stray(elsewhere: str) -> None: ...
def untyped_call(call) -> None: ...  # type: ignore[no-untyped-def]
def variadic(**order: str) -> None: ...


@pytest.mark.parametrize(("function", "name"), [(stray, "elsewhere"), (untyped_call, "call"), (variadic, "order")])
@pytest.mark.parametrize("role", ["reconcile", "poll"])
def test_a_helper_takes_only_what_can_be_given(role: str, function: Callable[..., Any], name: str) -> None:
    ship = tool(name="ship")(plain)
    with pytest.raises(
        BadInput, match=rf"tool ship.{role}: parameter {name} is neither annotated Call nor .*\(order\)"
    ):
        getattr(ship, role)(function)


@pytest.mark.parametrize("role", ["reconcile", "poll"])
def test_a_helper_is_declared_once(role: str) -> None:
    ship = answering(NotDone(), role)
    with pytest.raises(BadInput, match=f"it has a {role} function already"):
        getattr(ship, role)(lambda: NotDone())
