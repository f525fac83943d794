"""Agents as tools of other agents: one that is asked in a session of its own, and one that takes the session over."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol, cast, get_args, get_type_hints, runtime_checkable

from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo

from onward.core.events import NO_LIMITS, EffectClass, Limits, OnClose, OnInput
from onward.core.model import ToolSpec
from onward.core.program import Child, Handover
from onward.errors import BadInput
from onward.programs.approvals import Approval, checked_approval
from onward.programs.schema import CONFIG, Form, form_of, is_tool_name
from onward.programs.signature import Signature

TRANSFER = "transfer_to_"


@runtime_checkable
class Member(Protocol):
    """An agent, as others see it."""

    name: str
    version: str
    description: str
    on_input: OnInput
    limits: Limits


class AgentTool:
    """An agent that another one can ask: each call is a session of its own (made by `Agent.as_tool`).

    Starting it is create-if-absent, so it counts as idempotent whatever the agent does in it.
    """

    effect: EffectClass = "idempotent"
    undo = None

    def __init__(
        self,
        agent: Member,
        *,
        name: str | None,
        description: str | None,
        limits: Limits | None,
        on_close: OnClose,
        approval: Approval | None,
        input_type: type[Any] | None,
    ) -> None:
        self.agent = agent
        self.name = _tool_name(agent, name, "")
        self.approval = checked_approval(self.name, approval)
        self.form = form_of(_ask, self.name) if input_type is None else _fields_of(self.name, input_type)
        told = description or agent.description or f"Give a task to the agent {agent.name}, and get its answer."
        self.spec = ToolSpec(self.name, told, self.form.schema)
        self.child = Child(
            agent.name, agent.version, agent.on_input, _checked_on_close(self.name, on_close), _least(agent, limits)
        )

    def __repr__(self) -> str:
        return f"<tool {self.name}: the agent {self.agent.name}>"

    @property
    def elsewhere(self) -> Child:
        return self.child


class HandoverTool:
    """An agent that the session can be handed over to, with all that was said (made by `Agent.as_handover`)."""

    effect: EffectClass = "idempotent"
    undo = None

    def __init__(self, agent: Member, *, name: str | None, description: str | None, approval: Approval | None) -> None:
        self.agent = agent
        self.name = _tool_name(agent, name, TRANSFER)
        self.approval = checked_approval(self.name, approval)
        self.form = form_of(_transfer, self.name)
        about = f": {agent.description.rstrip(' .')}" if agent.description else ""
        told = description or f"Hand the conversation over to {agent.name}{about}. It sees all that was said."
        self.spec = ToolSpec(self.name, told, self.form.schema)

    def __repr__(self) -> str:
        return f"<handover {self.name}: the agent {self.agent.name}>"

    @property
    def elsewhere(self) -> Handover:
        return Handover(self.agent.name, self.agent.version, self.agent.on_input)


def _ask(input: str) -> None:
    """What the agent starts with."""


def _transfer(reason: str = "") -> None:
    """Why the other one is to go on."""


def _tool_name(agent: Any, name: str | None, prefix: str) -> str:
    if not isinstance(agent, Member):
        raise BadInput(f"{agent!r} is no agent")
    chosen = prefix + agent.name.replace("-", "_") if name is None else name
    if not is_tool_name(chosen):
        raise BadInput(f"agent {agent.name}: as a tool {chosen!r}: a name is 1 to 64 letters, digits and _; give name=")
    return chosen


def _checked_on_close(name: str, on_close: Any) -> OnClose:
    if on_close not in get_args(OnClose):
        raise BadInput(f"tool {name}: on_close {on_close!r} is none of {', '.join(get_args(OnClose))}")
    return cast(OnClose, on_close)


def _least(agent: Member, limits: Limits | None) -> Limits:
    """The agent's own limits, and no more than these."""
    if limits is not None and not isinstance(limits, Limits):
        raise BadInput(f"agent {agent.name}: as_tool(limits={limits!r}) must be Limits, such as Limits(tokens=50_000)")
    both = (agent.limits, limits or NO_LIMITS)
    bounds = {
        name: [getattr(one, name) for one in both if getattr(one, name) is not None] for name in Limits.model_fields
    }
    return Limits(**{name: min(given) for name, given in bounds.items() if given})


def wrapped(input_type: Any) -> type[Any]:
    """A type whose fields are what a tool takes that stands for this one: its own, where it has some, else `input`."""
    if isinstance(input_type, type) and (issubclass(input_type, BaseModel) or dataclasses.is_dataclass(input_type)):
        return input_type
    fields: Any = {"input": (input_type, ...)}
    return cast("type[Any]", create_model("input", __config__=CONFIG, **fields))


def _fields_of(tool: str, input_type: Any) -> Form:
    """A form with the fields of a pydantic model, or of a dataclass."""
    model = _model_of(tool, input_type)
    if not model.model_fields:
        raise BadInput(f"tool {tool}: input_type {input_type!r} has no fields")
    try:
        return Form(tool, model, Signature(), {})
    except Exception as exc:  # a type's own hooks may raise anything
        raise BadInput(f"tool {tool}: input_type {input_type!r} has no JSON Schema: {exc}") from exc


def _model_of(tool: str, input_type: Any) -> type[BaseModel]:
    if isinstance(input_type, type) and issubclass(input_type, BaseModel):
        return input_type
    if not isinstance(input_type, type) or not dataclasses.is_dataclass(input_type):
        raise BadInput(f"tool {tool}: input_type is a pydantic model or a dataclass, not {input_type!r}")
    hints = get_type_hints(input_type, include_extras=True)
    fields: Any = {field.name: (hints[field.name], _default(field)) for field in dataclasses.fields(input_type)}
    return cast("type[BaseModel]", create_model(tool, __config__=CONFIG, **fields))


def _default(field: Any) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return FieldInfo(default_factory=field.default_factory)
    return ... if field.default is dataclasses.MISSING else field.default
