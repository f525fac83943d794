"""What a workflow's body asks the world for: everything it does, it does through its context."""

from __future__ import annotations

import uuid  # noqa: TID251 - made of the session's id: the same at each run
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Never, TypeVar, overload

from onward.core.canonical import copied
from onward.core.durations import Span, seconds
from onward.core.events import EffectClass, Limits, OnClose
from onward.core.program import Child
from onward.core.retry import Retry
from onward.errors import BadInput
from onward.programs.approvals import Approval
from onward.programs.names import checked_name, step_name
from onward.programs.operations import Ask, came_late, child_failed, failed
from onward.programs.replies import Continued, Decision, Settled, decision
from onward.programs.steps import Options, plain, recorded_arguments, step_of, undo_of

if TYPE_CHECKING:
    import logging
    import random  # noqa: TID251 - only a type

    from onward.programs.loop import Scope
    from onward.programs.running import Run

T = TypeVar("T")
R = TypeVar("R")
Wait = Coroutine[Any, Any, R]
LONGEST = timedelta(days=3660)


class Context:
    """A workflow's way to the world, given to its body as the first argument.

    What it gives are coroutines: await them, or give them to `asyncio.gather`, a TaskGroup, `asyncio.timeout` and the
    like. What each comes to is written down once, and is the same whenever the body is run again from its log.

    Each has a name: that of its function, or what `name` says, counted within the task that asks for it. By its name a
    recorded result is found again, so that steps may be reordered, and others inserted, in code that is deployed over
    sessions under way; where a result was asked for otherwise, the session is parked as `nondeterministic`.
    """

    def __init__(self, run: Run, scope: Scope | None = None) -> None:
        self._run, self._own = run, scope

    # --- steps -------------------------------------------------------------------------------------------------

    @overload
    def step(
        self,
        function: Callable[..., Awaitable[R]],
        /,
        *args: Any,
        retry: Retry | int | None = None,
        timeout: Span | None = None,
        effect: EffectClass | None = None,
        undo: Callable[..., Any] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Wait[R]: ...
    @overload
    def step(
        self,
        function: Callable[..., R],
        /,
        *args: Any,
        retry: Retry | int | None = None,
        timeout: Span | None = None,
        effect: EffectClass | None = None,
        undo: Callable[..., Any] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Wait[R]: ...
    def step(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        retry: Retry | int | None = None,
        timeout: Span | None = None,
        effect: EffectClass | None = None,
        undo: Callable[..., Any] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Wait[Any]:
        """Have a function performed, and get its result. It is a tool, or any function with named parameters, sync or
        async; arguments and result are recorded as JSON, and read back by its annotations. A keyword-only parameter
        annotated `Call` is given the call, with its idempotency key.

        effect   what may be done after a crash; a tool has its own, and what says nothing is irreversible
        undo     what takes it back if the workflow fails or is cancelled: it is given any of the step's arguments by
                 name, and as `result` what the step came to. What has one is compensatable
        retry    attempts in all, or a Retry. What can't be repeated is tried again only where it raises TryAgain
        timeout  how long one attempt may take

        Raises StepFailed once it has failed for good, or was not approved, and BadInput for arguments that don't fit.
        """
        options = Options(effect, undo, retry, timeout, name)
        step = step_of(function, options)
        return self._ask(
            name or step.name,
            kind="step",
            tool=step.name,
            arguments=recorded_arguments(step, args, kwargs),
            read=step.read_result,
            step=step,
            undo=undo_of(step, options),
        )

    @overload
    def poll(
        self,
        function: Callable[..., Awaitable[R]],
        /,
        *args: Any,
        until: Callable[[R], Any],
        every: Span = "1m",
        timeout: Span | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Wait[R]: ...
    @overload
    def poll(
        self,
        function: Callable[..., R],
        /,
        *args: Any,
        until: Callable[[R], Any],
        every: Span = "1m",
        timeout: Span | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Wait[R]: ...
    def poll(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        until: Callable[[Any], Any],
        every: Span = "1m",
        timeout: Span | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Wait[Any]:
        """Perform a function again and again until `until` says of its result that it will do, and get that one. It is
        a read, unless it is a tool that says otherwise. Nothing runs in between.

        Raises TimeoutError where `timeout` would pass before the next one.
        """
        from onward.programs.fanning import polled

        inner = self._within(step_name(function, name))
        effect: EffectClass | None = None if hasattr(function, "effect") else "read"

        def ask() -> Wait[Any]:
            return inner.step(function, *args, effect=effect, name=name, **kwargs)

        end = None if timeout is None else self.now() + timedelta(seconds=seconds(timeout, "poll: timeout"))
        return polled(inner, ask, until, seconds(every, "poll: every"), end)

    # --- time --------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The time, in UTC, of what the body goes on from: the same whenever it is run again."""
        return self._run.now

    def sleep(self, span: Span, *, name: str | None = None) -> Wait[None]:
        """Let so much time pass; a span that was counted, and is none, passes at once. Nothing runs meanwhile, and
        nothing is paid for."""
        counted = isinstance(span, timedelta) or type(span) in (int, float)
        none = counted and span <= type(span)()  # type: ignore[operator]
        lasts = timedelta(seconds=0 if none else seconds(span, "sleep"))
        return self._sleep(self.now() + lasts, name, since=self.now())

    def sleep_until(self, at: datetime, *, name: str | None = None) -> Wait[None]:
        """Let time pass until then; what is past already passes at once. Raises BadInput for a time without a zone, or
        one more than ten years ahead."""
        if at.tzinfo is None or at > self.now() + LONGEST:
            raise BadInput(f"sleep: {at.isoformat()} has no time zone, or is more than ten years ahead")
        return self._sleep(at, name)

    def _sleep(self, at: datetime, name: str | None, **more: Any) -> Wait[None]:
        path = self._scope().name(checked_name(name or "sleep", "sleep"))
        more |= {"arguments": {"name": path}, "read": lambda value: None, "until": _whole(at)}
        return self._wait(path, kind="sleep", tool="sleep", **more)

    # --- people and others ---------------------------------------------------------------------------------------

    def approval(
        self,
        question: str,
        *,
        evidence: Any = None,
        timeout: Span = "24h",
        people: int = 1,
        by: list[str] | None = None,
        remind: Span | None = None,
        name: str | None = None,
    ) -> Wait[Decision]:
        """Ask people, and get their decision. They are shown the question and the evidence. So many `people` must
        approve, of those `by` name if it does, and one can reject; see Approval. Nobody having decided within
        `timeout`, the decision is one that expired."""
        asked = {"question": question, "evidence": plain(evidence, "approval: evidence")}
        rule = Approval(timeout=timeout, people=people, by=by, remind=remind, rule="the workflow asks")
        return self._ask(
            name or "approval", kind="approval", tool="approval", arguments=asked, read=decision, approval=rule
        )

    @overload
    def input(self, type: type[T], *, timeout: Span | None = None, name: str | None = None) -> Wait[T]: ...
    @overload
    def input(self, *, timeout: Span | None = None, name: str | None = None) -> Wait[Any]: ...
    def input(self, type: Any = Any, *, timeout: Span | None = None, name: str | None = None) -> Wait[Any]:
        """The next input without a name, of this type; one that came before it was waited for is kept for it. Another
        is refused while it is waited for, and passed over if it came before. Raises TimeoutError."""
        return self._input(None, type, timeout, name or "input")

    @overload
    def signal(
        self, signal: str, type: type[T], *, timeout: Span | None = None, name: str | None = None
    ) -> Wait[T]: ...
    @overload
    def signal(self, signal: str, *, timeout: Span | None = None, name: str | None = None) -> Wait[Any]: ...
    def signal(
        self, signal: str, type: Any = Any, *, timeout: Span | None = None, name: str | None = None
    ) -> Wait[Any]:
        """The next input of this name; the rest is as with `input`."""
        return self._input(checked_name(signal, "signal"), type, timeout, name or signal)

    def _input(self, signal: str | None, type: Any, timeout: Span | None, name: str) -> Wait[Any]:
        form = _form_of(type)
        until = None if timeout is None else _whole(self.now() + timedelta(seconds=seconds(timeout, "timeout")))
        return self._ask(
            name,
            kind="signal",
            tool="input" if signal is None else "signal",
            arguments={} if signal is None else {"signal": signal},
            read=form.read,
            fails=came_late,
            until=until,
            since=self.now(),
            signal=signal,
            takes=form.schema,
        )

    # --- other sessions ------------------------------------------------------------------------------------------

    def run(
        self, program: Any, input: Any = None, *, limits: Limits | None = None, name: str | None = None
    ) -> Wait[Any]:
        """Run an agent, or another workflow, in a session of its own, and get its output. It is cancelled if this
        session is, or does not want it any more. Raises ChildFailed."""
        return self._child("child", program, input, "cancel", limits, name)

    def start(
        self, program: Any, input: Any = None, *, limits: Limits | None = None, name: str | None = None
    ) -> Wait[str]:
        """Start an agent, or another workflow, and get the id of its session. Nobody waits for it: it goes on when this
        one has ended."""
        return self._child("start", program, input, "abandon", limits, name)

    def _child(
        self, kind: Any, program: Any, input: Any, on_close: OnClose, limits: Any, name: str | None
    ) -> Wait[Any]:
        if not callable(getattr(program, "decide", None)):
            raise BadInput(f"run: {program!r} is no agent and no workflow")
        child = Child(program.name, program.version, program.on_input, on_close, limits or program.limits)
        given = {"input": plain(input, f"{program.name}: input")}
        output = getattr(program, "typed", None)
        read = _session if kind == "start" else output or _itself
        return self._ask(
            name or program.name,
            kind=kind,
            tool=program.name,
            arguments=given,
            read=read,
            fails=child_failed,
            child=child,
        )

    def continue_as(self, input: Any = None) -> Never:
        """Start afresh in the same session, with this input: `return ctx.continue_as(...)`. Its id stays, and so do
        inputs that nobody has waited for yet; what is still open is not waited for any more."""
        return Continued(plain(input, "continue_as"))  # type: ignore[misc] # for a type checker the body has no result

    # --- many at once --------------------------------------------------------------------------------------------

    def map(
        self, items: Iterable[T], function: Callable[[T], Awaitable[R]], *, concurrency: int | None = None
    ) -> Wait[list[R]]:
        """What the function gives for each item, in their order; it gives something to await, such as
        `lambda item: ctx.step(score, item)`. So many are under way at once. The first to fail ends the others."""
        from onward.programs.fanning import in_order, mapped

        return mapped(self._run, self._scope().name("map"), in_order(items), function, concurrency)

    def map_settled(
        self,
        items: Iterable[T],
        function: Callable[[T], Awaitable[R]],
        *,
        concurrency: int | None = None,
        tolerate: int | None = None,
    ) -> Wait[list[Settled[R]]]:
        """How each item came out, in their order. More than `tolerate` failures end the others, and the last of them is
        raised; None tolerates any number."""
        from onward.programs.fanning import in_order, settled

        return settled(self._run, self._scope().name("map"), in_order(items), function, concurrency, tolerate)

    def first(
        self, items: Iterable[T], function: Callable[[T], Awaitable[R]], *, concurrency: int | None = None
    ) -> Wait[R]:
        """What the function gave for the first item that did not fail; the others are ended. Raises what the last one
        raised if all failed, and BadInput where there is none."""
        from onward.programs.fanning import first, in_order

        return first(self._run, self._scope().name("first"), in_order(items), function, concurrency)

    # --- what is the same each time --------------------------------------------------------------------------------

    @property
    def random(self) -> random.Random:
        """Random numbers that are the same whenever the body is run again. They can be guessed."""
        return self._run.random()

    def uuid(self) -> uuid.UUID:
        """A UUID that no other session has, and that is the same whenever the body is run again. It can be guessed."""
        return uuid.uuid5(_UUIDS, self._run.key(self._scope().name("uuid")))

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger, `onward.workflow`, that names the session. What was logged before is not logged again when the body
        is run again; a crash may repeat the last lines."""
        from onward.programs.logs import logger_of

        return logger_of(self._run)

    @property
    def session(self) -> str:
        """The id of this session."""
        return self._run.state.session

    def patched(self, id: str) -> bool:
        """Whether this session came here with the code of today: False where its log shows that it went by before. What
        was said once stays so."""
        return self._run.patched(f"patch:{checked_name(id, 'patched')}", id)

    def _scope(self) -> Scope:
        scope = self._run.scope()
        return self._own or scope

    def _within(self, name: str) -> Context:
        """The same context, with names that are counted for themselves."""
        return Context(self._run, self._run.scope_of(self._scope().name(name)))

    # --- asking --------------------------------------------------------------------------------------------------

    def _ask(self, name: str, **what: Any) -> Wait[Any]:
        return self._wait(self._scope().name(checked_name(name, "name")), **what)

    def _wait(self, path: str, *, fails: Any = failed, **what: Any) -> Wait[Any]:
        return self._run.wait(self._run.ask(Ask(path, fails=fails, **what)))


_UUIDS = uuid.UUID("5b2f4d0e-8f3b-4f0e-9d3e-6f6e77617264")


def _whole(at: datetime) -> datetime:
    """As times are stored: in milliseconds."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _itself(value: Any) -> Any:
    return copied(value)


def _session(value: Any) -> Any:
    return value["session"] if isinstance(value, dict) else value


def _form_of(type: Any) -> Any:
    try:
        return _forms(type)
    except TypeError:  # a type that can't be hashed
        return _forms.__wrapped__(type)


@cache
def _forms(type: Any) -> Any:
    from onward.programs.inputs import InputForm

    return InputForm(type)
