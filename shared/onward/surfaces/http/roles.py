"""Who may do what: a table that a deployment is given, and what it says of one caller.

The table is a TOML or JSON file:

    [lists]
    finance = ["ann@example.com", "ben@example.com"]

    [[grants]]                    # what somebody may do, in which tenants
    who = ["@example.com"]        # an address, a domain, `list:NAME`, or `*` for every caller who is known
    roles = ["viewer"]            # viewer, operator, approver, admin
    tenants = ["default"]         # or `*`

    [[approvals]]                 # what a decision takes besides the role of an approver
    tool = "refund"               # or program, or tenant; without any, every call
    by = ["list:finance"]
    not_requester = true          # whoever started the session, or said something to it, does not approve

Grants add up. Of the rules of approvals all that fit must hold.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from onward.errors import BadInput, NotAllowed, NotFound

Role = Literal["viewer", "operator", "approver", "admin"]
"""viewer: looks · operator: starts and moves sessions too · approver: looks, and decides · admin: all of it."""

HOLDS: Mapping[Role, frozenset[Role]] = MappingProxyType(
    {
        "viewer": frozenset({"viewer"}),
        "operator": frozenset({"operator", "viewer"}),
        "approver": frozenset({"approver", "viewer"}),
        "admin": frozenset({"admin", "operator", "approver", "viewer"}),
    }
)
"""What each role may do besides."""

EVERYTHING = "*"

_NAME = r"@[^@\s:*]+|[^@\s:*]+(@[^@\s:*]+)?"
_Who = Annotated[str, StringConstraints(pattern=rf"^(\*|{_NAME}|list:[A-Za-z0-9_-]+)$")]
_Member = Annotated[str, StringConstraints(pattern=rf"^({_NAME})$")]
_Tenant = Annotated[str, StringConstraints(pattern=r"^(\*|[A-Za-z0-9][A-Za-z0-9._:@-]{0,127})$")]

_EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "lists": 'finance = ["ann@example.com", "@accounting.example.com"]',
        "who": 'who = ["ann@example.com", "@example.com", "list:finance"]',
        "by": 'by = ["ann@example.com", "@example.com", "list:finance"]',
        "roles": 'roles = ["viewer", "operator", "approver", "admin"]',
        "tenants": 'tenants = ["default"], or ["*"] for all',
        "not_requester": "not_requester = true",
    }
)


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Grant(_Row):
    """What some may do, in some tenants."""

    who: list[_Who] = Field(min_length=1)
    roles: list[Role] = Field(min_length=1)
    tenants: list[_Tenant] = Field(default=["default"], min_length=1)


class Rule(_Row):
    """What a decision on a call takes. What is not named is not asked for."""

    program: str | None = None
    tool: str | None = None
    tenant: str | None = None
    by: list[_Who] | None = Field(default=None, min_length=1)
    not_requester: bool = False

    def fits(self, tenant: str, program: str, tool: str) -> bool:
        """Whether the rule is about such a call."""
        said = ((self.tenant, tenant), (self.program, program), (self.tool, tool))
        return all(wanted in (None, found) for wanted, found in said)


class Roles(_Row):
    """The table. Addresses are the same in upper and lower case."""

    lists: dict[str, list[_Member]] = {}
    grants: list[Grant] = []
    approvals: list[Rule] = []

    @classmethod
    def read(cls, path: str) -> Roles:
        """The table in this file. Raises BadInput, which names the field and an example."""
        file = Path(path)
        try:
            doc = _parsed(file.read_bytes().decode(), file.suffix)
        except (OSError, ValueError, RecursionError) as exc:
            raise BadInput(f"ONWARD_ROLES: {path} can't be read as TOML or JSON: {exc}") from exc
        return cls.of(doc, f"ONWARD_ROLES: {path}")

    @classmethod
    def of(cls, doc: Any, source: str = "roles") -> Roles:
        """The table that this document is. Raises BadInput."""
        try:
            return cls.model_validate(doc)
        except ValidationError as exc:
            raise BadInput(f"{source}: {_problem(exc)}") from exc

    @model_validator(mode="after")
    def _lists_are_there(self) -> Roles:
        rows = [(f"grants.{n}.who", grant.who) for n, grant in enumerate(self.grants)]
        rows += [(f"approvals.{n}.by", rule.by or []) for n, rule in enumerate(self.approvals)]
        for place, names in rows:
            for name in names:
                if name.startswith("list:") and name.removeprefix("list:") not in self.lists:
                    raise PydanticCustomError("list", "{place}: there is no {name}", {"place": place, "name": name})
        return self

    def rights(self, name: str) -> Rights:
        """What this caller may do."""
        held: dict[str, set[Role]] = {}
        for grant in self.grants:
            if self.names(grant.who, name):
                for tenant in grant.tenants:
                    held.setdefault(tenant, set()).update(*(HOLDS[role] for role in grant.roles))
        return Rights(name, MappingProxyType({tenant: frozenset(roles) for tenant, roles in held.items()}))

    def rules(self, tenant: str, program: str, tool: str) -> list[Rule]:
        """The rules of approvals that are about such a call."""
        return [rule for rule in self.approvals if rule.fits(tenant, program, tool)]

    def names(self, who: Iterable[str], name: str) -> bool:
        """Whether a caller is among these."""
        return any(self._is(entry, name.casefold()) for entry in who)

    def _is(self, entry: str, name: str) -> bool:
        if entry.startswith("list:"):
            return any(self._is(member, name) for member in self.lists[entry.removeprefix("list:")])
        if entry.startswith("@"):
            return name.endswith(entry.casefold())
        return entry == EVERYTHING or entry.casefold() == name


NOBODY = Roles()
"""The table of a deployment that was given none."""

EVERYBODY = Roles(grants=[Grant(who=[EVERYTHING], roles=["admin"], tenants=[EVERYTHING])])
"""The table where there is but one caller."""


def _parsed(text: str, suffix: str) -> Any:
    return json.loads(text) if suffix == ".json" else tomllib.loads(text)


def _problem(exc: ValidationError) -> str:
    error = exc.errors()[0]
    place = [str(part) for part in error["loc"]]
    example = next((_EXAMPLES[part] for part in reversed(place) if part in _EXAMPLES), "")
    said = f"{'.'.join(place)}: {error['msg']}" if place else str(error["msg"])
    return f"{said}; write {example}" if example else said


@dataclass(frozen=True, slots=True)
class Rights:
    """One caller, and the roles that they hold in each tenant."""

    name: str
    held: Mapping[str, frozenset[Role]] = field(default_factory=dict)

    def roles(self, tenant: str) -> frozenset[Role]:
        """What they may do in this tenant."""
        return self.held.get(tenant, frozenset()) | self.held.get(EVERYTHING, frozenset())

    @property
    def tenants(self) -> tuple[str, ...] | None:
        """The tenants that they see; None for all."""
        return None if EVERYTHING in self.held else tuple(sorted(self.held))

    def tenant(self, asked: str | None) -> str:
        """The tenant that is meant: the one asked for, or the only one that they see, or else `default`. Raises
        NotFound for one that they don't see."""
        tenant = self.meant(asked)
        if not self.roles(tenant):
            self._check_any()
            raise NotFound(f"there is no tenant {tenant}")
        return tenant

    def many(self, asked: str | None) -> tuple[str, ...] | None:
        """The tenants of a list: the one asked for, or all that they see; None for every one there is."""
        self._check_any()
        return self.tenants if asked is None else (self.tenant(asked),)

    def check(self, role: Role, tenant: str) -> None:
        """Raises NotAllowed without this role."""
        if role not in self.roles(tenant):
            raise NotAllowed(f"{self.name} is no {role} in tenant {tenant}, and this takes one")

    @property
    def several(self) -> bool:
        """Whether they see more than one tenant."""
        return self.tenants is None or len(self.tenants) > 1

    def somewhere(self, role: Role) -> bool:
        """Whether they have this role in any tenant."""
        return any(role in roles for roles in self.held.values())

    def everywhere(self, role: Role) -> bool:
        """Whether they have this role in every tenant there may be."""
        return role in self.held.get(EVERYTHING, frozenset())

    def check_everywhere(self, role: Role) -> None:
        """Raises NotAllowed without this role in every tenant there may be."""
        if not self.everywhere(role):
            raise NotAllowed(f"{self.name} is no {role} of every tenant, and this takes one")

    def check_somewhere(self, role: Role) -> None:
        """Raises NotAllowed without this role in any tenant."""
        self._check_any()
        if not self.somewhere(role):
            raise NotAllowed(f"{self.name} is no {role}, and this takes one")

    def meant(self, asked: str | None) -> str:
        """The tenant that is meant, whether they see it or not."""
        seen = self.tenants
        return asked or (seen[0] if seen is not None and len(seen) == 1 else "default")

    def _check_any(self) -> None:
        if not self.held:
            raise NotAllowed(f"{self.name} has no role here: ONWARD_ROLES names who may do what", "no_role")
