"""A transcript as Gemini is to be shown it: pure, and plain values but for the bytes of files.

What the service asks for:
- user and model take turns, a user first and last;
- right behind a model's content with function calls comes one with as many function responses, in the same order;
- what the model wrote comes back as it was, signatures and all; from generation 3 on, the first call of a content
  must be signed, and history that another model wrote carries a signature that says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onward.adapters.gcp.gemini_parts import Part, file_parts, responded, text_part, value_parts
from onward.core.events import Value
from onward.core.files import File
from onward.core.payload import Blob, Erased
from onward.core.state import Entry

Content = dict[str, Any]

UNSIGNED = b"skip_thought_signature_validator"
"""Instead of a signature: the documented way to show a call that this model did not make."""

GO_ON = "Go on."
"""What the user says where the service wants a user's turn and nobody said anything."""


def generation(model: str) -> int | None:
    """The number in a model's name (`gemini-3-flash` is of generation 3), None where its name has none."""
    found = re.search(r"gemini-(\d+)", model)
    return int(found[1]) if found else None


def is_signed(model: str) -> bool:
    """Whether the service asks this model's calls back with their signatures. A name without a number is taken for
    one of the newest."""
    return (generation(model) or 3) >= 3


def contents_of(transcript: Sequence[Entry], model: str) -> list[Content]:
    """The transcript for this model, whatever order its results are in."""
    turns = [_turn(entry, model) for entry in transcript if entry.kind == "answer"]
    left = _placed(transcript, turns)
    writing = _Writing()
    answers = iter(turns)
    for entry in transcript:
        if entry.kind == "answer":
            writing.turn(next(answers), model)
        elif entry.kind != "result" or entry.seq in left:
            writing.user(_said(entry))
    return writing.finished()


# --- answers and the results of their calls --------------------------------------------------------------------


@dataclass(slots=True)
class _Turn:
    """An answer as a content, its calls, and what became of each."""

    seq: int
    content: Content
    calls: list[Mapping[str, Any]]
    results: list[Entry | None] = field(init=False)

    def __post_init__(self) -> None:
        self.results = [None] * len(self.calls)


def _turn(entry: Entry, model: str) -> _Turn:
    content = _own(entry, model) or _rebuilt(entry, model)
    calls = [part["function_call"] for part in content["parts"] if part.get("function_call") is not None]
    return _Turn(entry.seq, content, calls)


def _own(entry: Entry, model: str) -> Content | None:
    """The answer as this model wrote it, if it did and nothing of it was erased."""
    content = entry.content
    if entry.model != model or isinstance(entry.value, Erased) or not isinstance(content, Mapping):
        return None
    return {"role": "model", **content} if content.get("parts") else None


def _rebuilt(entry: Entry, model: str) -> Content:
    """Another model's answer, from its text and its calls."""
    value = entry.value if isinstance(entry.value, Mapping) else {}
    text = str(value.get("text") or "")
    parts = [text_part(text)] if text else []
    parts += [_call(call) for call in value.get("calls") or ()]
    first = next((part for part in parts if "function_call" in part), None)
    if first is not None and is_signed(model):
        first["thought_signature"] = UNSIGNED
    return {
        "role": "model",
        "parts": parts or [text_part(_plain(entry.value) if isinstance(entry.value, Erased) else "")],
    }


def _call(call: Mapping[str, Any]) -> Part:
    arguments = call.get("arguments")
    if not isinstance(arguments, Mapping):
        arguments = {} if arguments is None else {"arguments": arguments}
    return {"function_call": {"name": str(call.get("name") or "unnamed"), "args": dict(arguments)}}


def _placed(transcript: Sequence[Entry], turns: Sequence[_Turn]) -> set[int]:
    """Give each result to the call it is of. Answers the seqs of results whose call is not in the transcript."""
    results = [entry for entry in transcript if entry.kind == "result"]
    unknown = [entry for entry in results if not _place_by_id(entry, turns)]
    return {entry.seq for entry in unknown if not _place_in_order(entry, turns)}


def _place_by_id(entry: Entry, turns: Sequence[_Turn]) -> bool:
    """A call's id is the seq of the event that proposed it, and its index: its answer is the last one before that."""
    seq, _, index = (entry.call or "").partition(".")
    if not (seq.isdecimal() and index.isdecimal()):
        return False
    asked = [turn for turn in turns if turn.calls and turn.seq < int(seq)]
    return bool(asked) and _take(max(asked, key=lambda turn: turn.seq), int(index), entry)


def _place_in_order(entry: Entry, turns: Sequence[_Turn]) -> bool:
    return any(_take(turn, place, entry) for turn in turns for place in range(len(turn.calls)))


def _take(turn: _Turn, place: int, entry: Entry) -> bool:
    if place >= len(turn.results) or turn.results[place] is not None:
        return False
    turn.results[place] = entry
    return True


# --- writing ---------------------------------------------------------------------------------------------------


class _Writing:
    """The contents so far."""

    def __init__(self) -> None:
        self._contents: list[Content] = []
        self._open: list[Part] | None = None

    def user(self, parts: list[Part]) -> None:
        """The user says something more; what is said in a row is one content."""
        if self._open is None:
            self._open = []
            self._contents.append({"role": "user", "parts": self._open})
        self._open += parts

    def turn(self, turn: _Turn, model: str) -> None:
        """The model's content, then the responses to its calls, then files that can't be in those."""
        if not self._contents or self._contents[-1]["role"] == "model":
            self.user([text_part(GO_ON)])
        self._contents.append(turn.content)
        self._open = None
        if not turn.calls:
            return
        multimodal = (generation(model) or 0) >= 3
        responses = [_response(*pair, multimodal) for pair in zip(turn.calls, turn.results, strict=True)]
        self._contents.append({"role": "user", "parts": [part for part, _ in responses]})
        beside = [part for _, parts in responses for part in parts]
        if beside:
            self.user(beside)

    def finished(self) -> list[Content]:
        if not self._contents or self._contents[-1]["role"] == "model":
            self.user([text_part(GO_ON)])
        return self._contents


def _response(call: Mapping[str, Any], result: Entry | None, multimodal: bool) -> tuple[Part, list[Part]]:
    """The response to a call, and what of it is to be shown behind all responses."""
    response, files = _outcome(result)
    part, beside = responded(files, multimodal)
    part |= {"name": call.get("name") or "unnamed", "response": response}
    if call.get("id"):
        part["id"] = call["id"]
    label = text_part(f"Files that {part['name']} gave:")
    return {"function_response": part}, [label, *beside] if beside else []


def _outcome(result: Entry | None) -> tuple[dict[str, Any], list[File]]:
    if result is None:
        return {"error": "No result of this call is known."}, []
    plain, files = file_parts(_plain(result.value))
    response = {"error" if result.failed else "output": plain}
    if result.arguments is not None:
        response["note"] = "A person changed the arguments. The call was made with arguments_used."
        response["arguments_used"] = file_parts(_plain(result.arguments))[0]
    return response, files


def _said(entry: Entry) -> list[Part]:
    """An entry as something that a user says."""
    parts = value_parts(_plain(entry.value))
    if entry.kind == "notice":
        return [text_part(f"Note: {_message(entry.value)}")]
    if entry.kind == "summary":
        return [text_part("This stands for the conversation so far:"), *parts]
    if entry.kind == "result":
        return [text_part(f"Result of an earlier call of {entry.tool or 'a tool'}:"), *parts]
    return parts


def _message(value: Any) -> str:
    plain = _plain(value)
    if isinstance(plain, Mapping) and isinstance(plain.get("message"), str):
        return str(plain["message"])
    return "\n".join(str(part.get("text", "")) for part in value_parts(plain))


def _plain(value: Any) -> Any:
    """The value without classes of ours. What was erased, or is out of reach, says so."""
    if isinstance(value, Erased):
        return "(erased)"
    if isinstance(value, Blob):
        return f"(not at hand; it begins: {value.preview})"
    return value.model_dump(mode="json") if isinstance(value, Value) else value
