"""A run of a workflow: its coroutine, as far as the log has led it.

What was recorded is delivered in the order of the log, and the body runs until it waits again before the next is. So it
goes the same way whenever it is run again, and what it wants at the end of the log is what is to be proposed.
"""

from __future__ import annotations

import asyncio
import logging
import random  # noqa: TID251 - seeded by the session: the same at each run
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any
from zlib import crc32

from onward.core.events import Failure
from onward.core.ids import idempotency_key
from onward.core.inputs import input_in
from onward.core.payload import Erased
from onward.core.state import Entry, OpenCall, State
from onward.core.words import NONDETERMINISTIC
from onward.errors import BadInput
from onward.programs.hindsight import Hindsight
from onward.programs.loop import SCOPE, Dropped, Loop, Scope, named_already
from onward.programs.operations import Ask, Recorded, differs, failed, open_in

log = logging.getLogger("onward.workflow")
Start = Callable[["Run"], Coroutine[Any, Any, Any]]
NOWHERE = -(2**62)
"""Before every event; those that a branch has of its parent have numbers below 1."""

_GONE = "is not of the type that it waits for any more"


class Run:
    """One coroutine of one session. `advance` leads it on to a state; then it says what it wants.

    `stuck` is why it can't go on; `wanted` what it asks for that is not in the log, `loose` what is open there and was
    left, or answered by an input; `undone` what can be taken back, in the order in which it was done; `delivered` how
    many entries it knows.
    """

    def __init__(self, start: Start, state: State, hindsight: Hindsight | None = None) -> None:
        self.state, self._hindsight = state, hindsight
        self.now = state.began or state.started_at or datetime.fromtimestamp(0, UTC)
        self.seed = f"{state.seed or state.session}/{state.generation}"
        self.stuck: Failure | None = None
        self.asks: dict[str, Ask] = {}
        self.recorded: dict[str, Recorded] = {}
        self.unasked: dict[str, None] = {}
        self.results: dict[str, Entry] = {}
        self.wanted: dict[str, Ask] = {}
        self.loose: dict[str, Ask] = {}
        self.undone: list[tuple[Ask, Entry]] = []
        self._inputs: dict[str | None, deque[Entry]] = {}
        self._takes: dict[str, int] = {}
        self._takers: dict[int, str] = {}
        self._waiting: dict[str | None, deque[Ask]] = {}
        self._timers: dict[asyncio.TimerHandle, Ask] = {}
        self._random: dict[str, random.Random] = {}
        self._patches: dict[str, bool] = {}
        self.delivered, self._passed, self._proposed = 0, NOWHERE, NOWHERE
        self._last: Entry | None = None
        self._end = 0
        self._open: dict[str, str] = {}
        self._calls: Mapping[str, OpenCall] | None = None
        self.loop = Loop(lambda: self.now.timestamp(), self._arm)  # type: ignore[abstract]
        self.loop.disarm = self._disarm
        self.loop.numbers = count(crc32(self.seed.encode()) << 24)
        self._start = start
        self.main: asyncio.Task[Any] | None = None

    # --- leading it on -----------------------------------------------------------------------------------------

    def leads_to(self, state: State) -> bool:
        """Whether the state goes on from what this run was delivered: from the very entries, not from others like
        them, and with what was open then. What an append that failed had said is nobody's any more."""
        if _which(state) != _which(self.state) or self.delivered > len(state.transcript):
            return False
        if self.delivered and state.transcript[self.delivered - 1] is not self._last:
            return False
        gone = set[tuple[str, str]]() if state.calls is self._calls else self._open.items() - open_in(state).items()
        since = {entry.name for entry in state.transcript[self.delivered :]} if gone else ()
        return all(path in since for path, _ in gone)

    def is_at(self, state: State) -> bool:
        """Whether the state has nothing that this run does not know: neither an entry nor an open call."""
        return self.delivered == len(state.transcript) and self._open == open_in(state) and self.leads_to(state)

    def advance(self, state: State, upto: int | None = None) -> None:
        """Deliver what is new in this state, or so many of its entries in all."""
        self.state, self._end = state, len(state.transcript)
        self._learn(state)
        if self.main is None:
            self._begin(state)
        while self.delivered < (self._end if upto is None else upto) and self.stuck is None:
            self._deliver(self._next())
            self.loop.pump()
        if state.calls is not self._calls:
            self._calls, self._open = state.calls, open_in(state)

    def _learn(self, state: State) -> None:
        """All that the log has asked for: known before the body asks again, as it may do so in another order."""
        for entry in state.transcript[self.delivered :]:
            if entry.name is not None and entry.kind == "result":
                self._note(entry.name, Recorded(entry.tool or "", entry.digest, entry.call or "0.0"))
                if (taken := input_in(entry)) is not None:
                    self._takes[entry.name], self._takers[taken] = taken, entry.name
        for call in () if state.calls is self._calls else state.calls.values():
            if call.operation is not None and call.operation.name not in self.recorded:
                self._note(call.operation.name, Recorded(call.tool, call.asked, call.id))

    def _note(self, path: str, recorded: Recorded) -> None:
        if path not in self.recorded:
            self.recorded[path] = recorded
            self._proposed = max(self._proposed, recorded.seq)
            self.wanted.pop(path, None)
            if path not in self.asks and not recorded.is_mark(path):
                self.unasked[path] = None

    def _begin(self, state: State) -> None:
        if state.input is not None and self._end:
            self._next()
        self.main = self.loop.spawn(self._start(self), Scope())
        self.main.add_done_callback(_heard)
        self.loop.pump()

    @property
    def input(self) -> Any:
        """What the workflow was started with, or went on with."""
        return None if self.state.input is None else self.state.transcript[0].known

    def _next(self) -> Entry:
        self._last = entry = self.state.transcript[self.delivered]
        self.delivered, self._passed = self.delivered + 1, max(self._passed, entry.seq)
        return entry

    def _deliver(self, entry: Entry) -> None:
        self.now = max(self.now, entry.at) if entry.at else self.now
        if entry.kind == "input":
            self._offer(entry)
        elif entry.kind == "result" and entry.name is not None:
            self.results[entry.name] = entry
            ask = self.asks.get(entry.name)
            if ask is not None and ask.begun:
                self._settle(ask, entry)

    def _settle(self, ask: Ask, entry: Entry) -> None:
        """It is known what this came to, whoever still waits for it."""
        self.loose.pop(ask.path, None)
        if ask.undo is not None and not entry.failed:
            self.undone.append((ask, entry))
        if ask.done:
            return
        ask.done = True
        if ask.kind == "signal":
            self._waiting[ask.signal].remove(ask)
        if ask.kind == "signal" and (taken := input_in(entry)) is not None:
            return self.stop(
                "input_unreadable", f"{ask.path} took the input of event {taken}, which was erased, or {_GONE}"
            )
        if not ask.future.done():
            self._resolve(ask, entry)

    def _resolve(self, ask: Ask, entry: Entry) -> None:
        value = entry.known
        if isinstance(value, Erased):
            return self.stop("result_erased", f"what {ask.path} came to was erased (event {entry.seq})")
        if entry.failed:
            ask.future.set_exception(ask.fails(ask, value))
            return None
        try:
            ask.future.set_result(ask.read(value))
        except BadInput as exc:
            self.stop("result_unreadable", str(exc))
        return None

    def stop(self, code: str, message: str) -> None:
        """Nothing more is run: a person has to look."""
        self.stuck = self.stuck or Failure(code=code, message=message.encode(errors="replace").decode())
        self.loop.halted = True

    def drop(self) -> None:
        """Forget the coroutine."""
        self.loop.drop()

    # --- what the body asks for ----------------------------------------------------------------------------------

    @property
    def replaying(self) -> bool:
        """Whether what is run now was run before: the log has what the body asked for behind this. Results that came
        together with this one do not say so."""
        if self._hindsight is not None and self._hindsight.is_ahead(self.state):
            return True
        return self._proposed > self._passed or bool(self.unasked)

    @property
    def speaks(self) -> bool:
        """Whether what the body logs is logged."""
        return self._hindsight is None and not self.replaying and not self.loop.dropped

    @property
    def after(self) -> int:
        """The last event that the body has gone by; in a branch, of its own."""
        return max(self._last.seq if self._last else 1, 2 if self.state.origin else 1)

    def scope(self) -> Scope:
        """Where names are counted now; nowhere, where what was dropped still asks for something. Raises BadInput where
        nothing of the body is being run, and Dropped where Python ends it before it is dropped."""
        if self.loop.dropped:
            return Scope()
        if asyncio._get_running_loop() is self.loop:
            return SCOPE.get()
        if isinstance(sys.exc_info()[1], GeneratorExit):
            raise Dropped
        raise BadInput("ctx: only the workflow's body asks it for anything, not a step")

    def scope_of(self, path: str) -> Scope:
        return Scope(path)

    def ask(self, ask: Ask) -> Ask:
        """Take down what the body asks for, and hold it against the log. Raises BadInput for a step's arguments that
        don't fit."""
        known = self.recorded.get(ask.path)
        if known is None and ask.step is not None:
            ask.step.form.parse(ask.arguments)
        self.asks[ask.path] = ask
        if known is not None and not known.is_of(ask):
            self.stop(NONDETERMINISTIC, differs(ask, known, self.after))
        return ask

    def patched(self, path: str, id: str) -> bool:
        """Whether the log has this mark, or ends here, so that it gets it now."""
        if path not in self._patches:
            foreseen = self._hindsight is not None and self._hindsight.has(self.state, path)
            self._patches[path] = foreseen or path in self.recorded or not self.replaying
            if self._patches[path]:
                self.begin(self.ask(Ask(path, "patch", "patch", {"id": id}, bool, failed)))
        return self._patches[path]

    @named_already
    async def wait(self, ask: Ask) -> Any:
        """Wait for what it comes to."""
        self.begin(ask)
        try:
            return await ask.future
        except asyncio.CancelledError:
            self.leave(ask)
            raise

    def begin(self, ask: Ask) -> None:
        ask.begun, ask.future = True, self.loop.create_future()
        self.unasked.pop(ask.path, None)
        if self.stuck is not None:
            return
        if ask.kind == "signal":
            self._waiting.setdefault(ask.signal, deque()).append(ask)
        known, signal = self.results.get(ask.path), ask.kind == "signal"
        if signal and (known is None or input_in(known) is not None) and self._take(ask):
            return None
        if known is not None:
            return self._settle(ask, known)
        if ask.path not in self.recorded:
            self.wanted[ask.path] = ask
        return None

    def leave(self, ask: Ask) -> None:
        """Nobody waits for it any more; what it still comes to is only taken down."""
        self.wanted.pop(ask.path, None)
        if ask.done:
            return
        if ask.kind == "signal":
            self._waiting[ask.signal].remove(ask)
            ask.done = True
        if ask.path in self.recorded and ask.path not in self.results:
            self.loose[ask.path] = ask

    # --- inputs ------------------------------------------------------------------------------------------------

    def _offer(self, entry: Entry) -> None:
        """An input is for who took it before, or has waited longest, or kept for who will wait."""
        waiting: Iterable[Ask] = self._waiting.get(entry.name, ())
        if (taker := self._takers.get(entry.seq)) is not None:
            waiting = [ask for ask in waiting if ask.path == taker]
        first = next(iter(waiting), None)
        if first is None or not self._is_for(first, entry) or not self._accept(first, entry):
            self._inputs.setdefault(entry.name, deque()).append(entry)

    def _is_for(self, ask: Ask, entry: Entry) -> bool:
        """Whether the log does not say otherwise."""
        mine = self._takes.get(ask.path, entry.seq) == entry.seq
        return mine and self._takers.get(entry.seq, ask.path) == ask.path

    def _take(self, ask: Ask) -> bool:
        """Whether an input that came early is there for it: the one that was taken for it before, or the first that
        fits."""
        kept = self._inputs.get(ask.signal, deque())
        for entry in [entry for entry in kept if self._is_for(ask, entry)]:
            if self._accept(ask, entry):
                kept.remove(entry)
                return True
        return False

    def _accept(self, ask: Ask, entry: Entry) -> bool:
        if isinstance(entry.known, Erased):
            return False
        try:
            value = ask.read(entry.known)
        except BadInput as exc:
            if self.speaks:
                extra = {"action": "input_passed_over", "session": self.state.session, "error": str(exc)}
                log.warning("input passed over", extra=extra)
            return False
        self._waiting[ask.signal].remove(ask)
        ask.done, ask.taken = True, entry.seq
        ask.future.set_result(value)
        if ask.path in self.recorded and ask.path not in self.results:
            self.loose[ask.path] = ask
        self.wanted.pop(ask.path, None)
        return True

    def kept_inputs(self) -> list[int]:
        """The events of inputs that nobody has waited for."""
        return sorted(entry.seq for kept in self._inputs.values() for entry in kept)

    # --- timers ------------------------------------------------------------------------------------------------

    def _arm(self, handle: asyncio.TimerHandle) -> None:
        """A timer of asyncio is one of the session's."""
        path = SCOPE.get().name("timer")
        until = datetime.fromtimestamp(handle.when(), UTC)
        ask = Ask(path, "sleep", "sleep", {"name": path}, lambda value: value, failed, until=until, since=self.now)
        self._timers[handle] = self.ask(ask)
        self.begin(ask)
        ask.future.add_done_callback(lambda done: None if done.cancelled() else self._fire(handle, done))

    def _fire(self, handle: asyncio.TimerHandle, done: asyncio.Future[Any]) -> None:
        done.exception()
        if self._timers.pop(handle, None) is not None:
            self.loop.fire(handle)

    def _disarm(self, handle: asyncio.TimerHandle) -> None:
        ask = self._timers.pop(handle, None)
        if ask is not None:
            self.leave(ask)

    # --- what is the same each time --------------------------------------------------------------------------------

    def random(self) -> random.Random:
        """Random numbers of this scope: the same ones whenever it is run again."""
        path = self.scope().path
        if path not in self._random:
            self._random[path] = random.Random(f"{self.seed}/{path}")
        return self._random[path]

    def key(self, path: str) -> str:
        """What this session and no other has under this name."""
        return idempotency_key(self.seed, path)

    # --- the end -----------------------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        return self.main is not None and self.main.done()

    def error(self) -> BaseException | None:
        """Why the body ended without a result."""
        assert self.main is not None
        return asyncio.CancelledError("it cancelled itself") if self.main.cancelled() else self.main.exception()

    def left_open(self) -> Iterator[tuple[OpenCall, Ask]]:
        """What is open in the log, and nobody waits for."""
        for call in self.state.calls.values() if self.loose else ():
            ask = self.loose.get(call.operation.name) if call.operation else None
            if ask is not None:
                yield call, ask


def _heard(main: asyncio.Task[Any]) -> None:
    """What a body ends with is said by its session, or, where that was closing anyway, by nobody."""
    if not main.cancelled():
        main.exception()


def _which(state: State) -> tuple[Any, ...]:
    """The session, and how often it began afresh. Two processes' stores may each have one of this name."""
    return state.tenant, state.session, state.started_at, state.generation
