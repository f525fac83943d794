"""An agent: a model with tools, as a program."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from onward.core.canonical import canonical
from onward.core.durations import Span, seconds
from onward.core.events import Actor, Body, Failure, Limits, OnInput, SessionCompleted, SessionFailed
from onward.core.model import Model, ModelRequest, ToolSpec
from onward.core.payload import Blob, Erased
from onward.core.program import AskModel, Child, Decision, Handover, Perform, Record, Rest
from onward.core.state import Entry, OpenCall, State
from onward.errors import BadInput, Permanent
from onward.programs.proposals import calls_of, check_edit, propose, text_of
from onward.programs.tools import Tool

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_DEFAULT_LIMITS = Limits.model_construct(turns=50)
_BYTES_PER_TOKEN = 3


class Agent:
    """A model that works with tools until it answers in words (`core.program.Program`).

    A session of it ends with the first answer that asks for no call; an input that came meanwhile is taken up first.
    `model` is a Model, or the name of one, which the application resolves. `limits` None means none. A session goes
    over to the newest version of its agent at the next model turn.
    """

    name: str
    version: str
    follows: bool = True
    on_input: OnInput = "enqueue"

    def __init__(
        self,
        name: str,
        *,
        model: Model | str,
        instructions: str = "",
        tools: Sequence[Tool[..., Any]] = (),
        limits: Limits | None = _DEFAULT_LIMITS,
        version: str = "1",
        max_output_tokens: int = 8192,
        model_timeout: Span = "2m",
    ) -> None:
        self.name = _checked_name(name)
        self.version = _checked_version(name, version)
        self.model = _checked_model(name, model)
        self.instructions = instructions
        self.tools = _checked_tools(name, tools)
        self.limits = Limits() if limits is None else limits
        self.max_output_tokens = _checked_count(name, max_output_tokens)
        self.model_timeout = seconds(model_timeout, f"agent {name}: model_timeout")

    def __repr__(self) -> str:
        return f"<agent {self.name} {self.version}>"

    def with_model(self, model: Model) -> Agent:
        """The same agent, asking another model."""
        other = copy.copy(self)
        other.model = _checked_model(self.name, model)
        return other

    def reachable_model(self) -> Model:
        """The model it asks. Raises BadInput while that is only a name."""
        if isinstance(self.model, str):
            raise BadInput(
                f"agent {self.name}: this release reaches no model by name, and so not {self.model!r}: "
                "run it with --model scripted:FILE, or give the agent a Model object as model="
            )
        return self.model

    def performer(self, tool: str) -> Tool[..., Any] | None:
        """The tool of this name, if the agent has it."""
        return self.tools.get(tool)

    def elsewhere(self, tool: str) -> Child | Handover | None:
        """The agent that a tool of this name stands for."""
        return None

    def check_edit(self, state: State, call: OpenCall) -> Sequence[Body]:
        """What becomes of a call whose arguments a person changed. Pure."""
        return check_edit(state, call, self.tools)

    def decide(self, state: State) -> Decision:
        """Propose the calls of the newest answer, or end with it, or ask the model; else rest. Pure."""
        last = state.last
        if last is None or state.calls or "model" in state.timers:
            return Rest()
        answer = _newest_answer(state)
        if answer is not None and answer.seq > state.proposed and calls_of(answer):
            return self._record(*propose(state, answer, self.tools))
        if answer is last and not calls_of(last):
            return self._record(_ending(last))
        return Perform((self._question(state),))

    def _record(self, *bodies: Body) -> Record:
        return Record(bodies, Actor(kind="program", name=self.name))

    def _question(self, state: State) -> AskModel:
        model = self.reachable_model()
        request = ModelRequest(
            model=model.name,
            instructions=self.instructions,
            tools=self._specs,
            transcript=state.transcript,
            max_output_tokens=self.max_output_tokens,
            attempt=state.model_failures + 1,
            reserve=0 if state.limits.tokens is None else self._reserve(state),
        )
        return AskModel(model, request, self.model_timeout)

    @cached_property
    def _specs(self) -> tuple[ToolSpec, ...]:
        return tuple(tool.spec for tool in self.tools.values())

    @cached_property
    def _fixed_bytes(self) -> int:
        specs = [[spec.name, spec.description, spec.parameters] for spec in self._specs]
        return _bytes(self.instructions) + _bytes(specs)

    def _reserve(self, state: State) -> int:
        """Tokens that one turn could use: the prompt's, estimated from its bytes, and the longest answer's.

        As much work as sending the prompt, and done only where a limit on tokens needs it.
        """
        size = self._fixed_bytes + sum(map(_entry_bytes, state.transcript))
        return size // _BYTES_PER_TOKEN + self.max_output_tokens


def _newest_answer(state: State) -> Entry | None:
    """The newest answer. What came after it (inputs, results) is never long."""
    answer = next((entry for entry in reversed(state.transcript) if entry.kind == "answer"), None)
    if answer is not None and answer.seq > state.proposed and isinstance(answer.value, Blob):
        # The engine fetches what it has to decide on; an answer must not be paid for twice because it was long.
        raise Permanent(f"the model's answer (event {answer.seq}) lies in a blob that was not fetched")
    return answer


def _ending(answer: Entry) -> Body:
    if isinstance(answer.value, Erased):
        message = f"the model's answer (event {answer.seq}) was erased before it was acted on"
        return SessionFailed(error=Failure(code="answer_erased", message=message))
    return SessionCompleted(output=text_of(answer))


def _entry_bytes(entry: Entry) -> int:
    """What an entry adds to a prompt: the provider's own form of it, where there is one."""
    return _bytes(entry.value if entry.content is None else entry.content)


def _bytes(value: Any) -> int:
    if isinstance(value, Blob):
        return value.size
    if isinstance(value, Erased):
        return 0
    text = canonical(value)
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


# --- declaring -------------------------------------------------------------------------------------------------


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(f"agent {name!r}: a name has 1 to 63 of a-z, 0-9 and -, and starts with a letter")
    return name


def _checked_version(name: str, version: Any) -> str:
    if not isinstance(version, str) or not 1 <= len(version) <= 64:
        raise BadInput(f"agent {name}: version {version!r} is no text of 1 to 64 characters")
    return version


def _checked_model(name: str, model: Any) -> Model | str:
    is_model = callable(getattr(model, "answer", None)) and isinstance(getattr(model, "name", None), str)
    if not is_model and not (isinstance(model, str) and model):
        raise BadInput(f"agent {name}: model is neither a Model nor the name of one: {model!r}")
    checked: Model | str = model
    return checked


def _checked_tools(name: str, tools: Sequence[Any]) -> dict[str, Tool[..., Any]]:
    known: dict[str, Tool[..., Any]] = {}
    for index, tool in enumerate(tools):
        if not isinstance(tool, Tool):
            raise BadInput(f"agent {name}: tools[{index}] is no tool: {tool!r}; put @tool above the function")
        if tool.name in known:
            raise BadInput(f"agent {name}: two tools are named {tool.name}; give one of them another name=")
        known[tool.name] = tool
    return known


def _checked_count(name: str, tokens: Any) -> int:
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
        raise BadInput(f"agent {name}: max_output_tokens {tokens!r} is no whole number from 1")
    return tokens
