"""What a webhook is sent: one JSON document, made of one event and of what stands now. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onward.core.canonical import canonical, document
from onward.core.codec import stamp
from onward.core.events import (
    ApprovalRequested,
    Body,
    CallReconciled,
    Event,
    Failure,
    LimitReached,
    Operation,
    SessionCancelled,
    SessionCompleted,
    SessionFailed,
    SessionParked,
)
from onward.core.head import Head
from onward.core.payload import Erased
from onward.core.state import OpenCall, State
from onward.core.webhooks import Occasion

LARGE = 64 * 1024
"""Bytes of arguments, as JSON; of larger ones only the beginning is sent."""

PREVIEW = 1000
"""Characters of that beginning."""

Ending = SessionCompleted | SessionFailed | SessionCancelled


def notice(type: Occasion, id: str, head: Head, event: Event, details: Mapping[str, Any]) -> bytes:
    """The document. It begins with what a receiver chooses by; `data` says whose event it is, and the details."""
    whose = {"tenant": head.tenant, "session": head.id, "program": head.program, "version": head.version}
    parent = {"parent": head.parent} if head.parent else {}
    data = {**whose, **parent, "seq": event.seq, **details}
    return document({"type": type, "id": id, "timestamp": stamp(event.at), "data": data}).encode()


def question_details(asked: ApprovalRequested, call: OpenCall, arguments: Any, url: str | None) -> dict[str, Any]:
    """The exact call that somebody is to decide on, or the question of a workflow, and where they can."""
    said: dict[str, Any] = {"call": call.id, "tool": asked.tool, **operation_details(call.operation)}
    said |= {**_arguments(arguments), "digest": asked.digest}
    said |= {"rule": asked.rule, "effect": asked.effect, "undo": asked.undo, "expires_at": stamp(asked.expires_at)}
    said |= {"on_timeout": asked.on_timeout, "needed": call.needed, "approvers": list(call.approvers)}
    said |= {"approved_by": [actor.name for actor in call.approved_by]}
    return said | ({"url": url} if url else {})


def operation_details(operation: Operation | None) -> dict[str, Any]:
    """What a workflow knows a call by; of the kind `approval` one only asks, and nothing is done when it is
    approved."""
    return {"operation": operation.model_dump(include={"name", "kind"})} if operation else {}


def _arguments(arguments: Any) -> dict[str, Any]:
    if isinstance(arguments, Erased):
        return {"arguments": None, "arguments_erased": True}
    text = canonical(arguments)
    size = len(text.encode())
    if size < LARGE:
        return {"arguments": arguments}
    return {"arguments": None, "arguments_size": size, "arguments_preview": text[:PREVIEW]}


def attention_details(body: Body, state: State | None) -> dict[str, Any]:
    """Why an operator is needed, and every call of which nobody but a person can say what became of it. `state` is
    None where the log can't be read."""
    open = [call for call in state.calls.values() if call.status == "person"] if state else []
    calls = [
        {"call": one.id, "tool": one.tool, **operation_details(one.operation), "error": _failure(one.error)}
        for one in open
    ]
    return {"error": _failure(_why(body)), "in_doubt": calls}


def _why(body: Body) -> Failure | None:
    if isinstance(body, CallReconciled):
        unknown = body.error.message if body.error else "its tool can't tell"
        return Failure(code="in_doubt", message=f"nobody knows whether call {body.call} was performed: {unknown}")
    if isinstance(body, LimitReached):
        text = f"{body.limit}: {body.spent:.15g} spent, {body.needed:.15g} more needed, {body.allowed:.15g} allowed"
        return Failure(code="limit_reached", message=text)
    return body.error if isinstance(body, SessionParked) else None


def ending_details(body: Ending) -> dict[str, Any]:
    """How it ended; what it came to is not sent."""
    if isinstance(body, SessionCompleted):
        return {"status": "completed", "error": None}
    if isinstance(body, SessionFailed):
        return {"status": "failed", "error": _failure(body.error)}
    return {"status": "cancelled", "error": _failure(Failure(code="cancelled", message=body.reason))}


def _failure(error: Failure | None) -> dict[str, str] | None:
    return {"code": error.code, "message": error.message} if error else None
