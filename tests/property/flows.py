"""Random workflows: a small program, drawn as data, that one workflow interprets.

What a fault delays by minutes must not decide what comes first, so each thing that takes time takes a time of its own:
half days, of which no two sums are the same. Branches that can end each other begin with a wait of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from onward import App, Call, ChildFailed, Context, NotPerformed, StepFailed, workflow
from tests.faults.desk import QUICK, declined, find_order, flaky, performed, refund
from tests.faults.flows import hold

Node = dict[str, Any]
UNIT = timedelta(hours=12)

# --- what is interpreted -----------------------------------------------------------------------------------------


async def pay(n: int, way: str = "well", *, call: Call) -> dict[str, Any]:
    """Pay, in a plain function, of which nobody can say whether it was done."""
    if way == "fails":
        raise NotPerformed("the account is closed")
    return await performed(call.tool, call, n=n)


async def look(n: int, way: str = "well", *, call: Call) -> dict[str, Any]:
    """Look something up. It fails as it does where a fault is injected."""
    if way == "fails" or (way == "stumbles" and call.attempt == 1):
        raise ConnectionError("the line is down")
    return await performed(call.tool, call, n=n)


async def give_back(n: int, result: dict[str, Any], *, call: Call) -> dict[str, Any]:
    """Take a payment back."""
    return await performed(call.tool, call, n=n, result=result)


@workflow
async def player(ctx: Context, parts: list[Any]) -> Any:
    """Play the first part, and then the others in a session that began afresh."""
    value = await _play(ctx, parts[0])
    return ctx.continue_as(parts[1:]) if len(parts) > 1 else value


async def _play(ctx: Context, node: Node) -> Any:
    return await _PLAYS[node["is"]](ctx, node)


async def _all_of(ctx: Context, node: Node) -> list[Any]:
    return [await _play(ctx, each) for each in node["of"]]


async def _gather(ctx: Context, node: Node) -> list[Any]:
    return list(await asyncio.gather(*[_play(ctx, each) for each in node["of"]]))


async def _group(ctx: Context, node: Node) -> list[Any]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_play(ctx, each)) for each in node["of"]]
    return [task.result() for task in tasks]


async def _map(ctx: Context, node: Node) -> Any:
    return await ctx.map(node["of"], lambda each: _play(ctx, each), concurrency=node["room"])


async def _map_settled(ctx: Context, node: Node) -> Any:
    found = await ctx.map_settled(node["of"], lambda each: _play(ctx, each), concurrency=node["room"])
    return [each.value if each.ok else type(each.error).__name__ for each in found]


async def _first(ctx: Context, node: Node) -> Any:
    return await ctx.first(node["of"], lambda each: _play(ctx, each))


async def _timeout(ctx: Context, node: Node) -> Any:
    try:
        async with asyncio.timeout(UNIT.total_seconds() * node["units"]):
            return await _play(ctx, node["of"][0])
    except TimeoutError:
        return await _play(ctx, node["of"][1])


async def _wait_for(ctx: Context, node: Node) -> Any:
    return await asyncio.wait_for(_play(ctx, node["of"][0]), UNIT.total_seconds() * node["units"])


async def _try(ctx: Context, node: Node) -> Any:
    try:
        return await _play(ctx, node["of"][0])
    except (StepFailed, ChildFailed, TimeoutError, ValueError, ExceptionGroup) as exc:
        return [type(exc).__name__, await _play(ctx, node["of"][1])]


async def _finally(ctx: Context, node: Node) -> Any:
    try:
        return await _play(ctx, node["of"][0])
    finally:
        await _play(ctx, node["of"][1])


async def _step(ctx: Context, node: Node) -> Any:
    n, way, effect = node["n"], node["way"], node["effect"]
    if effect in ("read", "idempotent"):
        return await ctx.step(look, n, way, effect=effect, retry=QUICK)
    undo = give_back if effect == "compensatable" else None
    return await ctx.step(pay, n, way, effect=effect, undo=undo)


async def _tool(ctx: Context, node: Node) -> Any:
    order, amount = str(node["n"]), node["n"]
    if node["tool"] == "refund":
        return await ctx.step(refund, order, amount)
    if node["tool"] == "flaky":
        return await ctx.step(flaky, order, times=1)
    tool: Any = {"find": find_order, "hold": hold, "declined": declined}[node["tool"]]
    return await ctx.step(tool, order)


async def _signal(ctx: Context, node: Node) -> Any:
    timeout = UNIT * node["units"] if node["units"] else None
    ask = ctx.input(int, timeout=timeout) if node["name"] is None else ctx.signal(node["name"], int, timeout=timeout)
    try:
        return await ask
    except TimeoutError:
        return "late"


async def _sleep(ctx: Context, node: Node) -> Any:
    span = UNIT * node["units"]
    await (asyncio.sleep(span.total_seconds()) if node["plain"] else ctx.sleep(span))


async def _approval(ctx: Context, node: Node) -> Any:
    decision = await ctx.approval("Go on?", evidence=node, timeout=UNIT * node["units"])
    return [decision.approved, decision.expired]


async def _raise(ctx: Context, node: Node) -> Any:
    raise ValueError("it can't go on")


async def _same(ctx: Context, node: Node) -> Any:
    """What is different each time, but for a workflow."""
    return await ctx.step(look, ctx.random.randrange(10**6), str(ctx.uuid()), effect="read", name="same")


async def _child(ctx: Context, node: Node) -> Any:
    return await ctx.run(player, node["of"])


async def _start(ctx: Context, node: Node) -> Any:
    return type(await ctx.start(player, node["of"])).__name__


async def _patched(ctx: Context, node: Node) -> Any:
    return [ctx.patched(f"p{node['n']}"), await _play(ctx, node["of"][0])]


async def _poll(ctx: Context, node: Node) -> Any:
    seen: list[Any] = []
    until: Callable[[Any], bool] = lambda found: seen.append(found) is None and len(seen) == 2  # noqa: E731
    return await ctx.poll(look, node["n"], until=until, every=UNIT * node["units"])


_PLAYS: dict[str, Callable[[Context, Node], Awaitable[Any]]] = {
    "all": _all_of, "gather": _gather, "group": _group, "map": _map, "settled": _map_settled, "first": _first,
    "timeout": _timeout, "wait_for": _wait_for, "try": _try, "finally": _finally, "step": _step, "tool": _tool,
    "signal": _signal, "sleep": _sleep, "approval": _approval, "raise": _raise, "same": _same, "child": _child,
    "start": _start, "patched": _patched, "poll": _poll,
}  # fmt: skip

APP = App([player])

# --- what is drawn -----------------------------------------------------------------------------------------------

TIMES = 9
"""Things in one program that take a time of their own: so many bits, the longest some months."""

Said = tuple[float, str | None, int]
"""After how many units, to which name, what."""


class Drawing:
    """Draws one program. `free` are times that nothing takes yet; `said` is what people say, and when."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self._free = list(draw(st.permutations([2**power for power in range(TIMES)])))
        self._count = self._inner = 0
        self.said: list[Said] = []

    @property
    def _same(self) -> str:
        """Not in a child: what is random there is of its id, which is of its place in the log."""
        return "step" if self._inner else "same"

    def one_of(self, *options: Any) -> Any:
        return self._draw(st.sampled_from(options))

    def number(self) -> int:
        self._count += 1
        return self._count

    def time(self) -> int | None:
        return self._free.pop() if self._free else None

    def node(self, depth: int, alone: bool = True) -> Node:
        """A program of this depth; `alone` where nothing runs beside it."""
        kinds = [self._leaf] * 2 if depth else [self._leaf]
        if depth:
            kinds += [self._sequence, self._branches, self._branches, self._guarded, self._other]
        kind: Callable[[int, bool], Node] = self.one_of(*kinds)
        return kind(depth, alone)

    def _leaf(self, depth: int, alone: bool) -> Node:
        kind = self.one_of("step", "step", "step", "tool", "wait", "wait", "raise", self._same)
        if kind == "step":
            effect = self.one_of("read", "idempotent", "irreversible", "compensatable", "compensatable")
            ways = (
                ("well", "well", "fails", "stumbles") if effect in ("read", "idempotent") else ("well", "well", "fails")
            )
            return {"is": "step", "effect": effect, "n": self.number(), "way": self.one_of(*ways)}
        if kind == "tool":
            return {
                "is": "tool",
                "tool": self.one_of("refund", "find", "flaky", "hold", "declined"),
                "n": self.number(),
            }
        return self._wait(alone) if kind == "wait" else {"is": kind}

    def _wait(self, alone: bool) -> Node:
        units = self.time()
        if units is None:
            return {"is": "all", "of": []}
        kind = self.one_of("sleep", "signal", "signal", "approval", "poll")
        if kind == "sleep":
            return {"is": "sleep", "units": units, "plain": self.one_of(True, False)}
        if kind == "poll":
            return {"is": "poll", "units": units, "n": self.number()}
        return self._signal(units, alone) if kind == "signal" else {"is": kind, "units": units}

    def _signal(self, units: int, alone: bool) -> Node:
        name = self.one_of("go", None) if alone else f"to-{self.number()}"
        at = self.time()
        if at is not None:
            self.said.append((at - 1 / 3, name, self.number()))
        return {"is": "signal", "units": self.one_of(0, units) if at is not None else units, "name": name}

    def _sequence(self, depth: int, alone: bool) -> Node:
        return {"is": "all", "of": [self.node(depth - 1, alone) for _ in range(self.one_of(2, 3))]}

    def _branches(self, depth: int, alone: bool) -> Node:
        kind = self.one_of("gather", "group", "map", "settled", "first")
        times = [units for _ in range(self.one_of(2, 3)) if (units := self.time()) is not None]
        of = [self._apart(units, self.node(depth - 1, False)) for units in times]
        return {"is": kind, "of": of, "room": self.one_of(None, 1, 2)} if of else {"is": "all", "of": []}

    def _apart(self, units: int, node: Node) -> Node:
        """Beginning with a time of its own, so that no two branches do something at the same time."""
        return {"is": "all", "of": [{"is": "sleep", "units": units, "plain": False}, node]}

    def _guarded(self, depth: int, alone: bool) -> Node:
        kind = self.one_of("timeout", "wait_for", "try", "try", "finally")
        units = self.time() if kind in ("timeout", "wait_for") else None
        kind = "try" if kind in ("timeout", "wait_for") and units is None else kind
        return {"is": kind, "units": units, "of": [self.node(depth - 1, alone), self.node(depth - 1, alone)]}

    def _other(self, depth: int, alone: bool) -> Node:
        kind = self.one_of("child", "start", "patched")
        inner = kind != "patched"
        self._inner += inner
        of = [self.node(depth - 1, alone and not inner)]
        self._inner -= inner
        return {"is": kind, "n": self.number(), "of": of}


@st.composite
def programs(draw: st.DrawFn) -> tuple[list[Node], list[Said]]:
    """The parts of a program, and what is said to it."""
    drawing = Drawing(draw)
    parts = [drawing.node(draw(st.integers(1, 3))) for _ in range(draw(st.sampled_from([1, 1, 2])))]
    return parts, sorted(drawing.said, key=lambda said: said[0])
