"""The world of a played session: one process at a time, people, and virtual time, all in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from onward.adapters.local.memory import MemoryBackend
from onward.core.events import Actor, Event, Failure
from onward.core.head import Head, Status, Wait
from onward.core.ids import session_key
from onward.core.state import State
from onward.core.words import NONDETERMINISTIC
from onward.engine.gateway import Start
from onward.ports import Query
from onward.programs.app import App
from onward.programs.names import step_name
from onward.programs.noticing import noticing
from onward.testing.faults import Killed, Plan, Process
from onward.testing.plays.people import OPERATOR, People, Script
from onward.testing.plays.script import Signal
from onward.testing.plays.standins import Performed, StandIns
from onward.testing.runner import AutoClock, Runner

R = TypeVar("R")
SESSION = "played"
MOST = 100_000
"""Messages after which a play that does not come to rest is given up."""
MANY = 10_000


@dataclass(frozen=True, slots=True)
class Plot:
    """What is played: a program of an application, with an input, as a script says, for so many seconds. `before` is
    called before each play."""

    app: App
    program: Any
    input: Any
    script: Script
    steps: Mapping[Any, Any]
    within: float
    before: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Played(Generic[R]):
    """How a session came out.

    `status` is its head's: one that did not end waits for what `waits` says. `events` is its log, with every value in
    it, `state` what that amounts to; `sessions` are the states of all there are, by id, those that it started too.
    `performed` is every step, undo and tool call that was performed, in order; `elapsed` the virtual time from its
    start to its last event; `unsent` what the script had and nobody waited for.
    """

    program: Any
    status: Status
    state: State
    events: Sequence[Event]
    sessions: Mapping[str, State]
    waits: Sequence[Wait]
    performed: Sequence[Performed]
    elapsed: timedelta
    unsent: Sequence[Signal]
    value: Any

    @property
    def output(self) -> R:
        """What the session came to, typed as its program says. Raises AssertionError where it did not complete."""
        if self.status != "completed":
            raise AssertionError(f"{self.program.name} gave no output: {self.summary}")
        typed: R = self.program.typed(self.value)
        return typed

    @property
    def error(self) -> Failure | None:
        """Why it failed, was cancelled, or needs attention."""
        return self.state.parked or self.state.error

    @property
    def summary(self) -> str:
        """How it stands, in a line."""
        if self.error is not None:
            return f"it is {self.status}: {self.error.code}: {self.error.message}"
        waits = ", ".join(_told(wait) for wait in self.waits)
        return f"it is {self.status}" + (f" for {waits}" if waits and self.status == "waiting" else "")

    def calls(self, step: str | Callable[..., Any]) -> list[Performed]:
        """What was performed of this step: by its name, or `undo:` and its name, or as a function or tool that is known
        by its own."""
        name = step_name(step, None) if callable(step) else step
        return [each for each in self.performed if name in each.names]


_PLAYED: ContextVar[Any] = ContextVar("onward_played")


def _task(loop: Any, coroutine: Any, **more: Any) -> asyncio.Task[Any]:
    return asyncio.Task(coroutine, loop=loop, **more)


def _told(wait: Wait) -> str:
    what = wait.note or wait.tool or wait.session or ""
    return f"{wait.kind} {what}".strip()


class World:
    """One play. `plan` counts the calls of its processes, and says at which one dies; then another takes over."""

    def __init__(self, plot: Plot, *, checked: bool = False, plan: Plan | None = None) -> None:
        self.plot, self.plan, self._checked = plot, plan, checked
        self.clock = AutoClock()
        self.backend = MemoryBackend(self.clock)
        self.performed: list[Performed] = []
        self.used: set[Any] = set()
        self._processes = 0
        self._tasks = set[asyncio.Task[Any]]()
        self._front = Runner(plot.app, backend=self.backend, clock=self.clock, seed="front-").parts
        self._people = People(plot.script, self, self.performed)
        self._began = self.clock.now()
        self._enter()

    def _enter(self) -> None:
        """A new process."""
        self._processes += 1
        name = f"worker{self._processes}-"
        self._programs = StandIns(self.plot.app, self.plot.steps, self.performed, checked=self._checked)
        if self.plan is None:
            self._runner = Runner(self._programs, backend=self.backend, clock=self.clock, seed=name)
            return
        process = Process(name, self.plan)
        faulty: Any = process.backend(self.backend)
        self._runner = Runner(process.programs(self._programs), backend=faulty, clock=self.clock, seed=name)

    async def _bury(self) -> None:
        """The process is dead, and that is known: what it took comes again, and its leases lapse."""
        await self.close()
        self.backend.store.abandon()
        self.backend.queue.redeliver()
        self._enter()

    async def close(self) -> None:
        """End what is left of the process."""
        self._runner.parts.performing.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        await self._runner.parts.close()
        self._programs.drop()
        self.used |= self._programs.used

    @contextmanager
    def its_tasks(self) -> Iterator[None]:
        """Meanwhile the tasks that come of this one are known to be the play's, and die with their process."""
        loop = asyncio.get_running_loop()
        before, token = loop.get_task_factory(), _PLAYED.set(self)
        make: Any = before or _task

        def factory(loop: Any, coroutine: Any, **more: Any) -> Any:
            task = make(loop, coroutine, **more)
            if _PLAYED.get(None) is self:
                self._tasks.add(task)
                task.add_done_callback(self._ended)
            return task

        loop.set_task_factory(factory)
        try:
            yield
        finally:
            loop.set_task_factory(before)
            _PLAYED.reset(token)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # what a dead process raised is nobody's

    # --- going on ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Start the session, and go on until nothing comes by itself and people have nothing left to do. Raises
        BadInput for what does not fit what it is for, and AssertionError where there is no end to it."""
        start = Start.of(self.plot.program, SESSION, version=None, limits=None, input=self.plot.input)
        await self._front.gateway.start(start, OPERATOR)
        end = self._began + timedelta(seconds=self.plot.within)
        for _ in range(MOST):
            await self._settle()
            if not await self._people.act() and not self._pass_time(end):
                return
        raise self._endless("people did something")

    def _pass_time(self, end: datetime) -> bool:
        """Let time pass until something is due; False where nothing is."""
        times = [at for at in (self.backend.queue.next_due(), self._people.next_at()) if at is not None]
        if not times or min(times) > end:
            return False
        self.clock.advance_to(min(times))
        return True

    async def _settle(self) -> None:
        for _ in range(MOST):
            try:
                if not await self._runner.deliver():
                    return
            except Killed:
                await self._bury()
            if self._programs.mistakes:
                raise self._programs.mistakes[0]
        raise self._endless("a message was delivered")

    def _endless(self, what: str) -> AssertionError:
        return AssertionError(f"{self.plot.program.name} does not come to rest: {what} {MOST:,} times")

    # --- what people see (`people.Stage`) ----------------------------------------------------------------------

    def now(self) -> datetime:
        return self.clock.now()

    async def heads(self) -> Sequence[Head]:
        heads = await self.backend.store.list(Query(limit=MANY))
        return sorted(heads, key=lambda head: (head.created_at, head.id != SESSION, head.id))

    async def state(self, head: Head) -> State:
        return await self._front.loader.load(head)

    async def value(self, head: Head, value: Any) -> Any:
        return await self._front.loader.resolve(head.key, value)

    async def signal(self, head: Head, kind: str, body: dict[str, Any], sender: Actor, key: str) -> None:
        await self._front.gateway.signal(head.key, kind, body, sender, key)

    async def played(self) -> Played[Any]:
        """How it came out."""
        head = await self.backend.store.read(session_key("default", SESSION))
        assert head is not None, "it was started"
        states = {each.id: await self.state(each) for each in await self.heads()}
        state = states[SESSION]
        return Played(
            self.plot.program,
            head.status,
            state,
            (await self._front.loader.recording(head)).events,
            states,
            head.waits,
            tuple(self.performed),
            (state.at or self._began) - self._began,
            self._people.left,
            await self._front.loader.resolve(head.key, state.output),
        )


async def play_once(plot: Plot, *, checked: bool = False, plan: Plan | None = None) -> Played[Any]:
    """One play, from the start to the end. `checked`, its workflows are in check mode. Raises AssertionError for one
    that is not repeatable, and for a name among the stand-ins under which nothing was performed; Refused for check mode
    under a profiler."""
    if checked:
        with noticing():
            pass  # Refused at once, where something else is profiling
    plot.before()
    world = World(plot, checked=checked, plan=plan)
    with world.its_tasks():
        try:
            await world.run()
            run = await world.played()
        finally:
            await world.close()
    _check_repeatable(run)
    unknown = [key for key in plot.steps if isinstance(key, str) and key not in world.used]
    if unknown:
        raise AssertionError(
            f"steps: nothing was performed under the name {unknown[0]!r}, for which something stands in"
        )
    return run


def _check_repeatable(run: Played[Any]) -> None:
    for state in run.sessions.values():
        if state.parked is not None and state.parked.code == NONDETERMINISTIC:
            raise AssertionError(f"{state.program} is not repeatable:\n{state.parked.message}")
