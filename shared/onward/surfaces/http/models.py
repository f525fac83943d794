"""The forms of what the API answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from onward.core.events import ActorKind, EffectClass, Failure, Limits, OperationKind
from onward.core.events import Effects as EffectsMode
from onward.core.head import Status, WaitKind
from onward.core.state import Spent
from onward.surfaces.http.roles import Role

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-21T07:25:36.709Z"])]


class Answering(BaseModel):
    """Base of what is answered. A newer release may add fields."""


class Actor(Answering):
    """Who made something happen."""

    kind: ActorKind
    name: str = ""


class Waiting(Answering):
    """One reason to be at rest."""

    kind: WaitKind
    call: str | None = None
    tool: str | None = None
    rule: str | None = None
    digest: str | None = None
    until: Time | None = None
    note: str | None = None
    session: str | None = Field(default=None, description="The session that is waited for.")
    needed: int | None = None
    approved_by: list[str] | None = None
    approvers: list[str] | None = None
    name: str | None = Field(default=None, description="What a workflow calls it, where that is not its tool.")


class Attempt(Answering):
    """One time that a call was made."""

    number: int
    started_at: Time | None
    ended_at: Time | None
    outcome: str
    error: Failure | None


class Decided(Answering):
    """What one person decided on a call."""

    by: Actor
    verdict: str
    at: Time
    reason: str


class Operation(Answering):
    """What a workflow knows a call by."""

    name: str
    kind: OperationKind


class Effect(Answering):
    """One call: what it was, who let it happen, each attempt, and what came of it."""

    tenant: str | None = None
    session: str
    call: str
    tool: str
    effect: EffectClass
    key: str = Field(description="The idempotency key of all its attempts.")
    digest: str
    arguments: Any
    proposed_at: Time
    ended_at: Time | None
    outcome: str = Field(
        description="open, started, pending, in_doubt, done, failed, not_performed, answered, left or recorded.",
        examples=["done"],
    )
    doubted: bool
    attempts: list[Attempt]
    rule: str | None
    approvals: list[Decided]
    error: Failure | None
    receipt: Any
    reconciled: str | None
    resolved_by: Actor | None
    reason: str
    record: str | None = Field(
        default=None, description="The call that a branch has its result from; nothing was done."
    )
    operation: Operation | None = Field(default=None, description="Of a workflow's call.")


class LeftAt(Answering):
    """Where a branch left the session that it comes from: after event `seq`, in the commit of this hash."""

    session: str
    seq: int
    hash: str


class Session(Answering):
    """What is known of a session without its log."""

    id: str
    tenant: str
    status: Status
    program: str
    version: str
    seq: int = Field(description="Of its last event.")
    hash: str = Field(description="Of its last commit: kept elsewhere, it shows a tail that was cut off.")
    created_at: Time
    updated_at: Time
    wake_at: Time | None
    waits: list[Waiting]
    unlisted: int | None = Field(default=None, description="Open calls that it waits for beside those in `waits`.")
    error: Failure | None
    spent: Spent
    limits: Limits
    labels: dict[str, str | int | bool]
    parent: str | None = None
    switch: str | None = None
    origin: LeftAt | None = Field(default=None, description="Of a branch.")
    family: str | None = Field(default=None, description="The session that a branch, its parent and so on come from.")
    effects: EffectsMode | None = Field(default=None, description="What becomes of a branch's effects.")


class StartedSession(Session):
    """A session that was started, or was there already."""

    new: bool


class WholeSession(Session):
    """A session, with what was asked for besides."""

    input: Any = Field(default=None, description="If `include=input`; what was erased is null.")
    output: Any = Field(default=None, description="If `include=output`.")
    evidence: list[Effect] | None = Field(
        default=None,
        description="If `include=evidence`: calls that were tried and are not settled, in full.",
    )


class Sessions(Answering):
    """A page of sessions, and the cursor of the next one."""

    sessions: list[Session]
    next: str | None


class Family(Answering):
    """A session, all that it is a branch of, and all branches of those: `family` is the one that all come from, and the
    first, if it is there."""

    family: str
    sessions: list[Session]


class Event(Answering):
    """One event of a session; `body` has the fields of its kind."""

    seq: int
    at: Time
    kind: str
    actor: Actor
    body: dict[str, Any]
    erased: list[str] | None = None
    trace: str | None = None


class Events(Answering):
    """A page of events. `after` is where the next one begins; `more` says that it is not empty."""

    events: list[Event]
    after: int
    more: bool


class EventPlace(Answering):
    """An event, without what it says."""

    seq: int
    kind: str
    at: Time


class Told(Answering):
    """What became of what a session was told: its event, or that it is accepted and not yet decided."""

    signal: str
    decided: bool
    event: EventPlace | None = None
    events: str = Field(description="Where the session's events are.")


class Approval(Answering):
    """A call that a person is to decide, with its whole arguments."""

    tenant: str
    session: str
    program: str
    call: str
    tool: str
    arguments: Any
    digest: str
    rule: str
    effect: EffectClass
    needed: int
    approved_by: list[str]
    approvers: list[str]
    expires_at: Time | None
    on_timeout: Literal["deny", "approve"]
    origin: LeftAt | None = Field(default=None, description="Of a branch, whose parent may have done this already.")
    operation: Operation | None = Field(
        default=None,
        description="Of a workflow's call. One of the kind `approval` is a question, of which the arguments are the"
        " `question` and the `evidence`: nothing is done when it is approved.",
    )


class LinkMade(Answering):
    """A link to one approval. It holds no secret, and grants nothing."""

    url: str
    path: str = Field(description="Of `url`, without the address.")
    expires_at: Time


class ErasedField(Answering):
    """A field that is erased."""

    session: str
    seq: int
    field: str
    erased: Literal[True]


class SwitchOff(Answering):
    """Something that is switched off."""

    scope: str
    by: str
    reason: str
    at: Time


class SwitchTurn(SwitchOff):
    """One turn of a switch."""

    off: bool


class Switches(Answering):
    """What is off, and the last turns, the newest first."""

    off: list[SwitchOff]
    turns: list[SwitchTurn]


class SwitchTurned(Answering):
    """How a switch stands now; `turned` says whether that is new."""

    scope: str
    off: bool
    turned: bool
    switch: SwitchOff | None


class Finding(Answering):
    """One thing that was looked at; which there are depends on the store."""

    name: str = Field(examples=["leases"])
    ok: bool
    text: str
    details: dict[str, Any]
    sessions: list[str] = Field(description="Some of the ids that it is about.")


class Late(Answering):
    """Wakes, timers and signals that nobody took up in time."""

    count: int
    oldest_s: float | None = Field(description="Seconds for which the first of them has waited.")


class OneSweep(Answering):
    """One sweep, and how many sessions it had to wake."""

    at: Time
    woken: int


class Sweeps(Answering):
    """The last sweep, and the newest of those that woke something."""

    last: OneSweep | None
    healed: list[OneSweep]


class VersionUsed(Answering):
    """A version that sessions run which have not ended; `known` says whether this application has it."""

    program: str
    version: str
    sessions: int
    known: bool


class AttentionCount(Answering):
    """Sessions that need attention, as far as they were counted."""

    count: int
    more: bool


class Health(Answering):
    """How a deployment is. `ok`: every finding is, and every version is known."""

    ok: bool
    at: Time
    findings: list[Finding]
    late: Late
    lapsed: int = Field(description="Sessions held by somebody who is gone, and not taken up since.")
    sweeps: Sweeps
    versions: list[VersionUsed]
    attention: AttentionCount
    resting: dict[str, int] = Field(
        description="How many sessions wait for what, and how many need attention, are paused or scheduled."
    )
    off: list[SwitchOff]


class Approvals(Answering):
    """Open approvals of a page of sessions, and the cursor of the next page."""

    approvals: list[Approval]
    next: str | None


class Effects(Answering):
    """Calls of a page of sessions, and the cursor of the next page."""

    effects: list[Effect]
    next: str | None


class UsedUp(Answering):
    """What the sessions of one name have used up."""

    name: str
    sessions: int
    turns: int
    calls: int
    tokens: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    thinking_tokens: int
    lost: int
    children_tokens: int


class UsageTable(Answering):
    """What was used up, the largest first."""

    by: Literal["program", "tenant", "session"]
    rows: list[UsedUp]


class Me(Answering):
    """Whoever asks, and the roles that they hold in each tenant; `*` is every tenant."""

    name: str
    roles: dict[str, list[Role]]
