"""Switches by which operators hold back effects: of everything, of a program, of a tenant."""

from __future__ import annotations

from datetime import datetime

from onward.core.events import Actor, Value
from onward.core.ids import check_id
from onward.errors import BadInput

ALL = "all"
_KINDS = ("program", "tenant")


class Switch(Value):
    """Something that is switched off: `scope` is `all`, `program:NAME` or `tenant:NAME`; by whom, why and when."""

    scope: str
    by: Actor
    reason: str
    at: datetime

    def covers(self, program: str, tenant: str) -> bool:
        """Whether a session of this program and tenant is held back."""
        return self.scope in (ALL, f"program:{program}", f"tenant:{tenant}")


class Turn(Value):
    """One turn of a switch, as the history keeps it: `off`, or on again."""

    switch: Switch
    off: bool


def check_scope(scope: str) -> str:
    """Return `scope` if it is one. Raises BadInput."""
    kind, _, name = scope.partition(":")
    if scope == ALL or (kind in _KINDS and check_id(name, f"scope {kind}")):
        return scope
    raise BadInput(f"scope: {scope[:60]!r} is none; say {ALL}, program:NAME or tenant:NAME")
