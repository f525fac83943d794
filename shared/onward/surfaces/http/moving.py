"""The routes that tell a session something: each files a signal, and waits a while for what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response

from onward.core.codec import stamp
from onward.core.head import Head
from onward.core.signals import DecisionBody, Verdict, parse
from onward.errors import Refused
from onward.runtime.signals import Outcome
from onward.surfaces.http import forms, models
from onward.surfaces.http.door import BODY
from onward.surfaces.http.roles import Role
from onward.surfaces.http.service import Asked, Key, Known
from onward.surfaces.http.sessions import Id
from onward.surfaces.http.sizes import check_size

ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"model": models.Told, "description": "Accepted, and not yet decided: its event will be among `events`."}
}
router = APIRouter(tags=["moving"], responses=ACCEPTED)
Reasoned = forms.ReasonRequest | None


async def _tell(
    asked: Asked, answer: Response, role: Role, id: str, kind: str, body: Mapping[str, Any], key: str | None
) -> Any:
    tenant = asked.tenant(role)
    outcome = await asked.caller.tell(id, kind, body, key, tenant)
    answer.status_code = 200 if outcome.decided else 202
    return told(id, tenant, outcome)


def told(id: str, tenant: str, outcome: Outcome) -> dict[str, Any]:
    """What became of what a session was told."""
    where = f"/v1/sessions/{id}/events?tenant={tenant}"
    doc: dict[str, Any] = {"signal": outcome.signal, "decided": outcome.decided, "events": where}
    event = outcome.event
    return doc if event is None else doc | {"event": {"seq": event.seq, "kind": event.kind, "at": stamp(event.at)}}


def _given(said: forms.Asking | None) -> dict[str, Any]:
    """What was said, as a signal has it."""
    return {} if said is None else said.model_dump(exclude_unset=True)


@router.post("/sessions/{id}/inputs", response_model=models.Told, response_model_exclude_unset=True)
async def send_input(id: Id, said: forms.InputRequest, asked: Known, answer: Response, key: Key = None) -> Any:
    """Give a session an input. Takes an operator."""
    check_size(said.content, BODY)
    return await _tell(asked, answer, "operator", id, "input", _given(said), key)


@router.post("/sessions/{id}/decisions", response_model=models.Told, response_model_exclude_unset=True)
async def decide(id: Id, said: forms.DecisionRequest, asked: Known, answer: Response, key: Key = None) -> Any:
    """Decide an approval.

    Takes an approver whom the rules of approvals let decide. Who decides is whoever the request's identity names, and
    nothing in its body. Without a key a decision is its own: the same again gets the same answer.
    """
    return await decided(asked, answer, id, _given(said), key)


async def decided(asked: Asked, answer: Response, id: str, body: Mapping[str, Any], key: str | None) -> Any:
    """Decide, if whoever asks may, and answer what came of it."""
    outcome = await decision(asked, id, body, key)
    answer.status_code = 200 if outcome.decided else 202
    return told(id, asked.tenant("approver"), outcome)


async def decision(asked: Asked, id: str, body: Mapping[str, Any], key: str | None) -> Outcome:
    """Decide, if whoever asks may. Raises NotAllowed, BadInput, and Refused with what stands instead."""
    form: DecisionBody = parse("decision", body)
    tenant = asked.tenant("approver")
    await check_may_decide(asked, await asked.caller.get(id, tenant), form.call, form.verdict)
    return await asked.caller.tell(id, "decision", body, key, tenant)


async def check_may_decide(asked: Asked, head: Head, call: str, verdict: Verdict, tool: str | None = None) -> None:
    """Raises NotAllowed, and Refused for the account that runs sessions, and for what was never proposed."""
    if asked.rights.name.casefold() in asked.service.own_accounts:
        raise Refused("decision refused", "own_account", "what runs sessions decides nothing about them")
    await asked.caller.check_may_decide(asked.service.roles, head, call, verdict, tool)


@router.post("/sessions/{id}/cancel", response_model=models.Told, response_model_exclude_unset=True)
async def cancel(id: Id, asked: Known, answer: Response, said: Reasoned = None, key: Key = None) -> Any:
    """End a session as cancelled, once nothing that was begun is unsettled. Takes an operator."""
    return await _tell(asked, answer, "operator", id, "cancel", _given(said), key)


@router.post("/sessions/{id}/pause", response_model=models.Told, response_model_exclude_unset=True)
async def pause(id: Id, asked: Known, answer: Response, said: Reasoned = None, key: Key = None) -> Any:
    """Start nothing new in a session until it is resumed; what is under way is finished. Takes an operator."""
    return await _tell(asked, answer, "operator", id, "pause", _given(said), key)


@router.post("/sessions/{id}/resume", response_model=models.Told, response_model_exclude_unset=True)
async def resume(id: Id, asked: Known, answer: Response, said: Reasoned = None, key: Key = None) -> Any:
    """Let a paused session go on. Takes an operator."""
    return await _tell(asked, answer, "operator", id, "resume", _given(said), key)


@router.post("/sessions/{id}/retry", response_model=models.Told, response_model_exclude_unset=True)
async def retry(
    id: Id,
    asked: Known,
    answer: Response,
    said: forms.RetryRequest | None = None,
    key: Key = None,
) -> Any:
    """Set a session going that needs attention, if need be under other limits. Takes an operator."""
    return await _tell(asked, answer, "operator", id, "resume", _given(said), key)


@router.post("/sessions/{id}/skip", response_model=models.Told, response_model_exclude_unset=True)
async def skip(id: Id, said: forms.SkipRequest, asked: Known, answer: Response, key: Key = None) -> Any:
    """Give an open call this result instead of performing it.

    Takes an operator; and whoever may decide it, where the call is one that a person was asked about.
    """
    await check_may_skip(asked, await asked.caller.get(id, asked.tenant("operator")), said.call)
    return await _tell(asked, answer, "operator", id, "skip", _given(said), key)


async def check_may_skip(asked: Asked, head: Head, call: str) -> None:
    """Raises NotAllowed where a person was asked about the call, and whoever asks may not decide it."""
    if await asked.caller.takes_decision(head, call):
        asked.tenant("approver")
        await check_may_decide(asked, head, call, "responded")


@router.post("/sessions/{id}/resolve", response_model=models.Told, response_model_exclude_unset=True)
async def resolve(id: Id, said: forms.ResolveRequest, asked: Known, answer: Response, key: Key = None) -> Any:
    """Say what became of a call that is in doubt. Takes an operator."""
    return await _tell(asked, answer, "operator", id, "outcome", outcome_of(_given(said)), key)


def outcome_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """What an operator says became of a call, as a signal has it."""
    if said["status"] != "failed":
        return dict(said)
    return {**said, "error": {"code": "failed", "message": said.get("reason") or "an operator says that it failed"}}


@router.post("/sessions/{id}/completions", response_model=models.Told, response_model_exclude_unset=True)
async def complete(id: Id, said: forms.CompletionRequest, asked: Known, answer: Response) -> Any:
    """Say how a call ended that goes on outside.

    Takes the call's token and no role: whoever was given the token may say so, once they are known. Said again it is
    the same, and gets the same answer.
    """
    check_size(said.result, BODY)
    tenant, body = asked.rights.meant(asked.given), said.model_dump(exclude={"token"}, exclude_unset=True)
    status = "done" if said.error is None else "failed"
    outcome = await asked.caller.completed(id, body | {"status": status}, said.token, tenant)
    answer.status_code = 200 if outcome.decided else 202
    return told(id, tenant, outcome)


@router.post("/sessions/{id}/finish", response_model=models.Told, response_model_exclude_unset=True)
async def finish(
    id: Id,
    asked: Known,
    answer: Response,
    said: forms.FinishRequest | None = None,
    key: Key = None,
) -> Any:
    """End a session as completed. Refused while the outcome of something that was begun is not known. Takes an
    operator."""
    return await _tell(asked, answer, "operator", id, "finish", _given(said), key)
