"""The vocabulary: what can have happened to a session. These shapes are for ever.

Rules. An event is past tense and says a fact, so nothing in it is ever recomputed. A kind's fields change only with
its `schema_version` and an upcaster (`codec.UPCASTERS`). Fields named in `private` hold what people and companies
say: each is stored as a body of its own, which can be erased while the log still verifies.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

ActorKind = Literal["program", "model", "tool", "person", "unverified", "timer", "operator", "external", "engine"]
"""Who makes an event happen. `unverified` is somebody who only says who they are."""

EffectClass = Literal["read", "idempotent", "compensatable", "irreversible"]
Cause = Literal["tool", "reconcile", "outcome", "operator", "skip", "timer", "input", "record"]
OnInput = Literal["enqueue", "interrupt", "reject", "deliver"]
"""What becomes of an input that comes while the program is at work on an earlier one: it waits for the results of the
calls under way, or it takes the place of those not yet started, or it is refused. Only a workflow has it delivered: it
is there at once, among the results of calls, for whichever wait wants it."""

DELIVERS = 4
"""The format of logs that inputs which are delivered came with, and everything else of workflows."""


Effects = Literal["recorded", "live-model", "blocked", "live"]
"""What becomes of a branch's effects. recorded: calls are answered from its parent's record, and blocked where that has
no answer; a model is asked only about a prompt that is not in the record · live-model: the same, but models are always
asked · blocked: calls are blocked · live: they are made under keys of their own, and before one that can't simply be
made again a person is asked."""


class Value(BaseModel):
    """Base of everything that is stored: immutable, and strict about unknown fields (R21)."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, protected_namespaces=())
    found_once: ClassVar[frozenset[str]] = frozenset()
    """Its cached properties, which a changed copy must find out anew."""


class Actor(Value):
    """Who made an event happen. `name` is a program, model or tool, or a person's identity."""

    kind: ActorKind
    name: str = ""


class Failure(Value):
    """What went wrong: a stable `code` and a message for people and models."""

    code: str
    message: str


class Usage(Value):
    """Tokens of one model call, or of many."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0

    @property
    def total(self) -> int:
        return self.input_tokens + self.output_tokens + self.thinking_tokens


class Limits(Value):
    """What a session may spend in all, and not in one turn: model turns, calls of tools, tokens (input, output and
    thinking), and `time` in seconds from its start. None means no limit."""

    turns: int | None = Field(default=None, ge=1, strict=True)
    calls: int | None = Field(default=None, ge=0, strict=True)
    tokens: int | None = Field(default=None, ge=1, strict=True)
    time: float | None = Field(default=None, gt=0, allow_inf_nan=False, strict=True)


NO_LIMITS = Limits.model_construct()


FIRST_INCARNATION = 1
"""The life of a database before it was ever restored from a backup."""

OnClose = Literal["cancel", "abandon"]
"""What becomes of a child session when the session that started it ends."""


class Parent(Value):
    """Who started a child session, by which call, and what becomes of the child when the parent ends."""

    session: str
    call: str
    on_close: OnClose = "cancel"


class Origin(Value):
    """Where a branch left its parent: after event `seq`; `hash` is that of the commit which that event is in."""

    session: str
    seq: int
    hash: str


class NotInherited(Value):
    """What was open where a branch left its parent, and stays the parent's: a call (its id and its tool), an approval
    (its call's id, and its tool), or a timer (its name)."""

    what: Literal["call", "approval", "timer"]
    name: str
    tool: str | None = None


class Proposal(Value):
    """One call a program proposes; its arguments stand in the event's private `arguments` at the same index.

    `refusal` says why it will not be performed; `rule` names the approval rule that asked for a person.
    """

    tool: str
    effect: EffectClass
    digest: str
    refusal: Failure | None = None
    rule: str | None = None


OperationKind = Literal["step", "undo", "sleep", "approval", "signal", "child", "start", "patch"]
"""What a workflow asks for: a step, or what takes one back · a time to pass · a person's decision · an input · another
session, waited for or only started · to know whether it is newer than its log."""


class Operation(Value):
    """What a workflow knows one of its calls by: its `name` among all that it asked for, which is the same whenever the
    workflow is run again. A `sleep` ends, and a `signal` is waited for, `until` then. What is waited for is an input
    of name `signal`, or one without a name, and fits the JSON Schema `takes`."""

    name: str
    kind: OperationKind
    until: datetime | None = None
    signal: str | None = None
    takes: Any = None


class Body(Value):
    """What an event says. `kind` tells the class, `schema_version` its shape. `since` is the format of logs that the
    kind came with; `later` has the fields that came with a later one, and which: they are written only where they say
    something, so that a log without them is one that older releases read."""

    schema_version: ClassVar[int] = 1
    since: ClassVar[int] = 1
    private: ClassVar[frozenset[str]] = frozenset()
    later: ClassVar[Mapping[str, int]] = MappingProxyType({})


# --- the session -----------------------------------------------------------------------------------------------


class SessionStarted(Body):
    """The first event of every session. At `deadline` it fails; before `not_before` it does nothing; `pinned`, it stays
    at its version. `incarnation` counts the database's restores from backups, from 1. A branch has an `origin`, and so
    have `effects` and the sessions that it starts."""

    kind: Literal["session_started"] = "session_started"
    private = frozenset({"input"})
    later = MappingProxyType({"incarnation": 2, "effects": 3})
    tenant: str
    session: str
    program: str
    version: str
    pinned: bool = False
    input: Any = None
    labels: dict[str, str | int | bool] = {}
    limits: Limits = NO_LIMITS
    deadline: datetime | None = None
    not_before: datetime | None = None
    on_input: OnInput = "enqueue"
    parent: Parent | None = None
    origin: Origin | None = None
    incarnation: int = FIRST_INCARNATION
    effects: Effects | None = None


class SessionForked(Body):
    """The second event of a branch: it goes on from `base` (`core.branch.Base` as JSON), what its parent amounted to
    where it left it. `family` is the session that the parent, its parent and so on come from. What it has of its own
    are a `model` and `instructions` that its program goes by instead, and the events of the parent whose values are
    others in the base (`edited`)."""

    kind: Literal["session_forked"] = "session_forked"
    private = frozenset({"base", "instructions"})
    since = 3
    base: Any
    family: str
    model: str | None = None
    instructions: Any = None
    edited: list[int] = []
    not_inherited: list[NotInherited] = []


class SessionContinued(Body):
    """The program starts afresh in the same session (`continued_as`): the fold is reset, ids and inbox stay, and so do
    the inputs that nobody had waited for yet: those of the events `kept`."""

    kind: Literal["session_continued"] = "session_continued"
    private = frozenset({"input"})
    later = MappingProxyType({"kept": DELIVERS})
    input: Any = None
    kept: list[int] = []


class SessionCompleted(Body):
    """The session has ended with this output: its program's, or with `signal` what an operator finished it with."""

    kind: Literal["session_completed"] = "session_completed"
    private = frozenset({"output"})
    output: Any = None
    reason: str = ""
    signal: str | None = None


class SessionFailed(Body):
    """The session has ended without an output."""

    kind: Literal["session_failed"] = "session_failed"
    error: Failure


class SessionCancelled(Body):
    """The session has ended because somebody, or the session that started it, wanted it to. `unread`: its log could not
    be read, so that every session it started is owed a cancel."""

    kind: Literal["session_cancelled"] = "session_cancelled"
    reason: str = ""
    unread: bool = False
    signal: str | None = None


class ClosingBegan(Body):
    """The session is to end, as cancelled or as failed, once no started effect is open any more."""

    kind: Literal["closing_began"] = "closing_began"
    outcome: Literal["cancelled", "failed"]
    error: Failure
    signal: str | None = None


class SessionParked(Body):
    """Needs attention: nothing moves until an operator says so. With `incarnation`, because the database was restored
    from a backup: who lets it go on has looked, and it is one of that incarnation from then on."""

    kind: Literal["session_parked"] = "session_parked"
    later = MappingProxyType({"incarnation": 2})
    error: Failure
    incarnation: int | None = None


class SessionResumed(Body):
    """A parked or paused session may go on: an operator said so, which lifts everything, or what held it is over: a
    version is back, a switch is on again. That lifts nothing else."""

    kind: Literal["session_resumed"] = "session_resumed"
    lifts: Literal["everything", "version", "switch"] = "everything"
    signal: str | None = None
    reason: str = ""


class SessionPaused(Body):
    """Nothing new is started until somebody says so; with `switch`, until what that switch names is on again."""

    kind: Literal["session_paused"] = "session_paused"
    signal: str | None = None
    reason: str = ""
    switch: str | None = None


class StepFailed(Body):
    """An attempt at a step raised; the next one is due at `retry_at`."""

    kind: Literal["step_failed"] = "step_failed"
    error: Failure
    attempt: int
    retry_at: datetime


class AttemptsLost(Body):
    """Attempts that died without a trace, counted as spent: `count` of them, at these effects."""

    kind: Literal["attempts_lost"] = "attempts_lost"
    count: int
    turns: int = 0
    calls: int = 0
    tokens: int = 0


class LimitsChanged(Body):
    """An operator set other limits; what was spent before still counts."""

    kind: Literal["limits_changed"] = "limits_changed"
    limits: Limits
    signal: str | None = None


class LimitReached(Body):
    """An effect that could exceed this limit was not started."""

    kind: Literal["limit_reached"] = "limit_reached"
    limit: Literal["turns", "calls", "tokens", "time"]
    spent: float
    needed: float
    allowed: float


class LabelsChanged(Body):
    """Labels were set anew or removed; the others stay."""

    kind: Literal["labels_changed"] = "labels_changed"
    set: dict[str, str | int | bool] = {}
    removed: list[str] = []


class ProgramChanged(Body):
    """The session goes on under another version, or under another program: a handover, which settles its `call`."""

    kind: Literal["program_changed"] = "program_changed"
    program: str
    version: str
    on_input: OnInput = "enqueue"
    call: str | None = None


class FieldErased(Body):
    """A private field of an earlier event was erased for good."""

    kind: Literal["field_erased"] = "field_erased"
    seq: int
    field: str
    reason: str = ""


# --- what comes from outside -----------------------------------------------------------------------------------


class InputReceived(Body):
    """Somebody said something. In the middle of a turn it is shown to the model behind the results under way. With a
    `name` it is for the wait of a workflow that asks for that one."""

    kind: Literal["input_received"] = "input_received"
    private = frozenset({"content"})
    later = MappingProxyType({"name": DELIVERS})
    content: Any
    signal: str
    name: str | None = None


class SignalRefused(Body):
    """A signal was absorbed and changed nothing; `stands` says what holds instead."""

    kind: Literal["signal_refused"] = "signal_refused"
    signal: str
    signal_kind: str
    error: Failure
    stands: str = ""


class SignalKept(Body):
    """A signal came before its wait and is kept for it."""

    kind: Literal["signal_kept"] = "signal_kept"
    private = frozenset({"body"})
    signal: str
    signal_kind: str
    call: str
    body: Any
    sender: Actor


class TimerSet(Body):
    """A program asked to be woken; by the timer `deadline`, to be ended as failed."""

    kind: Literal["timer_set"] = "timer_set"
    timer: str
    due_at: datetime


class TimerFired(Body):
    """A timer that was set is due, and was found so; `due_at` is when it was to fire."""

    kind: Literal["timer_fired"] = "timer_fired"
    timer: str
    due_at: datetime


# --- the model -------------------------------------------------------------------------------------------------


class ModelAnswered(Body):
    """A model's whole answer. `content` keeps what the provider must see again, unchanged.

    The prompt is never stored: it is the log before this event. `answer` is `{text, calls: [{name, arguments}]}`, and
    `calls` how many it asks for, which is known also where the answer lies in a blob or was erased. `record` names the
    session and the event that a branch has it from: then no model was asked.
    """

    kind: Literal["model_answered"] = "model_answered"
    private = frozenset({"answer", "content"})
    later = MappingProxyType({"record": 3})
    model: str
    answer: Any
    calls: int = 0
    content: Any = None
    usage: Usage = Usage.model_construct()
    finish: str = "stop"
    attempt: int = 1
    record: str | None = None


class ModelFailed(Body):
    """A model gave no answer. With `left` the program's next model is asked; with `retry_at` the same step is made
    again then; without either the session is parked. `record` as in ModelAnswered."""

    kind: Literal["model_failed"] = "model_failed"
    later = MappingProxyType({"record": 3})
    model: str
    error: Failure
    attempt: int
    retry_at: datetime | None
    left: bool = False
    tokens: int = 0
    record: str | None = None


class AnswerRefused(Body):
    """The newest answer is not of the form that the program wants; the model is told so and asked again."""

    kind: Literal["answer_refused"] = "answer_refused"
    private = frozenset({"error"})
    error: Any


class TranscriptCompacted(Body):
    """What stands up to event `up_to` is, for the model, replaced by a summary; the log keeps everything.

    A rule made it, or `model` did, or a branch has it from its parent's `record`.
    """

    kind: Literal["transcript_compacted"] = "transcript_compacted"
    private = frozenset({"summary"})
    later = MappingProxyType({"record": 3})
    up_to: int
    summary: Any
    model: str | None = None
    usage: Usage = Usage.model_construct()
    record: str | None = None


# --- calls -----------------------------------------------------------------------------------------------------


class CallsProposed(Body):
    """Calls a program wants made; call `i` is named `<seq of this event>.<i>`. A workflow's have `operations`, at the
    same indexes."""

    kind: Literal["calls_proposed"] = "calls_proposed"
    private = frozenset({"arguments"})
    later = MappingProxyType({"operations": DELIVERS})
    calls: list[Proposal]
    arguments: Any
    operations: list[Operation] = []


class ApprovalRequested(Body):
    """A person is asked about exactly this call: `digest` covers tool and arguments.

    `rule` is the rule that asked, `input_schema` the arguments' JSON Schema, `undo` what could take the call back.
    So many people are `needed`; `approvers` are those who may decide, or nobody in particular. `remind_at` is when
    they are reminded. With `allow_unverified` somebody may decide who only says who they are.
    """

    kind: Literal["approval_requested"] = "approval_requested"
    private = frozenset({"arguments"})
    call: str
    tool: str
    digest: str
    arguments: Any
    rule: str
    effect: EffectClass
    undo: str | None = None
    expires_at: datetime
    on_timeout: Literal["deny", "approve"] = "deny"
    input_schema: Any = None
    needed: int = 1
    approvers: list[str] = []
    remind_at: datetime | None = None
    allow_unverified: bool = False


class ApprovalDecided(Body):
    """One person's decision, bound to the digest they were shown.

    approved: with `arguments`, those instead of the ones shown · rejected: it will not be performed · responded: it
    will not be performed, and `result` stands in its place.
    """

    kind: Literal["approval_decided"] = "approval_decided"
    private = frozenset({"arguments", "result"})
    call: str
    verdict: Literal["approved", "rejected", "responded"]
    digest: str
    reason: str = ""
    signal: str
    arguments: Any = None
    result: Any = None


class ApprovalDelegated(Body):
    """Who was asked passes the question on to somebody else."""

    kind: Literal["approval_delegated"] = "approval_delegated"
    call: str
    to: str
    reason: str = ""
    signal: str


class ApprovalReminded(Body):
    """An approval is still open and will expire."""

    kind: Literal["approval_reminded"] = "approval_reminded"
    call: str
    due_at: datetime
    expires_at: datetime


class CallEdited(Body):
    """The program checked arguments that a person gave: these will be performed, or with `error` the question is open
    again."""

    kind: Literal["call_edited"] = "call_edited"
    private = frozenset({"arguments"})
    call: str
    digest: str
    arguments: Any = None
    error: Failure | None = None


class ApprovalExpired(Body):
    """Nobody decided in time, and `verdict` is what that means for this call."""

    kind: Literal["approval_expired"] = "approval_expired"
    call: str
    verdict: Literal["approved", "rejected"]
    due_at: datetime


class CallPostponed(Body):
    """The call can't be made now (its tool is at its limit, or keeps failing); no attempt was made."""

    kind: Literal["call_postponed"] = "call_postponed"
    call: str
    until: datetime
    error: Failure


class CallStarted(Body):
    """The intent, committed before the effect: nobody judges the call in doubt before `not_after`."""

    kind: Literal["call_started"] = "call_started"
    call: str
    attempt: int
    not_after: datetime


class CallCompleted(Body):
    """What a call came to, and by what that is known: its tool, `reconcile`, an outcome from outside, an operator, or
    (where the call only waited) a timer or an input. By `skip` nothing is known: an operator gave a result in place of
    the call's own. `reason` is an operator's. By `record` nothing was performed: `record` names the session and the
    call that a branch has it from, and `recorded_at`, for a workflow, when it came to that there."""

    kind: Literal["call_completed"] = "call_completed"
    private = frozenset({"result"})
    later = MappingProxyType({"record": 3, "recorded_at": DELIVERS})
    call: str
    attempt: int
    result: Any
    by: Cause = "tool"
    reason: str = ""
    signal: str | None = None
    record: str | None = None
    recorded_at: datetime | None = None


class CallFailed(Body):
    """An attempt did not do it. With `retry_at` it is tried again; without, the program gets the error. By `record` as
    in CallCompleted."""

    kind: Literal["call_failed"] = "call_failed"
    later = MappingProxyType({"record": 3, "recorded_at": DELIVERS})
    call: str
    attempt: int
    error: Failure
    retry_at: datetime | None = None
    by: Cause = "tool"
    signal: str | None = None
    record: str | None = None
    recorded_at: datetime | None = None


class CallRefused(Body):
    """The call will not be performed (rejected, expired, closing); the program gets the reason."""

    kind: Literal["call_refused"] = "call_refused"
    call: str
    error: Failure


class CallInDoubt(Body):
    """The call was started and its outcome is not known."""

    kind: Literal["call_in_doubt"] = "call_in_doubt"
    call: str
    attempt: int
    error: Failure


class CallReconciled(Body):
    """The tool was asked what became of it. `not_done`: it may be performed again. `unknown`: a person is asked."""

    kind: Literal["call_reconciled"] = "call_reconciled"
    call: str
    answer: Literal["not_done", "unknown"]
    error: Failure | None = None
    signal: str | None = None


class CallPending(Body):
    """The call goes on outside; an outcome signal, or the tool's `poll` at `poll_at`, completes it. At `expires_at` it
    `ends`: as failed (or in doubt), or as done, because to wait was all there was to do."""

    kind: Literal["call_pending"] = "call_pending"
    call: str
    attempt: int
    expires_at: datetime
    poll_at: datetime | None = None
    polls: int = 0
    ends: Literal["failed", "done"] = "failed"


# --- other sessions --------------------------------------------------------------------------------------------


class ChildStarted(Body):
    """The call is a session of its own, which is owed its start. `allotted` is what it may spend; its tokens count as
    spent until the child says what it did spend."""

    kind: Literal["child_started"] = "child_started"
    private = frozenset({"input"})
    call: str
    session: str
    program: str
    version: str
    input: Any = None
    on_input: OnInput = "enqueue"
    on_close: OnClose = "cancel"
    allotted: Limits = NO_LIMITS


class ChildLeft(Body):
    """Nobody waits for this child any more; with `cancel` it is owed a cancel."""

    kind: Literal["child_left"] = "child_left"
    call: str
    session: str
    cancel: bool


class ChildEnded(Body):
    """What became of a child session, and the tokens it spent."""

    kind: Literal["child_ended"] = "child_ended"
    private = frozenset({"output"})
    call: str
    session: str
    status: Literal["completed", "failed", "cancelled"]
    output: Any = None
    error: Failure | None = None
    tokens: int = 0
    signal: str | None = None


AnyBody = Annotated[
    SessionStarted | SessionForked | SessionContinued | SessionCompleted | SessionFailed | SessionCancelled
    | ClosingBegan | SessionParked | SessionResumed | SessionPaused | StepFailed | AttemptsLost | LimitsChanged
    | LimitReached | LabelsChanged | ProgramChanged | FieldErased | InputReceived | SignalRefused | SignalKept
    | TimerSet | TimerFired
    | ModelAnswered | ModelFailed | AnswerRefused | TranscriptCompacted | CallsProposed | ApprovalRequested
    | ApprovalDecided | ApprovalDelegated | ApprovalReminded | ApprovalExpired | CallEdited | CallPostponed
    | CallStarted | CallCompleted | CallFailed | CallRefused | CallInDoubt | CallReconciled | CallPending
    | ChildStarted | ChildLeft | ChildEnded,
    Field(discriminator="kind"),
]  # fmt: skip

BODIES: Mapping[str, type[Body]] = MappingProxyType(
    {cls.model_fields["kind"].default: cls for cls in Body.__subclasses__()}
)


class Event(Value):
    """One immutable fact. `seq` orders events of a session; `at` is the store's clock, for people only.

    `trace` is a W3C traceparent.
    """

    seq: int
    at: datetime
    actor: Actor
    body: AnyBody
    trace: str | None = None

    @property
    def kind(self) -> str:
        """What happened: the kind of its body."""
        return self.body.kind
