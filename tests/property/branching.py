"""Sessions as they may go, and what must hold of a branch of one that is answered from its record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onward.core import events as ev
from onward.core.canonical import canonical, sha256
from onward.core.events import Event
from onward.core.fold import evolve
from onward.core.ids import session_key
from onward.core.log import verify
from onward.core.payload import pack
from onward.core.state import Entry, State
from onward.engine.fork import Fork
from onward.engine.load import Cache, Loader
from onward.ports import Wake
from tests.unit.play import ANN, Play, shown

Line = tuple[str, str]


class World:
    """A play, how often something was done in it, and how often a model was asked."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.done: list[Any] = []
        self.asked: list[Any] = []

    async def recording(self, id: str) -> list[Event]:
        """The events of a session, with every value in them."""
        head = await self.play.head(id)
        return list((await self.play.runner.parts.loader.recording(head)).events)

    async def fork(self, id: str, at: int | None, branch: str, **more: Any) -> int:
        """Make a branch, and answer after which event it left."""
        fork = Fork(session=id, id=branch, at=at, **more)
        head, _ = await self.play.runner.parts.forker.fork(fork, ANN)
        assert head.origin is not None
        return head.origin.seq

    async def untouched(self, id: str) -> Any:
        """What is stored of a session."""
        key = session_key("default", id)
        store = self.play.runner.backend.store
        return await store.read(key), list(await store.commits(key)), (await store.pending(key)).signals


def history(events: Sequence[Event], since: int = 0) -> list[Line]:
    """What a session's program was shown, in the order in which it came: all that it knew after event `since`, and
    what came later. Results of one turn stand in any order, so they are sorted."""
    state, lines = State(), list[Entry]()
    for event in events:
        before, state = state, evolve(state, event)
        if event.seq <= since or isinstance(event.body, ev.SessionForked | ev.SessionContinued):
            lines = list(state.transcript)
        elif not isinstance(event.body, ev.TranscriptCompacted):
            lines += state.transcript[len(before.transcript) :]
        else:
            lines.append(state.transcript[0])
    return _sorted(lines)


def _sorted(entries: Sequence[Entry]) -> list[Line]:
    lines, results = list[Line](), list[Line]()
    for entry in entries:
        said = canonical([pack(entry.value), entry.tool, entry.failed, entry.calls, pack(entry.arguments)])
        line = (entry.kind, said[:100] + sha256(said))
        if entry.kind == "result":
            results.append(line)
            continue
        lines += [*sorted(results), line]
        results = []
    return lines + sorted(results)


async def fresh(play: Play, id: str, at: int, cache: int = 0) -> State:
    """The state after an event, as a process with nothing at hand finds it."""
    backend = play.runner.backend
    return await Loader(backend.store, backend.blobs, Cache(cache)).at(await play.head(id), at)


async def state_at_is_the_fold(play: Play, id: str, at: int) -> None:
    """G1: with snapshots and caches and without them."""
    folded = State()
    head = await play.head(id)
    loader = Loader(play.runner.backend.store, play.runner.backend.blobs, Cache(0))
    async for event in loader.foldables(head, at):
        folded = evolve(folded, event)
    assert folded.seq == at
    assert await fresh(play, id, at) == folded
    assert await play.runner.parts.loader.at(head, at) == folded


async def in_order(play: Play, id: str) -> None:
    """G3, G1: the log verifies, without anything that is only at hand."""
    head = await play.head(id)
    commits = await play.runner.backend.store.commits(session_key("default", id))
    assert verify(commits, head.hash) == (head.seq, head.hash)
    state = await play.check(id)
    shown(state.transcript, open=len(state.calls) + bool(state.unproposed))


async def run_on(world: World, branch: str, parent: list[Line], inputs: list[Any]) -> list[Line]:
    """Let a branch run, and say to it what was said to its parent, where that was said."""
    inputs = list(inputs)
    for _ in range(500):
        lines = history(await world.recording(branch))
        state = await world.play.state(branch)
        waits = 0 if state.on_input == "interrupt" else len(state.calls)
        place, said = len(lines) + len(state.queued) + waits, False
        ready = not (state.ended or state.unproposed or (state.calls and not waits))
        while ready and inputs and place < len(parent) and parent[place][0] == "input":
            await world.play.send(inputs.pop(0), id=branch, settle=False)
            world.play.runner.clock.advance(0.01)  # what comes at once comes in any order
            place, said = place + 1, True
        if said:  # a wake that is on its way already does not look
            await world.play.runner.parts.engine.advance(Wake(session_key("default", branch), look=True))
        if not await world.play.runner.deliver():
            return history(await world.recording(branch))
    raise AssertionError("it goes on and on")


def inputs_after(events: Sequence[Event], at: int) -> list[Any]:
    return [event.body.content for event in events if event.seq > at and isinstance(event.body, ev.InputReceived)]
