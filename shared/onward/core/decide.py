"""What comes next: first what the log already owes (endings, doubts, calls), then what the program wants."""

from __future__ import annotations

from dataclasses import replace

from onward.core import events as ev
from onward.core.absorb import dropped, settle
from onward.core.branch import ASKED_FOR, BRANCH_ASKS, must_ask
from onward.core.draft import ENGINE
from onward.core.events import Actor, Body, Failure
from onward.core.ids import child_id
from onward.core.payload import Erased
from onward.core.program import (
    Child,
    Decision,
    Effect,
    Handover,
    MakeCall,
    Perform,
    Poll,
    Program,
    Recall,
    Reconcile,
    Record,
    Rest,
    StartChild,
)
from onward.core.signals import OutcomeBody
from onward.core.state import OpenCall, State, changed

TOGETHER = 200
"""Calls that are made at once, or given up at once: what they come to is one commit."""


def decide(state: State, program: Program) -> Decision:
    """The next decision. Pure."""
    if state.ended:
        return Rest()
    if state.closing:
        return _kept(state) or _doubts(state, program) or _unwound(state, program) or close(state)
    if state.held:
        return Rest()
    return (
        _kept(state)
        or _doubts(state, program)
        or _edited(state, program)
        or _unasked(state, program)
        or _led(state, program)
        or _recalls(state, program)
        or _calls(state, program)
        or _handover(state, program)
        or program.decide(state)
    )


def close(state: State) -> Decision:
    """End a closing session, once nothing that was started is unsettled. Needs no program."""
    if state.closing is None or any(call.unsettled for call in state.calls.values()):
        return Rest()
    error = state.closing.error
    refusals = dropped(state, error)
    if len(refusals) > TOGETHER:
        return Record(tuple(refusals[:TOGETHER]), ENGINE)
    if state.closing.outcome == "cancelled":
        return Record((*refusals, ev.SessionCancelled(reason=error.message)), ENGINE)
    return Record((*refusals, ev.SessionFailed(error=error)), ENGINE)


def may_unwind(state: State) -> bool:
    """Whether something may have been done that only the session's program can tell how to take back."""
    done = (entry for entry in state.transcript if entry.kind == "result" and not entry.failed)
    return state.on_input == "deliver" and any(entry.name is not None for entry in done)


def _unwound(state: State, program: Program) -> Decision | None:
    """What is taken back before the end, once it is known of everything that was done."""
    if any(call.unsettled for call in state.calls.values()):
        return None
    decision = program.unwind(state)
    if decision is None:
        return None
    if state.held:
        return Rest()
    if isinstance(decision, Record):
        return decision
    return _edited(state, program) or _recalls(state, program) or _calls(state, program) or decision


def _led(state: State, program: Program) -> Decision | None:
    """A program that leads hears what its calls came to before others of them are made."""
    decision = program.decide(state) if program.leads else None
    return None if isinstance(decision, Rest) else decision


def _doubts(state: State, program: Program) -> Decision | None:
    for call in state.calls.values():
        if call.status == "doubt":
            tool = program.performer(call, state)
            if tool is not None and tool.reconciles():
                return Perform((Reconcile(call),))
            error = Failure(code="no_reconciler", message=f"{call.tool} can't tell whether it happened")
            return Record((ev.CallReconciled(call=call.id, answer="unknown", error=error),), ENGINE)
    return None


def _kept(state: State) -> Decision | None:
    """An outcome that came early settles a doubt too: its call may have been started and never got to be pending."""
    for id, kept in state.kept.items():
        if state.calls[id].status in ("pending", "doubt", "person"):
            if isinstance(kept.body, Erased):
                error = Failure(code="outcome_erased", message="what was said of it was erased before it was taken up")
                return Record((ev.CallReconciled(call=id, answer="unknown", error=error),), ENGINE)
            body = OutcomeBody.model_validate(kept.body)
            return Record(tuple(settle(state.calls[id], kept.signal, body, "outcome")), kept.sender)
    return None


def _edited(state: State, program: Program) -> Decision | None:
    """Arguments that a person changed are validated again, and the rule is asked again (G8)."""
    edited = [call for call in state.calls.values() if call.status == "edited"]
    return Record(tuple(program.check_edit(state, edited[0])), ENGINE) if edited else None


def _unasked(state: State, program: Program) -> Decision | None:
    """In a live branch a person is asked about each call that can't simply be made again, whoever proposed it."""
    calls = [call for call in state.calls.values() if call.status == "ready" and must_ask(state, call.effect)]
    calls = [call for call in calls if not (call.approved_by or call.takes_back) and program.performer(call, state)]
    return Record(tuple(_request(state, call) for call in calls), ENGINE) if calls else None


def _request(state: State, call: OpenCall) -> Body:
    assert state.at is not None, "a call has a time"
    if isinstance(call.arguments, Erased):
        error = Failure(code="arguments_erased", message="nobody can be asked about it, as its arguments were erased")
        return ev.CallRefused(call=call.id, error=error)
    return ev.ApprovalRequested(
        call=call.id,
        tool=call.tool,
        digest=call.digest,
        arguments=call.arguments,
        rule=BRANCH_ASKS,
        effect=call.effect,
        expires_at=state.at + ASKED_FOR,
        on_timeout="deny",
        input_schema={},
    )


def _recalls(state: State, program: Program) -> Decision | None:
    """A branch that is not live performs no call (G14). To hand over is none: nothing happens in the world."""
    open = [call for call in state.calls.values() if not (call.waits and call.status == "pending")]
    if not (state.detached and open):
        return None
    targets = [(call, program.elsewhere(call, state)) for call in open]
    calls = tuple(call for call, target in targets if not isinstance(target, Handover))
    if calls:
        return Perform((Recall(calls),))
    call, target = targets[0]
    assert isinstance(target, Handover)
    return Perform((Recall((call,), target),))


def _calls(state: State, program: Program) -> Decision | None:
    """What can run together runs together; each irreversible call is a step of its own (R9)."""
    ready = [call for call in state.calls.values() if call.status == "ready"]
    performed = [(call, program.performer(call, state)) for call in ready]
    own = [call for call, tool in performed if tool is not None]
    others = [(call, program.elsewhere(call, state)) for call, tool in performed if tool is None]
    unknown = [call for call, target in others if target is None]
    if unknown:
        return Record(tuple(_no_such_tool(call, program) for call in unknown), ENGINE)
    polls = [Poll(call) for call in state.calls.values() if call.poll_due]
    starting = [(call, target) for call, target in others if isinstance(target, Child)]
    starting = [(call, child) for call, child in starting if not _must_wait(state, child)]
    children = [_start(state, call, target, len(starting)) for call, target in starting]
    together = [MakeCall(call) for call in own if call.repeatable]
    if polls or together or children:
        effects: list[Effect] = [*polls, *together, *children]
        return Perform(tuple(effects[:TOGETHER]))
    irreversible = [call for call in own if not call.repeatable]
    return Perform((MakeCall(irreversible[0]),)) if irreversible else None


def _must_wait(state: State, child: Child) -> bool:
    """Whether other children hold what this one needs: when they end, what they did not spend is there again."""
    if state.limits.tokens is None:
        return False
    held = sum(call.allotted for call in state.calls.values())
    if not held:
        return False
    left, needed = state.limits.tokens - state.spent.tokens, child.limits.tokens or 1
    return left < needed <= left + held


def _start(state: State, call: OpenCall, child: Child, together: int) -> StartChild:
    """A child may spend what it is allotted; where only its parent is limited, its share of what is left there."""
    left = None if state.limits.tokens is None else max(1, (state.limits.tokens - state.spent.tokens) // together)
    tokens = child.limits.tokens if child.limits.tokens is not None else left
    return StartChild(
        call, child_id(state.session, call.id), replace(child, limits=changed(child.limits, tokens=tokens))
    )


def _handover(state: State, program: Program) -> Decision | None:
    """A handover settles its call and changes the program in one event, once no other call is open. Of several only
    one can be: the next program knows nothing of the others."""
    ready = [call for call in state.calls.values() if call.status == "ready"]
    targets = [target for call in ready if isinstance(target := program.elsewhere(call, state), Handover)]
    if not targets or len(targets) < len(state.calls):
        return None
    to, call = targets[0], ready[0].id
    body = ev.ProgramChanged(program=to.program, version=to.version, on_input=to.on_input, call=call)
    return Record((body,), Actor(kind="program", name=program.name))


def _no_such_tool(call: OpenCall, program: Program) -> Body:
    error = Failure(code="unknown_tool", message=f"{program.name} {program.version} has no tool {call.tool}")
    return ev.CallFailed(call=call.id, attempt=call.attempt, error=error)
