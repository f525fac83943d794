"""Branches of random workflows: what is answered from the record ends as it did, wherever the branch left."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from onward import Context, NotPerformed, workflow
from onward.core.divergence import Same
from onward.core.ids import session_key
from onward.core.inputs import input_in
from onward.core.replaying import replay
from onward.core.state import State
from onward.core.words import LEFT
from onward.engine.gateway import Start
from tests.faults.matrix import quiet
from tests.unit.forking import Forks
from tests.unit.play import ANN

DONE: list[Any] = []
"""What was done in the world. Each time comes to something else."""

Node = list[Any]


async def act(n: int) -> str:
    DONE.append(n)
    if n == 0:
        raise NotPerformed("it is none")
    return f"{n}, for the {len(DONE)}. time"


async def undone(n: int, result: str) -> str:
    DONE.append(result)
    return f"not {result}"


@workflow
async def child(ctx: Context, n: int) -> str:
    return await ctx.step(act, n, effect="idempotent")


async def run(ctx: Context, node: Node) -> Any:
    """What a node asks for, and what that comes to."""
    kind, *rest = node
    return await _NODES[kind](ctx, *rest)


async def every(ctx: Context, *nodes: Node) -> Any:
    return [await run(ctx, node) for node in nodes]


async def together(ctx: Context, *nodes: Node) -> Any:
    return await asyncio.gather(*(run(ctx, node) for node in nodes))


async def quickest(ctx: Context, *nodes: Node) -> Any:
    return await ctx.first(nodes, lambda node: run(ctx, node))


async def within(ctx: Context, seconds: int, node: Node) -> Any:
    async with asyncio.timeout(seconds):
        return await run(ctx, node)


async def tried(ctx: Context, node: Node) -> Any:
    try:
        return await run(ctx, node)
    except Exception as exc:
        return type(exc).__name__


async def asked(ctx: Context, text: str, hours: int) -> Any:
    found = await ctx.approval(text, timeout=hours * 3600)
    return [found.approved, found.by, found.expired]


async def slept(ctx: Context, minutes: int) -> str:
    await ctx.sleep(minutes * 60)
    return ctx.now().isoformat()


async def said(ctx: Context, name: str, minutes: int) -> Any:
    return await ctx.signal(name, int, timeout=minutes * 60)


async def polled(ctx: Context, n: int) -> Any:
    return await ctx.poll(act, n, until=lambda found: len(found) > 0, every=60)


async def stepped(ctx: Context, effect: Any, n: int) -> Any:
    return await ctx.step(act, n, effect=effect, undo=undone if effect == "compensatable" else None)


async def chance(ctx: Context) -> Any:
    return [ctx.random.random(), str(ctx.uuid()), ctx.patched("chance")]


async def ran(ctx: Context, n: int) -> Any:
    return await ctx.run(child, n)


async def started(ctx: Context, n: int) -> Any:
    return bool(await ctx.start(child, n))


_NODES: Any = {
    "step": stepped, "all": together, "seq": every, "first": quickest, "within": within, "try": tried, "ask": asked,
    "sleep": slept, "said": said, "poll": polled, "chance": chance, "run": ran, "start": started,
}  # fmt: skip


@workflow
async def flow(ctx: Context, tree: list[Any]) -> Any:
    head, *rest = tree
    found = [await run(ctx, head), ctx.now().isoformat()]
    return ctx.continue_as(rest) if rest else found


def _node(*parts: Any) -> Any:
    return st.tuples(*(part if isinstance(part, st.SearchStrategy) else st.just(part) for part in parts)).map(list)


_small = st.integers(0, 3)
_effects = st.sampled_from(["read", "idempotent", "compensatable", "irreversible"])
leaves = st.one_of(
    _node("step", _effects, _small),
    _node("step", _effects, _small),
    _node("ask", st.sampled_from(["now?", "later?"]), st.integers(1, 3)),
    _node("sleep", st.integers(0, 90)),
    _node("said", st.sampled_from(["a", "b"]), st.integers(1, 90)),
    _node("poll", st.integers(1, 3)),
    _node("chance"),
    _node("run", _small),
    _node("start", _small),
)
nodes: Any = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda found: ["all", *found]),
        st.lists(inner, min_size=1, max_size=3).map(lambda found: ["seq", *found]),
        st.lists(inner, min_size=1, max_size=3).map(lambda found: ["first", *found]),
        _node("within", st.sampled_from([30, 3000, 5000]), inner),
        _node("try", inner),
    ),
    max_leaves=8,
)
trees = st.lists(nodes, min_size=1, max_size=2)
acts = st.lists(
    st.tuples(st.sampled_from(["approved", "rejected", "responded", "later"]), st.integers(0, 3)), max_size=6
)
words = st.lists(st.sampled_from(["a", "b"]), max_size=3)


async def played(tree: list[Any], said: list[str], acts: list[tuple[str, int]]) -> Forks:
    """A session of the tree, told everything at once, decided on now and then, and seen to its end."""
    DONE.clear()
    play = Forks(flow, child)
    await play.runner.parts.gateway.start(Start.of(flow, "s", version=None, limits=None, input=tree), ANN)
    for number, name in enumerate(said):
        await play.signal("input", {"content": number, "name": name}, settle=False)
    for verdict, steps in acts:
        for _ in range(steps):
            await play.runner.deliver()
        await _decided(play, verdict)
    await play.runner.finish(48 * 3600.0)
    return play


async def _decided(play: Forks, verdict: str) -> None:
    if verdict == "later":
        return play.runner.clock.advance(1200)
    for call in [call for call in (await play.state()).calls.values() if call.status == "asked"][:1]:
        body = {"call": call.id, "verdict": verdict, "digest": call.digest}
        await play.signal("decision", body | ({"result": "so"} if verdict == "responded" else {}), ANN, settle=False)


def came_to(state: State) -> Any:
    """How a session ended, or what it has by now."""
    known = {
        entry.name: (entry.value, entry.failed) for entry in state.transcript if entry.name and input_in(entry) is None
    }
    known = {name: found for name, found in known.items() if not (found[1] and found[0].get("code") == LEFT)}
    return state.ended, state.output, state.error, known


@settings(max_examples=40, deadline=None)
@given(trees, words, acts, st.data())
def test_g14_a_branch_of_a_workflow_ends_as_its_parent_did_and_does_nothing(
    tree: list[Any], said: list[str], acts: list[tuple[str, int]], data: st.DataObject
) -> None:
    async def main() -> None:
        play = await played(tree, said, acts)
        events = await play.events()
        told = max((event.seq for event in events if event.kind == "input_received"), default=1)
        at, done, expected = data.draw(st.integers(told, len(events))), list(DONE), came_to(await play.state())
        for branch, of in (("b", "s"), ("bb", "b")):
            head = await play.fork(at if of == "s" else None, branch, of=of, settle=False)
            await play.runner.finish(48 * 3600.0)
            state = await play.state(branch)
            assert came_to(state)[:3] == expected[:3], head
            assert state.spent.calls == state.spent.tokens == 0
        assert done == DONE
        for id in ("s", "b", "bb"):
            head = await play.head(id)
            log = await play.runner.parts.loader.recording(head)
            verdict = replay(log, play.app.programs, rests=True)
            assert isinstance(verdict, Same), verdict.line
        assert session_key("default", "b") != session_key("default", "bb")

    with quiet():
        asyncio.run(main())
