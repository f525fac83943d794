"""What comes next: first what the log already owes (endings, doubts, calls), then what the program wants."""

from __future__ import annotations

from onward.core import events as ev
from onward.core.absorb import settle
from onward.core.draft import ENGINE
from onward.core.events import Body, Failure
from onward.core.program import Decision, MakeCall, Perform, Poll, Program, Reconcile, Record, Rest
from onward.core.signals import OutcomeBody
from onward.core.state import OpenCall, State

_UNSETTLED = ("started", "doubt", "person")


def decide(state: State, program: Program) -> Decision:
    """The next decision. Pure."""
    if state.ended:
        return Rest()
    if state.closing:
        return _kept(state) or _doubts(state, program) or close(state)
    if state.held:
        return Rest()
    return _kept(state) or _doubts(state, program) or _calls(state, program) or program.decide(state)


def close(state: State) -> Decision:
    """End a closing session, once nothing that was started is unsettled. Needs no program."""
    if state.closing is None or any(call.status in _UNSETTLED for call in state.calls.values()):
        return Rest()
    error = state.closing.error
    refusals: list[Body] = [ev.CallRefused(call=id, error=error) for id in state.calls]
    if state.closing.outcome == "cancelled":
        return Record((*refusals, ev.SessionCancelled(reason=error.message)), ENGINE)
    return Record((*refusals, ev.SessionFailed(error=error)), ENGINE)


def _doubts(state: State, program: Program) -> Decision | None:
    for call in state.calls.values():
        if call.status == "doubt":
            tool = program.performer(call.tool)
            if tool is not None and tool.reconciles():
                return Perform((Reconcile(call),))
            error = Failure(code="no_reconciler", message=f"{call.tool} can't tell whether it happened")
            return Record((ev.CallReconciled(call=call.id, answer="unknown", error=error),), ENGINE)
    return None


def _kept(state: State) -> Decision | None:
    """An outcome that came early settles a doubt too: its call may have been started and never got to be pending."""
    for id, kept in state.kept.items():
        if state.calls[id].status in ("pending", "doubt", "person"):
            body = OutcomeBody.model_validate(kept.body)
            return Record(tuple(settle(state.calls[id], kept.signal, body, "outcome")), kept.sender)
    return None


def _calls(state: State, program: Program) -> Decision | None:
    """What can run together runs together; each irreversible call is a step of its own (R9)."""
    ready = [call for call in state.calls.values() if call.status == "ready"]
    unknown = [call for call in ready if program.performer(call.tool) is None]
    if unknown:
        return Record(tuple(_no_such_tool(call, program) for call in unknown), ENGINE)
    polls = [Poll(call) for call in state.calls.values() if call.poll_due]
    together = [MakeCall(call) for call in ready if call.repeatable]
    if polls or together:
        return Perform((*polls, *together))
    return Perform((MakeCall(ready[0]),)) if ready else None


def _no_such_tool(call: OpenCall, program: Program) -> Body:
    error = Failure(code="unknown_tool", message=f"{program.name} {program.version} has no tool {call.tool}")
    return ev.CallFailed(call=call.id, attempt=call.attempt, error=error)
