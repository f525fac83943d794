"""A world for one scripted session: processes that may die, people, a ledger outside, and virtual time.

Every process sees the same backend through `onward.testing.faults`. People act through the gateway of the front
process and try again, with the same key, until they get an answer. `rest` lets a worker go on until the session
rests; a worker that dies is followed by a new one, and people settle what only people can.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from onward.core.events import Actor, Limits
from onward.core.head import Head, Wait
from onward.core.ids import idempotency_key, session_key
from onward.core.lease import MARGIN, TTL
from onward.core.log import Commit
from onward.engine.deciding import Registry
from onward.engine.fork import Fork
from onward.engine.gateway import Gateway, Start
from onward.engine.load import Loader
from onward.engine.sweep import sweep
from onward.errors import Refused, Retryable
from onward.ports import Query, Wake
from onward.programs.workflow import Workflow
from onward.testing.faults import Killed, Plan, Process
from onward.testing.runner import START, AutoClock, Runner, counted_entropy
from onward.wiring import Backend, Policy, assemble
from tests.faults.places import Memory
from tests.ledger import Ledger

T = TypeVar("T")
Wrap = Callable[[Any], Any]

SESSION = "s1"
KEY = session_key("default", SESSION)
ANN = Actor(kind="person", name="ann@example.com")
BOB = Actor(kind="person", name="bob@example.com")
OPERATOR = Actor(kind="person", name="olga@example.com")
PAUSE = TTL + MARGIN + 1
TRIES = 200
DELIVERIES = 1000


class Seen:
    """A feed as subscribers see it, which also looks whether what is published is committed."""

    def __init__(self, real: Any, store: Any) -> None:
        self._real = real
        self._store = store
        self.published: dict[str, set[int]] = defaultdict(set)
        self.early: list[int] = []

    async def publish(self, head: Head, events: Any) -> None:
        there = await self._store.read(head.key)
        self.early += [event.seq for event in events if event.seq > there.seq]
        await self._real.publish(head, events)
        self.published[head.key].update(event.seq for event in events)


class _Backend:
    """A backend whose feed is watched, and whose store and messages behave as the world says."""

    def __init__(self, real: Any, world: World) -> None:
        self.blobs, self.secret, self.feed, self.switches = real.blobs, real.secret, world.feed, real.switches
        self.sweeps, self.incarnations = real.sweeps, real.incarnations
        self.store = world.store(real.store) if world.store else real.store
        self.queue = world.travel(real.queue) if world.travel else real.queue
        self.real = real

    async def close(self) -> None:
        """The world closes it."""


@dataclass(slots=True)
class Outside:
    """What tools and models reach: the ledger, and the session's log, to see whether they are asked for nothing."""

    ledger: Ledger
    run: str
    world: World
    needless: list[str] = field(default_factory=list)

    async def book(self, what: str, key: str, **details: Any) -> None:
        self.ledger.book(self.run, what, {"key": key, **details})

    def entries(self, what: str, key: str) -> list[dict[str, Any]]:
        return [entry for name, entry in self.ledger.entries(self.run) if name == what and entry["key"] == key]

    async def expect_unrecorded(self, kind: str, name: str, count: int, session: str = SESSION) -> None:
        """What is done now must not be in the log already: `count` events of this kind are known to who asks."""
        commits = await self.world.commits(session)
        recorded = [record for commit in commits for record in commit.records if record.kind == kind]
        if len(recorded) > count and not self.world.zombies:
            self.needless.append(name)

    async def expect_uncompleted(self, session: str, call: str) -> None:
        for commit in await self.world.commits(session):
            for record in commit.records:
                done = record.kind in ("call_completed", "call_refused") and f'"call":"{call}"' in (
                    record.body.text or ""
                )
                if done and not self.world.zombies:
                    self.needless.append(f"call {call}")


class Receiver:
    """Where webhooks lead: what is sent there is in the ledger, once for each time that it arrives."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, private: bool) -> int:
        said = json.loads(body)
        told = {"type": said["type"], "session": said["data"]["session"]}
        await self._world.outside.book("webhook", headers["webhook-id"], arguments=told)
        return 204


class World:
    """One run. `late` says that a dead process's messages come again only after its lease has lapsed; `clocks` gives
    each process its own clock, by its number."""

    current: World
    outside: Outside

    def __init__(  # noqa: PLR0913 - each is a choice that tests make
        self,
        programs: Registry,
        ledger: Ledger,
        run: str,
        plan: Plan | None = None,
        *,
        place: Callable[[AutoClock], Any] = Memory,
        late: bool = False,
        travel: Wrap | None = None,
        store: Wrap | None = None,
        sweeping: bool = False,
        policy: Policy | None = None,
        clocks: Callable[[AutoClock, int], Any] = lambda clock, number: clock,
    ) -> None:
        self.clock = AutoClock()
        self.clocks = clocks
        self.plan = plan or Plan()
        self.programs = programs
        self.place = place(self.clock)
        self.late = late
        self.travel = travel
        self.store = store
        self.sweeping = sweeping
        self.policy = policy or Policy()
        self.zombies = False
        self.kills = 0
        self.processes: list[Worker] = []
        self.watcher: Any = self.place.open()
        self.feed = Seen(self.watcher.feed, self.watcher.store)
        self.outside = Outside(ledger, run, self)
        self.operator_may: Callable[[World, Head], Awaitable[bool]] | None = None
        self._others = asyncio.all_tasks()
        World.current = self
        self.worker = self.process("worker")
        self.front = self.process("front")

    def process(self, role: str) -> Worker:
        """A new process."""
        worker = Worker(self, f"{role}{len(self.processes)}")
        self.processes.append(worker)
        return worker

    # --- what the world does ---------------------------------------------------------------------------------------

    async def rest(self, hours: float = 3.0) -> None:
        """Go on until the session rests, people having settled what they must."""
        for _ in range(TRIES):
            await self._go_on(hours * 3600)
            if not await self._people_help():
                return
        raise AssertionError("people help and help, and it does not rest")

    async def later(self, hours: float) -> None:
        """Let so much time pass; timers on the way fire."""
        at = self.clock.now().timestamp() + hours * 3600
        await self.rest(hours)
        self.clock.advance(max(0.0, at - self.clock.now().timestamp()))
        await self.rest()

    async def live(self, until: datetime) -> None:
        """Go on until then, people settling what they must within half an hour."""
        while True:
            await self.rest(0.5)
            due = [self.worker.backend.queue.next_due(), *(head.wake_at for head in await self.heads())]
            times = [at for at in due if at is not None and self.clock.now() < at <= until]
            if not times:
                return self.clock.advance_to(until)
            self.clock.advance_to(min(times))

    async def _go_on(self, seconds: float) -> None:
        for _ in range(TRIES):
            try:
                await self.worker.finish(seconds)
                if self.worker.stopping:
                    await self.place.leave(self.worker.backend.real)
                    self.worker = self.process("worker")
                elif not self.sweeping or not await self._sweep_on(seconds):
                    return
            except Killed:
                self.bury(self.worker)
                self.worker = self.process("worker")
            except Retryable:
                self.place.redeliver()
        raise AssertionError("processes come and go, and it does not rest")

    def bury(self, worker: Worker) -> None:
        """A process is dead: what it took comes again, at once or when its lease has lapsed."""
        self.kills += 1
        self.place.crash(worker.backend.real)
        if self.late:
            self.zombies = self.zombies or worker is not self.worker
            self.clock.advance(PAUSE)
        self.place.redeliver()

    async def _sweep_on(self, seconds: float) -> bool:
        """Nothing comes by itself: a sweep a minute, until nothing is due any more. Whether to go on."""
        self.clock.advance(60.0)
        if await sweep(self.watcher.store, self.watcher.queue, self.programs):
            return True
        times = [head.wake_at for head in await self.heads() if head.wake_at is not None]
        if not times or (min(times) - self.clock.now()).total_seconds() > seconds:
            return False
        self.clock.advance_to(min(times))
        return True

    async def sweep(self) -> int:
        """One sweep, by a process of its own, whose wakes do arrive. A sweep that fails comes again."""
        for _ in range(TRIES):
            sweeper = self.process("sweeper")
            backend = sweeper.process.backend(sweeper.backend.real)
            try:
                return await sweep(backend.store, backend.queue, self.programs)
            except (Killed, Retryable):
                self.clock.advance(60.0)
        raise AssertionError("no sweep gets through")

    # --- callbacks for faults --------------------------------------------------------------------------------------

    async def visit(self, process: Process) -> None:
        """What is under way is delivered again, to another process."""
        self.place.redeliver()
        await self.process("visitor").look()

    async def overtake(self, process: Process) -> None:
        """The process sleeps past its lease, and another goes on as far as it can."""
        self.zombies = True
        self.clock.advance(PAUSE)
        self.place.redeliver()
        await self.process("rival").look(60.0)

    async def stop(self, process: Process) -> None:
        """The process is asked to end."""
        for worker in self.processes:
            if worker.process is process:
                worker.runner.parts.performing.stop()

    # --- what people do --------------------------------------------------------------------------------------------

    async def person(self, act: Callable[[Gateway], Awaitable[T]]) -> T:
        """Somebody asks for something until there is an answer."""
        for _ in range(TRIES):
            try:
                return await act(self.front.runner.parts.gateway)
            except Killed:
                self.place.crash(self.front.backend.real)
                self.front = self.process("front")
            except Retryable:
                self.clock.advance(1.0)
        raise AssertionError("nobody answers")

    async def start(self, program: str, input: Any = "hello", version: str = "1", **options: Any) -> None:
        if getattr(self.programs.program(program, version), "on_input", "") == "deliver":
            options = {"on_input": "deliver", **options}
        start = Start(SESSION, program, version, input, **options)
        await self.person(lambda gateway: gateway.start(start, ANN))

    async def fork(self, branch: str, after: str, session: str = SESSION, **more: Any) -> None:
        """Branch a session off after its first event of this kind."""
        at = next(event.seq for event in await self.events(session) if event.kind == after)
        fork = Fork(session=session, id=branch, at=at, **more)
        await self.person(lambda gateway: self.front.runner.parts.forker.fork(fork, ANN))

    async def signal(self, kind: str, key: str, sender: Actor = ANN, session: str = SESSION, **body: Any) -> None:
        to = session_key("default", session)
        await self.person(lambda gateway: gateway.signal(to, kind, body, sender, key))

    async def send(self, content: Any) -> None:
        await self.signal("input", f"send/{content}", content=content)

    async def cancel(self) -> None:
        await self.signal("cancel", "cancel", reason="no longer needed")

    async def decide(
        self, tool: str, verdict: str, reason: str = "", by: Actor = ANN, session: str = SESSION, **more: Any
    ) -> None:
        """Decide on the open approval of this tool, as it was shown."""
        wait = await self.wait_for("approval", tool, session)
        said = {"call": wait.call, "digest": wait.digest, "verdict": verdict, "reason": reason}
        await self.signal("decision", f"{verdict}/{wait.call}", by, session, **said, **more)

    async def restored(self) -> None:
        """The database is from a backup, somebody has said so, and every process has seen it."""
        await self.watcher.incarnations.record(OPERATOR, "the disk broke", START)
        self.clock.advance(10.0)

    async def complete(self, call: str, token: str, **outcome: Any) -> None:
        """The world outside says how a call ended."""
        await self.person(lambda gateway: gateway.complete(KEY, {"call": call, **outcome}, token))

    async def erase(self, seq: int, name: str) -> None:
        """Somebody's words are to go."""
        for _ in range(TRIES):
            try:
                return await self.front.runner.parts.eraser.erase(KEY, seq, name, OPERATOR, "asked to")
            except Killed:
                self.place.crash(self.front.backend.real)
                self.front = self.process("front")
            except (Retryable, Refused):
                self.clock.advance(PAUSE)
        raise AssertionError("it can't be erased")

    async def delete(self) -> None:
        """The session is to go."""
        for _ in range(TRIES):
            try:
                await self.front.runner.parts.deleter.delete(KEY, OPERATOR.name, "asked to")
                return
            except Killed:
                self.place.crash(self.front.backend.real)
                self.front = self.process("front")
            except (Retryable, Refused):
                self.clock.advance(PAUSE)
        raise AssertionError("it can't be deleted")

    async def _people_help(self) -> bool:
        """Operators resolve doubts by what the ledger says, and resume what is parked. Whether there was anything."""
        heads = [head for head in await self.heads() if not head.ended]
        return any([await self._help(head) for head in sorted(heads, key=lambda head: head.id)])

    async def _help(self, head: Head) -> bool:
        doubts = [wait for wait in head.waits if wait.kind == "operator" and wait.call]
        if not doubts and head.status != "needs_attention":
            return False
        if self.operator_may is not None and not await self.operator_may(self, head):
            return False
        await (self._resolve(head, doubts[0]) if doubts else self._resume(head))
        return True

    async def _resolve(self, head: Head, wait: Wait) -> None:
        done = self.outside.entries(str(wait.tool), idempotency_key(head.id, str(wait.call)))
        said: dict[str, Any] = {"status": "done", "result": done[-1]["result"]} if done else {"status": "not_done"}
        await self._operate(head, "outcome", f"resolve/{wait.call}/{head.seq}", call=wait.call, **said)

    async def _resume(self, head: Head) -> None:
        await self._operate(head, "resume", f"resume/{head.seq}", limits=Limits(turns=90, calls=90).model_dump())

    async def _operate(self, head: Head, kind: str, key: str, **body: Any) -> None:
        await self.person(lambda gateway: gateway.signal(head.key, kind, body, OPERATOR, key))

    # --- what is there ---------------------------------------------------------------------------------------------

    async def head(self, session: str = SESSION) -> Head | None:
        head: Head | None = await self.watcher.store.read(session_key("default", session))
        return head

    async def heads(self) -> list[Head]:
        return list(await self.watcher.store.list(Query()))

    async def commits(self, session: str = SESSION) -> list[Commit]:
        return list(await self.watcher.store.commits(session_key("default", session)))

    async def recorded(self, kind: str) -> bool:
        """Whether an event of this kind is committed."""
        return any(record.kind == kind for commit in await self.commits() for record in commit.records)

    async def events(self, session: str = SESSION) -> list[Any]:
        return [event for commit in await self.commits(session) for event in Loader.events(commit)]

    async def wait_for(self, kind: str, tool: str = "", session: str = SESSION) -> Wait:
        """The open wait of this kind, as lists show it."""
        head = await self.head(session)
        assert head is not None
        found = [wait for wait in head.waits if wait.kind == kind and tool in ("", wait.tool)]
        assert found, f"no {kind} wait for {tool!r} in {head.status}: {head.waits}"
        return found[0]

    async def close(self) -> None:
        """End every task and process that is left."""
        for worker in self.processes:
            worker.runner.parts.performing.stop()
            worker.own.forget()
        rest = asyncio.all_tasks() - self._others
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest)
        await self.place.close()


class Own:
    """Programs as one process has them: what another keeps in its memory of a workflow's sessions, it knows nothing
    of."""

    def __init__(self, real: Registry) -> None:
        self._real = real
        self._copies: dict[int, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def replace(self, real: Registry) -> None:
        self._real = real

    def forget(self) -> None:
        """What is in its memory is gone."""
        for program in self._copies.values():
            program.drop()

    def program(self, name: str, version: str) -> Any:
        return self._own(self._real.program(name, version))

    def newest(self, name: str) -> Any:
        return self._own(self._real.newest(name))

    def _own(self, program: Any) -> Any:
        if not isinstance(program, Workflow):
            return program
        return self._copies.setdefault(id(program), program.apart(checked=program.checked))


class Worker:
    """One process of the world: its calls, and the engine that runs in it."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        clock = world.clocks(world.clock, len(world.processes))
        self.process = Process(name, world.plan)
        self.backend = _Backend(world.place.open(clock), world)
        faulty: Backend = self.process.backend(self.backend)
        self.own = Own(world.programs)
        self._programs = self.process.programs(self.own)
        post = self.process.post(Receiver(world))
        self.runner = Runner(
            self._programs, backend=faulty, clock=clock, policy=world.policy, seed=f"{name}-", post=post
        )
        owner = getattr(self.backend.real, "process", None)
        if owner is not None:
            parts = (faulty, clock, self._programs)
            own = {"process": owner, "entropy": counted_entropy(name)}
            self.runner.parts = assemble(*parts, policy=world.policy, post=post, **own)

    @property
    def stopping(self) -> bool:
        return self.runner.parts.performing.stopping

    def deploy(self, programs: Registry) -> None:
        """From now on it runs these."""
        self.own.replace(programs)

    async def finish(self, seconds: float) -> None:
        """Deliver what is due within so many seconds, until the process is asked to stop."""
        clock = self.world.clock
        end = clock.monotonic() + seconds
        for _ in range(DELIVERIES):
            if self.stopping:
                return await self.runner.parts.performing.close()
            if not await self.runner.deliver():
                due = self.backend.queue.next_due()
                if due is None or (due - clock.now()).total_seconds() > end - clock.monotonic():
                    return
                clock.advance_to(due)
        raise AssertionError(f"{DELIVERIES} wakes were delivered, and it goes on")

    async def look(self, seconds: float = 0.0) -> None:
        """Look at the session, as if a wake had come; then as `settle`."""
        await self.settle(seconds, Wake(KEY))

    async def settle(self, seconds: float = 0.0, wake: Wake | None = None) -> None:
        """Deliver what is due now, or within so many seconds; it may die of it."""
        try:
            if wake is not None:
                await self.runner.parts.engine.advance(wake)
            await self.finish(seconds)
        except Killed:
            return self.world.bury(self)
        except Retryable:
            self.world.place.redeliver()
        await self.world.place.leave(self.backend.real)
