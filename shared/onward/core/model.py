"""What a program and a model say to each other, whoever the model is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from onward.core.events import Usage
from onward.core.state import Entry


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model is shown it; `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """Everything a model needs for one answer. `transcript` refers to the log; nothing of this is stored.

    Files in the transcript carry their data here (`core.files`). With `output_schema`, a JSON Schema, an answer that
    asks for no call is to be JSON text of that shape; whoever asked checks it.
    """

    model: str
    instructions: str
    tools: tuple[ToolSpec, ...]
    transcript: tuple[Entry, ...]
    max_output_tokens: int
    attempt: int = 1
    output_schema: Mapping[str, Any] | None = None
    reserve: int = 0
    """Tokens this call could use at most, as far as can be told before it: what limits are held against (G11)."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A call as the model wrote it: nothing about it is checked yet."""

    name: str
    arguments: Any


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """One answer. `content` is what the provider needs to see again, unchanged; None where text and calls suffice.

    `finish` is why it ended: `stop`, or `length` where it was cut at the longest that was allowed.
    """

    text: str = ""
    calls: tuple[ModelCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    finish: str = "stop"
    content: Any = None


@dataclass(frozen=True, slots=True)
class Provisional:
    """What a model has said so far of an answer that it has not given yet: never stored, decided on or replayed (G4).

    `key` is the session's, `seq` that of the event which the answer will be at the earliest, `attempt` which attempt at
    it this is, and `text` all that was said in it; none of it, where the attempt came to nothing.
    """

    key: str
    seq: int
    attempt: int
    text: str


class Model(Protocol):
    """M1: an answer is a pure function of request and weather; a model keeps no state between calls.
    M2: raises ModelUnavailable for what may pass, ModelRefused for what won't, each of the kind that fits best: its
        `code` decides whether another model is asked.
    M3: makes one billed request at most; trying again is the engine's.
    M4: takes a transcript in which every call has its result, right behind the answer that asked for it; `content` of
        an entry is given back unchanged to the model named in its `model`, and is not shown to another one.
    """

    name: str

    async def answer(self, request: ModelRequest) -> ModelAnswer: ...


@runtime_checkable
class Speaking(Model, Protocol):
    """A model that can be heard while it answers.

    M5: speak gives what answer would, in the same way; meanwhile it says each piece of the text, in order, on the loop
        that it was called on. It is free to say nothing, and nobody hears what is said when it is over. Saying never
        raises.
    """

    async def speak(self, request: ModelRequest, say: Callable[[str], None]) -> ModelAnswer: ...
