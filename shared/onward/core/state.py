"""State: what a log amounts to. The same for every program, so that it can be read where no program is loaded.

A value of this module never changes. `fold.py` makes the next one from an event.
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any, Literal, TypeVar

from onward.core.canonical import digest
from onward.core.events import (
    FIRST_INCARNATION,
    NO_LIMITS,
    Actor,
    EffectClass,
    Effects,
    Failure,
    Limits,
    OnClose,
    OnInput,
    Operation,
    Origin,
    Parent,
    Usage,
    Value,
)
from onward.core.files import MARK
from onward.core.payload import Blob, Erased, Payload, bytes_of, pack

FOLD_VERSION = 2
"""Changes whenever the same log would fold to something else; older snapshots are then ignored (R20)."""

ANSWERED_FROM_RECORD: tuple[Effects, ...] = ("recorded", "live-model")
"""A branch's effects for which its parent's record is asked."""

CallStatus = Literal["asked", "edited", "ready", "started", "backoff", "doubt", "person", "pending", "child"]
Ended = Literal["completed", "failed", "cancelled"]


class OpenCall(Value):
    """An open call. It leaves the state, as a transcript entry, when it is settled.

    asked: an approval is open · edited: the program is to check what a person changed · ready: may be performed ·
    started: an attempt is or was under way · backoff: waits for its retry · doubt: its tool is to be asked what
    happened · person: a person is to say · pending: goes on outside · child: is a session of its own.
    """

    id: str
    tool: str
    effect: EffectClass
    digest: str
    arguments: Payload
    status: CallStatus
    attempt: int = 0
    counted: int = 0
    rule: str | None = None
    approved_by: tuple[Actor, ...] = ()
    needed: int = 1
    approvers: tuple[str, ...] = ()
    allow_unverified: bool = False
    delegators: tuple[str, ...] = ()
    """Who passed the question on: they may still reject the call, or pass it on again."""
    edited: Payload = None
    """The arguments a person gave instead, until the program has checked them."""
    changed: bool = False
    """Whether the arguments are a person's."""
    on_timeout: Literal["deny", "approve"] = "deny"
    expires_at: datetime | None = None
    ends: Literal["failed", "done"] = "failed"
    on_close: OnClose = "cancel"
    allotted: int = 0
    """Tokens that count as spent while a child may spend them."""
    not_after: datetime | None = None
    poll_due: bool = False
    polls: int = 0
    error: Failure | None = None
    operation: Operation | None = None
    """What a workflow knows the call by."""
    asked: str = ""
    """The beginning of the digest under which a workflow asked for it, whatever its arguments were changed to."""

    @property
    def repeatable(self) -> bool:
        """Whether the call may run again without asking anybody (G6)."""
        return self.effect in ("read", "idempotent")

    @property
    def unsettled(self) -> bool:
        """Whether something was done in the world, or may have been, and its outcome is not known."""
        return self.status in ("started", "doubt", "person")

    @property
    def asleep(self) -> bool:
        """Whether all there is to do is to wait."""
        return self.status == "pending" and self.ends == "done"

    @property
    def takes_back(self) -> bool:
        """Whether it takes back what a workflow did: it is made also while its session ends."""
        return self.operation is not None and self.operation.kind == "undo"

    @property
    def waits(self) -> bool:
        """Whether it is a workflow's wait, for a time or an input: nothing is done in the world for it."""
        return self.operation is not None and self.operation.kind in ("sleep", "signal")

    @property
    def asks(self) -> bool:
        """Whether a workflow only asks people: the decision itself is what the call comes to."""
        return self.operation is not None and self.operation.kind == "approval"


class Entry(Value):
    """One thing a program decides on, and a model is shown.

    input: what somebody said · answer: a model's, of `model`, with its own form of it in `content` · result: what
    became of a call, with its `arguments` where a person changed them · notice: what the engine tells the model ·
    summary: stands for all entries before it.

    A workflow is run again from its entries. Those have the time `at` which they were recorded; a result has the `name`
    of its operation and the beginning of the `digest` that it was asked for under, an input its own name.
    """

    kind: Literal["input", "answer", "result", "notice", "summary"]
    seq: int
    value: Payload
    content: Payload = None
    model: str | None = None
    call: str | None = None
    tool: str | None = None
    arguments: Payload = None
    failed: bool = False
    calls: int = 0
    """How many calls an answer asks for."""
    cut: bool = False
    """Whether an answer ended because it was as long as it may be."""
    name: str | None = None
    digest: str = ""
    at: datetime | None = None

    found_once = frozenset({"text", "elsewhere", "size", "line", "fetched"})

    @property
    def known(self) -> Any:
        """The value: itself, or as it was fetched from where it lies. What a person answered a workflow lies beside the
        decision where it is large."""
        if "fetched" in self.__dict__ or self.kind != "result" or self.content is None:
            return self.__dict__.get("fetched", self.value)
        return self.content if isinstance(self.content, Erased) else {**self.value, "result": self.content}

    @cached_property
    def text(self) -> str:
        """The entry as JSON, made once: a transcript is written again with each commit, and only grows at its end."""
        return self.model_dump_json(exclude_unset=True)

    @cached_property
    def elsewhere(self) -> bool:
        """Whether something of this entry lies in blobs: a large value, or the bytes of a file. Found out once: it is
        asked of a whole transcript at each turn."""
        large = any(isinstance(value, Blob) for value in (self.value, self.content, self.arguments))
        return large or f'"{MARK}"' in self.text

    @cached_property
    def size(self) -> int:
        """Bytes that the entry adds to a prompt, the provider's own form of it where there is one. Found out once: they
        are added up at each turn."""
        return bytes_of(self.value if self.content is None else self.content)

    @cached_property
    def line(self) -> str:
        """What a model is shown of the entry, as a digest: the same for a session and for a branch of it. Only for one
        that has its values in it."""
        return self.line_with(value_digest(self.value), value_digest(self.arguments))

    def line_with(self, value: str, arguments: str) -> str:
        """The same, with the digests of values that lie elsewhere."""
        return digest([self.kind, value, self.tool, arguments, self.failed, self.calls])


def value_digest(value: Any) -> str:
    """The digest of a private value, as it is or erased."""
    return digest(pack(value))


class Spent(Value):
    """What counts against the limits. `lost` attempts are in the other figures too."""

    turns: int = 0
    calls: int = 0
    tokens: int = 0
    lost: int = 0
    usage: Usage = Usage.model_construct()


NOTHING_SPENT = Spent.model_construct()


class Closing(Value):
    """How the session will end once its started effects are settled."""

    outcome: Literal["cancelled", "failed"]
    error: Failure


class Kept(Value):
    """A signal that came before its wait."""

    signal: str
    signal_kind: str
    body: Payload
    sender: Actor


TOO_LONG = "prompt_too_long"
"""The code of a model that does not take a prompt of this length."""

OUTAGE = ("model_unavailable", "rate_limited")
"""Codes of failures that are no model's own fault, and pass."""


class Trouble(Value):
    """A model that was left for the next one, and why."""

    model: str
    code: str

    @property
    def outage(self) -> bool:
        """Whether it was only out of reach."""
        return self.code in OUTAGE


class State(Value):
    """The fold of a log up to `seq`."""

    seq: int = 0
    at: datetime | None = None
    """When the last event was recorded: all the time that a program's `decide` knows."""
    tenant: str = ""
    session: str = ""
    program: str = ""
    version: str = ""
    pinned: bool = False
    on_input: OnInput = "enqueue"
    input: Payload = None
    output: Payload = None
    error: Failure | None = None
    labels: dict[str, str | int | bool] = {}
    limits: Limits = NO_LIMITS
    spent: Spent = NOTHING_SPENT
    started_at: datetime | None = None
    parent: Parent | None = None
    origin: Origin | None = None
    transcript: tuple[Entry, ...] = ()
    """Well formed: behind an answer stand the results of its calls, in the order in which they were settled, and only
    then what came next."""
    queued: tuple[Entry, ...] = ()
    """Inputs that came in the middle of a turn. They go to the transcript once its calls have their results."""
    context: int = 0
    """Tokens of the newest prompt and its answer: what the next prompt has at least."""
    proposed: int = 0
    """The seq of the last answer whose calls were proposed."""
    calls: dict[str, OpenCall] = {}
    children: dict[str, str] = {}
    timers: dict[str, datetime] = {}
    """Every armed timer: `start`, `deadline`, `model`, `step`, `approval:<call>`, `remind:<call>`, `retry:<call>`,
    `doubt:<call>`, `pending:<call>`, `poll:<call>`, `user:<name>`."""
    fired: tuple[str, ...] = ()
    """Timers of the program's own that have fired."""
    kept: dict[str, Kept] = {}
    decisions: dict[str, str] = {}
    """What was decided on a call, in words: what a later decision is told stands."""
    doubted: dict[str, int] = {}
    """Calls that were in doubt once, and the attempt that was, unless it was found to be done: an outcome that comes
    late is held against them."""
    model_failures: int = 0
    bad_answers: int = 0
    """Failures since the newest answer that are the model's own fault, and not its being out of reach."""
    trouble: tuple[Trouble, ...] = ()
    """Models that were left for the next one since the newest answer, or since the last time that all were tried."""
    refusals: int = 0
    """Answers refused for their form, one after another."""
    step_failures: int = 0
    deaths: int = 0
    """Attempts at this step that ended their process, as far as they are written down."""
    ended: Ended | None = None
    closing: Closing | None = None
    parked: Failure | None = None
    paused: Failure | None = None
    switch: str | None = None
    """The switch that paused the session, if one did."""
    incarnation: int = FIRST_INCARNATION
    """The incarnation of the database under which all that was done is known to be in the log."""
    effects: Effects | None = None
    """What becomes of a branch's effects; None for a session that is none, and for a child of one that is none."""
    family: str | None = None
    """The session that a branch, its parent and so on come from."""
    model: str | None = None
    """The model that a branch asks instead of its program's."""
    instructions: Payload = None
    """What a branch's models are told instead of what its program says."""
    recalled: tuple[str, ...] = ()
    """What a branch has had from the record, and its parent before it: each is one outcome of one call."""
    had: int = 0
    """Turns of models that a branch has from its parent and from the record: it did not pay for them."""
    generation: int = 0
    """How often the program started afresh."""
    began: datetime | None = None
    """The time that it last did at, or at which began what a branch goes on from; None where that is when the session
    started."""
    seed: str = ""
    """What a branch of a workflow has its random numbers from: the name of the session that it comes from at last, in
    that session's own log. Any other session has its own."""
    told_at: datetime | None = None
    """The time that a workflow goes by: when the newest that it was told came about; None where it was told nothing."""
    unlooked: int | None = None
    """The incarnation for whose sake somebody is to look, where the session is parked for that."""

    @property
    def too_long(self) -> bool:
        """Whether the model that was asked last does not take a prompt as long as this one."""
        return bool(self.trouble) and self.trouble[-1].code == TOO_LONG

    @property
    def own_timers(self) -> dict[str, datetime]:
        """The armed timers that are of no call."""
        return {name: at for name, at in self.timers.items() if ":" not in name or name.startswith("user:")}

    @property
    def time(self) -> datetime | None:
        """The time that a workflow goes by."""
        return self.told_at or self.began or self.started_at

    @property
    def detached(self) -> bool:
        """Whether nothing of the session reaches the world but its models: a branch that is not live."""
        return is_detached(self.effects)

    @property
    def turns(self) -> int:
        """Turns of models that led here, whoever paid for them. Attempts at the next one are none."""
        return self.spent.turns + self.had - self.model_failures

    @property
    def last(self) -> Entry | None:
        return self.transcript[-1] if self.transcript else None

    @property
    def held(self) -> bool:
        """Whether nothing may be started until somebody says so, or a timer fires."""
        return bool(self.parked or self.paused or "start" in self.timers or "step" in self.timers)

    @property
    def mid_turn(self) -> bool:
        """Whether the newest answer's calls are not all settled."""
        return bool(self.calls) or self.unproposed is not None

    @property
    def unproposed(self) -> Entry | None:
        """The newest answer, if it asks for calls that are not proposed yet."""
        last = self.last
        return last if last is not None and last.calls and last.seq > self.proposed else None

    @property
    def idle(self) -> bool:
        """Whether the program has nothing to work on before an input comes."""
        return not self.mid_turn and not self.queued and (self.last is None or self.last.kind == "answer")


def is_detached(effects: Effects | None) -> bool:
    """Whether a session with these effects reaches nothing in the world but models."""
    return effects is not None and effects != "live"


V = TypeVar("V", bound=Value)


def changed(value: V, /, **fields: Any) -> V:
    """A copy with these fields. Nothing is validated: callers pass values of the right type.

    It is `model_copy(update=...)` at a quarter of the time; a fold makes many copies.
    """
    copy, held = object.__new__(type(value)), {**value.__dict__, **fields}
    for name in value.found_once:
        held.pop(name, None)
    for name, kept in (
        ("__dict__", held),
        ("__pydantic_fields_set__", value.__pydantic_fields_set__ | fields.keys()),
        ("__pydantic_extra__", None),
        ("__pydantic_private__", None),
    ):
        object.__setattr__(copy, name, kept)
    return copy
