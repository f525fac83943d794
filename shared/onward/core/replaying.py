"""Replay: a recorded session, decided again by the programs of today. Pure: no model is asked and no call is made.

What came from outside, and what effects came to, is taken from the record; each decision that the record shows is asked
for again at the state that it was made in, and must be the one that was recorded. A decision to perform something must
have the effect in it that was performed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from onward.core import events as ev
from onward.core.canonical import canonical
from onward.core.decide import decide
from onward.core.divergence import Divergence, Doc, Same, Unclear, Verdict, fields_of
from onward.core.events import Body, Event
from onward.core.fold import evolve, fold
from onward.core.log import INLINE_BYTES
from onward.core.model import ModelAnswer, ModelRequest
from onward.core.payload import Erased
from onward.core.performed import asks_again, comes_of, decided, is_outcome, performed
from onward.core.program import (
    Decision,
    Effect,
    Perform,
    Program,
    Programs,
    Recall,
    Record,
)
from onward.core.recording import Recording
from onward.core.state import State
from onward.core.words import NONDETERMINISTIC
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
        self._ready: dict[tuple[str, str], Program] = {}
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
            return self._gone_on(exc.verdict) if erased is None else Unclear(exc.verdict.seq, erased)
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
        elif not (_from_outside(event) or self._mended(event, at)):
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
        key = state.program, state.version
        if key not in self._ready:
            self._ready[key] = _program_of(state, self._programs).in_hindsight(self._events)
        return self._ready[key]

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
        self._batch = []
        return len(decision.bodies)

    def _alike(self, recorded: Body, body: Body) -> bool:
        if type(recorded) is not type(body):
            return False
        expected, got = decided(recorded), decided(body)
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
        if call is not None and call.status == "started" and is_outcome(event):
            self._batch, self._decided = [], True
            return True
        return self._consumed(event)

    def _begun(self, decision: Decision, event: Event) -> int:
        """1 where the event is what came of an effect of this decision."""
        self._batch = list(decision.effects) if isinstance(decision, Perform) else []
        return int(self._consumed(event))

    def _consumed(self, event: Event) -> bool:
        effect = next((effect for effect in self._batch if comes_of(event, effect)), None)
        if effect is None:
            return False
        if isinstance(effect, Recall):
            self._batch = [] if asks_again(event, self._state) else self._batch
        elif not isinstance(event.body, ev.CallStarted):
            self._batch = [other for other in self._batch if other is not effect]
        self._decided = True
        return True

    # --- logs of other code ----------------------------------------------------------------------------------------

    def _mended(self, event: Event, at: int) -> bool:
        """Whether a workflow's code did not fit its log here, and somebody saw to it: nothing of that is in the log, or
        in the code, any more."""
        lifted = any(isinstance(later.body, ev.SessionResumed) for later in self._events[at + 1 :])
        return lifted and isinstance(event.body, ev.SessionParked) and event.body.error.code == NONDETERMINISTIC

    def _gone_on(self, verdict: Divergence) -> Divergence:
        """What decides by its log may go on from there, though it would not have made the same."""
        state = fold(State(), self._before_the_end())
        program = _program_of(state, self._programs)
        if not program.leads:
            return verdict
        why_not = _why_not(program.in_hindsight(()), state)
        return replace(verdict, goes_on=not why_not, why_not=why_not)

    def _before_the_end(self) -> Sequence[Event]:
        ends = (at for at, event in enumerate(self._events) if isinstance(event.body, _ENDS))
        return self._events[: next(ends, None)]

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
            return self._differ(event, *performed(decision.effects, event))
        return self._differ(event, RESTS)

    def _differ(self, event: Event | None, got: Doc, hidden: frozenset[str] = frozenset()) -> _Differs:
        expected = RESTS if event is None else fields_of(event.body)
        private = hidden if event is None else hidden | event.body.private
        return _Differs(Divergence(self._state.seq + 1, expected, got, private))


_OUTSIDE = (
    ev.SessionStarted, ev.SessionForked, ev.ClosingBegan, ev.SessionResumed, ev.SessionPaused, ev.StepFailed,
    ev.AttemptsLost, ev.LimitsChanged, ev.LimitReached, ev.LabelsChanged, ev.FieldErased, ev.InputReceived,
    ev.SignalRefused, ev.SignalKept, ev.TimerFired, ev.ApprovalDecided, ev.ApprovalDelegated, ev.ApprovalReminded,
    ev.ApprovalExpired, ev.ChildEnded,
)  # fmt: skip
"""What nobody's program decides."""

_ENDS = (ev.ClosingBegan, ev.SessionCompleted, ev.SessionFailed, ev.SessionCancelled)


def _program_of(state: State, programs: Programs) -> Program:
    """Who decides for a session in this state. Raises BadInput."""
    named = [program for (name, _), program in programs.items() if name == state.program]
    own = programs.get((state.program, state.version))
    if named and named[-1].follows and not state.pinned:
        return named[-1]
    if own is None:
        known = ", ".join(f"{name} {version}" for name, version in programs)
        wanted = f"{state.program!r}" if not named else f"{state.program!r} of version {state.version!r}"
        raise BadInput(f"there is no program {wanted}; the application has {known}")
    return own


def _why_not(program: Program, state: State) -> str:
    """Why a session in this state would not be led on."""
    try:
        decision = program.decide(state)
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"
    bodies = decision.bodies if isinstance(decision, Record) else ()
    return next((body.error.message for body in bodies if isinstance(body, ev.SessionParked)), "")


def _from_outside(event: Event) -> bool:
    """Whether an event of a kind that is decided or performed otherwise came from outside, or is the engine's own."""
    body = event.body
    if getattr(body, "signal", None) is not None or event.actor.kind == "timer":
        return True
    if event.actor.kind == "program":
        return isinstance(body, ev.SessionParked) and body.error.code == "unknown_model"
    if isinstance(body, ev.SessionParked | ev.ChildLeft):
        return True
    if isinstance(body, ev.CallRefused):
        return body.error.code in ("interrupted", "finished")
    if isinstance(body, ev.CallCompleted):
        return body.by in ("timer", "input")
    unread = isinstance(body, ev.SessionCancelled) and body.unread
    return unread or (isinstance(body, ev.ProgramChanged) and body.call is None)


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
