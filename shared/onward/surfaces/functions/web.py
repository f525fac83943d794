"""The API on Google Cloud: its callers are those whom Google names."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp

from onward.adapters.gcp.identity import ASSERTION
from onward.surfaces.functions.worker import SETTLING, Worker
from onward.surfaces.http.following import Pace
from onward.surfaces.http.roles import Roles
from onward.surfaces.http.service import Service
from onward.surfaces.site import make


def web(worker: Worker, roles: Roles) -> ASGIApp:
    """The API of one process. A stream ends before the request that it is would be cut off."""
    settings = worker.settings
    pace = Pace(lasts=max(SETTLING, min(Pace().lasts, settings.timeout - SETTLING)))
    own = frozenset(settings.own_accounts)
    service = Service(worker.parts, worker.app, roles, own_accounts=own, pace=pace)

    async def who(headers: Mapping[str, str]) -> str:
        return await worker.identities.email(headers.get("authorization"), headers.get(ASSERTION))

    return make(service, who, place=settings.place)
