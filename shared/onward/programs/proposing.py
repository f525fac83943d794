"""From what a workflow wants to events: what it asks for is proposed, what it let go of is settled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from onward.core import events as ev
from onward.core.absorb import dropped, left
from onward.core.branch import BRANCH_ASKS, must_ask
from onward.core.events import Body, CallsProposed, EffectClass, Failure, Operation, OperationKind, Proposal
from onward.core.ids import call_id
from onward.core.state import OpenCall, State, changed
from onward.core.words import LEFT, TAKEN
from onward.programs.approvals import Approval
from onward.programs.operations import Ask
from onward.programs.proposals import requested
from onward.programs.running import Run
from onward.programs.tools import Tool

MOST_OPEN = 1000
"""Calls of one session that are open at once; what is wanted beyond them is proposed as others are settled."""

AT_ONCE = 200
"""Calls that are proposed in one event, or given up in one step: the event is to fit into a commit."""

HEAVIEST = 128 * 1024
"""Bytes of JSON Schema in such an event."""

_EFFECTS: Mapping[OperationKind, EffectClass] = {
    "sleep": "read",
    "approval": "read",
    "signal": "read",
    "patch": "read",
    "child": "idempotent",
    "start": "idempotent",
}


def proposed(run: Run, state: State, before: int) -> list[Body]:
    """What is newly wanted, behind so many bodies of the same record: the calls, then a request for each that people
    decide on."""
    asks = list(_first(run.wanted.values(), min(AT_ONCE, MOST_OPEN - len(state.calls))))
    return propose(state, asks, before) if asks else []


def _first(asks: Iterable[Ask], most: int) -> Iterator[Ask]:
    """The first of these, not more than go into one event, and one at least if there is room for one."""
    heavy = 0
    for ask in islice(asks, max(0, most)):
        heavy += len(repr(ask.takes)) if ask.takes is not None else 0
        yield ask
        if heavy > HEAVIEST:
            return


def marks(run: Run, state: State) -> list[Body]:
    """Marks that the body got and that are not in the log yet: they are before its end is, so that it is told the same
    wherever it is run again."""
    asks = [ask for ask in run.wanted.values() if ask.kind == "patch"]
    return propose(state, asks, 0) if asks else []


def propose(state: State, asks: Sequence[Ask], before: int) -> list[Body]:
    """The events that these become."""
    seq = state.seq + before + 1
    rules = [_rule(state, ask) for ask in asks]
    calls = [_proposal(ask, rule) for ask, rule in zip(asks, rules, strict=True)]
    proposal = CallsProposed(
        calls=calls, arguments=[ask.arguments for ask in asks], operations=[_operation(state, ask) for ask in asks]
    )
    named = enumerate(zip(asks, calls, strict=True))
    asked = [_request(state, call_id(seq, at), ask, call) for at, (ask, call) in named if call.rule]
    return [proposal, *(() if state.detached else asked)]


def _proposal(ask: Ask, rule: str | None) -> Proposal:
    effect = ask.step.effect if ask.step is not None else _EFFECTS[ask.kind]
    return Proposal(tool=ask.tool, effect=effect, digest=ask.digest, rule=rule)


def _operation(state: State, ask: Ask) -> Operation:
    return Operation(name=ask.path, kind=ask.kind, until=_until(state, ask), signal=ask.signal, takes=ask.takes)


def _until(state: State, ask: Ask) -> datetime | None:
    """How long it waits. In a live branch what was asked for at a time of its parent's is waited for from now on."""
    if state.effects != "live" or ask.until is None or ask.since is None or state.at is None:
        return ask.until
    return ask.until + max(state.at - ask.since, timedelta())


def _rule(state: State, ask: Ask) -> str | None:
    """Why people decide, where they do."""
    if ask.kind == "approval":
        return _approval_of(ask).rule
    if ask.step is None:
        return None
    own = ask.step.approval if isinstance(ask.step, Tool) else None
    rule = own.asks(ask.step.form.parse(ask.arguments)) if own else None
    done_here = ask.kind == "undo"  # a branch takes back what it did itself
    return rule or (BRANCH_ASKS if must_ask(state, ask.step.effect) and not done_here else None)


def _approval_of(ask: Ask) -> Approval:
    own = ask.step.approval if isinstance(ask.step, Tool) else None
    return ask.approval or own or Approval()


def _request(state: State, id: str, ask: Ask, proposal: Proposal) -> Body:
    undo = ask.undo.name if ask.undo else None
    editable = isinstance(ask.step, Tool)
    schema = ask.step.form.schema if ask.step is not None and editable else {}
    return requested(state, id, proposal, ask.arguments, _approval_of(ask), undo, schema)


def is_out(run: Run, call: OpenCall) -> bool:
    """Whether something was done in the world, or may have been, and what it came to is to be waited for: because it is
    not known, or because it goes on outside and would have to be taken back."""
    ask = run.asks.get(call.operation.name) if call.operation else None
    return call.unsettled or (call.status == "pending" and ask is not None and ask.undo is not None)


# --- what is let go of -----------------------------------------------------------------------------------------


def let_go(run: Run) -> list[Body]:
    """Settle what nobody waits for any more: what an input was taken for, and what was left. What is under way in the
    world goes on, and is only taken down."""
    bodies: list[Body] = []
    for call, ask in run.left_open():
        if ask.taken is not None:
            bodies.append(_taken(call, ask.taken))
        elif not is_out(run, call):
            error = Failure(code=LEFT, message="the workflow does not wait for it any more")
            bodies += [*left(run.state, call, cancel=True), ev.CallRefused(call=call.id, error=error)]
    return bodies


def _taken(call: OpenCall, event: int) -> Body:
    return ev.CallCompleted(call=call.id, attempt=call.attempt, result={TAKEN: event}, by="input")


def let_all_go(run: Run, state: State, error: Failure) -> list[Body]:
    """Settle everything that is open but what takes something back, because the workflow has come to its end."""
    bodies = let_go(run)
    known: set[Any] = {getattr(body, "call", None) for body in bodies}
    open = {id: call for id, call in state.calls.items() if id not in known and not is_out(run, call)}
    others = {id: call for id, call in open.items() if call.operation is None or call.operation.kind != "undo"}
    return [*bodies, *dropped(changed(state, calls=others), error)][:AT_ONCE]
