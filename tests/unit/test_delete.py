"""Deleting: what has ended goes for good, whatever crashes in between; what has not ended stays."""

from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from onward import Agent, App, NotFound, Refused, ScriptedModel
from onward.core.events import Actor
from onward.core.head import Head
from onward.core.ids import session_key
from onward.engine.delete import Deleter
from onward.engine.gateway import Start
from onward.errors import Ambiguous, LeaseLost
from onward.ports import Lease, Wake
from onward.testing.faults import Killed, Plan, Process, error_after, error_before, kill_after, kill_before
from onward.testing.runner import Runner

ANN = Actor(kind="person", name="ann")
KEY = session_key("default", "s")
LONG = "tell nobody " * 20_000


@pytest.fixture
def runner() -> Runner:
    return Runner(App(programs=[Agent("desk", model=ScriptedModel([{"text": "done"}] * 9), tools=[])]))


async def begin(runner: Runner, input: Any = LONG) -> Head:
    await runner.parts.gateway.start(Start(id="s", program="desk", version="1", input=input), ANN)
    await runner.settle()
    return await read(runner)


async def read(runner: Runner) -> Head:
    head = await runner.backend.store.read(KEY)
    assert isinstance(head, Head)
    return head


def deleter(runner: Runner, backend: Any = None, owner: str = "p1:1") -> Deleter:
    backend = backend or runner.backend
    return Deleter(backend.store, backend.blobs, runner.parts.loader.cache, lambda: owner)


def blobs(runner: Runner) -> list[str]:
    return [name for key, name in runner.backend.blobs._values if key == KEY]


async def test_r22_what_has_ended_leaves_a_tombstone_and_nothing_else(runner: Runner) -> None:
    head = await begin(runner)
    assert head.status == "completed"
    assert blobs(runner)
    stone = await runner.parts.deleter.delete(KEY, "ann", "asked for it")
    assert stone == await read(runner)
    assert (stone.status, stone.seq, stone.hash, stone.spent) == ("deleted", head.seq, head.hash, head.spent)
    assert stone.error is not None
    assert stone.error.message == "deleted by ann: asked for it"
    assert list(await runner.backend.store.commits(KEY)) == blobs(runner) == []
    assert runner.parts.loader.cache.get(KEY) is None


async def test_r22_its_id_never_starts_again(runner: Runner) -> None:
    await begin(runner)
    stone = await runner.parts.deleter.delete(KEY, "ann", "")
    with pytest.raises(Refused) as refused:
        await begin(runner)
    assert refused.value.code == "deleted"
    await runner.settle()
    assert await read(runner) == stone
    assert blobs(runner) == [], "nor does the attempt leave anything"


async def test_what_has_not_ended_is_refused_with_the_way_to_end_it(runner: Runner) -> None:
    head = await begin(runner, input=None)
    assert head.status == "waiting"
    with pytest.raises(Refused, match="cancel it first") as refused:
        await runner.parts.deleter.delete(KEY, "ann", "")
    assert refused.value.code == "not_ended"
    assert await read(runner) == head


async def test_what_somebody_holds_or_owes_stays(runner: Runner) -> None:
    head = await begin(runner)
    lease = await runner.backend.store.claim(KEY, "bob:1")
    with pytest.raises(Refused) as refused:
        await runner.parts.deleter.delete(KEY, "ann", "")
    assert refused.value.code == "busy"
    await runner.backend.store.release(lease, replace(head, owed=3))
    with pytest.raises(Refused) as refused:
        await runner.parts.deleter.delete(KEY, "ann", "")
    assert refused.value.code == "owes"
    assert len(await runner.backend.store.commits(KEY)) > 0


@pytest.mark.parametrize(("moved", "code"), [({"status": "waiting"}, "not_ended"), ({"owed": 3}, "owes")])
async def test_what_was_claimed_and_may_not_be_deleted_is_let_go(
    runner: Runner, moved: dict[str, Any], code: str
) -> None:
    """It went on between the look at it and the claim."""
    store, head = runner.backend.store, await begin(runner)
    lease = await store.claim(KEY, "bob:1")
    assert isinstance(lease, Lease)
    await store.release(lease, replace(head, **moved))
    store.read = AsyncMock(side_effect=[head])
    with pytest.raises(Refused) as refused:
        await runner.parts.deleter.delete(KEY, "ann", "")
    assert refused.value.code == code
    assert isinstance(await store.claim(KEY, "bob:2"), Lease), "nobody holds it"


async def test_there_is_nothing_to_delete_where_nothing_is(runner: Runner) -> None:
    with pytest.raises(NotFound):
        await runner.parts.deleter.delete(KEY, "ann", "")


@pytest.mark.parametrize("fault", [kill_before, kill_after])
@pytest.mark.parametrize("at", range(1, 6))
async def test_r22_deleting_again_completes_what_a_crash_left_over(runner: Runner, at: int, fault: Any) -> None:
    await begin(runner)
    plan = Plan({at: fault})
    with pytest.raises(Killed):
        await deleter(runner, Process("first", plan).backend(runner.backend)).delete(KEY, "ann", "first")
    runner.clock.advance(600)
    stone = await deleter(runner, owner="p2:1").delete(KEY, "bob", "again")
    assert plan.calls == ["store.read", "store.claim", "store.delete", "store.clear", "blobs.forget"][:at]
    assert (stone.status, blobs(runner)) == ("deleted", [])
    first = at >= 4 or (at == 3 and fault is kill_after)
    assert stone.error is not None
    assert stone.error.message == ("deleted by ann: first" if first else "deleted by bob: again")


async def test_an_answer_that_was_lost_is_found_in_the_head(runner: Runner) -> None:
    await begin(runner)
    process = Process("first", Plan({3: error_after}))
    stone = await deleter(runner, process.backend(runner.backend)).delete(KEY, "ann", "")
    assert stone == await read(runner)
    assert blobs(runner) == []


async def test_where_nothing_is_known_nothing_more_is_done(runner: Runner) -> None:
    head = await begin(runner)

    async def vague(*_: Any) -> None:
        raise Ambiguous("nobody knows")

    async def lost(*_: Any) -> None:
        raise LeaseLost("taken")

    for failing, expected in ((vague, Ambiguous), (lost, Refused)):
        runner.backend.store.delete = failing
        with pytest.raises(expected):
            await deleter(runner).delete(KEY, "ann", "")
        assert await read(runner) == head
        assert blobs(runner)
        runner.clock.advance(600)


async def test_a_store_that_does_not_answer_changes_nothing(runner: Runner) -> None:
    head = await begin(runner)
    process = Process("first", Plan({2: error_before}))
    with pytest.raises(Exception, match="interrupted by the test"):
        await deleter(runner, process.backend(runner.backend)).delete(KEY, "ann", "")
    assert await read(runner) == head


async def test_a_wake_for_what_is_deleted_is_acknowledged_and_changes_nothing(runner: Runner) -> None:
    await begin(runner)
    stone = await runner.parts.deleter.delete(KEY, "ann", "")

    await runner.backend.queue.publish(Wake(KEY, look=True))
    await runner.settle()
    assert await read(runner) == stone
    assert runner.backend.queue.next_due() is None
