"""What steps and sessions are said to cost (`onward.core.cost`), beside what is counted on Google's emulator."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict
from typing import Any

import pytest

from onward import Agent, App, Approval, File, Retry, ScriptedModel, tool
from onward.adapters.gcp.firestore_documents import SHARDS
from onward.core.cost import KINDS, OVERDUE_READS
from onward.core.cost_sessions import tally
from onward.core.events import Actor
from onward.core.ids import session_key
from onward.core.lease import Busy
from onward.engine.gateway import Start
from onward.ports import Query
from onward.surfaces.functions.sweeping import swept
from onward.testing.contracts.story import append_of, begin, claimed
from onward.testing.runner import AutoClock, Runner
from onward.wiring import Policy
from tests.contract.firestore import FirestoreBackend, ServerTime, a_client
from tests.contract.test_firestore_counts import Counting
from tests.counted import look, pay

PERSON = Actor(kind="person", name="ana")
DECIDED = {"verdict": "approved"}


class Billed(Counting):
    """Leaves out the switches: how often they are read depends on the time, and not on the steps."""

    async def query(self, question: Any) -> Any:
        before = self.count["reads"]
        found = await super().query(question)
        self.count["reads"] -= (self.count["reads"] - before) * question.collection.startswith("control")
        return found

    async def total(self, question: Any) -> int:
        self.count["reads"] += 1
        return await super().total(question)

    async def get(self, paths: Sequence[str], only: Sequence[str] | None = None) -> Any:
        self.count["reads"] -= sum(path.startswith("control") for path in paths)
        return await super().get(paths, only)


class World:
    """A session on the emulator, and what was asked for so far."""

    def __init__(self, host: str, agents: Sequence[Agent], policy: Policy | None = None) -> None:
        self.clock = AutoClock()
        self.client = Billed(ServerTime(a_client(host), self.clock))
        self.backend = FirestoreBackend(self.client, self.clock)
        self.asked: Counter[str] = Counter()
        for owner, name in ((self.backend.queue, "publish"), (self.backend.queue, "arm"), (self.backend.blobs, "put")):
            setattr(owner, name, self._counted(getattr(owner, name), name))
        self.runner = Runner(App(programs=agents), backend=self.backend, clock=self.clock, policy=policy)
        self.key = session_key("default", "s")

    def _counted(self, real: Callable[..., Any], name: str) -> Callable[..., Any]:
        async def call(*given: Any, **more: Any) -> Any:
            self.asked[name] += 1
            return await real(*given, **more)

        return call

    def taken(self) -> dict[str, int]:
        """What was asked for since the last time."""
        reads, writes = self.client.taken()
        asked, self.asked = self.asked, Counter()
        return {
            "reads": reads,
            "writes": writes,
            "wakes": asked["publish"],
            "timers": asked["arm"],
            "puts": asked["put"],
        }

    async def start(self, input: Any = "hi") -> None:
        await self.runner.parts.gateway.start(Start("s", "desk", "1", input=input), PERSON)

    async def tell(self, kind: str, body: dict[str, Any], key: str = "k") -> None:
        await self.runner.parts.gateway.signal(self.key, kind, body, PERSON, key)

    async def approve(self) -> None:
        head = await self.backend.store.read(self.key)
        assert head is not None
        wait = head.waits[0]
        self.client.count["reads"] -= 1
        await self.tell("decision", {"call": wait.call, "digest": wait.digest, **DECIDED}, str(wait.call))

    async def step(self) -> dict[str, int]:
        assert await self.runner.deliver()
        return self.taken()

    async def told(self, *ids: str) -> dict[str, int]:
        """What the logs of these sessions say was asked for."""
        store, found = self.backend.store, Counter[str]()
        for id in ids or ("s",):
            counted = tally(await store.commits(session_key("default", id)))
            made = asdict(counted.operations)
            found.update({name: made[name] for name in ("reads", "writes", "puts")})
            found.update({"wakes": counted.wakes, "timers": made["tasks"] // 2})
        return dict(found)


Make = Callable[..., World]


@pytest.fixture
async def world(firestore: str) -> AsyncIterator[Make]:
    made: list[World] = []

    def make(*turns: Any, policy: Policy | None = None, tools: Sequence[Any] = (), **more: Any) -> World:
        desk = Agent("desk", model=ScriptedModel([*turns]), tools=[look, pay, ask, flaky, *tools], **more)
        made.append(World(firestore, [desk, *tools], policy))
        return made[-1]

    yield make
    for one in made:
        await one.backend.close()


@tool(effect="irreversible", approval=Approval())
async def ask(number: int) -> str:
    """Ask first."""
    return "paid"


FAILS = {"left": 0}


@tool(effect="read", retry=Retry(attempts=3))
async def flaky(number: int) -> str:
    """Fail at first."""
    FAILS["left"] -= 1
    if FAILS["left"] >= 0:
        raise ConnectionError("down")
    return "up"


def call(name: str, number: int = 1, **more: Any) -> dict[str, Any]:
    return {"calls": [{"tool": name, "arguments": more or {"number": number}}]}


DONE = {"text": "done"}


def of(kind: str) -> tuple[int, int]:
    found = KINDS[kind].operations
    return found.reads, found.writes


def less(found: dict[str, int], *kinds: str) -> tuple[int, int]:
    """Reads and writes without those of these kinds of steps."""
    known = [of(kind) for kind in kinds]
    return found["reads"] - sum(reads for reads, _ in known), found["writes"] - sum(writes for _, writes in known)


async def test_the_table_has_what_steps_are_counted_to_ask_for(world: Make) -> None:
    here = world(call("look"), call("pay"), call("look"), DONE)
    await here.start()
    assert less(await here.step(), "step") == of("start")
    found = [await here.step() for _ in range(6)]
    steps = [less(one) for one in found]
    assert steps == [of("step")] * 2 + [of("irreversible")] + [of("step")] * 3
    assert [one["wakes"] for one in found] == [1] * 5 + [0]
    assert not await here.runner.deliver()


async def test_the_table_has_what_further_steps_ask_for(world: Make) -> None:
    here = world(call("look"), call("look"), DONE, policy=Policy(steps_per_wake=1000))
    await here.start()
    found = await here.step()
    assert less(found, "start", "step") == tuple(4 * count for count in of("further"))


async def test_the_table_has_what_a_signal_asks_for(world: Make) -> None:
    here = world({"text": "a"}, {"text": "b"}, conversation=True)
    await here.start()
    await here.runner.settle()
    here.taken()
    await here.tell("input", {"content": "more"})
    assert less(await here.step(), "step") == of("signal")


async def test_the_table_has_what_an_approval_asks_for(world: Make) -> None:
    here = world(call("ask"), DONE)
    await here.start()
    assert less(await here.step(), "start", "step") == (0, 0)
    await here.approve()
    decided = await here.step()
    assert less(decided, "irreversible") == of("signal")
    await here.step()
    await here.runner.finish()
    assert less(here.taken()) == of("visit")
    assert KINDS["approval"].operations.tasks == 2
    assert of("approval") == tuple(map(sum, zip(of("signal"), of("visit"), strict=True)))


async def test_the_table_has_what_a_timer_asks_for(world: Make) -> None:
    FAILS["left"] = 1
    here = world(call("flaky"), DONE)
    await here.start()
    await here.runner.settle()
    assert here.taken()["timers"] == 1
    here.clock.advance_to(here.backend.queue.next_due())
    assert less(await here.step(), "step") == of("timer")


async def test_the_table_has_what_a_child_asks_for(world: Make) -> None:
    kid = Agent("kid", model=ScriptedModel([{"text": "kid"}]), tools=[])
    here = world(call("kid", input="hi"), DONE, tools=[kid])
    await here.start()
    await here.runner.finish()
    assert less(here.taken(), "start", *["step"] * 4) == of("child")


async def test_the_table_has_what_visitors_and_the_sweep_ask_for(world: Make) -> None:
    here = world(DONE)
    store = here.backend.store
    key = await begin(store)
    lease = await claimed(store, key)
    here.taken()
    assert isinstance(await store.claim(key, "bob:1"), Busy)
    assert await store.mark(key, lease.epoch, 1)
    assert less(here.taken()) == of("busy")
    await store.append(lease, append_of(lease))
    here.taken()
    await store.overdue()
    assert here.taken()["reads"] == OVERDUE_READS == 2 * SHARDS
    await swept(here.backend, App(programs=[Agent("desk", model=ScriptedModel([]))]), here.clock.now())
    assert less(here.taken()) == of("sweep")


async def test_a_session_is_told_to_have_asked_for_what_it_did(world: Make) -> None:
    FAILS["left"] = 2
    here = world(call("look"), call("ask"), call("flaky"), call("pay"), call("ask", 2), DONE)
    await here.start()
    await here.runner.settle()
    await here.approve()
    await here.runner.finish(within=60)
    await here.approve()
    await here.runner.finish()
    found = here.taken()
    assert await here.told() == found
    assert found["wakes"] > found["timers"] > 2
    assert (await here.runner.state("s")).ended == "completed"


async def test_a_conversation_with_files_and_large_values_is_told_whole(world: Make) -> None:
    long = "long words " * 9_000
    here = world({"text": "a"}, {"text": long}, {"text": "c"}, conversation=True)
    await here.start({"file": File(data=b"x" * 5000, media_type="text/plain")})
    await here.runner.settle()
    for number in range(2):
        await here.tell("input", {"content": f"more {number}"}, f"k{number}")
        await here.runner.finish()
    found = here.taken()
    assert found["puts"] == 2
    assert await here.told() == found


async def test_a_team_is_told_in_its_own_logs(world: Make) -> None:
    kid = Agent("kid", model=ScriptedModel([{"text": "kid"}]), tools=[])
    here = world(call("kid", input="hi"), DONE, tools=[kid])
    await here.start()
    await here.runner.finish()
    found = here.taken()
    (child,) = await here.backend.store.list(Query(parent="s"))
    assert await here.told("s", child.id) == found
