"""Running a recorded session again: a branch from its start, which is told what the session was told, where it was."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from onward.core import events as ev
from onward.core.events import Effects, Event
from onward.core.fold import evolve, fold
from onward.core.head import Head
from onward.core.ids import session_key
from onward.core.payload import Erased
from onward.core.state import ANSWERED_FROM_RECORD, State
from onward.engine.files import Files
from onward.errors import BadInput, Refused

if TYPE_CHECKING:
    from onward.runtime import Runtime

STANDS = ("approval", "external", "operator")
"""Waits that nothing comes for here: a person has to see to them."""

PATIENCE = 5.0
"""Seconds after which a session that waits for time to pass is looked at again."""


async def rerun(
    runtime: Runtime,
    id: str,
    *,
    branch: str,
    effects: Effects = "live-model",
    model: str | None = None,
    instructions: str | None = None,
    at: int | None = None,
    tenant: str = "default",
) -> Head:
    """Run a session again as a branch of that id, and answer the branch's head once it has ended, rests with nothing
    left to be told, or waits for a person.

    It leaves its parent at the start, or after event `at`, and is given the inputs that the parent was given later:
    each once as many answers and results are there as were then, or when it rests and waits for an input. The runtime
    is to advance sessions; with the same branch again it goes on where it was. Raises NotFound, BadInput and Refused.
    """
    if not runtime.works:
        raise BadInput("a session is run again where its application is: give the runtime an App")
    feeder = await _feeder(runtime, id, branch, effects, at, tenant)
    with runtime.before_steps(session_key(tenant, branch), feeder.on_time):
        fork = runtime.fork(
            id, at=feeder.at, branch=branch, effects=effects, model=model, instructions=instructions, tenant=tenant
        )
        await fork
        return await feeder.to_the_end()


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a session has come: the answers of its models, and how many calls of the newest one are settled; of a
    workflow, which has no turns, how many in all."""

    answers: int = 0
    proposed: int = 0
    open: int = 0

    def after(self, state: State, event: Event) -> _Place:
        """The place after an event that led to this state."""
        if isinstance(event.body, ev.ModelAnswered):
            return _Place(self.answers + 1)
        proposed = self.proposed
        if isinstance(event.body, ev.CallsProposed):
            proposed = len(event.body.calls) + (proposed if state.on_input == "deliver" else 0)
        return replace(self, proposed=proposed, open=len(state.calls))

    @property
    def reached(self) -> tuple[int, int]:
        return self.answers, max(0, self.proposed - self.open)


@dataclass(frozen=True, slots=True)
class _Due:
    """An input of the record, by its event, and how far the session had come."""

    seq: int
    content: Any
    name: str | None
    place: tuple[int, int]


async def _feeder(runtime: Runtime, id: str, branch: str, effects: Effects, at: int | None, tenant: str) -> _Feeder:
    recording = await runtime.recording(id, tenant)
    at = at or (2 if recording.forked else 1)
    state = recording.state(at)
    asked_again = effects in ANSWERED_FROM_RECORD or state.on_input == "deliver"
    start = _Place(0, len(state.calls), len(state.calls)) if asked_again else _Place()
    due = list(_inputs(state, start, recording.events[at:]))
    for each in due:
        if isinstance(each.content, Erased):
            raise BadInput(f"session {id} can't be run again: its input of event {each.seq} was erased")
    return _Feeder(runtime, session_key(tenant, id), branch, tenant, at, deque(due))


def _inputs(state: State, place: _Place, events: Iterable[Event]) -> Iterable[_Due]:
    for event in events:
        if isinstance(event.body, ev.InputReceived):
            yield _Due(event.seq, event.body.content, event.body.name, place.reached)
        state = evolve(state, event)
        place = place.after(state, event)


class _Feeder:
    """Tells a branch what its parent was told."""

    def __init__(self, runtime: Runtime, parent: str, branch: str, tenant: str, at: int, due: deque[_Due]) -> None:
        self._runtime, self._parent, self._branch, self._tenant = runtime, parent, branch, tenant
        self._key = session_key(tenant, branch)
        self._files = Files(runtime.parts.backend.blobs)
        self._due = due
        self._state, self._place = State(), _Place()
        self.at = at

    async def on_time(self) -> bool:
        """Before a step of the branch: file what is due by now. Whether anything was."""
        await self._look()
        due = [each for each in self._due if each.place <= self._place.reached]
        for each in due:
            self._due.remove(each)
            await self._file(each)
        return bool(due)

    async def to_the_end(self) -> Head:
        """Wait for the branch, and tell it what is left whenever it rests."""
        while True:
            head = await self._runtime.wait(self._branch, tenant=self._tenant)
            kinds = {wait.kind for wait in head.waits}
            if head.ended or kinds.intersection(STANDS):
                return head
            if "input" not in kinds:
                await self._runtime.news(head, head.seq, PATIENCE)
            elif not await self._next():
                return head

    async def _next(self) -> bool:
        """Give it the next input; False if there is none, or it takes none any more."""
        if not self._due:
            return False
        each = self._due.popleft()
        try:
            content, key = await self._content(each), _key(each)
            await self._runtime.send(self._branch, content, name=each.name, key=key, tenant=self._tenant)
        except Refused:
            return bool(self._due)
        return True

    async def _file(self, due: _Due) -> None:
        """The same signal as `send` makes, without waiting for what becomes of it."""
        try:
            content = await self._content(due)
            await self._runtime.file_input(self._branch, content, _key(due), self._tenant, name=due.name)
        except Refused:
            return  # it was taken up before, or the branch has ended

    async def _content(self, due: _Due) -> Any:
        return await self._files.fill(self._parent, due.content)

    async def _look(self) -> None:
        """Follow the branch's log to its end."""
        loader, store = self._runtime.parts.loader, self._runtime.parts.backend.store
        for commit in await store.commits(self._key, after=self._state.seq):
            for event in loader.events(commit):
                self._state = fold(self._state, [await loader.foldable(self._key, event)])
                self._place = self._place.after(self._state, event)


def _key(due: _Due) -> str:
    """The same input, whoever gives it and however often."""
    return f"recorded/{due.seq}"
