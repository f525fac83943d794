"""From a model's answer to events: the model only proposes, and each call passes validation, then approval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onward.core.branch import BRANCH_ASKS, must_ask
from onward.core.canonical import digest
from onward.core.events import ApprovalRequested, Body, CallEdited, CallsProposed, Failure, Proposal
from onward.core.ids import call_id
from onward.core.payload import Blob, Erased
from onward.core.state import Entry, OpenCall, State, changed
from onward.errors import BadInput, Permanent
from onward.programs.approvals import Approval
from onward.programs.team import AgentTool, HandoverTool
from onward.programs.tools import Tool

Offer = Tool[..., Any] | AgentTool | HandoverTool
"""What a model may ask for."""

Offers = Mapping[str, Offer]
LONGEST_NAME = 64
NAMES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class _Checked:
    """A call as it will stand in the log; `tool` is set where a person is to be asked."""

    proposal: Proposal
    arguments: Any
    tool: Offer | None = None


def calls_of(answer: Entry) -> Sequence[Mapping[str, Any]]:
    """The calls a model's answer asks for, as the model wrote them: `name` and `arguments`."""
    value = answer.value
    return (value.get("calls") or ()) if isinstance(value, Mapping) else ()


def text_of(answer: Entry) -> str:
    """What a model's answer says."""
    return str(answer.value.get("text") or "") if isinstance(answer.value, Mapping) else ""


def propose(state: State, answer: Entry, tools: Offers) -> tuple[Body, ...]:
    """The events that an answer's calls become: all calls proposed at once, then a request per call a person decides.

    They are to be the very next events: calls are named by the first one's seq. Where an input waits that interrupts,
    none of them will be performed. Pure.
    """
    if isinstance(answer.value, Blob):  # it must not be paid for twice because it was long
        raise Permanent(f"the model's answer (event {answer.seq}) lies in a blob that was not fetched")
    interrupted = state.on_input == "interrupt" and bool(state.queued)
    checked = _one_handover([_check(state, call, tools) for call in calls_of(answer)], tools)
    if interrupted:
        checked = [_refuse(one, "interrupted", "an input came before it was performed") for one in checked]
    proposed = CallsProposed(calls=[one.proposal for one in checked], arguments=[one.arguments for one in checked])
    named = ((call_id(state.seq + 1, index), one) for index, one in enumerate(checked))
    return (proposed, *(_request(state, id, one, one.tool) for id, one in named if one.tool is not None))


def check_edit(state: State, call: OpenCall, tools: Offers) -> tuple[Body, ...]:
    """A person changed a call's arguments: they pass validation again, and the rule is asked again (G8). Who changed
    them has approved them; where the rule wants more people, those are asked about the call as it is now. Pure."""
    if isinstance(call.edited, Blob):
        raise Permanent(f"the changed arguments of call {call.id} lie in a blob that was not fetched")
    if isinstance(call.edited, Erased):
        error = Failure(code="arguments_erased", message="the changed arguments were erased before they were checked")
        return (CallEdited(call=call.id, digest=call.digest, error=error),)
    one = _check(state, {"name": call.tool, "arguments": call.edited}, tools)
    if one.proposal.refusal is not None:
        return (CallEdited(call=call.id, digest=call.digest, error=one.proposal.refusal),)
    edited = CallEdited(call=call.id, digest=one.proposal.digest, arguments=one.arguments)
    asked = _request(state, call.id, one, one.tool) if one.tool is not None else None
    more = asked is not None and asked.needed > len(call.approved_by)
    return (edited, asked) if asked is not None and more else (edited,)


def _check(state: State, call: Mapping[str, Any], tools: Offers) -> _Checked:
    name, arguments = str(call.get("name", "")), call.get("arguments")
    tool = tools.get(name)
    if tool is None:
        # Nothing will be done for it, so it counts as a read.
        return _refused(name[:LONGEST_NAME], "read", arguments, "unknown_tool", _no_such_tool(name, tools))
    try:
        value, recorded = tool.form.settle(arguments)
    except BadInput as exc:
        return _refused(name, tool.effect, arguments, "bad_arguments", str(exc))
    rule = tool.approval.asks(value) if tool.approval else None
    rule = rule or (BRANCH_ASKS if must_ask(state, tool.effect) else None)
    proposal = Proposal(tool=name, effect=tool.effect, digest=digest([name, recorded]), rule=rule)
    return _Checked(proposal, recorded, tool if rule and not state.detached else None)


def _one_handover(checked: list[_Checked], tools: Offers) -> list[_Checked]:
    """Only one agent can take over: who comes next knows nothing of the other handovers."""
    over = [at for at, one in enumerate(checked) if _is_handover(one, tools)]
    message = "the conversation is handed over to one agent at a time, and another handover stands before this one"
    return [_refuse(one, "one_handover", message) if at in over[1:] else one for at, one in enumerate(checked)]


def _is_handover(one: _Checked, tools: Offers) -> bool:
    return one.proposal.refusal is None and isinstance(tools.get(one.proposal.tool), HandoverTool)


def _refuse(one: _Checked, code: str, message: str) -> _Checked:
    """The same call, not to be performed; one that is refused already stays so for its own reason."""
    if one.proposal.refusal is not None:
        return one
    return _Checked(changed(one.proposal, refusal=Failure(code=code, message=message), rule=None), one.arguments)


def _refused(name: str, effect: Any, arguments: Any, code: str, message: str) -> _Checked:
    refusal = Failure(code=code, message=message)
    return _Checked(Proposal(tool=name, effect=effect, digest=digest([name, arguments]), refusal=refusal), arguments)


def _no_such_tool(name: str, tools: Offers) -> str:
    from difflib import get_close_matches  # only for a model that goes wrong

    near = get_close_matches(name[:LONGEST_NAME], list(tools), n=3)
    there_are = ", ".join(list(tools)[:NAMES_SHOWN]) or "none"
    advice = f"did you mean {' or '.join(near)}?" if near else f"the tools are: {there_are}"
    return f"there is no tool {name[:LONGEST_NAME]!r}; {advice}"


def _request(state: State, id: str, one: _Checked, tool: Offer) -> ApprovalRequested:
    undo = tool.undo.name if tool.undo else None
    approval = tool.approval or Approval()
    return requested(state, id, one.proposal, one.arguments, approval, undo, tool.form.schema)


def requested(
    state: State, id: str, proposal: Proposal, arguments: Any, approval: Approval, undo: str | None, schema: Any
) -> ApprovalRequested:
    """The question whether a call is to be made, as people are asked it from now on."""
    assert state.at is not None, "what proposed it has a time"
    expires_at = state.at + approval.lifetime
    return ApprovalRequested(
        call=id,
        tool=proposal.tool,
        digest=proposal.digest,
        arguments=arguments,
        rule=proposal.rule or "",
        effect=proposal.effect,
        undo=undo,
        expires_at=expires_at,
        on_timeout="deny" if state.effects == "live" else approval.on_timeout,
        input_schema=schema,
        needed=approval.people,
        approvers=list(approval.by or ()),
        remind_at=approval.reminded_at(expires_at),
        allow_unverified=approval.allow_unverified,
    )
