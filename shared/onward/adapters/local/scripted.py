"""A model that plays a script: fixed turns, from Python or a JSON file, so that any agent runs offline."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError, PydanticSerializationError, to_jsonable_python

from onward.core.events import Usage, Value
from onward.core.model import ModelAnswer, ModelCall, ModelRequest
from onward.errors import (
    BadAnswer,
    BadInput,
    ModelBlocked,
    ModelRefused,
    ModelUnavailable,
    PromptTooLong,
    RateLimited,
)

SCHEME = "scripted:"
_REFUSALS: Mapping[str, type[Exception]] = {
    "refused": ModelRefused,
    "blocked": ModelBlocked,
    "prompt_too_long": PromptTooLong,
    "bad_answer": BadAnswer,
}
_USAGE = Usage.model_construct(input_tokens=20, output_tokens=10)


class _Call(Value):
    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class _Fault(Value):
    code: Literal["unavailable", "rate_limited", "refused", "blocked", "prompt_too_long", "bad_answer"]
    retry_after: float | None = None


class _Turn(Value):
    text: tuple[str, ...] = ()
    pause: float = Field(default=0.0, ge=0, le=600)
    calls: tuple[_Call, ...] = ()
    fails: tuple[_Fault, ...] = ()
    usage: Usage = _USAGE

    @field_validator("text", mode="before")
    @classmethod
    def _pieces(cls, text: Any) -> Any:
        if not isinstance(text, str | list):
            raise PydanticCustomError("text", "Input should be a valid string, or a list of them")
        return [text] if isinstance(text, str) else text


Turn = Mapping[str, Any] | Callable[[ModelRequest], Mapping[str, Any]]
"""`text`, or `calls` (each a `tool` and its `arguments`), or both; `fails` lists faults that the first attempts meet
(`code` is `unavailable`, `rate_limited`, `refused`, `blocked`, `prompt_too_long` or `bad_answer`, and `retry_after` is
seconds); `usage` is what the turn costs. A `text` that is a list is said piece by piece, with `pause` seconds behind
each, to those who listen while it answers. Or a pure function of the request that gives this."""


class ScriptedModel:
    """Answers with the turn whose number is that of the answers given so far, whoever gave them, so it needs no memory
    and survives any crash. Raises ModelRefused past the last turn. `turns` may be one function, for every turn: for
    transcripts that are summed up.

    The constructor raises BadInput for a turn of the wrong form, naming the field.
    """

    def __init__(
        self, turns: Sequence[Turn] | Callable[[ModelRequest], Mapping[str, Any]], name: str = "scripted"
    ) -> None:
        self.name = name
        self._every = turns if callable(turns) else None
        listed = () if callable(turns) else turns
        self._turns = [turn if callable(turn) else _checked(index, turn) for index, turn in enumerate(listed)]

    @classmethod
    def from_file(cls, path: Path | str) -> ScriptedModel:
        """The model of a JSON file, `{"turns": [...]}`. Raises BadInput, naming file and field."""
        try:
            return cls(_turns_in(Path(path)))
        except BadInput as exc:
            raise BadInput(f"{path}: {exc}") from exc

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        """The next turn; on its first attempts its faults."""
        return _given(*self._played(request))

    async def speak(self, request: ModelRequest, say: Callable[[str], None]) -> ModelAnswer:
        """The same, said meanwhile where it has pieces; an attempt that meets a fault breaks off behind the first."""
        import asyncio

        turn, fault = self._played(request)
        pieces = turn.text if len(turn.text) > 1 else ()
        for piece in pieces if fault is None else pieces[:1]:
            say(piece)
            await asyncio.sleep(turn.pause)
        return _given(turn, fault)

    def _played(self, request: ModelRequest) -> tuple[_Turn, Exception | None]:
        """The turn that this request gets, and the fault that its attempt meets."""
        index = sum(entry.kind == "answer" for entry in request.transcript)
        turn = self._turn(index, request)
        met = request.attempt <= len(turn.fails)
        return turn, self._fault(turn.fails[request.attempt - 1], index) if met else None

    def _turn(self, index: int, request: ModelRequest) -> _Turn:
        if self._every is not None:
            return _checked(index, self._every(request))
        if index >= len(self._turns):
            many = f"{len(self._turns)} turn{'' if len(self._turns) == 1 else 's'}"
            raise ModelRefused(f"the script of {self.name} has {many} and was asked for turn {index + 1}: add it")
        turn = self._turns[index]
        return turn if isinstance(turn, _Turn) else _checked(index, turn(request))

    def _fault(self, fault: _Fault, index: int) -> Exception:
        what = f"turn {index + 1} of {self.name} "
        if fault.code in ("unavailable", "rate_limited"):
            kind = ModelUnavailable if fault.code == "unavailable" else RateLimited
            return kind(what + "is out of reach by the script", fault.retry_after)
        return _REFUSALS[fault.code](what + f"is {fault.code.replace('_', ' ')} by the script")


def _given(turn: _Turn, fault: Exception | None) -> ModelAnswer:
    if fault is not None:
        raise fault
    calls = tuple(ModelCall(call.tool, call.arguments) for call in turn.calls)
    return ModelAnswer(text="".join(turn.text), calls=calls, usage=turn.usage)


def resolve_model(text: str, directory: Path) -> ScriptedModel | None:
    """The model of a name such as `scripted:turns.json`, a path from `directory`; None for a name of another kind.

    Raises BadInput for a script that can't be read.
    """
    if not text.startswith(SCHEME):
        return None
    return ScriptedModel.from_file(directory / text.removeprefix(SCHEME))


def _turns_in(path: Path) -> list[Any]:
    try:
        script = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise BadInput(f"the script can't be read: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise BadInput(f"the script is not JSON: {exc}") from exc
    if not isinstance(script, dict) or not isinstance(script.get("turns"), list):
        raise BadInput('turns: a script is an object with a list of turns: {"turns": [{"text": "Hello"}]}')
    others = sorted(script.keys() - {"turns"})
    if others:
        raise BadInput(f"{others[0]}: a script has no such field, only turns")
    turns: list[Any] = script["turns"]
    return turns


def _checked(index: int, turn: Any) -> _Turn:
    try:
        checked = _Turn.model_validate(to_jsonable_python(turn))
    except ValidationError as exc:
        first = exc.errors()[0]
        raise BadInput(f"turns[{index}]{_place(first['loc'])}: {first['msg']}") from exc
    except (PydanticSerializationError, ValueError) as exc:
        raise BadInput(f"turns[{index}]: not a JSON value: {exc}") from exc
    if not checked.model_fields_set & {"text", "calls"}:
        raise BadInput(f"turns[{index}]: a turn needs text or calls")
    return checked


def _place(loc: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
