"""What the routes of one process share, and how a route knows who asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Header, Query, Request

from onward.programs.app import App
from onward.surfaces.http.caller import Caller
from onward.surfaces.http.following import Hub, Pace
from onward.surfaces.http.roles import Rights, Role, Roles
from onward.wiring import Parts

LONGEST_KEY = 1024


@dataclass(slots=True)
class Service:
    """`own_accounts` are those of whatever runs sessions: none of them decides anything."""

    parts: Parts
    app: App
    roles: Roles
    own_accounts: frozenset[str] = frozenset()
    pace: Pace = field(default_factory=Pace)
    hub: Hub = field(init=False)

    def __post_init__(self) -> None:
        self.own_accounts = frozenset(map(str.casefold, self.own_accounts))
        self.hub = Hub(self.parts, self.pace)

    async def close(self) -> None:
        """End every stream of live events."""
        await self.hub.close()


@dataclass(frozen=True, slots=True)
class Asked:
    """One who asks, and for whose sessions: `tenant` as it was given, if it was."""

    service: Service
    rights: Rights
    given: str | None

    @property
    def caller(self) -> Caller:
        """The sessions, in their name."""
        return Caller(self.service.parts, self.rights.name)

    def tenant(self, role: Role = "viewer") -> str:
        """Whose session is meant, if the caller has this role there. Raises NotFound, NotAllowed."""
        tenant = self.rights.tenant(self.given)
        self.rights.check(role, tenant)
        return tenant

    def tenants(self) -> tuple[str, ...] | None:
        """Whose sessions a list has; None for everybody's. Raises NotFound, NotAllowed."""
        return self.rights.many(self.given)


Tenant = Annotated[
    str | None,
    Query(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$",
        description="Whose session it is: the caller's only tenant, or `default`, if it is not given.",
    ),
]
Tenants = Annotated[
    str | None,
    Query(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$",
        description="Only those of this tenant; else of all that the caller sees.",
    ),
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=LONGEST_KEY,
        description="The same key with the same content is the same request, and gets the same answer; with other "
        "content it is refused. Without one each request is another.",
    ),
]


async def asked(request: Request, tenant: Tenant = None) -> Asked:
    """Who asks, as the door has found out."""
    service: Service = request.app.state.service
    return Asked(service, service.roles.rights(request.scope["state"]["caller"]), tenant)


Known = Annotated[Asked, Depends(asked)]


async def anywhere(request: Request) -> Asked:
    """The same, for what names its tenant itself, or is of none."""
    return await asked(request)


Anywhere = Annotated[Asked, Depends(anywhere)]


async def lists(request: Request, tenant: Tenants = None) -> Asked:
    """The same, for what is of many sessions."""
    return await asked(request, tenant)


Lists = Annotated[Asked, Depends(lists)]
