"""A start that comes from outside: by a message, or by the API."""

from __future__ import annotations

from onward.core.events import NO_LIMITS
from onward.core.signals import StartBody
from onward.engine.gateway import Start
from onward.programs.app import App


def start_of(app: App, tenant: str, session: str, body: StartBody) -> Start:
    """The start of a session of this application's, with what its program says where nothing else is said. Raises
    BadInput where there is no such program."""
    chosen = app.choose(body.program)
    return Start.of(
        chosen,
        session,
        version=body.version,
        limits=body.limits if body.limits != NO_LIMITS else None,
        input=body.input,
        tenant=tenant,
        labels=body.labels,
        deadline=body.deadline,
        not_before=body.not_before,
        pinned=body.pinned,
        exists=body.exists,
    )
