"""Replay: a recorded session, decided again by the programs of today. Pure: no model is asked and no call is made.

What came from outside, and what effects came to, is taken from the record; each decision that the record shows is asked
for again at the state that it was made in, and must be the one that was recorded. A decision to perform something must
have the effect in it that was performed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onward.core import events as ev
from onward.core.canonical import canonical
from onward.core.decide import decide
from onward.core.divergence import Divergence, Doc, Same, Unclear, Verdict, fields_of
from onward.core.events import Body, Event
from onward.core.fold import evolve
from onward.core.log import INLINE_BYTES
from onward.core.model import ModelAnswer, ModelRequest
from onward.core.payload import Erased
from onward.core.program import (
    AskModel,
    Decision,
    Effect,
    MakeCall,
    Perform,
    Poll,
    Program,
    Programs,
    Recall,
    Reconcile,
    Record,
    StartChild,
)
from onward.core.recording import Recording
from onward.core.state import OpenCall, State
from onward.errors import BadInput, OnwardError

RESTS: Doc = {"kind": "rests"}


class NamedModel:
    """What stands for a model of which only the name is needed (`core.model.Model`). Raises BadInput when asked."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        raise BadInput(f"{self.name} only stands for a model: a replay asks none")


def replay(recording: Recording, programs: Programs, *, rests: bool = False) -> Verdict:
    """Whether these programs decide as a recorded session's did; the first event at which they don't.

    A session that follows its program is decided for by the newest version, another by its own. `rests`: nothing was
    going on when the log was read, so that an effect which is due at its end is a difference too. Raises BadInput,
    naming the program that is not there.
    """
    return _Replay(recording, programs).run(rests)


class _Differs(Exception):
    def __init__(self, verdict: Divergence) -> None:
        self.verdict = verdict


class _Replay:
    def __init__(self, recording: Recording, programs: Programs) -> None:
        self._events, self._programs = recording.events, programs
        self._ends = {first - 1 for first in recording.commits[1:]} | {recording.events[-1].seq}
        self._first = min(self._ends)
        """The last event of the commit that made the session: nothing was decided in it."""
        self._state = State()
        self._batch: list[Effect] = []
        """What was decided to be performed, and has not come to anything yet."""
        self._asked: tuple[State, Decision] | None = None
        self._decided = False
        """Whether a program was there for the commit at hand."""
        self._decisions = 0

    def run(self, rests: bool) -> Verdict:
        at = 0
        try:
            while at < len(self._events):
                taken = self._next(at)
                for event in self._events[at : at + taken]:
                    self._take(event)
                at += taken
                self._boundary(at, rests)
        except _Differs as exc:
            erased = _erased(self._state)
            return exc.verdict if erased is None else Unclear(exc.verdict.seq, erased)
        return Same(len(self._events), self._decisions)

    def _take(self, event: Event) -> None:
        self._state = evolve(self._state, event)

    def _next(self, at: int) -> int:
        """How many events from here are accounted for by what is decided, or came from outside. Raises _Differs."""
        event = self._events[at]
        if event.seq <= self._first or isinstance(event.body, _OUTSIDE):
            self._batch = []
            return 1
        if self._of_batch(event):
            return 1
        decision = self._decision(event)
        count = self._matched(decision, at) if isinstance(decision, Record) else self._begun(decision, event)
        if count:
            self._decisions += 1
            self._decided = True
        elif not _from_outside(event, self._state):
            raise self._differs(event, decision)
        return count or 1

    # --- decisions ---------------------------------------------------------------------------------------------

    def _decision(self, event: Event | None = None) -> Decision:
        """What is decided in this state. Raises _Differs where that fails."""
        if self._asked is None or self._asked[0] is not self._state:
            self._asked = self._state, self._decide(event)
        return self._asked[1]

    def _decide(self, event: Event | None) -> Decision:
        try:
            return decide(self._state, self._program())
        except BadInput:
            raise
        except Exception as exc:
            says = str(exc) if isinstance(exc, OnwardError) else f"{type(exc).__name__}: {exc}"
            raise self._differ(event, {"kind": "raises", "error": says}) from exc

    def _program(self) -> Program:
        """Raises BadInput."""
        state = self._state
        named = [program for (name, _), program in self._programs.items() if name == state.program]
        own = self._programs.get((state.program, state.version))
        if named and named[-1].follows and not state.pinned:
            return named[-1]
        if own is None:
            known = ", ".join(f"{name} {version}" for name, version in self._programs)
            wanted = f"{state.program!r}" if not named else f"{state.program!r} of version {state.version!r}"
            raise BadInput(f"there is no program {wanted}; the application has {known}")
        return own

    def _matched(self, decision: Record, at: int) -> int:
        """How many events a decision to write down accounts for; 0 where its first body is another. Raises _Differs
        where it goes on otherwise."""
        for offset, body in enumerate(decision.bodies):
            recorded = self._events[at + offset] if at + offset < len(self._events) else None
            if recorded is not None and self._alike(recorded.body, body):
                continue
            if offset == 0:
                return 0
            for event in self._events[at : at + offset]:
                self._take(event)
            raise self._differ(recorded, fields_of(body), body.private)
        return len(decision.bodies)

    def _alike(self, recorded: Body, body: Body) -> bool:
        if type(recorded) is not type(body):
            return False
        expected, got = _decided(recorded), _decided(body)
        known = {name for name in expected if name in got}
        if canonical(_only(expected, known)) == canonical(_only(got, known)):
            return True
        return isinstance(recorded, ev.TranscriptCompacted) and self._summed_up_elsewhere(recorded, body)

    def _summed_up_elsewhere(self, recorded: ev.TranscriptCompacted, body: Any) -> bool:
        """A rule was shown only where large values lie, and is shown the values themselves here."""
        large = any(_is_large(entry.value) for entry in self._state.transcript)
        return large and recorded.up_to == body.up_to

    # --- effects -----------------------------------------------------------------------------------------------

    def _of_batch(self, event: Event) -> bool:
        """Whether the event is what came of an effect that was decided on before."""
        call = self._state.calls.get(getattr(event.body, "call", ""))
        if call is not None and call.status == "started" and _is_outcome(event):
            self._batch, self._decided = [], True
            return True
        return self._consumed(event)

    def _begun(self, decision: Decision, event: Event) -> int:
        """1 where the event is what came of an effect of this decision."""
        self._batch = list(decision.effects) if isinstance(decision, Perform) else []
        return int(self._consumed(event))

    def _consumed(self, event: Event) -> bool:
        effect = next((effect for effect in self._batch if _comes_of(event, effect)), None)
        if effect is None:
            return False
        if not isinstance(event.body, ev.CallStarted) and not isinstance(effect, Recall):
            self._batch = [other for other in self._batch if other is not effect]
        self._decided = True
        return True

    # --- where nothing was decided -------------------------------------------------------------------------------

    def _boundary(self, at: int, rests: bool) -> None:
        """What is only to be written down is in the commit of what led to it. Where calls are open others may be under
        way, and a commit of nothing but signals may be by somebody who had no program."""
        last = at == len(self._events)
        if self._state.seq not in self._ends or self._state.seq <= self._first < self._events[-1].seq:
            return
        decided, self._decided = self._decided, False
        if self._state.ended or not ((decided and not self._state.calls) or (last and rests)):
            return
        decision, following = self._decision(), None if last else self._events[at]
        if isinstance(decision, Record) or (last and rests and isinstance(decision, Perform)):
            raise self._differs(following, decision)

    # --- differences -------------------------------------------------------------------------------------------

    def _differs(self, event: Event | None, decision: Decision) -> _Differs:
        if isinstance(decision, Record):
            return self._differ(event, fields_of(decision.bodies[0]), decision.bodies[0].private)
        if isinstance(decision, Perform):
            return self._differ(event, *_performed(decision.effects, event))
        return self._differ(event, RESTS)

    def _differ(self, event: Event | None, got: Doc, hidden: frozenset[str] = frozenset()) -> _Differs:
        expected = RESTS if event is None else fields_of(event.body)
        private = hidden if event is None else hidden | event.body.private
        return _Differs(Divergence(self._state.seq + 1, expected, got, private))


_OUTSIDE = (
    ev.SessionStarted, ev.SessionForked, ev.SessionContinued, ev.ClosingBegan, ev.SessionResumed, ev.SessionPaused,
    ev.StepFailed, ev.AttemptsLost, ev.LimitsChanged, ev.LimitReached, ev.LabelsChanged, ev.FieldErased,
    ev.InputReceived, ev.SignalRefused, ev.SignalKept, ev.TimerSet, ev.TimerFired, ev.ApprovalDecided,
    ev.ApprovalDelegated, ev.ApprovalReminded, ev.ApprovalExpired, ev.ChildEnded,
)  # fmt: skip
"""What nobody's program decides."""


def _from_outside(event: Event, state: State) -> bool:
    """Whether an event of a kind that is decided or performed otherwise came from outside, or is the engine's own."""
    body = event.body
    if getattr(body, "signal", None) is not None or event.actor.kind == "timer" or isinstance(body, ev.ChildLeft):
        return True
    if isinstance(body, ev.SessionParked):
        return event.actor.kind != "program" or body.error.code == "unknown_model"
    if isinstance(body, ev.CallRefused):
        return body.error.code in ("interrupted", "finished")
    if isinstance(body, ev.CallCompleted):
        return body.by in ("timer", "input")
    unread = isinstance(body, ev.SessionCancelled) and body.unread
    return unread or (isinstance(body, ev.ProgramChanged) and body.call is None)


_OF_CALLS = (
    ev.CallStarted, ev.CallCompleted, ev.CallFailed, ev.CallInDoubt, ev.CallReconciled, ev.CallPending,
    ev.CallPostponed,
)  # fmt: skip


_NOT_PERFORMED = ("no_reconciler", "outcome_erased", "unknown_tool")
"""Codes of what is decided about a call, and comes of no attempt at it."""


def _is_outcome(event: Event) -> bool:
    error = getattr(event.body, "error", None)
    decided = event.actor.kind == "engine" and error is not None and error.code in _NOT_PERFORMED
    return isinstance(event.body, _OF_CALLS) and not decided


def _comes_of(event: Event, effect: Effect) -> bool:
    """Whether the event is what came of this effect."""
    if isinstance(effect, AskModel):
        return _of_model(event.body, effect)
    if isinstance(effect, Recall):
        return _recalled(event.body, effect)
    if getattr(event.body, "call", None) != effect.call.id:
        return False
    if isinstance(event.body, ev.ChildStarted):
        return isinstance(effect, StartChild) and _decided(event.body) == _decided(_started(effect, event.body))
    if isinstance(event.body, ev.CallStarted):
        return isinstance(effect, MakeCall)
    return _is_outcome(event) and getattr(event.body, "record", None) is None


def _recalled(body: Body, effect: Recall) -> bool:
    call = getattr(body, "call", None)
    if call not in [each.id for each in effect.calls]:
        return False
    if isinstance(body, ev.ProgramChanged):
        to = effect.handover
        return to is not None and (body.program, body.on_input) == (to.program, to.on_input)
    blocked = isinstance(body, ev.CallRefused) and body.error.code == "blocked"
    return blocked or isinstance(body, ev.CallEdited) or getattr(body, "record", None) is not None


def _of_model(body: Body, asked: AskModel) -> bool:
    """Whether this model was asked; what a branch has from a record may be another one's."""
    same = getattr(body, "record", None) is not None or getattr(body, "model", None) == asked.model.name
    if isinstance(body, ev.TranscriptCompacted):
        return same and body.up_to == asked.summarize
    if isinstance(body, ev.ModelFailed):
        return same and body.left == (body.error.code in asked.leave_on)
    return same and isinstance(body, ev.ModelAnswered) and asked.summarize is None


def _started(effect: StartChild, recorded: ev.ChildStarted) -> ev.ChildStarted:
    """The event that this effect comes to."""
    child, call = effect.child, effect.call
    hidden = isinstance(recorded.input, Erased) or isinstance(call.arguments, Erased)
    return ev.ChildStarted(
        call=call.id,
        session=effect.session,
        program=child.program,
        version=child.version,
        input=recorded.input if hidden else child.input_of(call.arguments),
        on_input=child.on_input,
        on_close=child.on_close,
        allotted=child.limits,
    )


def _performed(effects: Sequence[Effect], event: Event | None) -> tuple[Doc, frozenset[str]]:
    """What would be performed, as far as it can be held against what was."""
    first = effects[0]
    if isinstance(first, AskModel) and first.summarize is not None:
        return {"kind": "asks_model", "model": first.model.name, "summarize": first.summarize}, frozenset()
    if isinstance(first, AskModel):
        return {"kind": "asks_model", "model": first.model.name}, frozenset()
    if isinstance(first, StartChild) and event is not None and isinstance(event.body, ev.ChildStarted):
        started = _started(first, event.body)
        return fields_of(started), started.private
    calls = [call for effect in effects if not isinstance(effect, AskModel) for call in _calls_of(effect)]
    return {"kind": "makes_call", "calls": [f"{call.tool} ({call.id})" for call in calls]}, frozenset()


def _calls_of(effect: MakeCall | Reconcile | Poll | StartChild | Recall) -> Sequence[OpenCall]:
    return effect.calls if isinstance(effect, Recall) else (effect.call,)


def _decided(body: Body) -> Doc:
    """What is compared of a body: versions are taken up as they come, and are named in the words for a tool that is
    not there."""
    fields = fields_of(body)
    if isinstance(body, ev.ProgramChanged | ev.ChildStarted):
        del fields["version"]
    if isinstance(body, ev.CallFailed) and body.error.code == "unknown_tool":
        del fields["error"]["message"]
    return fields


def _only(fields: Doc, names: set[str]) -> Doc:
    return {name: value for name, value in fields.items() if name in names}


def _is_large(value: Any) -> bool:
    return not isinstance(value, Erased) and len(canonical(value).encode()) > INLINE_BYTES


def _erased(state: State) -> tuple[int, ...] | None:
    """The events of which something was erased that decisions in this state may rest on; None where there are none."""
    entries = (*state.transcript, *state.queued)
    of_entries = [e.seq for e in entries if any(isinstance(v, Erased) for v in (e.value, e.content, e.arguments))]
    calls = any(isinstance(v, Erased) for call in state.calls.values() for v in (call.arguments, call.edited))
    kept = any(isinstance(kept.body, Erased) for kept in state.kept.values())
    rest = calls or kept or isinstance(state.instructions, Erased) or isinstance(state.input, Erased)
    return tuple(of_entries) if of_entries or rest else None
