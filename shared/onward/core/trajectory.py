"""A trajectory: what a session did, turn by turn, told from its recording alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from onward.core import events as ev
from onward.core.branch import Base
from onward.core.events import Event, Usage
from onward.core.ids import call_id
from onward.core.ledger import ledger
from onward.core.operation_turns import operation_turns
from onward.core.payload import Blob, Erased
from onward.core.prices import TOKENS, TokenPrices, token_price
from onward.core.recording import Recording
from onward.core.state import Entry, State
from onward.core.turn_calls import Known, inherited, own
from onward.core.turns import Answer, Call, Said, Status, Trajectory, Turn, summed, totals


def trajectory(recording: Recording, prices: TokenPrices = TOKENS) -> Trajectory:
    """What a session did, its tokens at these prices. Raises CorruptLog for a recording that is no session's."""
    started, forked, state = recording.started, recording.forked, recording.state()
    by_name = started.on_input == "deliver"
    turns = operation_turns(recording) if by_name else _Reader(recording, prices).read()
    return Trajectory(
        session=started.session,
        tenant=started.tenant,
        program=state.program,
        version=state.version,
        status=_status(state),
        turns=turns,
        totals=totals(turns),
        seq=state.seq,
        output=state.output,
        error=state.error or state.parked,
        origin=started.origin,
        effects=started.effects,
        model=state.model,
        instructions=state.instructions,
        edited=tuple(forked.edited) if forked else (),
        by_name=by_name,
    )


def _status(state: State) -> Status:
    if state.ended:
        return state.ended
    return "needs_attention" if state.parked else "paused" if state.paused else "open"


# --- reading ---------------------------------------------------------------------------------------------------

_Slot = str | Entry | None
"""What is known of a call that an answer asks for: its id, or as what it was inherited, or nothing yet."""


@dataclass(slots=True)
class _Draft:
    """A turn that is being read; its calls are those that its answer asks for (`written`), as far as it has one."""

    said: list[Said] = field(default_factory=list)
    answer: Answer | None = None
    written: list[tuple[str, Any]] = field(default_factory=list)
    slots: list[_Slot] = field(default_factory=list)
    results: list[Entry] = field(default_factory=list)
    proposed: bool = False
    inherited: bool = False
    spent: list[tuple[str, Usage]] = field(default_factory=list)
    began: datetime | None = None
    ended: datetime | None = None

    def place(self, calls: Iterable[tuple[int, str | Entry]]) -> None:
        """Put calls where the answer asks for them: each is the so-manieth of those that had no place before."""
        free = [at for at, known in enumerate(self.slots) if known is None]
        for index, slot in calls:
            if index < len(free):
                self.slots[free[index]] = slot
            else:
                self.slots.append(slot)

    def place_inherited(self) -> None:
        """Calls that were proposed together count as one; what was open where a branch left was proposed anew there."""
        groups: dict[int, dict[int, str | Entry]] = {}
        for entry in self.results:
            seq, _, index = (entry.call or "0.0").partition(".")
            groups.setdefault(int(seq), {})[int(index)] = entry
        for _, group in sorted(groups.items()):
            self.place(sorted(group.items()))


class _Reader:
    """Reads a recording once, from its first event to its last."""

    def __init__(self, recording: Recording, prices: TokenPrices) -> None:
        self._events, self._prices = recording.events, prices
        self._session = recording.started.session
        self._ledger = {entry.call: entry for entry in ledger(self._session, recording.events)}
        self._turns: list[_Draft] = []
        self._next = _Draft()
        self._ends = self._before = recording.events[0].at
        self._calls_known = Known()

    def read(self) -> tuple[Turn, ...]:
        """All turns, in order."""
        for event in self._events:
            step = _STEPS.get(type(event.body))
            if step is not None:
                step(self, event, event.body)
            self._calls_known.take(event)
            call = getattr(event.body, "call", None)
            if self._turns and call in self._ledger:
                self._touch(event)
            self._before = event.at
        if self._next.said:
            self._next.inherited = all(said.seq <= 0 for said in self._next.said)
            self._turns.append(self._next)
        return tuple(self._turn(number, draft) for number, draft in enumerate(self._turns, start=1))

    def _touch(self, event: Event) -> None:
        """The newest turn lasts until now."""
        turn = self._turns[-1]
        turn.began = turn.began or max(self._ends, self._before)
        turn.ended = self._ends = event.at

    def _begin(self) -> _Draft:
        """The turn to which belongs what was said last."""
        self._turns.append(self._next)
        self._next = _Draft()
        return self._turns[-1]

    # --- what is said ------------------------------------------------------------------------------------------

    def started(self, event: Event, body: ev.SessionStarted | ev.SessionContinued) -> None:
        if body.input is not None:
            self._say(event, Said(event.seq, "input", body.input, event.actor))

    def input(self, event: Event, body: ev.InputReceived) -> None:
        self._say(event, Said(event.seq, "input", body.content, event.actor))

    def refused(self, event: Event, body: ev.AnswerRefused) -> None:
        self._say(event, Said(event.seq, "notice", body.error))

    def compacted(self, event: Event, body: ev.TranscriptCompacted) -> None:
        self._say(event, Said(event.seq, "summary", body.summary, event.actor, body.up_to))
        if body.model is not None and body.record is None:
            self._next.spent.append((body.model, body.usage))

    def _say(self, event: Event, said: Said) -> None:
        if self._next.began is None:
            self._next.began = event.at
        self._next.said.append(said)

    # --- answers and calls -------------------------------------------------------------------------------------

    def answered(self, event: Event, body: ev.ModelAnswered) -> None:
        turn = self._begin()
        turn.answer = Answer(
            seq=event.seq,
            text=_text(body.answer),
            model=body.model,
            usage=body.usage,
            usd=self._usd(body.model, body.usage),
            record=body.record,
            seconds=(event.at - self._before).total_seconds(),
        )
        _ask(turn, body.answer, body.calls)
        if body.record is None:
            turn.spent.append((body.model, body.usage))
        self._touch(event)

    def proposed(self, event: Event, body: ev.CallsProposed) -> None:
        turn = self._turns[-1] if self._turns else None
        if turn is None or turn.proposed or turn.answer is None or None not in turn.slots:
            turn = self._begin()
        turn.proposed = True
        turn.place([(index, call_id(event.seq, index)) for index in range(len(body.calls))])
        self._touch(event)

    # --- what a branch has inherited ---------------------------------------------------------------------------

    def forked(self, event: Event, body: ev.SessionForked) -> None:
        if isinstance(body.base, Erased):
            self._next.said.append(Said(0, "summary", body.base))
            return
        for entry in Base.model_validate(body.base).transcript:
            if entry.kind == "answer":
                self._inherited_answer(entry)
            elif entry.kind == "result":
                self._inherited_result(entry)
            else:
                self._next.said.append(Said(entry.seq, entry.kind, entry.value))
        for turn in self._turns:
            turn.place_inherited()

    def _inherited_answer(self, entry: Entry) -> None:
        turn = self._begin()
        turn.inherited = True
        turn.answer = Answer(entry.seq, _text(entry.value), entry.model or "")
        _ask(turn, entry.value, entry.calls)

    def _inherited_result(self, entry: Entry) -> None:
        """Behind an answer or another result; what no model asked for is a turn of its own."""
        if self._next.said or not self._turns:
            self._begin().inherited = True
        self._turns[-1].results.append(entry)

    # --- finished turns ----------------------------------------------------------------------------------------

    def _turn(self, number: int, draft: _Draft) -> Turn:
        prices = [self._usd(model, usage) for model, usage in draft.spent]
        known = [usd for usd in prices if usd is not None]
        lasted = (draft.ended - draft.began).total_seconds() if draft.ended and draft.began else None
        return Turn(
            number=number,
            said=tuple(draft.said),
            answer=draft.answer,
            calls=tuple(self._calls(draft)),
            inherited=draft.inherited,
            spent=summed(usage for _, usage in draft.spent),
            usd=sum(known, Decimal(0)) if len(known) == len(prices) else None,
            seconds=lasted,
        )

    def _usd(self, model: str, usage: Usage) -> Decimal | None:
        price = token_price(self._prices, model, usage)
        return price.of(usage) if price else None

    def _calls(self, draft: _Draft) -> Iterator[Call]:
        """A call that an answer asks for and that was not proposed yet is none."""
        for at, slot in enumerate(draft.slots):
            written = draft.written[at][1] if at < len(draft.written) else None
            if isinstance(slot, Entry):
                yield inherited(slot, written)
            elif slot is not None:
                entry = self._ledger[slot]
                yield own(entry, written if at < len(draft.written) else entry.arguments, self._calls_known)


_STEPS: Mapping[type[ev.Body], Callable[[_Reader, Event, Any], None]] = MappingProxyType(
    {
        ev.SessionStarted: _Reader.started,
        ev.SessionContinued: _Reader.started,
        ev.SessionForked: _Reader.forked,
        ev.InputReceived: _Reader.input,
        ev.AnswerRefused: _Reader.refused,
        ev.TranscriptCompacted: _Reader.compacted,
        ev.ModelAnswered: _Reader.answered,
        ev.CallsProposed: _Reader.proposed,
    }
)


def _text(answer: Any) -> str | None:
    if isinstance(answer, Mapping):
        return str(answer.get("text") or "")
    return None if isinstance(answer, Erased | Blob) else str(answer or "")


def _ask(turn: _Draft, answer: Any, count: int) -> None:
    """The calls of an answer, as the model wrote them; of one that was erased only how many is known."""
    calls = answer.get("calls") if isinstance(answer, Mapping) else None
    known: Sequence[Any] = calls or [] if isinstance(answer, Mapping) else [{"arguments": answer}] * count
    turn.written = [(str(call.get("name", "")), call.get("arguments")) for call in known]
    turn.slots = [None] * len(turn.written)
