"""What the service refuses as INVALID_ARGUMENT."""

from __future__ import annotations

import re
from typing import Any

from emulators.gemini.wire import generation, is_signature

_REQUEST = frozenset(
    [
        "cachedContent",
        "contents",
        "continuationToken",
        "generationConfig",
        "labels",
        "safetySettings",
        "systemInstruction",
        "toolConfig",
        "tools",
    ]
)
_PART = frozenset(
    [
        "codeExecutionResult",
        "executableCode",
        "fileData",
        "functionCall",
        "functionResponse",
        "inlineData",
        "text",
        "thought",
        "thoughtSignature",
        "videoMetadata",
    ]
)
_DATA = _PART - {"thought", "thoughtSignature", "videoMetadata"}
_MEDIA = re.compile(r"image/(png|jpeg|webp|heic|heif)|application/pdf|text/.+|audio/.+|video/.+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
Part = dict[str, Any]


def refusal(model: str, request: Any) -> str | None:
    """Why the service refuses this request (names in camel case), or None."""
    if not isinstance(request, dict):
        return "Invalid JSON payload received."
    for name in request:
        if name not in _REQUEST:
            return f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
    contents = request.get("contents")
    if not contents:
        return "* GenerateContentRequest.contents: contents is not specified"
    return (
        _first(_content(index, content) for index, content in enumerate(contents))
        or _turns(contents)
        or _signatures(model, contents)
        or _tools(model, request)
    )


def _first(problems: Any) -> str | None:
    return next((problem for problem in problems if problem), None)


def _content(index: int, content: Any) -> str | None:
    where = f"* GenerateContentRequest.contents[{index}]"
    if content.get("role") not in ("user", "model"):
        return "Please use a valid role: user, model."
    if not content.get("parts"):
        return f"{where}.parts: contents.parts must not be empty."
    return _first(_part(f"{where}.parts[{at}]", part) for at, part in enumerate(content["parts"]))


def _part(where: str, part: Part) -> str | None:
    unknown = sorted(part.keys() - _PART)
    if unknown:
        return f'Invalid JSON payload received. Unknown name "{unknown[0]}" at {where}: Cannot find field.'
    if len(part.keys() & _DATA) != 1:
        return f"{where}.data: required oneof field 'data' must have one initialized field"
    if part.get("text") == "" and not part.get("thoughtSignature"):
        return "Unable to submit request because it must have a text parameter that is not empty."
    return _media(part) or _response(where, part.get("functionResponse"))


def _media(part: Part) -> str | None:
    blobs = [part.get("inlineData"), *(p.get("inlineData") for p in part.get("functionResponse", {}).get("parts", []))]
    for blob in filter(None, blobs):
        if not _MEDIA.fullmatch(blob.get("mimeType", "")):
            return f"Unsupported MIME type: {blob.get('mimeType')}"
        if not blob.get("data"):
            return "Unable to submit request because it has an empty inlineData parameter."
    return None


def _response(where: str, response: Any) -> str | None:
    if response is None:
        return None
    if not response.get("name"):
        return f"{where}.function_response.name: Name cannot be empty."
    if not isinstance(response.get("response"), dict):
        return f"Invalid value at '{where}.function_response.response' (type.googleapis.com/google.protobuf.Struct)"
    return None


# --- turns -----------------------------------------------------------------------------------------------------


def _turns(contents: list[dict[str, Any]]) -> str | None:
    if contents[-1]["role"] == "model" and not _calls(contents[-1]):
        return "Please ensure that multiturn requests end with a user role or a function response."
    return _first(_turn(contents, index) for index in range(len(contents)))


def _turn(contents: list[dict[str, Any]], index: int) -> str | None:
    content, before = contents[index], contents[index - 1] if index else None
    calls, responses = _calls(content), _responses(content)
    if calls and (content["role"] != "model" or before is None or before["role"] != "user"):
        return (
            "Please ensure that function call turn comes immediately after a user turn or after a function response "
            "turn."
        )
    if responses and (content["role"] != "user" or before is None or not _calls(before)):
        return "Please ensure that function response turn comes immediately after a function call turn."
    if calls and not _answered(calls, _responses(contents[index + 1]) if index + 1 < len(contents) else []):
        return (
            "Please ensure that the number of function response parts is equal to the number of function call parts "
            "of the function call turn."
        )
    return None


def _answered(calls: list[Part], responses: list[Part]) -> bool:
    """The service counts them; here each must also be of its call, by name and id."""
    return [(one["name"], one.get("id")) for one in calls] == [(one["name"], one.get("id")) for one in responses]


def _calls(content: dict[str, Any]) -> list[Part]:
    return [part["functionCall"] for part in content["parts"] if "functionCall" in part]


def _responses(content: dict[str, Any]) -> list[Part]:
    return [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]


# --- signatures and tools --------------------------------------------------------------------------------------


def _signatures(model: str, contents: list[dict[str, Any]]) -> str | None:
    """From generation 3 on the first call of each content of the current turn must be signed, and no signature may be
    another part's or another model's."""
    if generation(model) < 3:
        return None
    spoken = [at for at, content in enumerate(contents) if content["role"] == "user" and not _responses(content)]
    current = spoken[-1] if spoken else -1
    return _first(_signature(model, at, content, at > current) for at, content in enumerate(contents))


def _signature(model: str, index: int, content: dict[str, Any], is_current: bool) -> str | None:
    called = [part for part in content["parts"] if "functionCall" in part]
    for part in called:
        if "thoughtSignature" in part and not is_signature(model, part):
            return "Thought signature is not valid."
    if called and is_current and "thoughtSignature" not in called[0]:
        return (
            "Function call is missing a thought_signature in functionCall parts. Additional data, function call "
            f"`default_api:{called[0]['functionCall']['name']}`, position {index + 1}."
        )
    return None


def _tools(model: str, request: dict[str, Any]) -> str | None:
    declared = [one for tool in request.get("tools", []) for one in tool.get("functionDeclarations", [])]
    for one in declared:
        if not _NAME.fullmatch(one.get("name", "")):
            return f"Invalid function name: {one.get('name')}"
    config = request.get("generationConfig", {})
    if declared and config.get("responseMimeType") == "application/json" and generation(model) < 3:
        return "Function calling with a response mime type: 'application/json' is unsupported"
    return None
