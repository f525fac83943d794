"""The page of health and cost: how the deployment is, what its sessions use up, which switches hold some back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from starlette.responses import Response

from onward.core.switches import Switch, Turn
from onward.core.usage import UsageBy, UsageRow
from onward.errors import BadInput, UsageError
from onward.surfaces.console.page import Form, Visit, address, redirect, wanted
from onward.surfaces.http.health import health
from onward.surfaces.http.looking import used_up
from onward.surfaces.http.operating import concerns, turned
from onward.surfaces.http.problems import noted

DAYS: Mapping[str, int] = MappingProxyType({"1": 1, "7": 7, "30": 30})
"""How far back usage is added up: each session that moved since is read."""

BY: Sequence[UsageBy] = ("program", "tenant")
TURNS = 20
RESTING: Mapping[str, str] = MappingProxyType(
    {
        "input": "for an input",
        "approval": "for an approval",
        "timer": "for a timer",
        "child": "for another session",
        "external": "for what goes on outside",
        "operator": "for an operator",
        "needs_attention": "need attention",
        "paused": "paused",
        "scheduled": "scheduled",
    }
)
"""The counts of what rests, in words; a session may be in several."""
TOLD: Mapping[str, str] = MappingProxyType(
    {
        "off": "It is switched off: within ten seconds nothing new is begun of it.",
        "on": "It is switched on again: what was held back goes on.",
        "same": "Nothing changed: it was so already.",
    }
)


async def show(visit: Visit) -> Response:
    """The page, for whoever looks; of the deployment as a whole it tells those who may look at every tenant."""
    return await _page(visit)


async def turn(visit: Visit, form: Form) -> Response:
    """Turn a switch."""
    scope, off = _scope(form), wanted(form, "turn") == "off"
    try:
        done = await turned(visit.asked, scope, off, form.get("reason", ""))
    except UsageError as exc:
        return await _page(visit, noted(exc), str(exc))
    told = "same" if not done["turned"] else "off" if off else "on"
    return redirect(address("/health", told=told) + "#switches")


def _scope(form: Form) -> str:
    """What is to be held back: all, or what is named."""
    kind, name = wanted(form, "scope"), form.get("name", "").strip()
    return f"{kind}:{name}" if kind in ("program", "tenant") else kind


async def _page(visit: Visit, status: int = 200, alert: str | None = None) -> Response:
    by, days = _chosen(visit)
    return visit.page(
        "health.html",
        status,
        alert=alert,
        told=TOLD.get(visit.param("told") or ""),
        health=await health(visit.service) if visit.asked.rights.everywhere("viewer") else None,
        by=by,
        days=days,
        ways=BY,
        spans=DAYS,
        rows=await _usage(visit, by, days),
        columns=_COLUMNS,
        resting=RESTING,
        **await _switches(visit),
    )


def _chosen(visit: Visit) -> tuple[UsageBy, str]:
    by, days = visit.param("by") or "program", visit.param("days") or "7"
    found: dict[str, UsageBy] = {way: way for way in BY}
    if by not in found or days not in DAYS:
        raise BadInput(f"by: it is one of {', '.join(BY)}; and days one of {', '.join(DAYS)}")
    return found[by], days


_COLUMNS = ("sessions", "turns", "calls", "tokens", "input_tokens", "output_tokens", "lost")


async def _usage(visit: Visit, by: UsageBy, days: str) -> list[UsageRow]:
    since: datetime = visit.now - timedelta(days=DAYS[days])
    return await used_up(visit.asked, by, since)


async def _switches(visit: Visit) -> dict[str, Any]:
    """What is off, and the last turns, for those who may turn some."""
    rights, off, turns = visit.asked.rights, list[Switch](), list[Turn]()
    somewhere = rights.somewhere("admin")
    if somewhere:
        off = [switch for switch in await visit.asked.caller.switches() if concerns(rights, switch)]
        history = await visit.asked.caller.switch_history(TURNS)
        turns = [turn for turn in history if concerns(rights, turn.switch)]
    return {"turns_switches": somewhere, "everywhere": rights.everywhere("admin"), "off": off, "turns": turns}
