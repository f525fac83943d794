"""Agents: what they decide from a state, and what a model's answer becomes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from onward.core import events as ev
from onward.core.canonical import digest
from onward.core.draft import Draft
from onward.core.events import Actor, Failure, Limits
from onward.core.model import ModelAnswer, ModelRequest
from onward.core.payload import Blob, Erased
from onward.core.program import AskModel, Perform, Program, Record, Rest
from onward.core.state import State
from onward.errors import BadInput, Permanent
from onward.programs.agent import Agent
from onward.programs.approvals import Approval
from onward.programs.tools import tool
from tests.unit.play import open_call

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
MODEL, PROGRAM, ENGINE = Actor(kind="model", name="silent"), Actor(kind="program", name="desk"), Actor(kind="engine")


class Silent:
    """A model that is never asked: deciding is pure."""

    name = "silent"

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        raise AssertionError


@tool(effect="read")
def find_order(order_id: str) -> str:
    """Find an order."""
    return order_id


@tool(approval=Approval(when=lambda args: args.amount > 50, timeout="24h", rule="refunds above 50"))
def refund(order_id: str, amount: Decimal, note: str = "none") -> None:
    """Refund an order."""


@tool(effect="compensatable", undo=refund, approval=Approval(timeout="1h", on_timeout="approve"))
def charge(order_id: str) -> None:
    """Charge an order."""


def an_agent(**options: Any) -> Agent:
    return Agent("desk", **{"model": Silent(), "tools": [find_order, refund, charge], **options})


def a_session(*bodies: ev.Body, input: Any = "Where is my order?", limits: Limits | None = None) -> State:
    """The state after a start and these events, a second apart."""
    draft = Draft(State(), NOW)
    started = ev.SessionStarted(
        tenant="t", session="s", program="desk", version="1", input=input, limits=limits or Limits()
    )
    for body in (started, *bodies):
        draft.add(ENGINE, body)
        draft.now += timedelta(seconds=1)
    return draft.state


def answered(*calls: tuple[str, Any], text: str = "") -> ev.ModelAnswered:
    asked = [{"name": name, "arguments": arguments} for name, arguments in calls]
    return ev.ModelAnswered(model="silent", answer={"text": text, "calls": asked}, calls=len(asked))


def decided(state: State, agent: Agent | None = None) -> tuple[ev.Body, ...]:
    decision = (agent or an_agent()).decide(state)
    assert isinstance(decision, Record)
    assert decision.actor == PROGRAM
    return decision.bodies


def proposed(*calls: tuple[str, Any]) -> tuple[ev.CallsProposed, tuple[ev.ApprovalRequested, ...]]:
    first, *requests = decided(a_session(answered(*calls)))
    assert isinstance(first, ev.CallsProposed)
    assert all(isinstance(request, ev.ApprovalRequested) for request in requests)
    return first, tuple(requests)  # type: ignore[arg-type]


def asked(state: State, agent: Agent | None = None) -> AskModel:
    decision = (agent or an_agent()).decide(state)
    assert isinstance(decision, Perform)
    (effect,) = decision.effects
    assert isinstance(effect, AskModel)
    return effect


# --- deciding --------------------------------------------------------------------------------------------------


def test_an_agent_is_a_program() -> None:
    program: Program = an_agent()
    assert (program.name, program.version, program.follows) == ("desk", "1", True)
    assert program.performer(open_call("refund"), State()) is refund
    assert program.performer(open_call("nothing"), State()) is None


def test_it_waits_for_its_first_input() -> None:
    assert an_agent().decide(a_session(input=None)) == Rest()


def test_an_input_asks_the_model_with_all_it_needs() -> None:
    state = a_session()
    effect = asked(state, an_agent(instructions="Be kind.", max_output_tokens=99, model_timeout="30s"))
    request = effect.request
    assert effect.timeout == 30.0
    assert (request.model, request.instructions, request.max_output_tokens) == ("silent", "Be kind.", 99)
    assert [spec.name for spec in request.tools] == ["find_order", "refund", "charge"]
    assert request.transcript == state.transcript
    assert (request.attempt, request.reserve) == (1, 0)


def test_deciding_twice_decides_the_same() -> None:
    agent, state = an_agent(), a_session(answered(("refund", {"order_id": "o1", "amount": 80})))
    assert agent.decide(state) == agent.decide(state) == an_agent().decide(state)


def test_it_rests_while_a_call_is_open() -> None:
    bodies = decided(a_session(one := answered(("find_order", {"order_id": "o1"}))))
    assert an_agent().decide(a_session(one, *bodies)) == Rest()


def test_a_result_goes_back_to_the_model() -> None:
    one = answered(("find_order", {"order_id": "o1"}))
    state = a_session(one, *decided(a_session(one)), ev.CallCompleted(call="3.0", attempt=1, result="shipped"))
    assert asked(state).request.transcript[-1].value == "shipped"


def test_an_answer_without_calls_ends_the_session() -> None:
    assert decided(a_session(answered(text="It is on its way."))) == (ev.SessionCompleted(output="It is on its way."),)


def test_an_input_that_came_after_the_last_answer_is_taken_up_first() -> None:
    state = a_session(answered(text="Done."), ev.InputReceived(content="One more thing", signal="x"))
    assert asked(state).request.transcript[-1].value == "One more thing"


def test_only_the_newest_answer_is_acted_on() -> None:
    one = answered(("find_order", {"order_id": "o1"}))
    done = a_session(one, *decided(a_session(one)), ev.CallCompleted(call="3.0", attempt=1, result="shipped"))
    assert done.proposed == 3
    two = answered(("find_order", {"order_id": "o2"}))
    state = a_session(one, *decided(a_session(one)), ev.CallCompleted(call="3.0", attempt=1, result="shipped"), two)
    (calls,) = decided(state)
    assert isinstance(calls, ev.CallsProposed)
    assert calls.arguments == [{"order_id": "o2"}]


def test_calls_are_proposed_though_an_input_came_meanwhile() -> None:
    state = a_session(answered(("find_order", {"order_id": "o1"})), ev.InputReceived(content="Hello?", signal="x"))
    (calls,) = decided(state)
    assert isinstance(calls, ev.CallsProposed)


def test_it_rests_until_the_models_retry_is_due_and_says_which_attempt_it_is() -> None:
    error = Failure(code="model_unavailable", message="busy")
    failed = ev.ModelFailed(model="silent", error=error, attempt=2, retry_at=NOW + timedelta(minutes=1))
    state = a_session(failed)
    assert an_agent().decide(state) == Rest()
    due = a_session(failed, ev.TimerFired(timer="model", due_at=NOW + timedelta(minutes=1)))
    assert asked(due).request.attempt == 3


def test_when_all_calls_were_refused_the_model_gets_the_reasons() -> None:
    one = answered(("no_such_tool", {}))
    state = a_session(one, *decided(a_session(one)))
    last = asked(state).request.transcript[-1]
    assert last.failed
    assert last.value["code"] == "unknown_tool"


# --- proposing -------------------------------------------------------------------------------------------------


def test_a_valid_call_is_recorded_with_every_default() -> None:
    calls, requests = proposed(("refund", {"order_id": "o1", "amount": 20}))
    assert calls.arguments == [{"order_id": "o1", "amount": "20", "note": "none"}]
    assert calls.calls == [
        ev.Proposal(tool="refund", effect="irreversible", digest=digest(["refund", calls.arguments[0]]))
    ]
    assert requests == ()


def test_g8_the_digest_is_of_the_call_and_not_of_how_the_model_wrote_it() -> None:
    one, _ = proposed(("refund", {"order_id": "o1", "amount": 20}))
    same, _ = proposed(("refund", {"note": "none", "amount": "20", "order_id": "o1"}))
    other, _ = proposed(("refund", {"order_id": "o1", "amount": 21}))
    assert one.calls[0].digest == same.calls[0].digest != other.calls[0].digest


def test_a_call_that_needs_a_person_is_asked_about() -> None:
    state = a_session(answered(("refund", {"order_id": "o1", "amount": 80})))
    calls, request = decided(state)
    assert isinstance(calls, ev.CallsProposed)
    assert isinstance(request, ev.ApprovalRequested)
    assert calls.calls[0].rule == request.rule == "refunds above 50"
    assert (request.call, request.tool, request.digest) == ("3.0", "refund", calls.calls[0].digest)
    assert request.arguments == calls.arguments[0]
    assert request.input_schema == refund.spec.parameters
    assert request.expires_at == state.at + timedelta(hours=24)  # type: ignore[operator]
    assert (request.effect, request.undo, request.on_timeout) == ("irreversible", None, "deny")


def test_a_request_names_what_could_undo_the_call() -> None:
    _, (request,) = proposed(("charge", {"order_id": "o1"}))
    assert (request.undo, request.on_timeout, request.rule) == ("refund", "approve", "every call of this tool")


def test_g8_all_approvals_of_an_answer_are_asked_at_once_and_the_fold_agrees() -> None:
    one = answered(
        ("refund", {"order_id": "o1", "amount": 80}),
        ("find_order", {"order_id": "o1"}),
        ("refund", {"order_id": "o2", "amount": "many"}),
        ("refund", {"order_id": "o3", "amount": 90}),
    )
    state = a_session(one, *decided(a_session(one)))
    assert {id: call.status for id, call in state.calls.items()} == {"3.0": "asked", "3.1": "ready", "3.3": "asked"}
    assert sorted(state.timers) == ["approval:3.0", "approval:3.3"]
    assert [(entry.call, entry.failed) for entry in state.transcript if entry.kind == "result"] == [("3.2", True)]


def test_bad_arguments_are_refused_with_a_message_and_kept_as_they_came() -> None:
    raw = {"order_id": "o1", "sum": 3}
    calls, requests = proposed(("refund", raw))
    assert calls.arguments == [raw]
    assert requests == ()
    proposal = calls.calls[0]
    assert proposal.rule is None
    assert proposal.effect == "irreversible"
    assert proposal.refusal == Failure(
        code="bad_arguments",
        message="refund: amount: Field required; sum: there is no such parameter; there are: order_id, amount, note",
    )


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("find_orders", "there is no tool 'find_orders'; did you mean find_order?"),
        ("zzz", "there is no tool 'zzz'; the tools are: find_order, refund, charge"),
    ],
)
def test_an_unknown_tool_is_refused_with_the_nearest_names(name: str, says: str) -> None:
    calls, _ = proposed((name, {"a": 1}))
    assert calls.calls[0].effect == "read"
    assert calls.calls[0].refusal == Failure(code="unknown_tool", message=says)


def test_a_name_without_end_does_not_swell_the_log() -> None:
    calls, _ = proposed(("x" * 10_000, {}))
    assert len(calls.calls[0].tool) == 64
    assert len(calls.model_dump_json()) < 1000


# --- approval rules --------------------------------------------------------------------------------------------


class Args:
    amount = 80


def above_fifty(args: Any) -> bool:
    return bool(args.amount > 50)


@pytest.mark.parametrize(
    ("approval", "rule"),
    [
        (Approval(), "every call of this tool"),
        (Approval(rule="four eyes"), "four eyes"),
        (Approval(when=False), None),
        (Approval(when=above_fifty), "above fifty"),
        (Approval(when=lambda args: args.amount > 50), "this tool's approval rule"),
        (Approval(when=lambda args: args.amount > 90, rule="big"), None),
    ],
)
def test_a_rule_asks_or_does_not(approval: Approval, rule: str | None) -> None:
    assert approval.asks(Args()) == rule


@pytest.mark.parametrize("when", [lambda args: args.price > 50, lambda args: None, lambda: True])
def test_g8_a_rule_that_fails_asks(when: Any) -> None:
    rule = Approval(when=when, rule="big").asks(Args())
    assert rule is not None
    assert rule.startswith("big (the rule ")
    assert rule.endswith("so a person is asked)")


async def asynchronous(args: Any) -> bool:
    return True


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeout": "soon"}, "Approval.timeout: 'soon'"),
        ({"on_timeout": "skip"}, "Approval.on_timeout: 'skip'"),
        ({"when": "always"}, "Approval.when: give True"),
        ({"when": asynchronous}, "Approval.when: a rule is pure"),
    ],
)
def test_a_wrong_rule_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Approval(**options)


# --- what was erased, and what lies elsewhere ------------------------------------------------------------------


def test_an_erased_answer_is_not_taken_for_an_empty_one() -> None:
    (failed,) = decided(a_session(ev.ModelAnswered(model="silent", answer=Erased())))
    assert isinstance(failed, ev.SessionFailed)
    assert failed.error.code == "answer_erased"


def test_erased_and_distant_entries_stay_in_the_transcript() -> None:
    blob = Blob(digest="d" * 64, size=90_000, preview="...")
    state = a_session(ev.ModelAnswered(model="silent", answer=Erased()), ev.InputReceived(content=blob, signal="x"))
    request = asked(state).request
    assert [type(entry.value) for entry in request.transcript] == [str, Erased, Blob]


def test_g7_an_answer_that_was_not_fetched_is_never_asked_for_again() -> None:
    blob = Blob(digest="d" * 64, size=90_000, preview="...")
    with pytest.raises(Permanent, match=r"event 2\) lies in a blob"):
        an_agent().decide(a_session(ev.ModelAnswered(model="silent", answer=blob, calls=1)))


# --- limits ----------------------------------------------------------------------------------------------------


def test_g11_a_limit_on_tokens_reserves_the_prompt_and_the_longest_answer() -> None:
    def reserve(text: Any, **options: Any) -> int:
        state = a_session(input=text, limits=Limits(tokens=10_000))
        return asked(state, an_agent(max_output_tokens=100, **options)).request.reserve

    base = reserve("")
    assert base > 100
    assert reserve("x" * 3000) - base == 1000
    assert reserve("", instructions="x" * 3000) - base == 1000
    assert reserve("", tools=[]) < base
    assert reserve("字" * 1000) - base == 1000
    assert reserve(Blob(digest="d" * 64, size=3000, preview="")) - base in (999, 1000)


# --- declaring -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "Desk"}, "agent 'Desk': a name has"),
        ({"name": "9desk"}, "a name has"),
        ({"name": ""}, "a name has"),
        ({"version": 1}, "agent desk: version 1 is no text"),
        ({"version": ""}, "version '' is no text"),
        ({"model": 3}, "agent desk: model is neither"),
        ({"model": ""}, "model is neither"),
        ({"tools": [lambda: 1]}, r"agent desk: tools\[0\] is no tool"),
        ({"tools": [refund, refund]}, "agent desk: two tools are named refund"),
        ({"max_output_tokens": 0}, "max_output_tokens 0 is no whole number"),
        ({"model_timeout": "never"}, "agent desk: model_timeout: 'never'"),
    ],
)
def test_a_wrong_agent_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Agent(**{"name": "desk", "model": Silent(), **options})


def test_an_agent_has_limits_unless_it_says_none() -> None:
    assert an_agent().limits == Limits(turns=50)
    assert an_agent(limits=None).limits == Limits()


def test_a_model_that_is_only_a_name_says_both_ways_out() -> None:
    with pytest.raises(BadInput, match=r"'big-model'.*--model scripted:FILE.*Model object as model="):
        an_agent(model="big-model").decide(a_session())


def test_another_model_makes_another_agent() -> None:
    agent, model = an_agent(model="big-model"), Silent()
    assert agent.with_model(model).reachable_model() is model
    assert agent.model == "big-model"
