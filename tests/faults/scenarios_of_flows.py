"""More scripted sessions: workflows. See `tests.faults.scenarios`."""

from __future__ import annotations

from datetime import timedelta

from onward.testing.runner import START
from tests.faults.flows import FLOWS
from tests.faults.scenarios import scenario
from tests.faults.world import World


async def begun(world: World, name: str, input: object = None, hours: float = 0.5) -> None:
    """Start it, and let it go on for so many hours."""
    await world.start(name, input)
    await until(world, hours)


async def until(world: World, hours: float) -> None:
    """Let it be so many hours after the beginning."""
    await world.live(START + timedelta(hours=hours))


async def paid(world: World, amount: int) -> None:
    await world.signal("input", f"paid/{amount}", name="paid", content={"amount": amount})


@scenario(FLOWS)
async def flow_of_steps(world: World) -> None:
    await begun(world, "clerk")


@scenario(FLOWS)
async def flow_in_doubt(world: World) -> None:
    await begun(world, "doubter", hours=9)


@scenario(FLOWS)
async def flow_in_branches(world: World) -> None:
    await begun(world, "branches", hours=9)


@scenario(FLOWS, steps=100)
async def flow_in_branches_at_once(world: World) -> None:
    """Under one lease, as long as there is something to do."""
    await begun(world, "branches", hours=9)


@scenario(FLOWS)
async def flow_over_many_items(world: World) -> None:
    await begun(world, "fans", hours=20)


@scenario(FLOWS)
async def flow_that_waits(world: World) -> None:
    """One payment comes before anybody waits for it, one too late for its wait; people decide, or don't."""
    await begun(world, "waits")
    await paid(world, 1)
    await until(world, 1)
    await world.send("go")
    await until(world, 2)
    await world.decide("approval", "approved")
    await until(world, 3)
    await world.decide("pay_out", "approved")
    await until(world, 8)
    await paid(world, 2)
    await until(world, 200)


@scenario(FLOWS)
async def flow_that_waits_no_longer(world: World) -> None:
    await begun(world, "timeouts", hours=40)


@scenario(FLOWS)
async def flow_with_children(world: World) -> None:
    await begun(world, "parent", hours=9)


@scenario(FLOWS)
async def flow_as_a_tool(world: World) -> None:
    await begun(world, "leader", "charge it", hours=9)


@scenario(FLOWS)
async def flow_that_starts_afresh(world: World) -> None:
    """What it is told in the first night is for the next one, and the one after."""
    await begun(world, "nightly", 0)
    await world.send(7)
    await until(world, 1)
    await paid(world, 1)
    await until(world, 9)
    await paid(world, 2)
    await until(world, 40)


@scenario(FLOWS, ends="failed")
async def flow_that_is_taken_back(world: World) -> None:
    await begun(world, "trip", hours=9)


@scenario(FLOWS, ends="failed")
async def flow_whose_undo_fails(world: World) -> None:
    await begun(world, "stuck-trip", hours=9)


@scenario(FLOWS, ends="failed")
async def flow_out_of_time(world: World) -> None:
    await begun(world, "hurried", hours=20)


@scenario(FLOWS, ends="cancelled")
async def flow_that_is_cancelled(world: World) -> None:
    await begun(world, "patient")
    await world.cancel()
    await until(world, 20)
