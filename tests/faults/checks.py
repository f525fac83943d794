"""One check, or a few, for each guarantee: what the tests of the guarantees and of the broken variants share.

Each plays something and answers complaints: none from the product, and some from a variant that is wrong.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

from onward import Agent, App, Limits, ScriptedModel, tool
from onward.core import log as logs
from onward.core.events import Actor, CallStarted, Event, LabelsChanged, SessionStarted
from onward.core.fold import fold
from onward.core.head import Fold
from onward.core.lease import TTL
from onward.core.program import AskModel, Decision, Perform, Program, Record
from onward.core.retry import STALLS_TO_PARK
from onward.core.signals import Signal
from onward.core.state import FOLD_VERSION, OpenCall, State
from onward.engine.gateway import Start
from onward.errors import CorruptLog, LeaseLost, UsageError
from onward.ports import Append, Lease, Wake
from onward.runtime import Runtime
from onward.testing import faults
from onward.testing.faults import Fault, Plan
from onward.testing.runner import START
from tests.faults.desk import CLERK, desk, turn
from tests.faults.invariants import Run, differences, nothing_published_early
from tests.faults.matrix import KINDS, disturbed, play, undisturbed
from tests.faults.scenarios import ORDER, REFUND, SCENARIOS, Scenario
from tests.faults.world import ANN, KEY, PAUSE, World
from tests.ledger import Ledger

Check = Callable[[Ledger], Coroutine[Any, Any, list[str]]]
CHECKS: dict[str, Check] = {}
FIRST_ONLY = False
"""Whether one complaint about a part of the matrix is enough."""

_runs = itertools.count(1)
BOB = Actor(kind="person", name="bob@example.com")


def check(function: Check) -> Check:
    CHECKS[function.__name__] = function
    return function


def world(ledger: Ledger, app: Any, plan: Plan | None = None, **options: Any) -> World:
    return World(app, ledger, f"check/{next(_runs)}", plan, **options)


async def part(ledger: Ledger, scenario: str | Scenario, calls: Sequence[str], *kinds: str) -> list[str]:
    """A part of the matrix: these kinds of faults at these calls of a scenario."""
    chosen = [kind for kind in KINDS if kind.name.startswith(kinds)]
    assert chosen
    scenario = SCENARIOS[scenario] if isinstance(scenario, str) else scenario
    calm = await play(scenario, ledger)
    complaints = undisturbed(scenario, calm)
    for at, name in enumerate(calm.calls, start=1):
        for kind in chosen:
            if name in calls and kind.fits(name):
                complaints += await disturbed(scenario, ledger, calm, at, kind)
                if complaints and FIRST_ONLY:
                    return complaints
    return complaints


def expect(holds: Any, complaint: str) -> list[str]:
    return [] if holds else [complaint]


# --- G1 ----------------------------------------------------------------------------------------------------------


class _Forgetful:
    """A store in whose heads no fold is ever found, as if every snapshot were gone."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def claim(self, *args: Any) -> Any:
        lease = await self._real.claim(*args)
        return replace(lease, head=replace(lease.head, fold=None)) if isinstance(lease, Lease) else lease


@check
async def g1_without_snapshots_and_caches(ledger: Ledger) -> list[str]:
    """Deleting every snapshot and cache changes nothing."""
    complaints = []
    for name in ("long_log", "large_values", "one_approved_one_rejected"):
        calm = await play(SCENARIOS[name], ledger)
        cold = await play(SCENARIOS[name], ledger, store=_Forgetful, cache=0)
        complaints += differences(cold, calm)
    return complaints


@check
async def g1_state_is_the_fold_of_the_log(ledger: Ledger) -> list[str]:
    """What is loaded with the help of a fold or a cache is what the log alone amounts to."""
    here = world(ledger, desk(turn(("pay_out", REFUND), ("find_order", ORDER))))
    await here.start("desk")
    await here.rest()
    head = await here.head()
    assert head is not None
    alone = fold(State(), await here.events())
    loaded = [
        await here.worker.runner.parts.loader.load(head),
        await here.process("other").runner.parts.loader.load(head),
    ]
    await here.close()
    return expect(all(state == alone for state in loaded), "a loaded state is not the fold of the log")


@check
async def g1_fold_of_another_release_is_ignored(ledger: Ledger) -> list[str]:
    """A fold is used only if its version matches, and it is of the commit that its head says."""
    here = world(ledger, desk(turn(("pay_out", REFUND))))
    await here.start("desk")
    await here.rest()
    head, loader = await here.head(), here.process("other").runner.parts.loader
    assert head is not None
    other = Fold(head.seq, head.hash, FOLD_VERSION + 1, head.commits, text=f'{{"seq": {head.seq}, "tenant": "wrong"}}')
    state = await loader.load(replace(head, fold=other))
    await here.close()
    return expect(state.tenant == "default", "a fold of another version was used")


@check
async def g1_cache_holds_only_what_is_committed(ledger: Ledger) -> list[str]:
    """A state enters the cache once its append is confirmed. The fold is large here, so that a snapshot is older."""
    app = desk(turn(("read_archive", {"pages": 6})), turn(("pay_out", REFUND)))
    large = replace(SCENARIOS["approved"], name="approved_large", app=app)
    return await part(ledger, large, ["store.append"], "paused", "error", "applied")


# --- G2 ----------------------------------------------------------------------------------------------------------


@check
async def g2_late_holder_appends_nothing(ledger: Ledger) -> list[str]:
    """Whoever's lease was taken appends nothing, however late it wakes up."""
    return await part(ledger, "irreversible", ["store.append", "model.answer", "tool.invoke"], "paused")


@check
async def g2_append_needs_epoch_and_seq(ledger: Ledger) -> list[str]:
    """The condition, alone: another epoch, or another seq, and nothing has changed."""
    here = world(ledger, desk())
    await here.start("desk")
    store, parts = here.watcher.store, here.worker.runner.parts
    first = await store.claim(KEY, "first")
    here.clock.advance(TTL + 1)
    second = await store.claim(KEY, "second")
    complaints = expect(second.epoch == first.epoch + 1, "a lapsed lease is not taken with the next epoch")
    draft = await _one_more(parts, second)
    for lease, append in ((first, draft), (second, await _one_more(parts, second, ahead=1))):
        try:
            await store.append(lease, append)
            complaints.append("an append without the lease, or at another seq, was accepted")
        except LeaseLost:
            pass
    await here.close()
    return complaints


async def _one_more(parts: Any, lease: Lease, ahead: int = 0) -> Append:
    """An append of one event after the lease's head."""
    seq = lease.head.seq + 1 + ahead
    event = Event(seq=seq, at=lease.now, actor=ANN, body={"kind": "session_paused"})
    commit = await parts.appender.seal([event], prev=lease.head.hash, epoch=lease.epoch, key=lease.key)
    return Append(commit, replace(lease.head, seq=seq, hash=commit.hash))


# --- G3 ----------------------------------------------------------------------------------------------------------


@check
async def g3_edits_gaps_and_reordering_are_found(ledger: Ledger) -> list[str]:
    """Every way to tamper with a log shows, given its head's hash."""
    calm = await play(SCENARIOS["one_approved_one_rejected"], ledger)
    complaints = []
    for what, commits in _tampered(calm):
        complaints += expect(not _verifies(commits, calm.head.hash), f"not found: {what}")
    return complaints


def _verifies(commits: list[logs.Commit], head: str) -> bool:
    try:
        logs.verify(commits, head)
    except CorruptLog:
        return False
    return True


def _tampered(calm: Run) -> list[tuple[str, list[logs.Commit]]]:
    commits = list(calm.commits)
    second, record = commits[1], commits[1].records[0]
    edited = replace(record, body=replace(record.body, text=(record.body.text or "").replace("scripted", "other")))
    resealed = logs.seal(second.records, prev=second.prev, epoch=second.epoch + 1, token=second.token)
    return [
        ("an edited body", [commits[0], replace(second, records=(edited, *second.records[1:])), *commits[2:]]),
        (
            "another time",
            [commits[0], replace(second, records=(replace(record, at="2020"), *second.records[1:])), *commits[2:]],
        ),
        ("another epoch", [commits[0], replace(second, epoch=99), *commits[2:]]),
        ("a commit sealed anew", [commits[0], resealed, *commits[2:]]),
        ("a missing event", [commits[0], replace(second, records=second.records[1:]), *commits[2:]]),
        ("a missing commit", [commits[0], *commits[2:]]),
        ("another order", [commits[0], commits[2], commits[1], *commits[3:]]),
        ("a repeated commit", [*commits[:2], commits[1], *commits[2:]]),
        ("a cut tail", commits[:-1]),
        ("another session's beginning", [replace(commits[0], genesis={"tenant": "x"}), *commits[1:]]),
    ]


# --- G4 ----------------------------------------------------------------------------------------------------------


@check
async def g4_nothing_before_its_commit(ledger: Ledger) -> list[str]:
    """Nothing is published before it is committed, and nothing at all if it is not."""
    calm = await play(SCENARIOS["approved"], ledger)
    return nothing_published_early(calm) + await part(
        ledger, "approved", ["store.append"], "error before", "applied late"
    )


# --- G5 ----------------------------------------------------------------------------------------------------------


@check
async def g5_no_wake_is_lost(ledger: Ledger) -> list[str]:
    """With the sweep off, a crash anywhere is healed by a redelivery or a delayed wake."""
    every = ["store.claim", "store.append", "feed.publish", "wakes.publish", "timers.arm", "model.answer", "queue.done"]
    complaints = await part(ledger, "approved", every, "killed", "visited, then killed", "error")
    return complaints + await part(ledger, "approvals_time_out", every, "killed", "error")


@check
async def g5_doubled_wakes_change_nothing(ledger: Ledger) -> list[str]:
    return await part(ledger, "approved", ["wakes.publish", "timers.arm"], "delivered twice")


@check
async def g5_slow_start_is_no_lost_wake(ledger: Ledger) -> list[str]:
    """A holder that may have lost its lease before an irreversible call does not make it, and the session goes on."""
    return await part(ledger, "irreversible", ["store.append"], "slow")


@check
async def g5_look_is_passed_on(ledger: Ledger) -> list[str]:
    """A holder with a wake that says `look` is overtaken by one whose wake did not: what was filed is found anyway."""
    plan = _Always("store.claim", faults.meanwhile_after(_overtake_without_look), most=0)
    here = world(ledger, desk(turn(("pay_out", REFUND))), plan)
    await here.start("desk")
    await here.rest()
    await here.cancel()
    plan.most = 1
    await here.rest()
    head = await here.head()
    await here.close()
    return expect(head is not None and head.status == "cancelled", f"cancelled, it is {head and head.status}")


async def _overtake_without_look(process: Any) -> None:
    World.current.clock.advance(PAUSE)
    await World.current.process("rival").runner.parts.engine.advance(Wake(KEY))


@check
async def g5_repeated_signal_is_no_error(ledger: Ledger) -> list[str]:
    """Who got no answer asks again, and is not told that it is too late: it was taken the first time (R16)."""
    complaints = await part(ledger, "approved", ["wakes.publish"], "visited, then killed")
    return complaints + await part(ledger, "doubt_and_unknown", ["wakes.publish"], "visited, then killed")


# --- G6 ----------------------------------------------------------------------------------------------------------


@check
async def g6_same_key_at_every_attempt(ledger: Ledger) -> list[str]:
    effects = ["tool.invoke", "store.append"]
    return await part(ledger, "idempotent", effects, "killed", "error") + await part(ledger, "read", effects, "paused")


@check
async def g6_irreversible_never_repeated(ledger: Ledger) -> list[str]:
    """What was started and whose outcome is not known is asked about, and never done again by itself."""
    complaints = []
    for scenario in ("irreversible", "irreversible_without_reconcile", "compensatable", "many_steps_per_wake"):
        complaints += await part(
            ledger, scenario, ["tool.invoke", "store.append", "feed.publish"], "killed", "error", "paused"
        )
    return complaints


@check
async def g6_early_outcome_settles_a_doubt(ledger: Ledger) -> list[str]:
    """What the outside said already is believed, before anybody is asked what became of a call."""
    effects = ["tool.invoke", "store.append", "timers.arm"]
    return await part(ledger, "irreversible_completed_too_early", effects, "killed", "paused")


@check
async def g6_outcome_after_the_time_limit_counts(ledger: Ledger) -> list[str]:
    """A tool that takes too long is in doubt, and not interrupted; what it says at last settles that, nobody else."""
    complaints = []
    for fault in (None, faults.error_before, faults.error_after):
        plan = _Always("store.file", fault, most=1) if fault else Plan()
        here = world(ledger, desk(turn(("refund_slowly", ORDER))), plan)
        here.operator_may = _nobody
        await here.start("desk")
        head = await _wait_until(here, "completed")
        kinds, run = [event.kind for event in await here.events()], ledger.entries(here.outside.run)
        await here.close()
        complaints += expect(head.status == "completed", f"it is {head.status}")
        complaints += expect(kinds.count("call_in_doubt") == 1, "it was not in doubt")
        complaints += expect([what for what, _ in run].count("refund_slowly") == 1, f"done: {run}")
    return complaints


async def _wait_until(here: World, status: str) -> Any:
    """Rest again and again, while something goes on outside that the world's clock does not know of."""
    for _ in range(2000):
        await here.rest(0.1)
        head = await here.head()
        if head is not None and head.status == status:
            break
        await asyncio.sleep(0.001)
    return head


@check
async def g6_frozen_holder_is_found_out(ledger: Ledger) -> list[str]:
    """What remains: a process frozen between its check and the effect for longer than the margin. It shows."""
    return await _frozen(ledger, faults.meanwhile_before(_freeze), done=2, codes=["performed_twice"])


@check
async def g6_outcome_of_a_frozen_holder_counts(ledger: Ledger) -> list[str]:
    """It slept with the outcome in hand, and others found out meanwhile that the effect was had: that is once."""
    return await _frozen(ledger, faults.meanwhile_after(_freeze), done=1, codes=[])


async def _frozen(ledger: Ledger, fault: Fault, done: int, codes: list[str]) -> list[str]:
    """Freeze the holder at its refund: how often it is had, and whether that is held to be twice, by a session that
    goes on and by one that has ended."""
    complaints = []
    for turns in (turn(("refund", REFUND), ("pay_out", REFUND)), turn(("refund", REFUND))):
        here = world(ledger, desk(turns), _Always("tool.invoke", fault, most=1))
        here.operator_may = _nobody
        await here.start("desk")
        await here.rest()
        said = [
            event.body.error.code for event in await here.events() if event.kind in ("session_parked", "signal_refused")
        ]
        had = [what for what, _ in ledger.entries(here.outside.run)].count("refund")
        await here.close()
        twice = [code for code in said if code == "performed_twice"]
        complaints += expect((had, twice) == (done, codes), f"performed {had} times, and said {said}")
    return complaints


async def _freeze(process: Any) -> None:
    """Longer than the call may take, while another process goes on as far as it can."""
    here = World.current
    here.zombies = True
    here.clock.advance(400.0)
    await here.process("rival").look(600.0)


async def _nobody(here: World, head: Any) -> bool:
    return False


# --- G7 ----------------------------------------------------------------------------------------------------------


@check
async def g7_recorded_results_are_final(ledger: Ledger) -> list[str]:
    """An answer, or a result, that was committed is never asked for, or performed, again."""
    after = ["feed.publish", "wakes.publish", "queue.done", "store.claim"]
    complaints = await part(ledger, "several_calls_in_one_turn", after, "killed after", "error")
    return complaints + await part(ledger, "long_log", after, "killed after")


@check
async def g7_ready_results_do_not_wait_for_slow_ones(ledger: Ledger) -> list[str]:
    """What is ready is recorded while another call of the turn runs on, and survives if that one takes the process."""
    complaints = []
    with patch("onward.engine.perform.STRAGGLE", 0.01):
        for at in (0, 2, 3):
            plan = _Nth("store.append", faults.kill_after, at)
            here = world(ledger, desk(turn(("find_order", ORDER), ("find_slowly", ORDER))), plan)
            await here.start("desk")
            await here.rest()
            head, done = await here.head(), [what for what, _ in ledger.entries(here.outside.run)]
            needless = here.outside.needless
            await here.close()
            complaints += expect(head is not None and head.status == "completed", f"{at}: it is {head and head.status}")
            complaints += expect(done.count("find_order") == 1 or at == 1, f"{at}: done {done}") + needless
    return complaints


class _Nth(Plan):
    """A fault at the n-th call of this name, from 1; none at 0."""

    def __init__(self, name: str, fault: Fault, at: int) -> None:
        super().__init__(MappingProxyType({}))
        self._name, self._fault, self._at = name, fault, at

    def next(self, name: str) -> Fault | None:
        super().next(name)
        return self._fault if name == self._name and self.calls.count(name) == self._at else None


# --- G8 ----------------------------------------------------------------------------------------------------------


async def _asking(ledger: Ledger) -> tuple[World, dict[str, Any]]:
    here = world(ledger, desk(turn(("pay_out", REFUND))))
    await here.start("desk")
    await here.rest()
    wait = await here.wait_for("approval")
    return here, {"call": wait.call, "digest": wait.digest}


async def _decisions(here: World, *signals: Signal) -> tuple[list[Any], list[Any]]:
    """File these, as somebody who passes no gateway would; who won, and who was refused."""
    for signal in signals:
        await here.watcher.store.file(KEY, signal)
        here.clock.advance(0.01)
    await here.watcher.queue.publish(Wake(KEY, look=True))
    await here.rest(0.0)
    events = await here.events()
    await here.close()
    kinds = ("approval_decided", "approval_expired")
    refused = [event.body for event in events if event.kind == "signal_refused"]
    return [event.body for event in events if event.kind in kinds], refused


@check
async def g8_one_decision_wins(ledger: Ledger) -> list[str]:
    """Of two decisions the earlier one counts, and the other is recorded as refused."""
    here, shown = await _asking(ledger)
    yes = Signal("yes", "decision", shown | {"verdict": "approved"}, ANN)
    no = Signal("no", "decision", shown | {"verdict": "rejected"}, BOB)
    won, refused = await _decisions(here, yes, no)
    complaints = expect([body.signal for body in won] == ["yes"], f"decided by {[body.signal for body in won]}")
    return complaints + expect([body.signal for body in refused] == ["no"], "the second one was not refused")


@check
async def g8_decision_is_bound_to_the_call_shown(ledger: Ledger) -> list[str]:
    here, shown = await _asking(ledger)
    other = Signal("other", "decision", shown | {"digest": "0" * 64, "verdict": "approved"}, ANN)
    won, refused = await _decisions(here, other)
    return expect(not won, "a decision on another call was accepted") + expect(
        refused, "it was not recorded as refused"
    )


@check
async def g8_only_people_decide(ledger: Ledger) -> list[str]:
    here, shown = await _asking(ledger)
    mine = Signal("mine", "decision", shown | {"verdict": "approved"}, Actor(kind="program", name="desk"))
    won, _ = await _decisions(here, mine)
    return expect(not won, "a program decided its own approval")


@check
async def g8_filing_time_decides_a_race_with_the_timeout(ledger: Ledger) -> list[str]:
    """A decision filed in time wins, though the timeout is found due first; one filed too late does not."""
    complaints = []
    for late in (False, True):
        here, shown = await _asking(ledger)
        head = await here.head()
        assert head is not None
        assert head.wake_at is not None
        here.clock.advance_to(head.wake_at + timedelta(seconds=1 if late else -1))
        await here.watcher.store.file(KEY, Signal("yes", "decision", shown | {"verdict": "approved"}, ANN))
        here.clock.advance(5.0)
        won, refused = await _decisions(here)
        kinds = [body.kind for body in won]
        complaints += expect(kinds == (["approval_expired"] if late else ["approval_decided"]), f"late={late}: {kinds}")
        complaints += expect(len(refused) == late, f"late={late}: {len(refused)} refused")
    return complaints


# --- G9, G10 -----------------------------------------------------------------------------------------------------


@check
async def g9_readers_miss_nothing(ledger: Ledger) -> list[str]:
    """Readers join at any seq, follow and leave; none has a gap or a repeat, and nothing is cancelled by them."""
    app = App(
        [
            Agent(
                "reader",
                model=ScriptedModel([turn(("tick", {"n": n})) for n in range(3)] + [{"text": "end"}]),
                tools=[tick],
            )
        ]
    )
    complaints: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        db = Path(place) / "onward.db"
        async with Runtime(app, db, identity="ann") as working, Runtime(None, db, identity="bob") as reading:
            await working.start("reader", "go", id="r")
            impatient = [asyncio.create_task(_read(reading, 0, 3)) for _ in range(3)]
            patient = [
                asyncio.create_task(_read(runtime, after, None)) for runtime in (working, reading) for after in range(5)
            ]
            await asyncio.wait(impatient)
            head = await working.wait("r", ended=True)
            for at, task in enumerate(patient):
                expected = list(range(at % 5 + 1, head.seq + 1))
                complaints += expect(await task == expected, f"reader after {at % 5}: {await task}")
            for after in range(head.seq):
                late = await _read(reading, after, None)
                complaints += expect(late == list(range(after + 1, head.seq + 1)), f"late reader after {after}: {late}")
            complaints += expect(head.status == "completed", f"the session is {head.status}")
    return complaints


@tool(effect="read")
async def tick(n: int) -> int:
    """Count."""
    return n


async def _read(runtime: Runtime, after: int, most: int | None) -> list[int]:
    seqs = []
    async for event in runtime.events("r", after=after, follow=True):
        seqs.append(event.seq)
        if len(seqs) == most:
            break
    return seqs


@check
async def g10_nothing_runs_while_it_waits(ledger: Ledger) -> list[str]:
    """At rest there is no task, and until its timer nothing is looked at, armed or asked for."""
    plan = Plan()
    here = world(ledger, desk(turn(("pay_out", REFUND))), plan)
    before = asyncio.all_tasks()
    await here.start("desk")
    await here.rest()
    calls, tasks = len(plan.calls), asyncio.all_tasks() - before
    await here.rest(23.0)
    more = plan.calls[calls:]
    await here.close()
    return expect(not tasks, f"{len(tasks)} tasks live on") + expect(not more, f"while it waits there were {more}")


# --- G11 ---------------------------------------------------------------------------------------------------------


SIX = desk(*[turn(("find_order", ORDER))] * 6)


def _reserve(app: App) -> int:
    """What the first turn of a session with a limit on tokens is held against."""
    started = SessionStarted(
        tenant="default", session="s", program="desk", version="1", input="hello", limits=Limits(tokens=1)
    )
    state = fold(State(), [Event(seq=1, at=START, actor=ANN, body=started)])
    decision = app.choose().decide(state)
    assert isinstance(decision, Perform)
    assert isinstance(decision.effects[0], AskModel)
    return decision.effects[0].request.reserve


async def _limited(ledger: Ledger, limits: Limits, plan: Plan | None = None) -> tuple[list[str], State, World]:
    """What was spent in the world, and what the session says, when a limit stops it."""
    here = world(ledger, SIX, plan)
    here.operator_may = _nobody
    await here.start("desk", limits=limits)
    await here.rest()
    head = await here.head()
    assert head is not None
    state = await here.process("other").runner.parts.loader.load(head)
    spent = [what for what, _ in ledger.entries(here.outside.run)]
    await here.close()
    return spent, state, here


@check
async def g11_limits_hold_before(ledger: Ledger) -> list[str]:
    """What could exceed a limit is not started; the session needs attention."""
    complaints = []
    for limits, what, most in (
        (Limits(turns=2), "model", 2),
        (Limits(calls=2), "find_order", 2),
        (Limits(tokens=_reserve(SIX) + 20), "model", 1),
        (Limits(time=100.0), "model", 0),
    ):
        spent, state, _ = await _limited(ledger, limits)
        complaints += expect(spent.count(what) == most, f"{limits}: {spent.count(what)} times {what}")
        complaints += expect(state.parked is not None and state.parked.code == "limit_reached", f"{limits}: not parked")
    return complaints


@check
async def g11_replay_counts_once(ledger: Ledger) -> list[str]:
    spent, state, _ = await _limited(ledger, Limits(turns=3, calls=9))
    counted = (state.spent.turns, state.spent.calls)
    once = world(ledger, desk(turn(("refund", REFUND))))
    await once.start("desk")
    await once.rest()
    head = await once.head()
    await once.close()
    complaints = expect(head is not None and head.spent.calls == 1, f"one call counts as {head and head.spent.calls}")
    return complaints + expect(
        counted == (spent.count("model"), spent.count("find_order")), f"counted {counted}, spent {spent}"
    )


@check
async def g11_lost_attempt_counts_as_spent(ledger: Ledger) -> list[str]:
    """A process died with an answer that was paid for: no more answers are bought than the limit says."""
    complaints = []
    for at in (5, 6, 7, 8):
        spent, _, _ = await _limited(ledger, Limits(turns=2), Plan({at: faults.kill_after}))
        complaints += expect(spent.count("model") <= 2, f"killed at {at}: {spent.count('model')} answers were paid for")
    return complaints


# --- G12 ---------------------------------------------------------------------------------------------------------


@check
async def g12_unknown_version_waits_and_goes_on(ledger: Ledger) -> list[str]:
    """A version that is gone parks the session, visibly, and it goes on when the version is back."""
    app, other = desk(turn(("pay_out", REFUND))), CLERK
    here = world(ledger, app)
    here.operator_may = _nobody
    await here.start("desk")
    await here.rest()
    await here.decide("pay_out", "approved")
    for worker in here.processes:
        worker.deploy(other)
    await here.rest()
    parked = await here.head()
    assert parked is not None
    code = parked.error.code if parked.error else None
    complaints = expect((parked.status, code) == ("needs_attention", "unknown_version"), f"{parked.status}, {code}")
    for worker in here.processes:
        worker.deploy(app)
    await here.sweep()
    await here.rest()
    end = await here.head()
    await here.close()
    return complaints + expect(
        end is not None and end.status == "completed", f"with the version back it is {end and end.status}"
    )


# --- G13 ---------------------------------------------------------------------------------------------------------


class _Always(Plan):
    """The same fault at each call of this name, up to so many times."""

    def __init__(self, name: str, fault: Fault, most: int = 1000) -> None:
        super().__init__(MappingProxyType({}))
        self.met, self.most = 0, most
        self._name, self._fault = name, fault

    def next(self, name: str) -> Fault | None:
        super().next(name)
        if name != self._name or self.met >= self.most:
            return None
        self.met += 1
        return self._fault


@check
async def g13_step_that_kills_its_process_is_parked(ledger: Ledger) -> list[str]:
    """It backs off, then needs attention; resumed, once it is mended, it goes on."""
    complaints = []
    for app, name in (
        (desk(turn(("find_order", ORDER))), "tool.invoke"),
        (desk(turn(("refund", REFUND))), "tool.invoke"),
        (desk(turn(("refund_and_fail", ORDER))), "tool.ask"),
        (desk(), "model.answer"),
    ):
        plan = _Always(name, faults.kill_before, most=12)
        here = world(ledger, app, plan)
        asked: list[int] = []
        here.operator_may = _counting(asked, plan)
        began = here.clock.monotonic()
        await here.start("desk")
        await here.rest(24.0)
        head = await here.head()
        await here.close()
        complaints += expect(here.kills <= 8, f"{name}: {here.kills} processes died")
        complaints += expect(here.clock.monotonic() - began > 10, f"{name}: it did not back off")
        complaints += expect(
            head is not None and head.status == "completed", f"{name}: at last it is {head and head.status}"
        )
    return complaints


def _counting(asked: list[int], plan: _Always) -> Callable[[World, Any], Awaitable[bool]]:
    async def mended(here: World, head: Any) -> bool:
        asked.append(head.seq)
        plan.most = 0
        return True

    return mended


class _Broken(Program):
    """A program with a bug: it raises, or never stops writing."""

    name, version, follows = "broken", "1", False

    def __init__(self, endless: bool) -> None:
        self._endless = endless

    def performer(self, call: OpenCall, state: State) -> Any:
        return None

    def decide(self, state: State) -> Decision:
        if self._endless:
            return Record((LabelsChanged(set={"n": state.seq}),), ANN)
        raise ZeroDivisionError("a bug in a program")


@check
async def g13_failing_step_backs_off_and_parks(ledger: Ledger) -> list[str]:
    complaints = []
    for endless in (False, True):
        here = world(ledger, App([_Broken(endless)]))
        here.operator_may = _nobody
        await here.start("broken")
        await here.rest(24.0)
        head = await here.head()
        assert head is not None
        fails = [event for event in await here.events() if event.kind == "step_failed"]
        waits = [(event.body.retry_at - event.at).total_seconds() for event in fails]
        await here.close()
        complaints += expect(head.status == "needs_attention", f"endless={endless}: it is {head.status}")
        complaints += expect(1 < len(fails) < 10, f"endless={endless}: it failed {len(fails)} times")
        complaints += expect(max(waits, default=0) > 5, f"endless={endless}: it did not back off: {waits}")
    return complaints


@check
async def g13_unreadable_log_is_parked_by_its_head(ledger: Ledger) -> list[str]:
    """What can't be loaded needs attention and can be cancelled; what has ended stays as it ended."""
    complaints = []
    for ended in (False, True):
        here = world(ledger, desk() if ended else desk(turn(("pay_out", REFUND))))
        here.operator_may = _nobody
        await here.start("desk")
        await here.rest()
        _spoil(here)
        await here.watcher.queue.publish(Wake(KEY, look=True))
        await here.rest()
        head = await here.head()
        assert head is not None
        expected = "completed" if ended else "needs_attention"
        complaints += expect(head.status == expected, f"a spoilt log: {head.status}, expected {expected}")
        if not ended:
            await here.cancel()
            await here.rest()
            head = await here.head()
            complaints += expect(
                head is not None and head.status == "cancelled", f"cancelled, it is {head and head.status}"
            )
        await here.close()
    return complaints


def _spoil(here: World) -> None:
    """Change a word in the log, and lose the fold and every cache."""
    row = here.watcher.store._rows[KEY]
    last = row.commits[-1]
    spoilt = replace(last.records[0], kind="session_started")
    row.commits[-1] = replace(last, records=(spoilt, *last.records[1:]))
    _forget(here)


def _forget(here: World) -> None:
    """Only the log is left."""
    row = here.watcher.store._rows[KEY]
    row.head = replace(row.head, fold=None)
    for worker in here.processes:
        worker.runner.parts.loader.cache.drop(KEY)


@check
async def g13_missing_value_is_a_failed_step(ledger: Ledger) -> list[str]:
    """What a step needs is gone for good: that is written down, tried again more and more slowly, and parked."""
    here = world(ledger, desk())
    here.operator_may = _nobody
    await here.start("desk", "story " * 15_000)
    await here.watcher.blobs.forget(KEY, "")
    _forget(here)
    await here.rest(24.0)
    head, fails = await here.head(), [event for event in await here.events() if event.kind == "step_failed"]
    await here.close()
    assert head is not None
    complaints = expect(head.error is not None and "missing" in head.error.message, f"parked for {head.error}")
    return complaints + expect(
        (head.status, len(fails)) == ("needs_attention", 5), f"{head.status}, {len(fails)} fails"
    )


@check
async def g13_parked_session_still_meets_its_deadline(ledger: Ledger) -> list[str]:
    """Parked by its head alone, for the process died again and again while it was loaded: when it can be loaded
    again, its deadline is not forgotten."""
    here = world(ledger, desk(), _Always("blobs.get", faults.kill_before, most=STALLS_TO_PARK))
    here.operator_may = _nobody
    await here.start("desk", "story " * 6_000, deadline=here.clock.now() + timedelta(hours=6))
    await here.rest()
    parked = await here.head()
    await here.later(hours=7)
    ended = await here.head()
    await here.close()
    complaints = expect(parked is not None and parked.status == "needs_attention", f"it is {parked and parked.status}")
    return complaints + expect(
        ended is not None and ended.status == "failed", f"past its deadline it is {ended and ended.status}"
    )


@check
async def g13_outage_parks_nobody(ledger: Ledger) -> list[str]:
    """The store, or the model, is away for hours: the session goes on when it is back."""
    complaints = []
    for name in ("store.claim", "store.append", "store.commits", "wakes.publish", "model.answer", "timers.arm"):
        plan = _Always(name, faults.error_before, most=40)
        here = world(ledger, desk(turn(("find_order", ORDER))), plan)
        await here.start("desk")
        await here.rest(1000.0)
        head, events = await here.head(), await here.events()
        await here.close()
        parked = [event.body for event in events if event.kind == "session_parked"]
        complaints += expect(not parked, f"{name}: parked: {parked}")
        complaints += expect(head is not None and head.status == "completed", f"{name}: {head and head.status}")
    return complaints


# --- G15 ---------------------------------------------------------------------------------------------------------


@check
async def g15_bad_input_changes_nothing(ledger: Ledger) -> list[str]:
    """Each is refused with an error that names the field, and nothing is there afterwards that was not before."""
    here = world(ledger, desk(turn(("pay_out", REFUND))))
    complaints = await _refused(here, _bad_starts(here), lambda: here.watcher.store._rows.get(KEY))
    await here.start("desk")
    await here.rest()
    before = await here.head()
    complaints += await _refused(here, _bad_signals(), lambda: len(here.watcher.store._inbox[KEY].signals) or None)
    await here.rest()
    complaints += expect(await here.head() == before, "bad signals changed the session")
    await here.close()
    return complaints


def _bad_starts(here: World) -> list[tuple[str, Callable[[Any], Awaitable[Any]]]]:
    def start(**wrong: Any) -> Callable[[Any], Awaitable[Any]]:
        fields: dict[str, Any] = {"id": "s1", "program": "desk", "version": "1", "input": "hello"} | wrong
        return lambda gateway: gateway.start(Start(**fields), ANN)

    return [
        ("id", start(id="no spaces")),
        ("tenant", start(tenant="")),
        ("labels", start(labels={"a": [1]})),
        ("labels", start(labels={f"l{n}": n for n in range(17)})),
        ("JSON", start(input=float("nan"))),
        ("JSON", start(input={"a": {1, 2}})),
    ]


def _bad_signals() -> list[tuple[str, Callable[[Any], Awaitable[Any]]]]:
    def signal(kind: str, **body: Any) -> Callable[[Any], Awaitable[Any]]:
        return lambda gateway: gateway.signal(KEY, kind, body, ANN, "bad")

    return [
        ("kind", signal("telegram")),
        ("content", signal("input")),
        ("verdict", signal("decision", call="1.0", verdict="perhaps", digest="")),
        ("digest", signal("decision", call="1.0", verdict="approved")),
        ("limits", signal("resume", limits={"turns": 0})),
        ("more", signal("input", content="x", more=1)),
        ("JSON", signal("input", content=float("inf"))),
    ]


async def _refused(here: World, tries: Any, left: Callable[[], Any]) -> list[str]:
    complaints = []
    for field, act in tries:
        try:
            await act(here.front.runner.parts.gateway)
            complaints.append(f"{field}: accepted")
        except UsageError as no:
            complaints += expect(field in str(no), f"{field} is not named: {no}")
        except Exception as exc:
            complaints.append(f"{field}: {type(exc).__name__}: {exc}")
        complaints += expect(left() is None, f"{field}: something was left behind")
    return complaints


class _HalfRight(Program):
    """A program whose second word is nonsense."""

    name, version, follows = "half", "1", False

    def performer(self, call: OpenCall, state: State) -> Any:
        return None

    def decide(self, state: State) -> Decision:
        nonsense = CallStarted(call="no such call", attempt=1, not_after=START)
        return Record((LabelsChanged(set={"half": True}), nonsense), ANN)


@check
async def g15_half_a_decision_is_none(ledger: Ledger) -> list[str]:
    here = world(ledger, App([_HalfRight()]))
    here.operator_may = _nobody
    await here.start("half")
    await here.rest(24.0)
    kinds = [event.kind for event in await here.events()]
    await here.close()
    return expect("labels_changed" not in kinds and "step_failed" in kinds, f"recorded: {kinds}")


@check
async def g15_bad_signal_that_came_as_a_message(ledger: Ledger) -> list[str]:
    """What was filed past the gateway is refused when it is absorbed, and the next signal is taken."""
    here, shown = await _asking(ledger)
    bad = [Signal("a", "telegram", {}, ANN), Signal("b", "input", {}, ANN), Signal("c", "decision", {"call": 7}, ANN)]
    won, refused = await _decisions(here, *bad, Signal("yes", "decision", shown | {"verdict": "approved"}, ANN))
    complaints = expect([body.signal for body in refused] == ["a", "b", "c"], f"refused: {refused}")
    return complaints + expect([body.signal for body in won] == ["yes"], "the good one was not taken")
