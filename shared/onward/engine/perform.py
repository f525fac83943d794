"""Performing effects: the only place that touches the world, and what is made of each outcome (G6, R7 to R10)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from onward.core import events as ev
from onward.core.durations import seconds
from onward.core.events import Actor, Body, Failure
from onward.core.failures import failure
from onward.core.given import NOTHING, Given
from onward.core.ids import completion_token, idempotency_key
from onward.core.outcomes import Call, Done, NotDone, NotPerformed, Pending, TryAgain, Unknown
from onward.core.payload import Erased
from onward.core.program import AskModel, Effect, MakeCall, Performer, Program, Recall, Reconcile, StartChild
from onward.core.retry import FAILURES_TO_PARK
from onward.core.state import OpenCall, State, changed
from onward.engine.admission import Admission, Admitted
from onward.engine.asking import Asking
from onward.engine.files import Files
from onward.engine.hold import Hold
from onward.engine.invoke import Invoker, uninterrupted
from onward.engine.load import Loader
from onward.engine.records import Records
from onward.engine.speaking import Hear
from onward.engine.under_way import Fact, Stopping, UnderWay, facts_of
from onward.errors import BadInput, OnwardError

STRAGGLE = 10.0
"""Seconds that results which are ready wait for the others of their turn (R9)."""

LONGEST_WAIT = timedelta(days=366)
"""How far ahead a time may lie until which a call only waits."""

Late = Callable[[str, OpenCall, Body], Awaitable[None]]
log = logging.getLogger("onward.engine")


class Performing:
    """Performs effects on the event loop, and blocking tools in a bounded pool of threads."""

    def __init__(
        self,
        loader: Loader,
        files: Files,
        secret: bytes,
        late: Late,
        admission: Admission,
        records: Records,
        threads: int = 32,
    ) -> None:
        self._loader = loader
        self._files = files
        self._secret = secret
        self._late = late
        self.admission = admission
        self._records = records
        self._asking = Asking(loader, files, records)
        self._invoker = Invoker(threads)
        self._interruptible: set[asyncio.Task[Any]] = set()
        self._lasting: set[asyncio.Task[Any]] = set()
        self.stopping = False

    def listen(self, hear: Hear) -> None:
        """Whoever is told from now on what models say before they have answered (G4). Nothing depends on it."""
        self._asking.hear = hear

    def stop(self) -> None:
        """Start nothing new; interrupt model calls, reads and idempotent calls, never an irreversible one (R5)."""
        self.stopping = True
        for task in self._interruptible:
            task.cancel()

    async def close(self) -> None:
        """Wait for what may not be interrupted."""
        if self._lasting:
            await asyncio.wait(self._lasting)
        self._invoker.close()
        await self._asking.close()

    async def run(
        self, hold: Hold, state: State, program: Program, effects: Sequence[Effect]
    ) -> AsyncGenerator[tuple[list[Fact], bool], None]:
        """Perform these together; facts come in batches, each in the order of the effects, and each with the word
        whether others are still under way. Raises Stopping."""
        if len(effects) == 1:
            yield await self._single(hold, state, program, effects[0]), False
            return
        order = {asyncio.create_task(self._one(hold, state, program, effect)): at for at, effect in enumerate(effects)}
        waiting = set(order)
        self._interruptible.update(waiting)
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if waiting:
                    more, waiting = await asyncio.wait(waiting, timeout=STRAGGLE)
                    done |= more
                yield [fact for task in sorted(done, key=order.__getitem__) for fact in facts_of(task)], bool(waiting)
        finally:
            self._interruptible.difference_update(order)
            for task in waiting:
                task.cancel()

    def under_way(self, hold: Hold, program: Program) -> UnderWay:
        """What performs calls of this program that may be interrupted, as they come."""

        def start(state: State, effect: Effect) -> asyncio.Task[list[Fact]]:
            task = asyncio.create_task(self._one(hold, state, program, effect))
            self._interruptible.add(task)
            task.add_done_callback(self._interruptible.discard)
            return task

        return UnderWay(start)

    async def _single(self, hold: Hold, state: State, program: Program, effect: Effect) -> list[Fact]:
        """One effect needs no task of its own: to interrupt it is to interrupt its step."""
        if isinstance(effect, MakeCall) and not effect.call.repeatable:
            return await self._one(hold, state, program, effect)
        task = asyncio.current_task()
        assert task is not None
        self._interruptible.add(task)
        try:
            return await self._one(hold, state, program, effect)
        except asyncio.CancelledError:
            if not self.stopping or task.uncancel():
                raise
            raise Stopping from None
        finally:
            self._interruptible.discard(task)

    async def _one(self, hold: Hold, state: State, program: Program, effect: Effect) -> list[Fact]:
        if isinstance(effect, AskModel):
            return await self._asking.ask(hold, state, effect)
        if isinstance(effect, StartChild):
            return await self._start_child(hold, program, effect)
        if isinstance(effect, Recall):
            return await self._records.recall(hold.key, state, effect)
        tool = program.performer(effect.call, state)
        assert tool is not None, "decide gives no effect for a tool that is not there"
        if isinstance(effect, MakeCall):
            return await self._make_call(hold, state, tool, effect.call)
        if isinstance(effect, Reconcile):
            return await self._reconcile(hold, state, tool, effect.call)
        return await self._poll(hold, state, tool, effect.call)

    # --- calls -------------------------------------------------------------------------------------------------

    async def _start_child(self, hold: Hold, program: Program, effect: StartChild) -> list[Fact]:
        """Write down that the call is a session of its own; its start is owed with this commit (R13)."""
        child, arguments = effect.child, await self._loader.resolve(hold.key, effect.call.arguments)
        actor = Actor(kind="program", name=program.name)
        if isinstance(arguments, Erased):
            error = Failure(code="arguments_erased", message="what it was to start with was erased")
            return [(actor, ev.CallFailed(call=effect.call.id, attempt=1, error=error))]
        started = ev.ChildStarted(
            call=effect.call.id,
            session=effect.session,
            program=child.program,
            version=child.version,
            input=child.input_of(arguments),
            on_input=child.on_input,
            on_close=child.on_close,
            allotted=child.limits,
        )
        return [(actor, started)]

    async def _call(self, hold: Hold, state: State, call: OpenCall, attempt: int) -> Call:
        return Call(
            session=state.session,
            id=call.id,
            tool=call.tool,
            arguments=await self._files.fill(hold.key, await self._loader.resolve(hold.key, call.arguments)),
            attempt=attempt,
            idempotency_key=idempotency_key(state.session, call.id),
            token=completion_token(self._secret, hold.key, call.id, attempt),
            approved_by=", ".join(actor.name or actor.kind for actor in call.approved_by),
        )

    async def _make_call(self, hold: Hold, state: State, tool: Performer, open: OpenCall) -> list[Fact]:
        attempt = open.attempt + 1 if open.repeatable else open.attempt
        call = await self._call(hold, state, open, attempt)
        refused = await self.admission.admit(hold, state, tool, open)
        if refused is not None:
            return [refused]
        admitted = self.admission.take(hold, open)
        body = await (self._repeatable if open.repeatable else self._irreversible)(hold, tool, open, call, admitted)
        return [(Actor(kind="tool", name=tool.name), await self._files_kept(hold.key, body))]

    async def _files_kept(self, key: str, body: Body) -> Body:
        """The bytes of a result's files go to blobs before the result is written down."""
        if not isinstance(body, ev.CallCompleted):
            return body
        try:
            return changed(body, result=await self._files.keep(key, body.result))
        except BadInput as exc:  # the effect has happened, so something must be written down
            return changed(body, result={"not_recorded": str(exc)})

    async def _repeatable(self, hold: Hold, tool: Performer, open: OpenCall, call: Call, admitted: Admitted) -> Body:
        try:
            async with asyncio.timeout(tool.timeout):
                body = _completed(hold, call, await self._invoker.invoke(tool, call, admitted))
            admitted.slot.judge(True)
            return body
        except NotPerformed as exc:
            return _not_performed(hold, tool, call, exc, admitted)
        except Exception as exc:
            admitted.slot.judge(False)
            retry_at = hold.retry_at(tool.retry, call.attempt)
            error = failure(exc, limit=tool.timeout, given=admitted.given)
            return ev.CallFailed(call=call.id, attempt=call.attempt, error=error, retry_at=retry_at)
        except asyncio.CancelledError:
            admitted.slot.judge(None)
            raise

    async def _irreversible(self, hold: Hold, tool: Performer, open: OpenCall, call: Call, admitted: Admitted) -> Body:
        """Past its time limit the effect is not interrupted: it is in doubt, and what it says later settles that."""
        task = asyncio.create_task(self._outcome(hold, tool, call, admitted))
        done, _ = await asyncio.wait({task}, timeout=tool.timeout)
        if done:
            return task.result()
        admitted.slot.judge(False)
        follow = asyncio.create_task(self._file_late(hold.key, open, task))
        self._lasting.add(follow)
        follow.add_done_callback(self._lasting.discard)
        error = Failure(code="timed_out", message=f"no outcome within {tool.timeout:g} s")
        return ev.CallInDoubt(call=call.id, attempt=call.attempt, error=error)

    async def _outcome(self, hold: Hold, tool: Performer, call: Call, admitted: Admitted) -> Body:
        try:
            body = _completed(hold, call, await self._invoker.invoke(tool, call, admitted))
            admitted.slot.judge(True)
            return body
        except NotPerformed as exc:
            return _not_performed(hold, tool, call, exc, admitted)
        except Exception as exc:
            admitted.slot.judge(False)
            return ev.CallInDoubt(call=call.id, attempt=call.attempt, error=failure(exc, given=admitted.given))

    async def _file_late(self, key: str, open: OpenCall, task: asyncio.Task[Body]) -> None:
        try:
            await self._late(key, open, await self._files_kept(key, await task))
        except OnwardError as exc:
            log.warning("late outcome not filed", extra={"action": "outcome_not_filed", "key": key, "error": str(exc)})

    # --- doubts and polls --------------------------------------------------------------------------------------

    async def _reconcile(self, hold: Hold, state: State, tool: Performer, open: OpenCall) -> list[Fact]:
        """Ask what happened. An error or no answer in time is no answer: a person is asked (R8)."""
        call, given = await self._call(hold, state, open, open.attempt), NOTHING
        try:
            async with asyncio.timeout(tool.timeout):
                given = await self.admission.give(tool, "reconcile")
                answer = await uninterrupted(tool.ask(call, given))
        except Exception as exc:
            answer = Unknown(f"reconcile raised {failure(exc, given=given).message}")
        body = _reconciled(open, answer, given)
        return [(Actor(kind="tool", name=tool.name), await self._files_kept(hold.key, body))]

    async def _poll(self, hold: Hold, state: State, tool: Performer, open: OpenCall) -> list[Fact]:
        call, given = await self._call(hold, state, open, open.attempt), NOTHING
        try:
            async with asyncio.timeout(tool.timeout):
                given = await self.admission.give(tool, "poll")
                answer = await uninterrupted(tool.check(call, given))
        except Exception as exc:
            error = failure(exc, given=given).message
            log.warning("poll failed", extra={"action": "poll_failed", "session": state.session, "error": error})
            answer = Pending(timeout=1, poll_every=tool.retry.after(open.polls + 1))
        return [(Actor(kind="tool", name=tool.name), await self._files_kept(hold.key, _polled(hold, open, answer)))]


def _not_performed(hold: Hold, tool: Performer, call: Call, exc: NotPerformed, admitted: Admitted) -> Body:
    """The tool said no: it works, and the model gets the reason, unless it is to be tried again."""
    admitted.slot.judge(True)
    error = failure(exc, "not_performed", given=admitted.given)
    retry_at = hold.retry_at(tool.retry, call.attempt) if isinstance(exc, TryAgain) else None
    return ev.CallFailed(call=call.id, attempt=call.attempt, error=error, retry_at=retry_at)


def _completed(hold: Hold, call: Call, result: Any) -> Body:
    if isinstance(result, Pending):
        return _pending(hold, call.id, call.attempt, result, polls=0)
    value = result.result if isinstance(result, Done) else result
    return ev.CallCompleted(call=call.id, attempt=call.attempt, result=value)


def _pending(hold: Hold, id: str, attempt: int, pending: Pending, polls: int, expires_at: Any = None) -> Body:
    every = pending.poll_every
    return ev.CallPending(
        call=id,
        attempt=attempt,
        expires_at=expires_at or _expiry(hold, pending),
        poll_at=None if every is None else hold.now() + timedelta(seconds=seconds(every)),
        polls=polls,
        ends=pending.ends,
    )


def _expiry(hold: Hold, pending: Pending) -> datetime:
    """Raises NotPerformed for a time that is past or too far: nothing was done yet, as only waiting is to be done."""
    now, until = hold.now(), pending.until
    if until is None:
        return now + timedelta(seconds=seconds(pending.timeout or 0, "Pending.timeout"))
    if not now < until <= now + LONGEST_WAIT:
        wrong = "past" if until <= now else f"more than {LONGEST_WAIT.days} days ahead"
        raise NotPerformed(f"{until.isoformat()} is {wrong}: it is {now.isoformat(timespec='seconds')} now")
    return until.astimezone(UTC).replace(microsecond=until.microsecond // 1000 * 1000)


def _reconciled(open: OpenCall, answer: Any, given: Given) -> Body:
    if isinstance(answer, Done):
        return ev.CallCompleted(call=open.id, attempt=open.attempt, result=answer.result, by="reconcile")
    if isinstance(answer, NotDone) and open.attempt >= FAILURES_TO_PARK:
        error = Failure(
            code="keeps_failing", message=f"{open.attempt} attempts, and reconcile says that it did not happen"
        )
        return ev.CallReconciled(call=open.id, answer="unknown", error=error)
    if isinstance(answer, NotDone):
        return ev.CallReconciled(call=open.id, answer="not_done")
    reason = answer.reason if isinstance(answer, Unknown) and answer.reason else f"reconcile answered {answer!r}"
    error = Failure(code="unknown", message=given.scrub(reason)[:2000])
    return ev.CallReconciled(call=open.id, answer="unknown", error=error)


def _polled(hold: Hold, open: OpenCall, answer: Any) -> Body:
    if isinstance(answer, Done):
        return ev.CallCompleted(call=open.id, attempt=open.attempt, result=answer.result)
    if isinstance(answer, NotDone):
        error = Failure(code="not_performed", message="it did not happen")
        return ev.CallFailed(call=open.id, attempt=open.attempt, error=error)
    again = answer if isinstance(answer, Pending) else Pending(timeout=1, poll_every=60)
    again = Pending(timeout=1, poll_every=again.poll_every, ends=open.ends)
    return _pending(hold, open.id, open.attempt, again, open.polls + 1, expires_at=open.expires_at)
