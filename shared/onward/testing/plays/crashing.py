"""Crashes at every boundary: a play is made again and again, its process dying after another call each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from onward.core.canonical import canonical
from onward.errors import BadInput
from onward.testing.faults import Plan, kill_after
from onward.testing.plays.standins import Performed
from onward.testing.plays.world import Played, Plot, play_once

READS = frozenset(
    f"{port}.{name}"
    for port, names in {
        "store": ("read", "pending", "commits", "list", "overdue"),
        "blobs": ("get",),
        "switches": ("read",),
        "incarnations": ("read",),
    }.items()
    for name in names
)
"""Calls that change nothing: to die after one is to die after the call before it."""

_SHOWN = 5

Same = Callable[[Played[Any]], Any]
"""What of a play must be the same whatever crashes."""


async def crash_everywhere(plot: Plot, calm: Played[Any], same: Same | None) -> None:
    """Play it once for each boundary, with a crash there. Raises AssertionError, naming each boundary after which it
    comes to something else than `calm` did."""
    undisturbed = Plan()
    expected = _facts(calm, same)
    found = list(_differences(expected, _facts(await play_once(plot, plan=undisturbed), same), "without any crash"))
    for number, name in enumerate([] if found else undisturbed.calls, 1):
        if name not in READS:
            run = await play_once(plot, plan=Plan({number: kill_after}))
            found += _differences(expected, _facts(run, same), f"after a crash behind call {number} ({name})")
    if found:
        raise AssertionError(_report(plot.program.name, found))


async def crash_once(plot: Plot, number: int) -> Played[Any]:
    """One play that crashes behind this call. Raises BadInput where there are not so many."""
    plan = Plan({number: kill_after})
    run = await play_once(plot, plan=plan)
    if not 1 <= number <= len(plan.calls):
        raise BadInput(f"crashes: {number} is none of the {len(plan.calls)} calls that this play makes")
    return run


def _report(name: str, found: list[str]) -> str:
    shown = "\n".join(found[:_SHOWN])
    more = f"\nand {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"crashes change what {name} comes to; crashes=NUMBER plays one of them\n{shown}{more}"


def _differences(expected: Mapping[str, Any], found: Mapping[str, Any], when: str) -> Iterator[str]:
    for name, value in expected.items():
        if value != found[name]:
            yield f"{when}: {name}: {found[name]!r}, and undisturbed: {value!r}"


# --- what is compared ------------------------------------------------------------------------------------------


def _facts(run: Played[Any], same: Same | None) -> Mapping[str, Any]:
    if same is not None:
        return {"same": same(run)}
    error = run.error
    return {
        "status": run.status,
        "output": run.value,
        "error": None if error is None else (error.code, error.message),
        "unsent": run.unsent,
        "performed": _once(run),
        "performed once or more": sorted({_what(each) for each in run.performed if each.effect == "idempotent"}),
    }


def _once(run: Played[Any]) -> dict[str, int]:
    """How often what may not be repeated was done."""
    final = [each for each in run.performed if each.effect in ("irreversible", "compensatable")]
    return dict(sorted(Counter(_what(each) for each in final if each.happened is not False).items()))


def _what(performed: Performed) -> str:
    return f"{performed.name} {canonical(performed.arguments)}"
