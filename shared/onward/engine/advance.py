"""One message, start to end: claim, load, absorb, decide, perform, append, publish, acknowledge.

Read it beside the design's rules R1 to R16. To return is to acknowledge; to raise is to ask for the message again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

from onward.core import events as ev
from onward.core.absorb import absorb, cancelled_unread
from onward.core.draft import ENGINE, Draft
from onward.core.events import Failure
from onward.core.head import Head, resting
from onward.core.lease import MARGIN, Busy, Later
from onward.core.program import AskModel, Effect, MakeCall, Perform, Program
from onward.core.retry import STALLS_TO_PARK
from onward.engine.alone import TURN, Floor
from onward.engine.alongside import Alongside, lasts
from onward.engine.append import Appender
from onward.engine.deciding import Decider, Full, Leave, suspicious
from onward.engine.hold import Hold, Renewer
from onward.engine.late import LateOutcomes
from onward.engine.load import Loader
from onward.engine.outbox import Outbox
from onward.engine.perform import Performing
from onward.engine.session import Session, note
from onward.engine.switches import Switchboard
from onward.engine.under_way import Fact, Stopping
from onward.engine.visitors import Visitors
from onward.errors import Ambiguous, LeaseLost, OnwardError, Permanent, Retryable, UsageError
from onward.ports import Lease, Ports, Wake

OTHERS = timedelta(seconds=60)
"""When to look again at a session whose program is not here (R21)."""


class Engine:
    """Moves sessions onward. `owners` gives a new owner name, unique for ever, for each claim."""

    def __init__(  # noqa: PLR0913 - one for each part of the flow
        self,
        ports: Ports,
        *,
        loader: Loader,
        decider: Decider,
        performing: Performing,
        appender: Appender,
        renewer: Renewer,
        late: LateOutcomes,
        outbox: Outbox,
        switchboard: Switchboard,
        owners: Callable[[], str],
        steps_per_wake: int = 1,
    ) -> None:
        self.store, self.wakes, self.timers, self.clock = ports.store, ports.wakes, ports.timers, ports.clock
        self.loader, self.decider, self.performing = loader, decider, performing
        self.appender, self.renewer, self.owners, self.steps_per_wake = appender, renewer, owners, steps_per_wake
        self.late, self.outbox, self.switchboard = late, outbox, switchboard
        self.visitors = Visitors(ports.store, ports.timers, ports.clock, owners)
        self.alongside = Alongside(performing, decider, self._append, self._absorb)
        self._floor = Floor()

    async def advance(self, wake: Wake) -> None:
        """Move a session by one step. Returning acknowledges the wake; raises Retryable where nothing was decided."""
        armed = False
        while not await self._heeded(wake, armed):
            armed = True

    async def _heeded(self, wake: Wake, armed: bool) -> bool:
        """Make a step, or see to it that there will be one. If neither could be done, a timer was armed on the way."""
        async with self._floor.shared():
            claimed = await self._claim(wake)
            if isinstance(claimed, Lease):
                await self._hold(claimed, wake)
                return True
        return await self.visitors.turned_away(wake, claimed, armed)

    async def _hold(self, lease: Lease, wake: Wake) -> None:
        """Make a step under this lease; however it ends, nothing that was asked for is forgotten."""
        async with self.renewer.holding(lease) as hold:
            hold.delayed = wake.delayed
            try:
                await self._step(hold, wake)
            except LeaseLost as exc:
                note("lease_lost", hold.lease.head, exc)
                await self._pass_on(hold, wake)
            except Stopping:
                await self._let_go(hold, wake)
            except Retryable:
                await self._give_back(hold)
                raise

    async def _step(self, hold: Hold, wake: Wake) -> None:
        session = await self._open(hold, wake)
        if session is not None:
            try:
                await self._go_on(session)
            except (LeaseLost, Retryable, Stopping):
                await self._save_outcomes(session)
                raise
            except UsageError as exc:  # what was to be written down can't be
                session.start_over()
                self.decider.failed(session, exc)
                await self._rest(session)

    async def _go_on(self, session: Session) -> None:
        hold, steps = session.hold, 0
        while True:
            if steps:
                await self._absorb(session)
            session.off = await self.switchboard.off_for(session.state)
            decision = self.decider.decide(session)
            if isinstance(decision, Leave):
                return await self._leave(session, OTHERS)
            if isinstance(decision, Full):
                if hold.spent or self.performing.stopping:
                    return await self._hand_on(session)
                await self._append(session)
                continue
            if isinstance(decision, Perform):
                if steps >= self.steps_per_wake or hold.spent or (steps and self.performing.stopping):
                    return await self._hand_on(session)
                if not await self._attempt(session, decision.effects):
                    return
                steps += 1
            elif not await self._more_to_absorb(session):
                return await self._rest(session)

    # --- claim -------------------------------------------------------------------------------------------------

    async def _claim(self, wake: Wake) -> Lease | Busy | Later | None:
        owner = self.owners()
        try:
            return await self.store.claim(wake.key, owner, wake.published)
        except Ambiguous:
            return await self.store.claim(wake.key, owner, wake.published)

    # --- load and absorb ---------------------------------------------------------------------------------------

    async def _open(self, hold: Hold, wake: Wake) -> Session | None:
        """Load, and absorb what is due. What kills its process or can't be loaded is dealt with by its head (R11)."""
        lease = hold.lease
        look = wake.look or lease.mark is not None
        try:
            await self.outbox.publish_rest(hold)
            if lease.stalls >= STALLS_TO_PARK:
                raise Permanent(f"{lease.stalls} attempts at this step ended their process")
            await self.outbox.pay_rest(hold)
            folded = await self.loader.fold(lease.head)
            state = await self.loader.decidable(hold.key, folded)
        except Permanent as exc:
            await self._by_head(hold, Failure(code=exc.code, message=str(exc)))
            return None
        session = Session(hold, Draft(state, hold.now()), look=look, stalls=lease.stalls)
        session.folded = None if state is folded else folded
        await self._absorb(session)
        return session

    async def _absorb(self, session: Session) -> None:
        """Only a wake that says so, a mark or a due timer makes a holder read the inbox (R16)."""
        draft = session.draft
        if not session.look and not session.state.timers:
            return
        draft.now = session.hold.now()
        if not session.look and min(session.state.timers.values()) > draft.now:
            return
        inbox = await self.store.pending(session.hold.key)
        draft.now = max(draft.now, inbox.now)
        until = inbox.now if not inbox.more else inbox.signals[-1].filed_at or inbox.now
        absorb(draft, [signal for signal in inbox.signals if signal.id not in session.absorbed], until)
        session.absorbed = list(dict.fromkeys((*session.absorbed, *(signal.id for signal in inbox.signals))))
        session.inbox_read, session.look = not inbox.more, inbox.more

    async def _more_to_absorb(self, session: Session) -> bool:
        """Before a rest: is a timer due by now, was somebody turned away (R14)?"""
        seq = session.state.seq
        await self._absorb(session)
        return session.state.seq != seq

    async def _by_head(self, hold: Hold, error: Failure) -> None:
        """Park, or cancel if that was asked for, without the fold: it may be what is wrong. Then look once more: what
        happened is to be published, and if the fold was not what is wrong, there may be timers to arm."""
        inbox, head = await self.store.pending(hold.key), hold.lease.head
        cancels = [signal for signal in inbox.signals if signal.kind == "cancel"]
        body = cancelled_unread(cancels[0], error) if cancels else ev.SessionParked(error=error)
        if not head.ended and (cancels or head.status != "needs_attention"):
            await self.appender.append_by_head(hold, body, absorbed=tuple(signal.id for signal in cancels))
        elif not await self._release(hold):
            return
        await self.wakes.publish(hold.wake(look=True, published=hold.published))

    # --- perform -----------------------------------------------------------------------------------------------

    async def _attempt(self, session: Session, effects: Sequence[Effect]) -> bool:
        """Perform; what may end the process alone in it, or not now if another one is about to do so (R11)."""
        if not suspicious(session.state, effects):
            await self._try(session, effects)
        elif self._floor.taken:
            await self._leave(session, TURN)
            return False
        else:
            async with self._floor.alone():
                await self._try(session, effects)
        return True

    async def _try(self, session: Session, effects: Sequence[Effect]) -> None:
        """An attempt that fails, and not because of the store, is an event and a timer (R11)."""
        try:
            await self._perform(session, effects)
        except (LeaseLost, Retryable, Stopping):
            raise
        except Exception as exc:
            session.start_over()
            self.decider.failed(session, exc)

    async def _perform(self, session: Session, effects: Sequence[Effect]) -> None:
        """Perform effects and take down what came of them; what they rest on is in the log first (R6)."""
        if self.performing.stopping:
            raise Stopping
        program = self.decider.program(session.state)
        assert program is not None, "only a program decides to perform"
        try:
            await self._perform_all(session, program, effects)
        finally:
            self._dismiss(session, effects[0])

    async def _perform_all(self, session: Session, program: Program, effects: Sequence[Effect]) -> None:
        started = await self._begin(session, program, effects)
        if not started:
            return
        if self.performing.stopping and not lasts(started[0]):
            raise Stopping  # it was asked to while it wrote down what these rest on (R5)
        if self.alongside.applies(session, program, started):
            return await self.alongside.perform(session, program, started)
        async with aclosing(self.performing.run(session.hold, session.state, program, started)) as batches:
            async for facts, more in batches:
                self._take_down(session, started[0], facts)
                if more:
                    await self._append(session)

    def _take_down(self, session: Session, first: Effect, facts: Sequence[Fact]) -> None:
        session.draft.now = session.hold.now()
        session.draft.add_all(facts)
        session.performed = True
        if isinstance(first, MakeCall) and not first.call.repeatable:
            session.outcomes = [(first.call, facts[0][1])]

    def _dismiss(self, session: Session, first: Effect) -> None:
        """A call that was admitted and then not made, for whatever reason, gives its place back."""
        if isinstance(first, MakeCall):
            self.performing.admission.dismiss(session.hold, first.call)

    async def _begin(self, session: Session, program: Program, effects: Sequence[Effect]) -> Sequence[Effect]:
        first = effects[0]
        if isinstance(first, MakeCall) and not first.call.repeatable:
            return await self._start(session, program, first)
        if session.unsaved and (session.performed or not isinstance(first, AskModel)):
            await self._append(session)
        return effects

    async def _start(self, session: Session, program: Program, effect: MakeCall) -> Sequence[MakeCall]:
        """An irreversible call says first that it starts, and starts only under a lease that can't have lapsed (R7).

        If saying so took too long, nothing is done, and that is written down.
        """
        tool = program.performer(effect.call, session.state)
        assert tool is not None
        refused = await self.performing.admission.admit(session.hold, session.state, tool, effect.call)
        if self.performing.stopping:
            raise Stopping  # it may have stood in line for a while
        session.draft.now = session.hold.now()
        if refused is not None:
            session.draft.add(*refused)
            return []
        not_after = session.draft.now + timedelta(seconds=tool.timeout + MARGIN)
        session.draft.add(
            ENGINE, ev.CallStarted(call=effect.call.id, attempt=effect.call.attempt + 1, not_after=not_after)
        )
        await self._append(session)
        if not session.hold.fresh:
            error = Failure(code="not_made", message="the lease may have lapsed, so the call was not made")
            session.draft.add(ENGINE, ev.CallReconciled(call=effect.call.id, answer="not_done", error=error))
            return []
        return [MakeCall(session.state.calls[effect.call.id])]

    # --- append, publish, let go -------------------------------------------------------------------------------

    async def _append(
        self, session: Session, *, at_rest: bool = False, release: bool = False, wake: Wake | None = None
    ) -> bool:
        """Append the draft; then, and only then, publish it (G4), and pay what it owes before letting go (R12, R13).

        Answers whether the wake is part of the append already.
        """
        hold, events = session.hold, session.draft.events
        hold.owed = hold.owed or self.appender.first_owed(session)
        mark = await self.appender.append(session, at_rest=at_rest, release=release, wake=wake)
        session.outcomes = []
        session.look = session.look or mark is not None
        await self.outbox.publish(hold, events)
        owed = bool(hold.owed)
        if owed:
            await self.outbox.pay(hold, events)
        if not (at_rest or release):
            session.begin(session.state, await self.loader.decidable(hold.key, session.state))
        elif owed:
            head = resting(hold.lease.head, session.state) if at_rest else hold.lease.head
            session.look = await self._release(hold, head) or session.look
        return self.store.embedded and not owed

    async def _save_outcomes(self, session: Session) -> None:
        for call, body in session.outcomes:
            try:
                await self.late.file(session.hold.key, call, body)
            except OnwardError as exc:
                note("outcome_not_filed", session.hold.lease.head, exc)

    async def _rest(self, session: Session) -> None:
        """Arm the next timer, commit the rest, publish; then call back whoever was turned away (R14, R4)."""
        hold, stored = session.hold, session.hold.lease.head
        await self._arm_next(session)
        if session.changed:
            await self._append(session, at_rest=True)
        else:
            moved = stored.status == "running" or hold.paid or hold.lease.head is not stored
            head = resting(hold.lease.head, session.state) if moved else None
            session.look = await self._release(hold, head) or session.look
        if session.look:
            await self.wakes.publish(hold.wake(look=True, published=hold.published))

    async def _arm_next(self, session: Session) -> None:
        """A timer that is armed need not be armed again: a session that rests often, always until the same time, would
        have as many timers for it. Only a wake that was delayed may be that timer itself, come too early."""
        hold, at = session.hold, min(session.state.timers.values(), default=None)
        if at is not None and (hold.delayed or at != hold.lease.head.armed):
            await self.timers.arm(hold.key, at)
            hold.lease = replace(hold.lease, head=replace(hold.lease.head, armed=at))
            hold.delayed = False

    async def _hand_on(self, session: Session) -> None:
        """Work is left: let go and publish the next wake, after the events (R12)."""
        hold, looked = session.hold, session.look
        wake = hold.wake(look=looked, published=session.state.seq)
        if not session.changed:
            look = await self._release(hold) or looked
            return await self.wakes.publish(hold.wake(look=look, published=hold.published))
        sent = await self._append(session, release=True, wake=wake)
        if not sent or session.look != looked:
            await self.wakes.publish(replace(wake, look=session.look))

    async def _release(self, hold: Hold, head: Head | None = None) -> bool:
        """Let go without an append. Whether somebody was turned away since its mark was last seen."""
        if head is None and (hold.paid or hold.published > hold.lease.head.published):
            head = hold.lease.head
        mark = await self.store.release(hold.lease, head and replace(head, published=hold.published))
        return mark is not None and mark != hold.lease.mark

    async def _pass_on(self, hold: Hold, wake: Wake) -> None:
        """Somebody else has the session now, but need not know of what this wake asked to look at, nor have a wake of
        their own that comes again if they die."""
        await self.wakes.publish(hold.wake(look=wake.look))

    async def _give_back(self, hold: Hold) -> None:
        """The store failed, and not the step: let go if that can be done, so that nobody takes it for a death (G13)."""
        try:
            await self.store.release(hold.lease)
        except OnwardError as exc:
            note("lease_not_given_back", hold.lease.head, exc)

    async def _leave(self, session: Session, after: timedelta) -> None:
        """It can't go on here and now. Keep what was absorbed; others, or this instance later, go on."""
        at = session.hold.now() + after
        if self.decider.has_programs:
            await self.timers.arm(session.hold.key, at)
            if session.changed:
                await self._append(session, release=True)
            else:
                await self._release(session.hold)
            return
        await self._hand_on(session)

    async def _let_go(self, hold: Hold, wake: Wake) -> None:
        """Asked to stop: nothing of this attempt is kept, the wake is for somebody else (R5)."""
        await self.store.release(hold.lease)
        await self.wakes.publish(replace(wake, look=True))
