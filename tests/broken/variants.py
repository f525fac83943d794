"""One small wrong variant for each guarantee: what the product would be with one line less, or in another order.

A variant names the check (`tests.faults.checks`) that must complain of it, and what to put in whose place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from onward.adapters.local.memory import MemoryStore
from onward.core import absorb, decide, fold, folding, limits, log
from onward.core import events as ev
from onward.core.draft import TIMER, Draft
from onward.core.events import Body, Event, Failure
from onward.core.head import Head
from onward.core.lease import Busy, Free, Later
from onward.core.program import MakeCall, Perform, Rest
from onward.core.signals import DecisionBody, Signal
from onward.core.state import OpenCall, State, changed
from onward.engine import deciding, gateway
from onward.engine.advance import Engine
from onward.engine.append import Appender
from onward.engine.deciding import Decider, Leave
from onward.engine.gateway import Gateway
from onward.engine.late import LateOutcomes
from onward.engine.load import Known, Loader
from onward.engine.perform import Performing
from onward.engine.session import Session
from onward.engine.visitors import Visitors
from onward.ports import Append, Appended, Lease, Wake
from onward.runtime import Runtime
from onward.testing.runner import Runner


@dataclass(frozen=True)
class Wrong:
    """`check` must complain of it; `instead` maps what is replaced to what stands there instead."""

    name: str
    check: str
    instead: Mapping[str, Any]

    @contextmanager
    def installed(self) -> Iterator[None]:
        with ExitStack() as stack:
            for target, wrong in self.instead.items():
                stack.enter_context(patch(target, wrong))
            yield


VARIANTS: dict[str, Wrong] = {}


def wrong(name: str, check: str, **instead: Any) -> None:
    """Register a variant. A double underscore in a target stands for a dot."""
    VARIANTS[name] = Wrong(name, check, {target.replace("__", "."): value for target, value in instead.items()})


# --- G1: the log is the truth ------------------------------------------------------------------------------------


class CachesBeforeAppend(Appender):
    """Takes the state that is to be for the one that is, before the append is confirmed."""

    async def _write(self, hold: Any, request: Append) -> Appended:
        head = hold.lease.head
        self._loader.cache.put(hold.key, Known(head.seq, head.hash, self._drafted))
        return await super()._write(hold, request)

    async def append(self, session: Session, **more: Any) -> Any:
        self._drafted = session.state
        return await super().append(session, **more)


class TrustsAnyFold(Loader):
    """Takes whatever fold the head points to."""

    async def _base(self, head: Head, cached: Known | None) -> Known:
        if head.fold and head.fold.text:
            return Known(head.fold.seq, head.fold.hash, State.model_validate_json(head.fold.text))
        return await super()._base(head, cached)


class NeedsItsSnapshot(Loader):
    """Reads the newest commits only, as if a fold were always there."""

    async def _tail(self, head: Head, base: Known) -> Known:
        if base.seq == 0 and head.commits > 2:
            commits = list(await self._store.commits(head.key))[-2:]
            events = [event for commit in commits for event in self.events(commit)]
            first = self.events((await self._store.commits(head.key, limit=1))[0])
            return Known(head.seq, head.hash, fold.fold(fold.fold(State(), first), [e for e in events if e.seq > 1]))
        return await super()._tail(head, base)


wrong(
    "cache entered before the append",
    "g1_cache_holds_only_what_is_committed",
    onward__wiring__Appender=CachesBeforeAppend,
)
wrong(
    "snapshot trusted without its version",
    "g1_fold_of_another_release_is_ignored",
    onward__wiring__Loader=TrustsAnyFold,
)
wrong("state that needs its snapshot", "g1_without_snapshots_and_caches", onward__wiring__Loader=NeedsItsSnapshot)


# --- G2: one writer ----------------------------------------------------------------------------------------------


class IgnoresTheEpoch(MemoryStore):
    """An append by whoever had the lease once."""

    def _held(self, lease: Lease) -> Any:
        return self._rows[lease.key]


class IgnoresTheSeq(MemoryStore):
    """An append wherever the log is by now."""

    async def append(self, lease: Lease, append: Append) -> Appended:
        row = self._held(lease)
        row.head = replace(row.head, seq=append.commit.first_seq - 1)
        return await super().append(lease, append)


class IgnoresBoth(IgnoresTheSeq, IgnoresTheEpoch):
    """An append by whoever, wherever."""


MEMORY_STORE = "onward__adapters__local__memory__MemoryStore"
wrong("append that ignores the epoch", "g2_append_needs_epoch_and_seq", **{MEMORY_STORE: IgnoresTheEpoch})
wrong("append without a condition", "g2_late_holder_appends_nothing", **{MEMORY_STORE: IgnoresBoth})
wrong("append that ignores the seq", "g2_append_needs_epoch_and_seq", **{MEMORY_STORE: IgnoresTheSeq})


# --- G3: no gaps, no rewriting -----------------------------------------------------------------------------------


def checks_only_seqs(commit: log.Commit, after_seq: int, prev: str) -> None:
    """Looks for gaps, and believes the rest."""
    if commit.first_seq != after_seq + 1:
        raise log.CorruptLog("a gap")


def hash_without_time(record: Any) -> list[Any]:
    """Leaves something of the envelope out of the hash."""
    private = {name: part.digest for name, part in record.private.items()}
    return [record.seq, record.kind, record.schema, record.actor, record.body.digest, private]


wrong("log checked for gaps only", "g3_edits_gaps_and_reordering_are_found", onward__core__log__check=checks_only_seqs)
wrong(
    "hash that leaves the time out",
    "g3_edits_gaps_and_reordering_are_found",
    onward__core__log___envelope=hash_without_time,
)


# --- G4: append before emit --------------------------------------------------------------------------------------


class PublishesFirst(Engine):
    """Tells the world what it is about to commit."""

    async def _append(self, session: Session, **more: Any) -> bool:
        await self.outbox.feed.publish(session.hold.lease.head, session.draft.events)
        return await super()._append(session, **more)


wrong("publish before commit", "g4_nothing_before_its_commit", onward__wiring__Engine=PublishesFirst)


# --- G5: no lost wake --------------------------------------------------------------------------------------------


class AcknowledgesFirst(Runner):
    """Acknowledges the message, and then moves the session."""

    async def deliver(self) -> bool:
        for delivery in await self.backend.queue.take(1):
            await self.backend.queue.done(delivery)
            await self.parts.engine.advance(delivery.wake)
            return True
        return False


class ArmsAfterCommit(Engine):
    """Commits the wait and arms its timer then; who finds a session at rest arms nothing."""

    async def _rest(self, session: Session) -> None:
        if session.changed:
            await self._append(session, at_rest=True)
            if session.state.timers:
                await self.timers.arm(session.hold.key, min(session.state.timers.values()))
        else:
            await self._release(session.hold)
        if session.look:
            await self.wakes.publish(Wake(session.hold.key, look=True))


class TurnedAwayForGood(Visitors):
    """A visitor of a busy session counts on its holder."""

    async def turned_away(self, wake: Wake, why: Busy | Later | None, armed: bool) -> bool:
        return isinstance(why, Busy) or await super().turned_away(wake, why, armed)


class AnswersEveryMark(Engine):
    """Calls back whoever was ever turned away, again and again."""

    async def _release(self, hold: Any, head: Head | None = None) -> bool:
        return await self.store.release(hold.lease, head) is not None


class KeepsItsWakeToItself(Engine):
    """Whose lease was taken leaves everything to whoever took it."""

    async def _pass_on(self, hold: Any, wake: Wake) -> None:
        return None


class RefusesRepeats(Gateway):
    """Takes a signal that comes again for a new one."""

    async def _taken(self, key: str, id: str) -> bool:
        return False


wrong("acknowledge before the work", "g5_no_wake_is_lost", tests__faults__world__Runner=AcknowledgesFirst)
wrong("commit before timer", "g5_no_wake_is_lost", onward__wiring__Engine=ArmsAfterCommit)
wrong("no delayed wake for a busy session", "g5_no_wake_is_lost", onward__engine__advance__Visitors=TurnedAwayForGood)
wrong("marks answered for ever", "g5_no_wake_is_lost", onward__wiring__Engine=AnswersEveryMark)
wrong("look lost with the lease", "g5_look_is_passed_on", onward__wiring__Engine=KeepsItsWakeToItself)
wrong("repeated signal refused", "g5_repeated_signal_is_no_error", onward__wiring__Gateway=RefusesRepeats)


# --- G6: effects by class ----------------------------------------------------------------------------------------


class ChangesTheKey(Performing):
    """A key of its own for each attempt."""

    async def _call(self, hold: Any, state: State, call: OpenCall, attempt: int) -> Any:
        made = await super()._call(hold, state, call, attempt)
        return replace(made, idempotency_key=f"{made.idempotency_key}/{hold.lease.epoch}")


def repeats_what_was_started(state: State, program: Any) -> Any:
    """Takes a call that was started for one that is still to be made."""
    for call in state.calls.values():
        if call.status in ("started", "doubt"):
            return Perform((MakeCall(call),))
    return decide.decide(state, program)


def believes_not_done(state: State, program: Any) -> Any:
    """A call in doubt is made again, and its tool not asked."""
    calls = {id: changed(call, status="ready") if call.status == "doubt" else call for id, call in state.calls.items()}
    return decide.decide(changed(state, calls=calls), program)


def asks_though_told(state: State) -> Any:
    """An outcome that came early counts for a call that is pending only."""
    pending = {id: kept for id, kept in state.kept.items() if state.calls[id].status == "pending"}
    return right_kept(changed(state, kept=pending))


def doubts_for_ever(state: State, event: Event, body: ev.CallCompleted) -> State:
    """A call that was found to be done stays suspected of not being done."""
    return changed(right_completed(state, event, body), doubted=state.doubted)


class StartsUnsaid(Engine):
    """Performs an irreversible call and says that it started in the same commit as how it ended."""

    async def _start(self, session: Session, program: Any, effect: MakeCall) -> Sequence[MakeCall]:
        not_after = session.hold.now() + timedelta(minutes=5)
        started = ev.CallStarted(call=effect.call.id, attempt=effect.call.attempt + 1, not_after=not_after)
        session.draft.add(TIMER, started)
        return [MakeCall(session.state.calls[effect.call.id])]


class DropsLateOutcomes(LateOutcomes):
    """Who has an outcome and no lease says nothing."""

    async def file(self, key: str, call: OpenCall, body: Body) -> None:
        return None


right_kept, right_completed = decide._kept, folding.STEPS[ev.CallCompleted]
wrong("key that changes at a retry", "g6_same_key_at_every_attempt", onward__wiring__Performing=ChangesTheKey)
wrong(
    "repeat of a started call",
    "g6_irreversible_never_repeated",
    onward__engine__deciding__decide=repeats_what_was_started,
)
wrong("doubt taken for not done", "g6_irreversible_never_repeated", onward__engine__deciding__decide=believes_not_done)
wrong("start not committed first", "g6_irreversible_never_repeated", onward__wiring__Engine=StartsUnsaid)
wrong("early outcome not believed", "g6_early_outcome_settles_a_doubt", onward__core__decide___kept=asks_though_told)
VARIANTS["outcome held against its own call"] = Wrong(
    "outcome held against its own call",
    "g6_outcome_of_a_frozen_holder_counts",
    {"onward.core.fold.STEPS": {**folding.STEPS, ev.CallCompleted: doubts_for_ever}},
)
wrong("late outcome kept quiet", "g6_frozen_holder_is_found_out", onward__wiring__LateOutcomes=DropsLateOutcomes)


# --- G7: recorded results are final ------------------------------------------------------------------------------


class ForgetsTheLastAnswer(Loader):
    """Without its cache it takes a state for the newest that lacks the last answer: that is asked for again."""

    async def fold(self, head: Head) -> State:
        known = self.cache.get(head.key)
        state = await super().fold(head)
        if (known and known.hash == head.hash) or state.last is None or state.last.kind != "answer":
            return state
        return changed(state, transcript=state.transcript[:-1])


wrong("recorded answer asked for again", "g7_recorded_results_are_final", onward__wiring__Loader=ForgetsTheLastAnswer)


# --- G8: one decision --------------------------------------------------------------------------------------------


def decides_without_digest(state: State, sender: Any, body: DecisionBody) -> None:
    """Whatever call was shown."""
    call = state.calls.get(body.call)
    absorb_check(state, sender, body.model_copy(update={"digest": call.digest if call else ""}))


def decides_by_anybody(state: State, sender: Any, body: DecisionBody) -> None:
    """Whoever says so."""
    absorb_check(state, ev.Actor(kind="person", name="somebody"), body)


def decides_twice(state: State, sender: Any, body: DecisionBody) -> None:
    """As often as somebody decides."""
    if body.call not in state.calls:
        absorb_check(state, sender, body)


absorb_check = absorb.check_decision


def timers_first(draft: Draft, signals: Sequence[Signal], now: Any) -> None:
    """Whatever timer is due fires before anything that was filed, though it was filed earlier."""
    absorb_all(draft, [], now)
    absorb_all(draft, signals, now)


absorb_all = absorb.absorb
CHECK = "onward__core__absorb__check_decision"
wrong("decision without digest", "g8_decision_is_bound_to_the_call_shown", **{CHECK: decides_without_digest})
wrong("decision by a program", "g8_only_people_decide", **{CHECK: decides_by_anybody})
wrong("two decisions accepted", "g8_one_decision_wins", **{CHECK: decides_twice})
wrong(
    "timeout before earlier decisions",
    "g8_filing_time_decides_a_race_with_the_timeout",
    onward__engine__advance__absorb=timers_first,
)


# --- G9, G10: readers, waiting -----------------------------------------------------------------------------------


async def skips_half_read_commits(
    self: Runtime, id: str, after: int = 0, follow: bool = False, tenant: str = "default"
) -> Any:
    """A reader that joins in the middle of a commit misses the rest of it."""
    async for event in right_events(self, id, 0, follow, tenant):
        commits = await self.parts.backend.store.commits((await self.get(id)).key)
        first = next(commit.first_seq for commit in commits if commit.first_seq <= event.seq <= commit.last_seq)
        if first > after:
            yield event


right_events = Runtime.events


class ComesBackToLook(Engine):
    """Looks every minute whether somebody has decided."""

    async def _rest(self, session: Session) -> None:
        await super()._rest(session)
        if session.state.calls:
            await self.timers.arm(session.hold.key, self.clock.now() + timedelta(minutes=1))


wrong("reader that drops events", "g9_readers_miss_nothing", onward__runtime__Runtime__events=skips_half_read_commits)
wrong("waiting by polling", "g10_nothing_runs_while_it_waits", onward__wiring__Engine=ComesBackToLook)


# --- G11: limits -------------------------------------------------------------------------------------------------


def exceeded_afterwards(state: State, effects: Any, now: Any, longest: float) -> Any:
    """Looks at what was spent, and not at what is about to be."""
    return limits.exceeded(state, effects, now, 0.0) if state.spent.turns > (state.limits.turns or 0) else None


def counts_every_telling(state: State, id: str, attempt: int) -> State:
    """Counts an attempt again with each event that tells of it."""
    return folding.spend(state, calls=1)


class CountsTurnsAgain(Loader):
    """Counts what is in the log once more each time it is loaded."""

    async def fold(self, head: Head) -> State:
        state = await super().fold(head)
        return changed(state, spent=changed(state.spent, turns=2 * state.spent.turns))


def forgets_lost_attempts(session: Session, program: Any, decision: Perform) -> Any:
    session.stalls = 0
    return right_limited(session, program, decision)


right_limited = deciding._limited
wrong("limits checked after", "g11_limits_hold_before", onward__engine__deciding__exceeded=exceeded_afterwards)
wrong(
    "attempt counted with each telling", "g11_replay_counts_once", onward__core__fold_calls___count=counts_every_telling
)
wrong("replay counts twice", "g11_replay_counts_once", onward__wiring__Loader=CountsTurnsAgain)
wrong(
    "lost attempt costs nothing",
    "g11_lost_attempt_counts_as_spent",
    onward__engine__deciding___limited=forgets_lost_attempts,
)


# --- G12: deploys ------------------------------------------------------------------------------------------------


class FailsUnknownVersions(Decider):
    """Ends a session whose version is not there."""

    def _absent(self, session: Session) -> Any:
        return deciding._record(ev.SessionFailed(error=Failure(code="unknown_version", message="gone")))


class LeavesForEver(Decider):
    """Leaves an unknown version to others, visibly to nobody."""

    def _absent(self, session: Session) -> Any:
        return Rest() if session.state.held else Leave()


wrong(
    "unknown version fails the session",
    "g12_unknown_version_waits_and_goes_on",
    onward__wiring__Decider=FailsUnknownVersions,
)
wrong("unknown version shown to nobody", "g12_unknown_version_waits_and_goes_on", onward__wiring__Decider=LeavesForEver)


# --- G13: poison -------------------------------------------------------------------------------------------------


def tries_at_once(session: Session, exc: Exception) -> list[Body]:
    """Fails, and tries again, and so on."""
    error = Failure(code="step_failed", message=str(exc))
    return [ev.StepFailed(error=error, attempt=1, retry_at=session.draft.now + timedelta(seconds=1))]


def never_stalled(lease: Any, ttl: float, reads: int) -> Any:
    """Counts no attempt that died."""
    verdict = right_judge(lease, ttl, reads)
    if isinstance(verdict, Later) and verdict.reason == "stalled":
        return Free(lease.epoch + 1, 0)
    return replace(verdict, stalls=0) if isinstance(verdict, Free) else verdict


class LeavesATrace(Session):
    """Appends that attempts were lost before it makes the next one, which then is the first again."""

    @property
    def unsaved(self) -> bool:
        return self.changed


class KeepsItsLease(Engine):
    """Whom the store fails keeps the lease until it lapses, and is taken for dead."""

    async def _give_back(self, hold: Any) -> None:
        return None


class LetsItEscape(Engine):
    """Whatever a step raises goes to whoever delivered the message, who delivers it again."""

    async def _try(self, session: Session, effects: Any) -> None:
        await self._perform(session, effects)


class ParksTheEnded(Engine):
    """Parks what can't be loaded, though it has ended."""

    async def _by_head(self, hold: Any, error: Failure) -> None:
        if hold.lease.head.ended:
            return await self.appender.append_by_head(hold, ev.SessionParked(error=error), absorbed=())
        return await super()._by_head(hold, error)


class ParksAndForgets(Engine):
    """Parks by the head, and looks no more: timers that were not armed are not."""

    async def _by_head(self, hold: Any, error: Failure) -> None:
        await self.appender.append_by_head(hold, ev.SessionParked(error=error), absorbed=())


right_judge = __import__("onward.core.lease", fromlist=["judge"]).judge
wrong(
    "failing step tried at once, for ever",
    "g13_failing_step_backs_off_and_parks",
    onward__engine__deciding___step_failed=tries_at_once,
)
wrong(
    "deaths not counted",
    "g13_step_that_kills_its_process_is_parked",
    onward__adapters__local__memory__judge=never_stalled,
)
wrong(
    "deaths hidden by their own record",
    "g13_step_that_kills_its_process_is_parked",
    onward__engine__advance__Session=LeavesATrace,
)
wrong("outage taken for deaths", "g13_outage_parks_nobody", onward__wiring__Engine=KeepsItsLease)
wrong("failure of a step not written down", "g13_missing_value_is_a_failed_step", onward__wiring__Engine=LetsItEscape)
wrong("ended session parked", "g13_unreadable_log_is_parked_by_its_head", onward__wiring__Engine=ParksTheEnded)
wrong(
    "deadline forgotten when parked",
    "g13_parked_session_still_meets_its_deadline",
    onward__wiring__Engine=ParksAndForgets,
)


# --- G15: bad input ----------------------------------------------------------------------------------------------


class ChecksTooLate(Gateway):
    """Makes the session, and checks then."""

    async def start(self, start: Any, actor: Any) -> Any:
        made = await super().start(replace(start, labels=None), actor)
        gateway._check_labels(start.labels or {})
        return made


def takes_half(draft: Draft, signal: Signal) -> None:
    """Looks at what a signal says only when it is too late to refuse it."""
    if signal.kind not in absorb._TAKES:
        raise KeyError(signal.kind)
    right_take(draft, signal)


def writes_one_by_one(self: Draft, actor: Any, *bodies: Body) -> None:
    """Each body stands, though a later one can't be written."""
    for body in bodies:
        event = Event(seq=self.state.seq + 1, at=self.now, actor=actor, body=body)
        self.state = fold.evolve(self.state, event)
        self.events.append(event)


right_take = absorb._take
wrong("half a decision", "g15_half_a_decision_is_none", onward__core__draft__Draft__add=writes_one_by_one)
wrong("bad labels found too late", "g15_bad_input_changes_nothing", onward__wiring__Gateway=ChecksTooLate)
wrong("signal of an unknown kind", "g15_bad_signal_that_came_as_a_message", onward__core__absorb___take=takes_half)
