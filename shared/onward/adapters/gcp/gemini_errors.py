"""What goes wrong on the way to Gemini and back, as errors of ours: which of them may pass, and when."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from onward.errors import BadAnswer, ModelRefused, ModelUnavailable, OnwardError, PromptTooLong, RateLimited

if TYPE_CHECKING:
    from google.genai.errors import APIError

_LONGEST = 1000
_PASSING = frozenset({408, 409, 425, 499})
_TOO_LONG = re.compile(r"token count.*exceeds|payload size exceeds", re.I | re.S)
_NETWORK = frozenset({"aiohttp", "anyio", "h11", "httpcore", "httpcore2", "httpx", "httpx2"})
_SETUP = frozenset({"InvalidURL", "LocalProtocolError", "UnsupportedProtocol"})
"""Of the network's errors those that come before anything is sent, and will again."""


def error_for(exc: Exception, model: str, secrets: Iterable[str] = ()) -> OnwardError | None:
    """The error of ours that this exception of the client is, or None for a mistake in a program. No secret is
    part of its text."""
    from google.genai.errors import APIError

    def says(text: object) -> str:
        return f"{model}: {_clean(str(text), secrets)}"

    if isinstance(exc, APIError):
        return _refusal(exc, says(exc.message or exc.status or f"the service answered {exc.code}"))
    known = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
    if _package(exc) in _NETWORK or isinstance(exc, OSError | EOFError):
        kind = ModelRefused if type(exc).__name__ in _SETUP else ModelUnavailable
        return kind(says(known))
    if _package(exc) == "google" and hasattr(exc, "retryable"):
        return (ModelUnavailable if exc.retryable else ModelRefused)(says(f"no credentials: {known}"))
    if isinstance(exc, json.JSONDecodeError) or type(exc).__name__ == "UnknownApiResponseError":
        return ModelUnavailable(says("the service's answer is no JSON"))
    if isinstance(exc, ValueError | TypeError | AttributeError | LookupError):
        return BadAnswer(says(f"the answer can't be read: {known}"))
    return None


def _refusal(exc: APIError, text: str) -> OnwardError:
    code = exc.code or 0
    if code == 429:
        return RateLimited(text, _retry_after(exc))
    if code >= 500 or code in _PASSING:
        return ModelUnavailable(text, _retry_after(exc))
    if code == 413 or (code == 400 and _TOO_LONG.search(text)):
        return PromptTooLong(text)
    return ModelRefused(text)


def _retry_after(exc: APIError) -> float | None:
    """Seconds that the service wants to be left alone: from its details, else from the header."""
    for detail in _details(exc.details):
        if str(detail.get("@type", "")).endswith("RetryInfo"):
            return _number(str(detail.get("retryDelay", "")).removesuffix("s"))
    headers = getattr(exc.response, "headers", None)
    return None if headers is None else _number(headers.get("retry-after") or "")


def _details(body: Any) -> list[Mapping[str, Any]]:
    error = body.get("error", body) if isinstance(body, Mapping) else None
    details = error.get("details") if isinstance(error, Mapping) else None
    return [detail for detail in details if isinstance(detail, Mapping)] if isinstance(details, list) else []


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else None


def _package(exc: Exception) -> str:
    return type(exc).__module__.partition(".")[0]


def _clean(text: str, secrets: Iterable[str]) -> str:
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
