"""An agent: a model with tools, as a program."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from onward.core.bounds import whole
from onward.core.durations import Span, seconds
from onward.core.events import (
    Actor,
    AnswerRefused,
    Body,
    Failure,
    Limits,
    OnClose,
    OnInput,
    SessionCompleted,
    SessionFailed,
    SessionParked,
    TranscriptCompacted,
)
from onward.core.model import Model, ModelRequest, ToolSpec
from onward.core.payload import Blob, Erased, bytes_of
from onward.core.program import AskModel, Child, Decision, Handover, Perform, Program, Record, Rest
from onward.core.state import TOO_LONG, Entry, OpenCall, State
from onward.errors import BadInput
from onward.programs import declaring
from onward.programs.approvals import Approval
from onward.programs.compaction import (
    ASKED,
    BYTES_PER_TOKEN,
    Compaction,
    newest_seq,
    next_prompt,
)
from onward.programs.proposals import Offer, check_edit, propose, text_of
from onward.programs.routing import Resolve, Route, candidates, nobody, routes_of
from onward.programs.team import AgentTool, HandoverTool
from onward.programs.tools import Tool

_DEFAULT_LIMITS = Limits.model_construct(turns=50)

Handovers = Sequence["Agent | HandoverTool"]


class Agent(Program):
    """A model that works with tools until it answers in words (`core.program.Program`).

    model              a Model, the name of one, which the application resolves, a Route, or a list of these: the first
                       whose rule holds is asked, and the next one where it fails with a code that it is left on
    instructions       what the model is told; `description` is what other agents are told of this one
    tools              tools, and agents, each asked in a session of its own
    handovers          agents that can take the session over; a function of no arguments where they name each other
    output_type        what the final answer's text is to be, as JSON; one that isn't, or that was cut off, is refused
                       and asked for again, at most `output_retries` times, and then the session is parked
    conversation       a session rests after a final answer and goes on with the next input; otherwise it ends with it
    on_input           what becomes of an input that comes at work: "enqueue" it behind the results under way,
                       "interrupt" what is not under way yet, or "reject" it
    compaction         when and how a long transcript is made shorter for the model
    limits             what a session may spend; None means no limit
    max_output_tokens  of one answer; `model_timeout` is how long one may take

    A session goes over to the newest version of its agent at the next model turn. Raises BadInput, naming agent and
    field.
    """

    name: str
    version: str
    follows: bool = True
    on_input: OnInput

    def __init__(  # noqa: PLR0913 - one for each thing that is declared
        self,
        name: str,
        *,
        model: Model | str | Route | Sequence[Model | str | Route],
        instructions: str = "",
        description: str = "",
        tools: Sequence[Tool[..., Any] | AgentTool | Agent] = (),
        handovers: Handovers | Callable[[], Handovers] = (),
        output_type: Any = None,
        output_retries: int = 3,
        conversation: bool = False,
        on_input: OnInput = "enqueue",
        compaction: Compaction | None = None,
        limits: Limits | None = _DEFAULT_LIMITS,
        version: str = "1",
        max_output_tokens: int = 8192,
        model_timeout: Span = "2m",
    ) -> None:
        self.name = declaring.checked_name(name)
        self.version = declaring.checked_version(name, version)
        self.routes = routes_of(f"agent {name}", model)
        self.instructions = instructions
        self.description = description
        self._tools = declaring.offers_in(name, tools)
        self._handovers = handovers
        if not callable(handovers):
            declaring.with_handovers(name, self._tools, handovers)
        self._output = declaring.checked_output(name, output_type)
        self.output_retries = whole(output_retries, f"agent {name}: output_retries", least=0)
        self.conversation = conversation
        self.on_input = declaring.checked_on_input(name, on_input)
        self.compaction = declaring.checked_compaction(name, compaction)
        self.limits = Limits() if limits is None else limits
        self.max_output_tokens = whole(max_output_tokens, f"agent {name}: max_output_tokens")
        self.model_timeout = seconds(model_timeout, f"agent {name}: model_timeout")
        self.origin: object = self
        self._resolve: Resolve | None = None

    def __repr__(self) -> str:
        return f"<agent {self.name} {self.version}>"

    # --- models ------------------------------------------------------------------------------------------------

    @property
    def model(self) -> Model | str:
        """The first of its models."""
        return self.routes[0].model

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of its `output_type`; None where there is none."""
        return self._output.schema if self._output else None

    def with_model(self, model: Model) -> Agent:
        """The same agent, asking this model for everything."""
        other = self._with(routes_of(f"agent {self.name}", model), lambda _: model)
        other.compaction = self.compaction and self.compaction.with_model(model)
        return other

    def resolved(self, resolve: Resolve) -> Agent:
        """The same agent with its models looked up by name; a name that `resolve` knows nothing of stays."""
        other = self._with(tuple(route.resolved(resolve) for route in self.routes), resolve)
        other.compaction = self.compaction and self.compaction.resolved(resolve)
        return other

    def _with(self, routes: tuple[Route, ...], resolve: Resolve) -> Agent:
        other = copy.copy(self)
        other.routes, other._resolve = routes, resolve
        return other

    def reachable_model(self) -> Model:
        """The first model it asks. Raises BadInput while any of its models is only a name."""
        if self.compaction and self.compaction.model:
            self._reachable(self.compaction.model)
        first, *_ = [self._reachable(route.model) for route in self.routes]
        return first

    def _reachable(self, model: Model | str) -> Model:
        if isinstance(model, str):
            raise BadInput(
                f"agent {self.name}: no model is called {model!r}: name one that is, such as gemini-...; "
                "run it with --model scripted:FILE, or give the agent a Model object as model="
            )
        return model

    # --- tools and other agents --------------------------------------------------------------------------------

    @cached_property
    def offers(self) -> dict[str, Offer]:
        """Everything that its model may ask for, by name. Raises BadInput for handovers that are none."""
        handovers = self._handovers() if callable(self._handovers) else self._handovers
        return declaring.with_handovers(self.name, self._tools, handovers)

    @cached_property
    def tools(self) -> dict[str, Tool[..., Any]]:
        """The tools that are performed here, by name."""
        return {name: tool for name, tool in self._tools.items() if isinstance(tool, Tool)}

    @cached_property
    def team(self) -> tuple[Any, ...]:
        """The agents that it asks or hands over to."""
        return tuple(offer.agent for offer in self.offers.values() if not isinstance(offer, Tool))

    def as_tool(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        limits: Limits | None = None,
        on_close: OnClose = "cancel",
        approval: Approval | None = None,
        input_type: type[Any] | None = None,
    ) -> AgentTool:
        """This agent as a tool of another: each call is a session of its own, and its output the call's result.

        It takes an `input` text, or the fields of `input_type`, a pydantic model or a dataclass. Its sessions may
        spend what this agent may, and no more than `limits`. `on_close` says what becomes of one when the session that
        started it ends: "cancel" or "abandon". Raises BadInput.
        """
        return AgentTool(
            self,
            name=name,
            description=description,
            limits=limits,
            on_close=on_close,
            approval=approval,
            input_type=input_type,
        )

    def as_handover(
        self, *, name: str | None = None, description: str | None = None, approval: Approval | None = None
    ) -> HandoverTool:
        """This agent as one that others can hand their session over to. Raises BadInput."""
        return HandoverTool(self, name=name, description=description, approval=approval)

    def performer(self, call: OpenCall, state: State) -> Tool[..., Any] | None:
        """The tool that is called, if the agent has it."""
        return self.tools.get(call.tool)

    def elsewhere(self, call: OpenCall, state: State) -> Child | Handover | None:
        """The program that the tool which is called stands for."""
        offer = self.offers.get(call.tool)
        return None if offer is None or isinstance(offer, Tool) else offer.elsewhere

    def check_edit(self, state: State, call: OpenCall) -> Sequence[Body]:
        """What becomes of a call whose arguments a person changed. Pure."""
        return check_edit(state, call, self.offers)

    # --- deciding ----------------------------------------------------------------------------------------------

    def decide(self, state: State) -> Decision:
        """Propose the calls of the newest answer, or end or rest with it, or ask the model; else rest. Pure."""
        if state.last is None or state.calls or "model" in state.timers:
            return Rest()
        if state.last.kind == "answer" and isinstance(state.last.value, Erased):
            return self._erased(state.last)
        if state.unproposed is not None:
            return self._record(*propose(state, state.unproposed, self.offers))
        if state.last.kind == "answer":
            return self._final(state, state.last)
        return self._turn(state)

    def _record(self, *bodies: Body) -> Record:
        return Record(bodies, Actor(kind="program", name=self.name))

    def _final(self, state: State, answer: Entry) -> Decision:
        """The answer asks for no call: the session ends with it, or in a conversation rests."""
        if answer.cut:
            return self._record(self._refused(state, "answer_cut", "the answer was cut off: it is too long"))
        try:
            output = text_of(answer) if self._output is None else self._output.read(text_of(answer))
        except BadInput as exc:
            return self._record(self._refused(state, "output_invalid", str(exc)))
        return Rest() if self.conversation else self._record(SessionCompleted(output=output))

    def _erased(self, answer: Entry) -> Decision:
        """A conversation goes on without it, if it asked for nothing."""
        message = f"the model's answer (event {answer.seq}) was erased before it was acted on"
        failed = SessionFailed(error=Failure(code="answer_erased", message=message))
        return Rest() if self.conversation and not answer.calls else self._record(failed)

    def _refused(self, state: State, code: str, why: str) -> Body:
        """The answer can't be taken for the last one; after some such answers a person has to look."""
        if state.refusals < self.output_retries:
            return AnswerRefused(error={"code": code, "message": f"{why}; give the whole answer again"})
        message = f"{state.refusals + 1} answers could not be taken; the newest: {why}"
        return SessionParked(error=Failure(code=code, message=message))

    def _turn(self, state: State) -> Decision:
        """Make the transcript shorter if it must be, or ask the model whose turn it is."""
        if isinstance(state.instructions, Erased):
            message = "what this branch tells its models was erased, and it is not to ask them without"
            return self._record(SessionParked(error=Failure(code="instructions_erased", message=message)))
        models = candidates(self._routes(state), state)
        if state.model is not None and isinstance(models[0].model, str):
            message = f"no model is called {state.model!r} here, and this branch is to ask it"
            return self._record(SessionParked(error=Failure(code="unknown_model", message=message)))
        shorter = self._compacted(state, models)
        if shorter is not None:
            return shorter
        left = len(state.trouble)
        if left >= len(models) and state.too_long:
            message = "no model takes a prompt of this length, and nothing is left that a summary could stand for"
            return self._record(SessionParked(error=Failure(code=TOO_LONG, message=message)))
        at = min(left, len(models) - 1)
        request = self._request(state, models[at], state.transcript)
        return Perform((self._asked(models[at], request, self._leaves(models, at)),))

    def _routes(self, state: State) -> tuple[Route, ...]:
        """The models of this session: a branch may have one of its own."""
        if state.model is None:
            return self.routes
        return (Route(state.model).resolved(self._resolve or nobody),)

    def _told(self, state: State) -> str:
        """The instructions of this session: a branch may have its own."""
        return state.instructions if isinstance(state.instructions, str) else self.instructions

    def _leaves(self, models: Sequence[Route], at: int) -> frozenset[str]:
        """The codes at which this model is left: the last one has none to be left for, but one prompt may be made
        shorter."""
        shorter = {TOO_LONG} if self.compaction else set[str]()
        return frozenset(shorter if at == len(models) - 1 else {*models[at].leave_on, *shorter})

    def _asked(
        self, route: Route, request: ModelRequest, leave_on: frozenset[str], summarize: int | None = None
    ) -> AskModel:
        return AskModel(self._reachable(route.model), request, self.model_timeout, leave_on, summarize)

    def _request(self, state: State, route: Route, transcript: tuple[Entry, ...]) -> ModelRequest:
        return ModelRequest(
            model=self._reachable(route.model).name,
            instructions=self._told(state),
            tools=self._specs,
            transcript=transcript,
            max_output_tokens=self.max_output_tokens,
            attempt=state.model_failures + 1,
            output_schema=self.output_schema,
            reserve=0 if state.limits.tokens is None else self._reserve(transcript),
        )

    @cached_property
    def _specs(self) -> tuple[ToolSpec, ...]:
        return tuple(offer.spec for offer in self.offers.values())

    @cached_property
    def _fixed_bytes(self) -> int:
        specs = [[spec.name, spec.description, spec.parameters] for spec in self._specs]
        return bytes_of(self.instructions) + bytes_of(specs)

    def _reserve(self, transcript: Sequence[Entry]) -> int:
        """Tokens that one turn could use: the prompt's, estimated from its bytes, and the longest answer's.

        As much work as sending the prompt, and done only where a limit on tokens needs it.
        """
        size = self._fixed_bytes + sum(entry.size for entry in transcript)
        return size // BYTES_PER_TOKEN + self.max_output_tokens

    # --- compaction --------------------------------------------------------------------------------------------

    def _compacted(self, state: State, models: Sequence[Route]) -> Decision | None:
        """What makes the transcript shorter, if that is due and possible. Each time at least one entry gives way that
        is no summary, so it comes to an end."""
        if self.compaction is None:
            return None
        pressed = state.too_long
        if not pressed and next_prompt(state, self._fixed_bytes) <= self.compaction.at:
            return None
        cut = self.compaction.cut(state.transcript, pressed)
        if cut is None:
            return None
        if self.compaction.rule is not None:
            return self._by_rule(self.compaction, state, cut)
        return Perform((self._summary(self.compaction, state, models, cut),))

    def _by_rule(self, compaction: Compaction, state: State, cut: int) -> Decision | None:
        """A rule that fails replaces nothing; the session is parked only where it can't go on as it is."""
        old = state.transcript[:cut]
        try:
            return self._record(TranscriptCompacted(up_to=newest_seq(old), summary=compaction.summary(old)))
        except Exception as exc:
            if not state.too_long:
                return None
            message = f"the prompt is too long, and the rule that should sum it up raised {type(exc).__name__}"
            return self._record(SessionParked(error=Failure(code="compaction_failed", message=message)))

    def _summary(self, compaction: Compaction, state: State, models: Sequence[Route], cut: int) -> AskModel:
        """Ask for a summary, without tools. A prompt too long for that too, with the last model, parks the session."""
        at = min(len(state.trouble), len(models) - 1)
        route = Route(compaction.model) if compaction.model else models[at]
        leaves = frozenset() if compaction.model or at == len(models) - 1 else frozenset(route.leave_on)
        old = state.transcript[:cut]
        asked = Entry(kind="input", seq=newest_seq(old), value=ASKED)
        request = ModelRequest(
            model=self._reachable(route.model).name,
            instructions=compaction.instructions,
            tools=(),
            transcript=(*old, asked),
            max_output_tokens=self.max_output_tokens,
            attempt=state.model_failures + 1,
            reserve=0 if state.limits.tokens is None else self._reserve(old),
        )
        return self._asked(route, request, leaves, summarize=newest_seq(old))

    # --- output ------------------------------------------------------------------------------------------------

    def output(self, state: State) -> Any:
        """What a completed session came to, as a value of the `output_type`; its text where there is none.

        Raises BadInput for a session that did not complete, or whose output lies elsewhere or is of another type.
        """
        if state.ended != "completed":
            raise BadInput(f"session {state.session} has no output: it is {state.ended or 'not at its end'}")
        if isinstance(state.output, Blob):
            how = "fetch it with Runtime.value(id, state.output) and give that to the agent's typed()"
            raise BadInput(f"the output of session {state.session} is large and lies elsewhere: {how}")
        if isinstance(state.output, Erased):
            raise BadInput(f"the output of session {state.session} was erased")
        return self.typed(state.output)

    def typed(self, output: Any) -> Any:
        """The value of the `output_type` that a session's output stands for. Raises BadInput where it is of another."""
        return output if self._output is None else self._output.typed(output)
