"""Branches: what one takes over from its parent, and what stays the parent's (G14)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any

from onward.core import events as ev
from onward.core.canonical import canonical
from onward.core.events import EffectClass, Effects, Event, NotInherited, Value
from onward.core.inputs import input_in
from onward.core.payload import Blob, Erased, Payload
from onward.core.state import ANSWERED_FROM_RECORD, Entry, OpenCall, State, Trouble, changed
from onward.core.words import TAKEN
from onward.errors import BadInput


class Base(Value):
    """What a branch goes on from: what its parent amounted to, without anything that was open there. Its events are
    counted back from where the branch left: 0 is the event that it left after, and all of the branch's own are later.
    """

    input: Payload = None
    transcript: tuple[Entry, ...] = ()
    fired: tuple[str, ...] = ()
    context: int = 0
    proposed: int = 0
    turns: int = 0
    refusals: int = 0
    trouble: tuple[Trouble, ...] = ()
    recalled: tuple[str, ...] = ()
    generation: int = 0
    began: datetime | None = None
    seed: str = ""

    found_once = frozenset({"text"})

    @cached_property
    def text(self) -> str:
        """The base as JSON."""
        return self.model_dump_json(exclude_unset=True)

    def blobs(self) -> list[Blob]:
        """The large values that lie elsewhere, each once."""
        found = {value.digest: value for value in self.values() if isinstance(value, Blob)}
        return list(found.values())

    def values(self) -> Iterator[Any]:
        """What people and models said in it, large values as references."""
        yield self.input
        for entry in self.transcript:
            yield from (entry.value, entry.content, entry.arguments)

    def filled(self, get: Callable[[Blob], Any]) -> Base:
        """The same with every value in it that lies elsewhere."""

        def there(value: Any) -> Any:
            return get(value) if isinstance(value, Blob) else value

        names = ("value", "content", "arguments")
        entries = [changed(entry, **{n: there(getattr(entry, n)) for n in names}) for entry in self.transcript]
        return changed(self, input=there(self.input), transcript=tuple(entries))


@dataclass(frozen=True, slots=True)
class Parting:
    """A parent's state, parted: the branch's `base`, the calls that the branch proposes anew, as it will have their
    results from the record, the inputs that came in the middle of their turn, and what is not inherited."""

    base: Base
    reopened: tuple[OpenCall, ...]
    queued: tuple[Entry, ...]
    not_inherited: tuple[NotInherited, ...]


def part(state: State, effects: Effects) -> Parting:
    """What a branch of this state with these effects takes over. No call, approval or timer goes with it: an open call
    is proposed anew where the parent's record is to answer it, and else the model is told that it was not made here."""
    calls = [call for call in state.calls.values() if call.operation is None]  # a workflow asks for its own again
    again = tuple(call for call in calls if _answerable(call, effects))
    left = [call for call in calls if call not in again]
    transcript = [_shifted(entry, state.seq) for entry in state.transcript]
    transcript += [_not_made(call, state.seq) for call in left]
    base = Base.model_construct(  # what looks like a reference of ours in it is data
        input=state.input,
        transcript=tuple(transcript),
        fired=state.fired,
        context=state.context,
        proposed=state.proposed - state.seq,
        turns=state.turns,
        refusals=state.refusals,
        trouble=state.trouble,
        recalled=state.recalled,
    )
    if state.on_input == "deliver":
        seed = state.seed or state.session
        base = changed(base, generation=state.generation, began=state.began or state.started_at, seed=seed)
    return Parting(base, again, state.queued, tuple(_not_inherited(state)))


def _answerable(call: OpenCall, effects: Effects) -> bool:
    return effects in ANSWERED_FROM_RECORD and not isinstance(call.arguments, Erased)


def _shifted(entry: Entry, at: int) -> Entry:
    if entry.call is None:
        return changed(entry, seq=entry.seq - at)
    entry = changed(entry, seq=entry.seq - at, call=shifted_call(entry.call, at))
    return changed(entry, value={TAKEN: entry.value[TAKEN] - at}) if input_in(entry) is not None else entry


def shifted_call(call: str, at: int) -> str:
    """The name of a parent's call in a branch that left after event `at`: none of the branch's own has it."""
    seq, _, index = call.partition(".")
    return f"{int(seq) - at}.{index}"


def _not_made(call: OpenCall, at: int) -> Entry:
    message = "it was open where this branch began, and was not made here; ask for it again if it is still wanted"
    value = {"code": "not_inherited", "message": message}
    return Entry(kind="result", seq=0, value=value, call=shifted_call(call.id, at), tool=call.tool, failed=True)


def _not_inherited(state: State) -> Iterable[NotInherited]:
    for call in state.calls.values():
        yield NotInherited(what="approval" if call.status == "asked" else "call", name=call.id, tool=call.tool)
    for name in state.own_timers:
        yield NotInherited(what="timer", name=name.removeprefix("user:"))


# --- live branches ---------------------------------------------------------------------------------------------

BRANCH_ASKS = "a branch asks before it does what can't be undone"
"""The rule by which a person is asked in a branch that is live."""

ASKED_FOR = timedelta(days=7)
"""How long they are asked where a program has no approval of its own."""


def must_ask(state: State, effect: EffectClass) -> bool:
    """Whether a person is asked before a call of this class: what can't simply be made again may have been done by the
    session that this one is a branch of."""
    return state.effects == "live" and effect in ("irreversible", "compensatable")


# --- edits -----------------------------------------------------------------------------------------------------

EDITABLE: Mapping[type[ev.Body], str] = MappingProxyType(
    {
        ev.SessionStarted: "input",
        ev.SessionContinued: "input",
        ev.InputReceived: "content",
        ev.ModelAnswered: "answer",
        ev.CallCompleted: "result",
        ev.ApprovalDecided: "result",
        ev.ChildEnded: "output",
        ev.TranscriptCompacted: "summary",
    }
)
"""The field of an event that a branch may have another value of."""


def edited(events: Iterable[Event], edits: Mapping[int, Any]) -> list[Event]:
    """The events with other values of these, by seq. Raises BadInput for an event that has no such value, or is not
    there, and for an answer that was acted on already."""
    events, left = list(events), dict(edits)
    found = [_edit(event, left.pop(event.seq), events) if event.seq in left else event for event in events]
    if left:
        raise BadInput(f"edit: there is no event {min(left)} before the branch; it leaves after event {len(events)}")
    answered = {_call_of(event): event.seq for event in events if event.seq in edits and _is_answer(event, events)}
    return [event for event in found if event.seq <= answered.get(_call_of(event), event.seq)]


def _edit(event: Event, value: Any, events: list[Event]) -> Event:
    if _is_answer(event, events):
        return changed(event, body=_answered(event, value))
    field = EDITABLE.get(type(event.body))
    if field is None or not _has_value(event.body):
        kinds = ", ".join(kind.model_fields["kind"].default for kind in EDITABLE)
        raise BadInput(f"edit: event {event.seq} ({event.kind}) has no value to change; these have: {kinds}")
    canonical(value)
    changes = {field: value}
    if isinstance(event.body, ev.ModelAnswered):
        changes |= _answer(event, value, events)
    return changed(event, body=changed(event.body, **changes))


def _has_value(body: ev.Body) -> bool:
    """Not every event of these kinds has one: a call may be approved, a child fail, and a branch begin with a base."""
    if isinstance(body, ev.ApprovalDecided):
        return body.verdict == "responded"
    if isinstance(body, ev.ChildEnded):
        return body.status == "completed"
    if isinstance(body, ev.CallCompleted) and body.by == "input":
        return not (isinstance(body.result, dict) and body.result.keys() == {TAKEN})
    return not (isinstance(body, ev.SessionStarted) and body.origin is not None)


# --- answers to what a workflow asks ------------------------------------------------------------------------------

_VERDICTS = ("approved", "rejected", "responded", "expired")


def _is_answer(event: Event, events: list[Event]) -> bool:
    """Whether it settles a question of a workflow, to which the decision itself is the answer."""
    if not isinstance(event.body, ev.ApprovalDecided | ev.ApprovalExpired):
        return False
    seq, _, index = event.body.call.partition(".")
    body = events[int(seq) - 1].body
    operations = body.operations if isinstance(body, ev.CallsProposed) else []
    return bool(operations) and operations[int(index)].kind == "approval"


def _answered(event: Event, value: Any) -> ev.CallCompleted:
    """The question with another decision."""
    said = value if isinstance(value, dict) else {}
    decision = {"verdict": said.get("verdict"), "by": [event.actor.name] if event.actor.name else [], "reason": ""}
    decision |= {"result": None, **said}
    if decision["verdict"] not in _VERDICTS or decision.keys() != {"verdict", "by", "reason", "result"}:
        form = f'{{"verdict": "...", "by": [], "reason": "...", "result": ...}}, the verdict {", ".join(_VERDICTS)}'
        raise BadInput(f"edit: event {event.seq} is the decision on a question, which is {form}")
    canonical(decision)
    return ev.CallCompleted(call=_call_of(event), attempt=0, result=decision, by="operator")


def _call_of(event: Event) -> str:
    return getattr(event.body, "call", None) or ""


_ACTED = (ev.CallsProposed, ev.ModelAnswered, ev.AnswerRefused, ev.TranscriptCompacted)
"""What is said on top of an answer."""


def _answer(event: Event, value: Any, events: list[Event]) -> dict[str, Any]:
    """Another answer has no provider's form of it."""
    calls = value.get("calls", []) if isinstance(value, dict) else None
    if not isinstance(calls, list) or not isinstance(value.get("text", ""), str) or not all(map(_is_call, calls)):
        form = '{"text": "...", "calls": [{"name": "...", "arguments": {}}]}'
        raise BadInput(f"edit: event {event.seq} is a model's answer, which is {form}")
    acted = [later.seq for later in events if later.seq > event.seq and isinstance(later.body, _ACTED)]
    if acted and (calls or (isinstance(event.body, ev.ModelAnswered) and event.body.calls)):
        raise BadInput(f"edit: the calls of event {event.seq} were acted on in event {acted[0]}: branch at {event.seq}")
    return {"answer": {"text": "", **value, "calls": calls}, "calls": len(calls), "content": None, "finish": "stop"}


def _is_call(call: Any) -> bool:
    return isinstance(call, dict) and isinstance(call.get("name"), str)
