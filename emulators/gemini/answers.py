"""A turn of the script as the service would send it: whole, or in pieces."""

from __future__ import annotations

import json
from typing import Any

from emulators.gemini.script import Turn
from emulators.gemini.wire import generation, signature

STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
Json = dict[str, Any]


def error(code: int, message: str, retry: float | None = None) -> Json:
    """An error as the service words it; `retry` is in seconds."""
    said: Json = {"code": code, "message": message, "status": STATUS.get(code, "UNKNOWN")}
    if retry is not None:
        said["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry:g}s"}]
    return {"error": said}


def response(turn: Turn, model: str, request: Json) -> Json:
    """The answer in one piece."""
    whole: Json = {"usageMetadata": _usage(turn, request), "modelVersion": model}
    if turn.blocked is not None:
        return {"promptFeedback": {"blockReason": turn.blocked}, **whole}
    if turn.empty == "candidates":
        return whole
    return {"candidates": [_candidate(turn, parts(turn, model))], **whole}


def chunks(turn: Turn, model: str, request: Json) -> list[Json]:
    """The answer in pieces: text in two, a signature of text on an empty part of its own, usage with the last."""
    whole = response(turn, model, request)
    if not whole.get("candidates") or turn.empty:
        return [whole]
    pieces = [piece for part in parts(turn, model) for piece in _split(part)] or [{"text": ""}]
    content = [{"content": {"role": "model", "parts": [piece]}, "index": 0} for piece in pieces]
    content[-1] |= {key: value for key, value in whole["candidates"][0].items() if key != "content"}
    said = [{"candidates": [candidate], "modelVersion": model} for candidate in content]
    said[-1]["usageMetadata"] = whole["usageMetadata"]
    return said


def parts(turn: Turn, model: str) -> list[Json]:
    """The parts, signed as models from generation 3 on sign: the first call, else what is said."""
    made: list[Json] = [{"text": turn.thought, "thought": True}] if turn.thought else []
    made += [{"text": turn.text}] if turn.text else []
    made += [{"functionCall": call} for call in turn.calls]
    signed = next((part for part in made if "functionCall" in part), made[-1] if turn.text else None)
    if signed is not None and turn.signed and generation(model) >= 3:
        signed["thoughtSignature"] = signature(model, signed)
    return made


def _candidate(turn: Turn, made: list[Json]) -> Json:
    candidate: Json = {"content": {"role": "model"}, "index": 0}
    if turn.finish:
        candidate["finishReason"] = turn.finish
    if made and turn.empty is None:
        candidate["content"]["parts"] = made
    if turn.finish == "CONTINUATION":
        candidate["continuationToken"] = "bW9yZQ=="
    if turn.finish_message:
        candidate["finishMessage"] = turn.finish_message
    return candidate


def _split(part: Json) -> list[Json]:
    if "functionCall" in part:
        return [part]
    text, middle = part["text"], (len(part["text"]) + 1) // 2
    kind = {key: value for key, value in part.items() if key == "thought"}
    pieces: list[Json] = [{"text": piece, **kind} for piece in (text[:middle], text[middle:]) if piece]
    if "thoughtSignature" in part:
        pieces.append({"text": "", "thoughtSignature": part["thoughtSignature"]})
    return pieces


def _usage(turn: Turn, request: Json) -> Json:
    """As the script says, else four characters a token."""
    said = turn.usage
    prompt = said.get("prompt", len(json.dumps(request)) // 4)
    candidates = said.get("candidates", 1 + (len(turn.text) + len(json.dumps(turn.calls))) // 4)
    thoughts, tool_use = said.get("thoughts", len(turn.thought) // 4), said.get("tool_use", 0)
    total = prompt + candidates + thoughts + tool_use
    found = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": candidates,
        "cachedContentTokenCount": said.get("cached", 0),
        "thoughtsTokenCount": thoughts,
        "toolUsePromptTokenCount": tool_use,
        "totalTokenCount": total,
    }
    return {key: value for key, value in found.items() if value}
