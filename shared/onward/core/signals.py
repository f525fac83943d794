"""What can come from outside for a session, and its form (R16, G15)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from onward.core.canonical import digest
from onward.core.events import NO_LIMITS, Actor, Failure, Limits, Value
from onward.core.ids import signal_id
from onward.errors import BadInput

Reason = Annotated[str, Field(max_length=2000)]
Name = Annotated[str, Field(max_length=256)]

FIRST, LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Between these lie the times that are taken from outside."""

NO_TIME = f"a time lies between the years {FIRST.year} and {LAST.year}"

_WRITTEN = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]")


def _written(value: Any) -> Any:
    """A time is written as one, and not as a number that somebody would have to count from."""
    if isinstance(value, datetime) or (isinstance(value, str) and _WRITTEN.match(value)):
        return value
    raise PydanticCustomError("time", "a time is written as 2026-01-01T00:00:00Z")


def _bearable(value: datetime) -> datetime:
    if not is_bearable(value):
        raise PydanticCustomError("time", NO_TIME)
    return value


def is_bearable(value: datetime) -> bool:
    """Whether others can count on from a time, and tell it in their own zone: that has to be a time, too."""
    return FIRST <= value < LAST


Time = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_bearable)]
"""A time that comes from outside."""

KEPT_DAYS = 45
"""How long an absorbed signal still makes a repeat of it harmless."""


class StartBody(Value):
    """What a start says. `version` None means the newest; times have a time zone."""

    program: str
    version: str | None = None
    input: Any = None
    labels: dict[str, str | int | bool] = Field(default={}, max_length=16)
    limits: Limits = NO_LIMITS
    deadline: Time | None = None
    not_before: Time | None = None
    pinned: bool = Field(default=False, strict=True)
    exists: Literal["rejoin", "reject"] = "rejoin"


class InputBody(Value):
    """Something said to the session: any JSON value; a file in it carries its bytes (`core.files`). With a `name` it is
    for the wait of a workflow that asks for that one."""

    content: Any
    name: Annotated[str, Field(min_length=1, max_length=256)] | None = None


Verdict = Literal["approved", "rejected", "responded", "delegated"]
_GOES_WITH = {"arguments": "approved", "result": "responded", "to": "delegated"}


class DecisionBody(Value):
    """`digest` names the exact call that was shown.

    approved: perform it, with `arguments` instead of those shown if they are given · rejected: don't · responded:
    don't, and take `result` for what it came to · delegated: `to` is to decide. `decided` is of one who comes by a
    link: how many decisions on the call it was made after; it is good for the next one alone.
    """

    call: str
    verdict: Verdict
    digest: str
    decided: int | None = Field(default=None, ge=0)
    reason: Reason = ""
    arguments: dict[str, Any] | None = None
    result: Any = None
    to: Name | None = None

    @model_validator(mode="after")
    def _fits(self) -> DecisionBody:
        for name, verdict in _GOES_WITH.items():
            if getattr(self, name) is not None and self.verdict != verdict:
                raise PydanticCustomError("misplaced", f"{name} goes with the verdict {verdict}, not {self.verdict}")
        if self.verdict == "delegated" and not self.to:
            raise PydanticCustomError("missing", "delegated needs to: who is to decide")
        return self


class OutcomeBody(Value):
    """What became of a call: `done` with a result, `not_done` (it may be performed again), or `failed` with an error.

    `attempt` is set where the outcome is of one attempt: a holder's that lost its lease.
    """

    call: str
    status: Literal["done", "not_done", "failed"]
    result: Any = None
    error: Failure | None = None
    attempt: int | None = None
    reason: Reason = ""


class CancelBody(Value):
    """End the session once nothing that was started is unsettled."""

    reason: Reason = ""


class PauseBody(Value):
    """Start nothing new until somebody resumes the session."""

    reason: Reason = ""


class SkipBody(Value):
    """Take `result` for what this call came to, without performing it."""

    call: str
    result: Any = None
    reason: Reason = ""


class FinishBody(Value):
    """End the session as completed, with this output or else its newest answer."""

    output: Any = None
    reason: Reason = ""


class ChildBody(Value):
    """What became of a child session: its engine says so to its parent."""

    call: str
    session: str
    status: Literal["completed", "failed", "cancelled"]
    output: Any = None
    error: Failure | None = None
    tokens: int = 0


class ResumeBody(Value):
    """Go on; with `limits`, under these."""

    reason: Reason = ""
    limits: Limits | None = None


BODIES: Mapping[str, type[Value]] = MappingProxyType(
    {
        "input": InputBody,
        "decision": DecisionBody,
        "outcome": OutcomeBody,
        "skip": SkipBody,
        "pause": PauseBody,
        "resume": ResumeBody,
        "finish": FinishBody,
        "cancel": CancelBody,
        "child": ChildBody,
    }
)


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal as it is filed. `filed_at` is the store's time; sender is verified by whoever filed it."""

    id: str
    kind: str
    body: Mapping[str, Any]
    sender: Actor
    filed_at: datetime | None = None

    @property
    def digest(self) -> str:
        """What a second signal under the same id must equal."""
        return digest([self.kind, dict(self.body), self.sender.kind, self.sender.name])

    def parsed(self) -> Any:
        return parse(self.kind, self.body)


def filed_as(sender: Actor, kind: str, key: str) -> str:
    """The id under which a sender's signal is filed: the same key is the same signal (R16)."""
    return signal_id(f"{sender.kind}/{sender.name}", kind, key)


def parse(kind: str, body: Mapping[str, Any]) -> Any:
    """The typed body of a signal. Raises BadInput, naming the field."""
    form = BODIES.get(kind)
    if form is None:
        raise BadInput(f"kind: {kind!r} is not a signal; there are {', '.join(BODIES)}")
    try:
        return form.model_validate(body)
    except ValidationError as exc:
        first = exc.errors()[0]
        raise BadInput(f"{'.'.join(map(str, (kind, *first['loc'])))}: {first['msg']}") from exc
