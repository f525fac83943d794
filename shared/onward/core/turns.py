"""The shapes of a trajectory: what a session did, turn by turn, and the same as a document.

A turn is one answer of a model: what was said before it, the answer, and what came of the calls that it asked for. Of a
workflow it is one thing that it asked for, and what came of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from typing import Any, Literal

from onward.core.events import Actor, EffectClass, Effects, Failure, OperationKind, Origin, Usage, Value
from onward.core.payload import Blob, Erased, pack

CallOutcome = Literal[
    "done",
    "answered",
    "failed",
    "refused",
    "rejected",
    "expired",
    "blocked",
    "not_inherited",
    "in_doubt",
    "left",
    "open",
]
"""done: it happened · answered: a person gave its result · failed: it was tried, and ended in an error · refused: it
was not allowed · rejected: a person said no · expired: nobody decided in time · blocked: a branch did not make it ·
not_inherited: it stayed the parent's · in_doubt: nobody knows · left: nobody waited for it · open: not settled yet."""

Status = Literal["completed", "failed", "cancelled", "needs_attention", "paused", "open"]


@dataclass(frozen=True, slots=True)
class Said:
    """What a model is shown besides its own answers and results: an input, a notice of the engine's, or a summary of
    what came up to event `up_to`."""

    seq: int
    kind: Literal["input", "notice", "summary"]
    value: Any
    by: Actor | None = None
    up_to: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer. `usage` is what it took when it was given, which a branch does not know of those that it has
    inherited; `record` where a branch has it from, and then nobody was asked. `text` is None where it was erased."""

    seq: int
    text: str | None
    model: str
    usage: Usage | None = None
    usd: Decimal | None = None
    record: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided on a call, or the clock in their place."""

    by: Actor
    verdict: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call, proposed in event `seq`. `written` are the arguments as the model wrote them, `arguments` those that it
    was to be made with, and `edited` says that they are a person's. What a branch has inherited it knows no more of
    than the model was shown. `seconds` count from its beginning, or from its approval, until it was settled. A
    workflow's has a `name`, unlike any other of the same `generation`: since the workflow last started afresh."""

    id: str
    seq: int
    tool: str
    written: Any
    arguments: Any
    outcome: CallOutcome
    result: Any = None
    error: Failure | None = None
    effect: EffectClass | None = None
    rule: str | None = None
    decisions: tuple[Decision, ...] = ()
    edited: bool = False
    attempts: int = 0
    seconds: float | None = None
    record: str | None = None
    child: str | None = None
    inherited: bool = False
    name: str | None = None
    kind: OperationKind | None = None
    generation: int = 0

    @property
    def label(self) -> str:
        """What the call goes by: a workflow's by its name."""
        return self.name or self.tool


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn. `inherited`: the answer, or where there is none all that was said, is the parent's. Without an answer
    it is what was said last, or calls that no model asked for. `spent` are the tokens used in it, of answers and
    summaries; `seconds` since the end of the turn before it, waits for people included."""

    number: int
    said: tuple[Said, ...] = ()
    answer: Answer | None = None
    calls: tuple[Call, ...] = ()
    inherited: bool = False
    spent: Usage = field(default_factory=Usage)
    usd: Decimal | None = Decimal(0)
    seconds: float | None = None

    @property
    def seqs(self) -> tuple[int, ...]:
        """The events that it is told by, the first first."""
        answer = [self.answer.seq] if self.answer else []
        return tuple(sorted({*(said.seq for said in self.said), *answer, *(call.seq for call in self.calls)}))


@dataclass(frozen=True, slots=True)
class Totals:
    """What turns come to. Tokens and `usd` are those of the session's own models, as far as they answered: nothing that
    was inherited, or is from a record, and not what its children spent. `usd` is None where a price is not known."""

    turns: int = 0
    calls: int = 0
    tokens: int = 0
    usage: Usage = field(default_factory=Usage)
    usd: Decimal | None = Decimal(0)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Trajectory:
    """What a session did, and how it ended: `status` is `open` where its log goes no further. Values that were erased
    are `Erased`. A branch's begins with what it has inherited; `model`, `instructions` and `edited` (the parent's
    events that have other values) are what was changed there. `by_name`: it is a workflow's."""

    session: str
    tenant: str
    program: str
    version: str
    status: Status
    turns: tuple[Turn, ...]
    totals: Totals
    seq: int
    output: Any = None
    error: Failure | None = None
    origin: Origin | None = None
    effects: Effects | None = None
    model: str | None = None
    instructions: Any = None
    edited: tuple[int, ...] = ()
    by_name: bool = False

    @property
    def final(self) -> Answer | None:
        """The last answer."""
        return next((turn.answer for turn in reversed(self.turns) if turn.answer), None)

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call, in order."""
        return tuple(call for turn in self.turns for call in turn.calls)


def totals(turns: Iterable[Turn]) -> Totals:
    """What these turns come to."""
    turns = list(turns)
    usage = summed(turn.spent for turn in turns)
    known = [turn.usd for turn in turns if turn.usd is not None]
    return Totals(
        turns=sum(turn.answer is not None and not turn.inherited for turn in turns),
        calls=sum(not call.inherited for turn in turns for call in turn.calls),
        tokens=usage.total,
        usage=usage,
        usd=sum(known, Decimal(0)) if len(known) == len(turns) else None,
        seconds=sum(turn.seconds or 0.0 for turn in turns),
    )


def summed(usages: Iterable[Usage]) -> Usage:
    """These tokens together."""
    usages = list(usages)
    return Usage(**{name: sum(getattr(usage, name) for usage in usages) for name in Usage.model_fields})


# --- as a document ---------------------------------------------------------------------------------------------


def doc(trajectory: Trajectory) -> dict[str, Any]:
    """A trajectory as plain JSON values: what was erased is `{"$erased": true}`, and money is in USD."""
    named = ("session", "tenant", "program", "version", "status", "seq", "effects", "model")
    return {name: getattr(trajectory, name) for name in named} | {
        "output": plain(trajectory.output),
        "error": _dumped(trajectory.error),
        "origin": _dumped(trajectory.origin),
        "instructions": plain(trajectory.instructions),
        "edited": list(trajectory.edited),
        "totals": totals_doc(trajectory.totals),
        "turns": [turn_doc(turn) for turn in trajectory.turns],
    }


def turn_doc(turn: Turn) -> dict[str, Any]:
    """A turn as plain JSON values."""
    return {
        "number": turn.number,
        "inherited": turn.inherited,
        "said": [_said_doc(said) for said in turn.said],
        "answer": _answer_doc(turn.answer) if turn.answer else None,
        "calls": [_call_doc(call) for call in turn.calls],
        "spent": turn.spent.model_dump(),
        "usd": money(turn.usd),
        "seconds": turn.seconds,
    }


def totals_doc(totals: Totals) -> dict[str, Any]:
    """Totals as plain JSON values."""
    return asdict(totals) | {"usage": totals.usage.model_dump(), "usd": money(totals.usd)}


def money(usd: Decimal | None) -> float | None:
    """USD for programs, to a billionth of a cent."""
    return None if usd is None else float(round(usd, 11))


def plain(value: Any) -> Any:
    """A private value as plain JSON, or the mark of what stands for it."""
    return pack(value) if isinstance(value, Erased | Blob) else value


def _said_doc(said: Said) -> dict[str, Any]:
    return {"seq": said.seq, "kind": said.kind, "value": plain(said.value), "by": _dumped(said.by), "up_to": said.up_to}


def _answer_doc(answer: Answer) -> dict[str, Any]:
    return asdict(answer) | {"usage": _dumped(answer.usage), "usd": money(answer.usd)}


def _call_doc(call: Call) -> dict[str, Any]:
    found = {field.name: getattr(call, field.name) for field in fields(call)}
    found |= {name: plain(found[name]) for name in ("written", "arguments", "result")}
    decisions = [
        {"by": each.by.model_dump(), "verdict": each.verdict, "reason": each.reason} for each in call.decisions
    ]
    return found | {"error": _dumped(call.error), "decisions": decisions}


def _dumped(value: Value | None) -> dict[str, Any] | None:
    return value.model_dump() if value is not None else None
