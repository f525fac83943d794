"""After a restore from a backup: what waits for a look, what goes on, and what a look is worth (R22)."""

from __future__ import annotations

import itertools
from typing import Any

from onward import Agent, App, Approval, Limits, ScriptedModel, tool
from onward.adapters.local.memory import MemoryStore
from onward.core import events as ev
from onward.core.codec import PLAIN, decode, encode, format_of
from onward.core.draft import ENGINE
from onward.core.events import Event
from onward.core.head import from_json, to_json
from onward.core.ids import session_key
from onward.core.lease import Later
from onward.testing.contracts.story import START
from onward.testing.runner import Runner
from tests.unit.play import OPERATOR, Play, call

PAY = {"calls": [call("pay", amount=4)]}


class Till:
    """Tools of every class, and what they did."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def tools(self, approval: Any = None) -> list[Any]:
        @tool(effect="irreversible", approval=approval)
        async def pay(amount: int) -> str:
            """Pay."""
            return self._does("pay")

        @tool(effect="compensatable", undo=pay)
        async def book(amount: int) -> str:
            """Book."""
            return self._does("book")

        @tool(effect="idempotent")
        async def note(amount: int) -> str:
            """Note."""
            return self._does("note")

        @tool(effect="read")
        async def look(amount: int) -> str:
            """Look."""
            return self._does("look")

        return [pay, book, note, look]

    def _does(self, what: str) -> str:
        self.done.append(what)
        return what


def play(*turns: dict[str, Any], approval: Any = None) -> tuple[Play, Till]:
    till = Till()
    model = ScriptedModel([*turns, {"text": "done"}])
    return Play(Agent("desk", model=model, tools=till.tools(approval))), till


async def restore(play: Play, reason: str = "disk") -> None:
    """An operator says so, and every process has seen it."""
    await play.runner.backend.incarnations.record(OPERATOR, reason, play.runner.clock.now())
    play.runner.clock.advance(60)


async def at_the_approval() -> tuple[Play, Till]:
    """A session that waits for a person, in a database that was restored meanwhile."""
    here, till = play(PAY, approval=Approval(timeout="24h"))
    await here.start()
    await restore(here)
    return here, till


# --- what waits ------------------------------------------------------------------------------------------------------


async def test_r22_an_approved_call_of_before_the_restore_waits_for_a_look_and_is_then_performed() -> None:
    here, till = await at_the_approval()
    await here.decide("approved")
    head = await here.head()
    assert (head.status, head.error and head.error.code, head.incarnation, till.done) == (
        "needs_attention",
        "restored",
        1,
        [],
    )
    assert "call_started" not in await here.kinds()
    note = head.waits[0].note
    assert all(part in note for part in ("whether pay has happened", "olga@x", "disk", "skip it"))
    await here.resume()
    head = await here.check() and await here.head()
    assert (head.status, head.incarnation, till.done) == ("completed", 2, ["pay"])


async def test_r22_compensatable_waits_too_and_what_may_run_again_does_not() -> None:
    here, till = play({"calls": [call("look", amount=1), call("note", amount=1)]}, {"calls": [call("book", amount=1)]})
    await here.start(settle=False)
    await restore(here)
    await here.settle()
    assert (till.done, (await here.head()).status) == (["look", "note"], "needs_attention")
    await here.resume()
    assert (till.done[2:], (await here.head()).status) == (["book"], "completed")


async def test_a_session_that_starts_after_the_restore_needs_no_look() -> None:
    here, till = play(PAY)
    await restore(here)
    await here.start()
    head = await here.head()
    assert (head.status, head.incarnation, till.done) == ("completed", 2, ["pay"])


async def test_each_restore_asks_for_one_more_look() -> None:
    here, till = await at_the_approval()
    await restore(here)
    await here.decide("approved")
    await here.resume()
    assert ((await here.head()).incarnation, till.done) == (3, ["pay"])
    here, till = play(PAY, PAY)
    await here.start(settle=False)
    await restore(here)
    await here.settle()
    await restore(here, "again")
    await here.resume()
    head = await here.head()
    assert (head.status, head.incarnation, till.done, "again" in head.waits[0].note) == ("needs_attention", 2, [], True)
    await here.resume()
    assert ((await here.head()).incarnation, till.done) == (3, ["pay", "pay"])


async def test_a_retry_for_another_reason_is_no_look() -> None:
    here, till = play(PAY)
    await here.start(limits=Limits(calls=0))
    assert (await here.head()).error == ev.Failure(
        code="limit_reached", message="calls: 0 spent, 1 more needed, 0 allowed"
    )
    await restore(here)
    await here.signal("resume", {"limits": {"calls": 5}}, OPERATOR)
    head = await here.head()
    assert (head.error and head.error.code, head.incarnation, till.done) == ("restored", 1, [])


async def test_a_call_that_was_performed_before_is_skipped_with_what_it_came_to() -> None:
    here, till = await at_the_approval()
    await here.decide("approved")
    await here.signal("skip", {"call": "3.0", "result": "paid on Monday"}, OPERATOR)
    assert (await here.head()).status == "needs_attention"
    await here.resume()
    assert ((await here.head()).status, till.done) == ("completed", [])


async def test_a_call_in_doubt_is_settled_as_ever_and_performed_again_only_after_a_look() -> None:
    done: list[str] = []

    @tool(effect="irreversible")
    async def pay(amount: int) -> str:
        """Pay."""
        done.append("pay")
        if len(done) == 1:
            raise RuntimeError("the line is dead")
        return "paid"

    here = Play(Agent("desk", model=ScriptedModel([PAY, {"text": "done"}]), tools=[pay]))
    await here.start()
    await restore(here)
    assert [wait.note[:8] for wait in (await here.head()).waits] == ["in doubt"]
    await here.signal("outcome", {"call": "3.0", "status": "not_done"}, OPERATOR)
    assert ((await here.head()).status, done) == ("needs_attention", ["pay"])
    await here.resume()
    assert ((await here.head()).status, done) == ("completed", ["pay", "pay"])


async def test_a_child_of_an_older_session_is_as_old_as_it() -> None:
    """It may have been started, and have paid, after the backup was taken."""
    till = Till()
    clerk = Agent("clerk", model=ScriptedModel([PAY, {"text": "paid"}]), tools=till.tools(), description="Pays.")
    turns = [{"calls": [call("clerk", input="pay")]}, {"text": "done"}]
    boss = Agent("boss", model=ScriptedModel(turns), tools=[clerk])
    here = Play(app=App(programs=[boss, clerk]))
    here.app.choose = lambda *_: boss  # type: ignore[method-assign, assignment]
    await here.start(settle=False)
    await restore(here)
    await here.settle()
    child = (await here.head()).waits[0].session
    assert child is not None
    head = await here.head(child)
    assert (head.status, head.incarnation, till.done) == ("needs_attention", 1, [])
    await here.resume(id=child)
    assert ((await here.head()).status, till.done) == ("completed", ["pay"])


async def test_the_restores_are_read_once_in_a_while_and_by_nobody_who_only_reads() -> None:
    here, _ = play(*itertools.repeat({"calls": [call("look", amount=1)]}, 4))
    await here.start(settle=False)
    reads = counted(here)
    await here.settle()
    assert reads == []
    here, _ = play(*itertools.repeat(PAY, 4))
    reads = counted(here)
    await here.start()
    assert len(reads) == 1


def counted(play: Play) -> list[int]:
    """Notes every read of the restores by this process."""
    reads: list[int] = []
    seen = play.runner.parts.restores
    right = seen._read

    async def read() -> Any:
        reads.append(1)
        return await right()

    seen._read = read
    return reads


# --- what is stored, and who may read it -----------------------------------------------------------------------------


def written(body: Any) -> str:
    event = Event(seq=1, at=START, actor=ENGINE, body=body)
    record = encode(event, iter(["00"] * 9))
    assert decode(record) == event
    return str(record.body.text)


def test_a_log_without_a_restore_is_one_that_older_releases_read() -> None:
    parked = ev.SessionParked(error=ev.Failure(code="x", message="y"))
    assert written(parked) == '{"error":{"code":"x","message":"y"}}'
    started = ev.SessionStarted(tenant="t", session="s", program="p", version="1")
    assert "incarnation" not in written(started)
    assert format_of([Event(seq=1, at=START, actor=ENGINE, body=body) for body in (parked, started)]) == PLAIN


def test_a_log_with_one_says_so() -> None:
    parked = ev.SessionParked(error=ev.Failure(code="x", message="y"), incarnation=2)
    started = ev.SessionStarted(tenant="t", session="s", program="p", version="1", incarnation=2)
    for body in (parked, started):
        assert '"incarnation":2' in written(body)
        assert format_of([Event(seq=1, at=START, actor=ENGINE, body=body)]) == parked.later["incarnation"]


async def test_r21_an_older_release_leaves_alone_what_it_would_misread() -> None:
    here, _ = await at_the_approval()
    key = session_key("default", "s")
    assert (await here.head()).format == PLAIN
    await here.decide("approved")
    await here.start(id="new", settle=False)
    for id in ("s", "new"):
        head = await here.head(id)
        assert head.format == ev.SessionParked.later["incarnation"]
        assert from_json(to_json(head), published=head.published, wake_at=head.wake_at, fold=head.fold) == head
    store = here.runner.backend.store
    assert isinstance(store, MemoryStore)
    store._reads = PLAIN
    turned_away = await store.claim(key, "older:1", 0)
    assert isinstance(turned_away, Later)
    assert turned_away.reason == "format"


async def test_g1_what_a_restore_asks_for_is_in_the_log_and_not_in_the_process() -> None:
    here, till = await at_the_approval()
    await here.decide("approved")
    here.runner.parts = Runner(here.app, backend=here.runner.backend, clock=here.runner.clock).parts
    await here.resume()
    assert (await here.check()).incarnation == 2
    assert till.done == ["pay"]
