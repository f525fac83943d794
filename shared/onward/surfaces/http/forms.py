"""The forms of what the API is asked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from onward.core.events import Effects, Failure, Limits
from onward.core.signals import StartBody

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$", examples=["order-7"])]
Reason = Annotated[str, Field(max_length=2000, description="Recorded, and told to the program.")]
Call = Annotated[str, Field(max_length=64, description="The call's id, as the session's waits name it.")]
Digest = Annotated[str, Field(max_length=64, description="Of the exact call that was shown.")]


class Asking(BaseModel):
    """Base of what is asked: a field that is not known is refused, and so is a value of another type than it says."""

    model_config = ConfigDict(extra="forbid", strict=True)


class StartRequest(StartBody):
    """A session to start. An id that is taken is the same session again, if program and input are the same."""

    model_config = ConfigDict(
        defer_build=False,
        json_schema_extra={"examples": [{"program": "refund-desk", "input": "My grinder came broken."}]},
    )

    id: Id | None = Field(default=None, description="Made, if not given: from the Idempotency-Key, if there is one.")


class EditRequest(Asking):
    """Another value of an event that the session has: of an input, an answer, a result."""

    seq: int = Field(ge=1, le=2**53)
    value: Any


class ForkRequest(Asking):
    """A branch to make. An id that is taken is the same branch again, if all that is said of it is the same.

    recorded: calls are answered from the session's record, and so are models that are asked the same; what has no
    answer there is blocked · live-model: the same, but models are always asked · blocked: no call is made · live: calls
    are made, and a person is asked before those that can't be repeated.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"at": 7, "instructions": "Be brief."}]})

    id: Id | None = Field(default=None, description="Made, if not given: from the Idempotency-Key, if there is one.")
    at: int | None = Field(
        default=None, ge=1, le=2**53, description="After which event; else the last edited one or the newest."
    )
    effects: Effects = "recorded"
    model: str | None = Field(default=None, min_length=1, max_length=256, description="What it asks instead.")
    instructions: str | None = Field(default=None, min_length=1, description="What its models are told instead.")
    version: str | None = Field(default=None, min_length=1, max_length=256, description="Which it begins on instead.")
    input: Any = Field(default=None, description="What it is told first.")
    edits: list[EditRequest] = Field(default=[], max_length=100)
    exists: Literal["rejoin", "reject"] = "rejoin"


class ImportRequest(Asking):
    """An exported session to keep as a recording."""

    file: str = Field(description="All lines of the file, as `/export` answers them.")
    id: Id | None = Field(default=None, description="Another id than it had.")


class InputRequest(Asking):
    """Something said to the session."""

    content: Any = Field(description="Any JSON value; a file is `{$file: {media_type, name, data}}`.", examples=["Hi"])
    name: str | None = Field(
        default=None, min_length=1, max_length=256, description="Which of the inputs that a workflow waits for it is."
    )


class LinkDecisionRequest(Asking):
    """What a person decides on the call that a link opens.

    approved: perform it, with `arguments` instead if they are given · rejected: don't · responded: don't, and take
    `result` for what it came to · delegated: `to` is to decide.
    """

    verdict: Literal["approved", "rejected", "responded", "delegated"]
    reason: Reason = ""
    arguments: dict[str, Any] | None = Field(default=None, description="Goes with approved.")
    result: Any = Field(default=None, description="Goes with responded.")
    to: str | None = Field(default=None, max_length=256, description="Goes with delegated.")


class DecisionRequest(LinkDecisionRequest):
    """What a person decides on exactly the call that they were shown.

    approved: perform it, with `arguments` instead if they are given · rejected: don't · responded: don't, and take
    `result` for what it came to · delegated: `to` is to decide.
    """

    call: Call
    digest: Digest


class LinkRequest(Asking):
    """A link to make."""

    call: Call
    ttl: int = Field(
        default=86_400,
        ge=1,
        le=30 * 86_400,
        description="Seconds for which it is good; never longer than the approval is open.",
    )


class CompletionRequest(Asking):
    """How a call ended that goes on outside: with a result, or an error."""

    call: Call
    token: str = Field(max_length=256, description="The call's, as its tool was given it.")
    result: Any = None
    error: Failure | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> CompletionRequest:
        if {"result", "error"} <= self.model_fields_set:
            raise PydanticCustomError("both", "give result or error, not both")
        return self


class SwitchRequest(Asking):
    """A switch to turn: `off`, or on again."""

    scope: str = Field(max_length=200, description="`all`, `program:NAME` or `tenant:NAME`.", examples=["tenant:acme"])
    off: bool
    reason: Reason = ""


class EraseRequest(Asking):
    """A private field of an event to erase for good."""

    seq: int = Field(ge=1, le=2**53)
    field: str = Field(max_length=64, examples=["arguments"])
    reason: Reason = ""


class ReasonRequest(Asking):
    """Why."""

    reason: Reason = ""


class RetryRequest(ReasonRequest):
    """Set it going, if need be under other limits: these replace those that it has."""

    limits: Limits | None = None


class SkipRequest(ReasonRequest):
    """Take `result` for what a call came to, without performing it."""

    call: Call
    result: Any = None


class ResolveRequest(ReasonRequest):
    """What became of a call that is in doubt: it happened, it did not and may be tried again, or it failed for good."""

    call: Call
    status: Literal["done", "not_done", "failed"]
    result: Any = Field(default=None, description="Goes with done.")


class FinishRequest(ReasonRequest):
    """End it as completed."""

    output: Any = Field(default=None, description="What it came to; else its newest answer.")
