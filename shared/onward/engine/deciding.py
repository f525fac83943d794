"""Asking the program for a decision, under versions and limits (G11, G12, G13). Nothing here does I/O."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from onward.core import events as ev
from onward.core.decide import close, decide, may_unwind
from onward.core.draft import ENGINE
from onward.core.events import Body, Failure
from onward.core.failures import failure
from onward.core.limits import exceeded, lost_costs
from onward.core.program import AskModel, Decision, Effect, MakeCall, Perform, Program, Recall, Record, Rest, StartChild
from onward.core.retry import ALONE_AFTER, STALLS_TO_PARK, STEP_RETRY, stall_delay
from onward.core.state import State
from onward.core.switches import Switch
from onward.engine.session import Session

RECORDS_AT_ONCE = 200
"""Times that a program may write something down before it performs something, or rests: fewer than make a draft full
(`core.draft.FULL`), so that nothing is appended of what one writes that never stops, and its failures count."""

log = logging.getLogger("onward.engine")


class Registry(Protocol):
    """The programs of a deployment; `newest` is the version of a name that was registered last."""

    def program(self, name: str, version: str) -> Program | None: ...
    def newest(self, name: str) -> Program | None: ...


@dataclass(frozen=True, slots=True)
class Leave:
    """The session's program is not here: somebody else must decide."""


@dataclass(frozen=True, slots=True)
class Full:
    """The draft is to be appended before more is decided."""


class Decider:
    """Decides for the sessions of one deployment. `handover` is how long, in seconds, an unknown version is left to
    other instances before the session is parked."""

    def __init__(self, programs: Registry | None, handover: float = 900.0) -> None:
        self._programs = programs
        self._handover = handover

    @property
    def has_programs(self) -> bool:
        return self._programs is not None

    def program(self, state: State) -> Program | None:
        return self._programs.program(state.program, state.version) if self._programs else None

    def decide(self, session: Session) -> Decision | Leave | Full:
        """The next decision that needs the world; whatever is only to be written down is written into the draft."""
        before = session.state
        try:
            for _ in range(RECORDS_AT_ONCE):
                if session.draft.full:
                    return Full()
                decision = self._next(session)
                if not isinstance(decision, Record):
                    return decision
                session.draft.add(decision.actor, *decision.bodies)
            session.draft.rewind(before)
            raise RuntimeError(f"the program wrote {RECORDS_AT_ONCE} times and came to no effect and no rest")
        except Exception as exc:
            self.failed(session, exc)
            return Rest()

    def failed(self, session: Session, exc: Exception) -> None:
        """Write down that this attempt at a step failed."""
        session.draft.add(ENGINE, *_step_failed(session, exc))

    def _next(self, session: Session) -> Decision | Leave:
        if session.state.ended:
            return Rest()
        program = self.program(session.state)
        if program is None:
            return self._absent(session)
        if session.state.parked and session.state.parked.code == "unknown_version":
            return _record(ev.SessionResumed(lifts="version", reason=f"version {program.version} is back"))
        off = next(
            (switch for switch in session.off if switch.covers(session.state.program, session.state.tenant)), None
        )
        if session.state.switch and off is None:
            reason = f"{session.state.switch} is switched on again"
            return _record(ev.SessionResumed(lifts="switch", reason=reason))
        decision = decide(session.state, program)
        if not isinstance(decision, Perform):
            return decision
        if off and not session.state.closing and not session.stalls:
            return _record(ev.SessionPaused(switch=off.scope, reason=_switched_off(off)))
        newest = self._newer(session.state, program, decision.effects)
        return _takes_up(newest) if newest else _limited(session, program, decision)

    # --- versions ----------------------------------------------------------------------------------------------

    def _newer(self, state: State, program: Program, effects: Sequence[Effect]) -> Program | None:
        """An agent's session takes up the newest version at its next turn, unless it is pinned."""
        if self._programs is None or state.pinned or not program.follows or not _is_turn(effects):
            return None
        newest = self._programs.newest(state.program)
        return newest if newest and newest.version != state.version else None

    def _absent(self, session: Session) -> Decision | Leave:
        """What can be done without the program: end, rest, leave it to others, at last take up the newest or park."""
        state = session.state
        ending = Rest() if may_unwind(state) else close(state)
        if isinstance(ending, Record):
            return ending
        if state.held or (not session.changed and session.hold.lease.head.status != "running"):
            return Rest()
        waited = session.hold.now() - (state.at or session.hold.now())
        if self._programs is None or waited < timedelta(seconds=self._handover):
            return Leave()
        newest = self._programs.newest(state.program)
        if newest and newest.follows and not state.pinned and not state.calls:
            return _takes_up(newest)
        message = f"version {state.version!r} of program {state.program!r} is not deployed here"
        return _record(ev.SessionParked(error=Failure(code="unknown_version", message=message)))


def _takes_up(program: Program) -> Record:
    changed = ev.ProgramChanged(program=program.name, version=program.version, on_input=program.on_input)
    return _record(changed)


def _record(*bodies: Body) -> Record:
    return Record(bodies, ENGINE)


def _switched_off(switch: Switch) -> str:
    return f"{switch.scope} was switched off by {switch.by.name}{f': {switch.reason}' if switch.reason else ''}"


def _is_turn(effects: Sequence[Effect]) -> bool:
    return any(isinstance(effect, AskModel) for effect in effects)


def _limited(session: Session, program: Program, decision: Perform) -> Decision:
    """Lost attempts count as spent; what could exceed a limit is not started (G11)."""
    effects = decision.effects
    if session.stalls:
        return _lost(session, effects)
    if session.state.effects == "recorded":
        return decision  # a turn that is in the record costs nothing: who asks the model looks there first
    longest = max(_time_limit(effect, program, session.state) for effect in effects)
    over = exceeded(session.state, effects, session.hold.now(), longest)
    return _record(over) if over else decision


def _lost(session: Session, effects: Sequence[Effect]) -> Record:
    """Attempts died without a trace. From the second on that is taken for the step's own fault: it is written down,
    backs off, and is parked at last (G13)."""
    once, count, session.stalls = lost_costs(effects), session.stalls, 0
    turns, calls, tokens = (once[name] * count for name in ("turns", "calls", "tokens"))
    lost, deaths = ev.AttemptsLost(count=count, turns=turns, calls=calls, tokens=tokens), session.state.deaths + count
    if deaths < ALONE_AFTER:
        return _record(lost)
    error = Failure(code="process_ended", message=f"{deaths} attempts at this step ended their process")
    retry_at = session.draft.now + timedelta(seconds=stall_delay(deaths))
    failed = ev.StepFailed(error=error, attempt=deaths, retry_at=retry_at)
    parked = [ev.SessionParked(error=error)] if deaths >= STALLS_TO_PARK else []
    return _record(lost, failed, *parked)


def suspicious(state: State, effects: Sequence[Effect]) -> bool:
    """Whether these effects seem to end the process that performs them (R11)."""
    calls = [effect.call for effect in effects if isinstance(effect, MakeCall)]
    silent = [call for call in calls if call.attempt >= ALONE_AFTER and call.error and call.error.code == "no_outcome"]
    return state.deaths >= ALONE_AFTER or bool(silent)


def _time_limit(effect: Effect, program: Program, state: State) -> float:
    if isinstance(effect, AskModel):
        return effect.timeout
    if isinstance(effect, StartChild | Recall):
        return 0.0
    tool = program.performer(effect.call, state)
    return tool.timeout if tool else 0.0


def _step_failed(session: Session, exc: Exception) -> list[Body]:
    """The step raised: it backs off, then parks (G13)."""
    attempt, error = session.state.step_failures + 1, failure(exc, "step_failed")
    log.exception("step failed", extra={"action": "step_failed", "session": session.state.session, "attempt": attempt})
    delay = STEP_RETRY.delay(attempt)
    retry_at = session.draft.now + timedelta(seconds=delay or 0)
    failed = ev.StepFailed(error=error, attempt=attempt, retry_at=retry_at)
    return [failed] if delay is not None else [failed, ev.SessionParked(error=error)]
