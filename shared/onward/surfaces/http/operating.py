"""The routes of administrators: switches, erasing a field, deleting a session. Each of them done again does no harm, so
that they take no key."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from onward.core.ids import check_id
from onward.core.switches import Switch, check_scope
from onward.surfaces.documents import switch_doc, turn_doc
from onward.surfaces.http import forms, models
from onward.surfaces.http.roles import Rights
from onward.surfaces.http.service import Anywhere, Asked, Known
from onward.surfaces.http.sessions import Id, doc

router = APIRouter(tags=["operating"])

TURNS = 50


# --- switches ----------------------------------------------------------------------------------------------------


@router.get("/switches", response_model=models.Switches)
async def list_switches(
    asked: Anywhere,
    limit: Annotated[
        int, Query(ge=1, le=200, description="So many turns are looked through, the newest first.")
    ] = TURNS,
) -> Any:
    """List what is switched off, and the last turns of switches.

    Takes an admin, who is told of what can hold back sessions of their tenants.
    """
    asked.rights.check_somewhere("admin")
    off, turns = await asked.caller.switches(), await asked.caller.switch_history(limit)
    return {
        "off": [switch_doc(switch) for switch in off if concerns(asked.rights, switch)],
        "turns": [turn_doc(turn) for turn in turns if concerns(asked.rights, turn.switch)],
    }


def concerns(rights: Rights, switch: Switch) -> bool:
    """Whether it can hold back a session of which they are an admin."""
    kind, _, name = switch.scope.partition(":")
    return kind != "tenant" or "admin" in rights.roles(name)


@router.post("/switches", response_model=models.SwitchTurned)
async def turn_switch(said: forms.SwitchRequest, asked: Anywhere) -> Any:
    """Hold back every effect of everything, of a program or of a tenant, or let it go on.

    Takes an admin of the tenant, and for what is of more than one an admin of every tenant (`*`). Within ten seconds no
    process starts anything new of it; what is under way is finished. What is off already stays off for its reason.
    """
    return await turned(asked, said.scope, said.off, said.reason)


async def turned(asked: Asked, scope: str, off: bool, reason: str) -> dict[str, Any]:
    """The same, for whoever asks. Raises BadInput, NotAllowed."""
    kind, _, name = check_scope(scope).partition(":")
    if kind == "tenant":
        asked.rights.check("admin", asked.rights.tenant(name))
    else:
        asked.rights.check_everywhere("admin")
    turn = asked.caller.switch_off if off else asked.caller.switch_on
    changed = await turn(scope, reason)
    standing = [switch_doc(switch) for switch in await asked.caller.switches() if switch.scope == scope]
    return {"scope": scope, "off": bool(standing), "turned": changed, "switch": standing[0] if standing else None}


# --- one session -------------------------------------------------------------------------------------------------


@router.post("/sessions/{id}/erase", response_model=models.ErasedField)
async def erase(id: Id, said: forms.EraseRequest, asked: Known) -> Any:
    """Erase a private field of an event for good, snapshots and files included; the log still verifies, visibly erased.

    Takes an admin. Refused while the session is being advanced.
    """
    tenant = asked.tenant("admin")
    await asked.caller.erase(check_id(id), said.seq, said.field, said.reason, tenant=tenant)
    return {"session": id, "seq": said.seq, "field": said.field, "erased": True}


@router.delete("/sessions/{id}", response_model=models.Session, response_model_exclude_unset=True)
async def delete_session(
    id: Id,
    asked: Known,
    reason: Annotated[str, Query(max_length=2000, description="Recorded, in what is left.")] = "",
) -> Any:
    """Delete a session that has ended, with all that it said, and answer what is left: who deleted it and why, what it
    cost, its hash. Its id never starts again.

    Takes an admin. Refused for a session that has not ended; cancel it first.
    """
    return doc(await asked.caller.delete(check_id(id), reason, tenant=asked.tenant("admin")))
