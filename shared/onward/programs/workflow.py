"""Workflows: ordinary coroutines, run again from their logs, as programs."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from functools import cached_property, update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from onward.core.durations import Span, seconds
from onward.core.events import (
    Actor,
    Body,
    Event,
    Failure,
    Limits,
    OnClose,
    OnInput,
    SessionCompleted,
    SessionContinued,
    SessionFailed,
    SessionParked,
    TimerSet,
)
from onward.core.payload import Blob, Erased
from onward.core.program import Child, Decision, Handover, Program, Record, Rest, Withheld
from onward.core.state import OpenCall, State
from onward.errors import BadInput
from onward.programs.approvals import Approval
from onward.programs.cautions import WorkflowCaution, cautions
from onward.programs.declaring import checked_name, checked_version
from onward.programs.functions import Function
from onward.programs.hindsight import Hindsight
from onward.programs.inputs import input_of
from onward.programs.naming import programs_named_in, tools_named_in
from onward.programs.replies import Continued
from onward.programs.schema import Results
from onward.programs.team import AgentTool, wrapped
from onward.programs.tools import Tool

if TYPE_CHECKING:
    from onward.programs.context import Context
    from onward.programs.running import Run

P = ParamSpec("P")
R = TypeVar("R")

AT_HAND = 1000
"""Coroutines that a workflow keeps in memory; others are run again from their logs."""


class Workflow(Program, Generic[P, R]):
    """A coroutine function as a program (`core.program.Program`), made by `workflow`.

    Called directly it is the plain function: awaited with a context of its own, another workflow runs it inline.
    """

    leads = True
    follows = False
    on_input: OnInput = "deliver"

    def __init__(
        self,
        function: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]],
        *,
        name: str | None = None,
        version: str = "1",
        deadline: Span | None = None,
        limits: Limits | None = None,
        description: str | None = None,
    ) -> None:
        update_wrapper(self, function)
        self.name = checked_name(function.__name__.strip("_").replace("_", "-") if name is None else name, "workflow")
        self.version = checked_version(self.name, version, "workflow")
        self.limits = limits or Limits()
        self.lifetime = None if deadline is None else timedelta(seconds=seconds(deadline, f"{self}: deadline"))
        self.description = description or (inspect.getdoc(function) or "").partition("\n\n")[0]
        self.origin: object = self
        self._function = function
        self._input = input_of(function, self.name)
        self._results = Results(function, self.name)
        self._runs: OrderedDict[tuple[str, str], Run] = OrderedDict()
        self._hindsight: Hindsight | None = None
        self.checked = False

    def __call__(self, ctx: Context, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        return self._function(ctx, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<workflow {self.name} {self.version}>"

    def apart(self, *, checked: bool = False) -> Self:
        """The same program with coroutines of its own, as another process has it. `checked`, it is in check mode:
        whenever its log has something new, its body is run from the log's beginning, and one that does what a replay
        would not do again in the same way parks its session as `nondeterministic`, with the lines that do it."""
        other = copy.copy(self)
        other._runs, other.checked = OrderedDict(), checked
        return other

    def in_hindsight(self, events: Sequence[Event]) -> Self:
        """The same program, to replay a session with these events."""
        other = self.apart()
        other._hindsight = Hindsight(events)
        return other

    def drop(self) -> None:
        """Forget every coroutine at hand: each session goes on from its log."""
        while self._runs:
            self._runs.popitem()[1].drop()

    # --- what it takes and gives -------------------------------------------------------------------------------

    def check_start(self, input: Any) -> None:
        """Raises BadInput for what it can't be started with."""
        self._typed_input(input)

    @property
    def input_schema(self) -> Any:
        """The JSON Schema of what it is started with; None where that is nothing, or anything."""
        return self._input[0].schema if self._input else None

    def _typed_input(self, input: Any) -> tuple[Any, ...]:
        """The arguments of the body behind its context."""
        if self._input is None:
            if input is not None:
                raise BadInput(f"input: workflow {self.name} takes none")
            return ()
        form, optional = self._input
        return () if input is None and optional else (form.read(input),)

    def typed(self, output: Any) -> Any:
        """The value that a session's output stands for. Raises BadInput where it is of another type."""
        return self._results.read(output)

    def output(self, state: State) -> Any:
        """What a completed session came to. Raises BadInput for one that did not, or whose output lies elsewhere."""
        if state.ended != "completed":
            raise BadInput(f"session {state.session} has no output: it is {state.ended or 'not at its end'}")
        if isinstance(state.output, Blob | Erased):
            raise BadInput(f"the output of session {state.session} was erased, or lies elsewhere: see Runtime.value")
        return self.typed(state.output)

    def as_tool(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        limits: Limits | None = None,
        on_close: OnClose = "cancel",
        approval: Approval | None = None,
    ) -> AgentTool:
        """This workflow as a tool of an agent: each call is a session of its own, and its output the call's result. The
        tool takes the fields of the workflow's input where that is a pydantic model or a dataclass, and else `input`.
        Raises BadInput."""
        if self._input is None:
            raise BadInput(f"workflow {self.name}: as a tool it needs an input: give its function one behind ctx")
        more: dict[str, Any] = {"limits": limits, "on_close": on_close, "approval": approval}
        return AgentTool(self, name=name, description=description, input_type=wrapped(self._input[0].type), **more)

    @cached_property
    def tools(self) -> Mapping[str, Tool[..., Any]]:
        """The tools that its body names."""
        return tools_named_in(self._function)

    @cached_property
    def team(self) -> tuple[Any, ...]:
        """The agents and workflows that its body names."""
        return programs_named_in(self._function)

    # --- deciding ----------------------------------------------------------------------------------------------

    def decide(self, state: State) -> Decision:
        """Run on from what the log has, and write down what is newly wanted, or the end; else rest. Pure."""
        if self.lifetime is not None and "deadline" not in state.timers and state.started_at is not None:
            return self._record([TimerSet(timer="deadline", due_at=state.started_at + self.lifetime)])
        run = self._led_to(state, afresh=self.checked)
        if run.stuck is not None:
            return self._record(self._parked(state, run.stuck))
        return self._record(self._ending(run, state) if run.ended else self._wants(run, state))

    def _record(self, bodies: list[Body]) -> Record | Rest:
        return Record(tuple(bodies), Actor(kind="program", name=self.name)) if bodies else Rest()

    def _wants(self, run: Run, state: State) -> list[Body]:
        from onward.programs.endings import waits_in_vain
        from onward.programs.proposing import let_go, proposed

        gone = let_go(run)
        bodies = [*gone, *proposed(run, state, len(gone))]
        vain = None if bodies else waits_in_vain(run, state)
        return bodies if vain is None else self._parked(state, vain)

    def _parked(self, state: State, error: Failure) -> list[Body]:
        """What somebody has to look at; it is run again from the log's beginning then."""
        self._forget(state)
        return [SessionParked(error=error)]

    def _ending(self, run: Run, state: State) -> list[Body]:
        """The body has come to its end: first nothing is to be open that was done or may have been."""
        from onward.programs.endings import over, stranger
        from onward.programs.proposing import is_out, let_all_go, marks

        error = run.error()
        wrong = stranger(run, error)
        if wrong is not None:
            return self._parked(state, wrong)
        gone = marks(run, state) or let_all_go(run, state, over(error))
        if gone or any(is_out(run, call) for call in state.calls.values()):
            return gone
        return self._completed(run, state) if error is None else self._failed(run, state, error)

    def _completed(self, run: Run, state: State) -> list[Body]:
        assert run.main is not None, "what has ended was begun"
        result: Any = run.main.result()
        self._forget(state)
        if isinstance(result, Continued):
            return [SessionContinued(input=result.input, kept=run.kept_inputs())]
        return [SessionCompleted(output=self._results.dump(result))]

    def _failed(self, run: Run, state: State, error: BaseException) -> list[Body]:
        """What it did is taken back before it has failed."""
        from onward.programs.endings import failed_with
        from onward.programs.unwinding import taken_back

        bodies = taken_back(run, state, 0)
        if bodies is not None:
            return bodies
        self._forget(state)
        return [SessionFailed(error=failed_with(error))]

    def unwind(self, state: State) -> Record | Rest | None:
        """Take back what was done, because the session is closing; None once all is."""
        from onward.programs.endings import not_taken_back
        from onward.programs.proposing import is_out, let_all_go
        from onward.programs.unwinding import taken_back

        assert state.closing is not None, "only what is closing is unwound"
        run = self._led_to(state, afresh=self.checked)
        wrong = run.stuck or not_taken_back(run)
        if wrong is not None:
            return self._record(self._parked(state, wrong))
        out = any(is_out(run, call) for call in state.calls.values())
        gone = let_all_go(run, state, state.closing.error) if run.undone or out else []
        bodies = gone if gone or out else taken_back(run, state, 0)
        if bodies is None:
            self._forget(state)
            return None
        return self._record(bodies)

    # --- calls -------------------------------------------------------------------------------------------------

    def performer(self, call: OpenCall, state: State) -> Function | None:
        """The step that is performed, if the body has come to it."""
        ask = self._asked(call, state)
        return ask.step if ask is not None else None

    def elsewhere(self, call: OpenCall, state: State) -> Child | Handover | Withheld | None:
        """The session that a call is; what the body has not come to is withheld until it has."""
        ask = self._asked(call, state)
        return ask.child if ask is not None and ask.child is not None else Withheld()

    def check_edit(self, state: State, call: OpenCall) -> Any:
        """What becomes of a step whose arguments a person changed: a tool's are checked again, others take none."""
        from onward.programs.proposals import check_edit

        step = self.performer(call, state)
        if not isinstance(step, Tool):
            return super().check_edit(state, call)
        return check_edit(state, call, {step.name: step})

    def _asked(self, call: OpenCall, state: State) -> Any:
        if call.operation is None:
            return None
        run = self._led_to(state)
        if call.operation.kind == "undo" and call.operation.name not in run.asks:
            from onward.programs.unwinding import taken_back

            taken_back(run, state, 0)  # no body asks for it
        return run.asks.get(call.operation.name)

    # --- runs --------------------------------------------------------------------------------------------------

    def _led_to(self, state: State, *, afresh: bool = False) -> Run:
        """The run of this session, led on to this state: the one at hand, or else (and, where `afresh`, for whatever is
        new) one from the log's beginning."""
        key = (state.tenant, state.session)
        run, seen = self._runs.pop(key, None), 0
        if run is not None and run.state is state:
            self._runs[key] = run
            return run
        if run is not None and not (run.leads_to(state) and (run.is_at(state) or not afresh)):
            seen = run.delivered if run.leads_to(state) else 0
            run.drop()
            run = None
        run = run or self._new(state)
        try:
            self._advance(run, state, seen)
        except BaseException:
            run.drop()
            raise
        self._runs[key] = run
        if len(self._runs) > AT_HAND:
            self._runs.popitem(last=False)[1].drop()
        return run

    def _advance(self, run: Run, state: State, seen: int) -> None:
        if not self.checked:
            return run.advance(state)
        from onward.programs.checking import advance_checked

        return advance_checked(run, state, seen)

    def _forget(self, state: State) -> None:
        run = self._runs.pop((state.tenant, state.session), None)
        if run is not None:
            run.drop()

    def _new(self, state: State) -> Run:
        from onward.programs.running import Run

        run = Run(self._body, state, self._hindsight)
        if isinstance(state.input, Erased):
            run.stop("input_erased", "what the session was started with was erased, and it can't be run again without")
        return run

    async def _body(self, run: Run) -> Any:
        from onward.programs.context import Context

        body: Callable[..., Coroutine[Any, Any, Any]] = self._function
        return await body(Context(run), *self._typed_input(run.input))


# --- declaring -------------------------------------------------------------------------------------------------


@overload
def workflow(function: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...
@overload
def workflow(
    *,
    name: str | None = None,
    version: str = "1",
    deadline: Span | None = None,
    limits: Limits | None = None,
    description: str | None = None,
) -> Callable[[Callable[Concatenate[Context, P], Coroutine[Any, Any, R]]], Workflow[P, R]]: ...
def workflow(function: Any = None, /, **options: Any) -> Any:
    """Make a workflow of an `async def` that takes a Context and at most one input, typed for pydantic.

    Its body is run again from its log whenever it is not in memory, so whatever it does, waits for or finds out it asks
    of its context; between two waits it is plain Python. What it raises is what its session fails with.

    name      of the program; the function's otherwise
    version   a session stays on the version that it began on, so keep it registered while sessions run on it
    deadline  how long after its start a session fails, and what it did is taken back
    limits    what a session may spend

    Warns of what will surprise in its source (WorkflowCaution), such as clean-up around an `await`. Raises BadInput,
    naming the workflow.
    """
    if function is None:
        return lambda function: _declared(function, options)
    return _declared(function, options)


def _declared(function: Any, options: Mapping[str, Any]) -> Workflow[Any, Any]:
    if not inspect.iscoroutinefunction(function):
        raise BadInput(f"workflow: {function!r} is no async function; write `async def name(ctx: Context, input)`")
    declared = Workflow(function, **options)
    for caution in cautions(function):
        warnings.warn(caution, WorkflowCaution, stacklevel=3)  # of where it is declared
    return declared


def in_check_mode(program: Any) -> Any:
    """A workflow in check mode (`Workflow.apart`); another program as it is."""
    return program.apart(checked=True) if isinstance(program, Workflow) else program
