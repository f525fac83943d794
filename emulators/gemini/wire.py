"""The service's JSON: names in either spelling, models' generations, and signatures."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Any

SENTINELS = (b"skip_thought_signature_validator", b"context_engineering_is_the_way_to_go")
_FREE = frozenset({"args", "response", "parametersJsonSchema", "responseJsonSchema"})
"""Fields whose value is the caller's own, whatever its keys look like."""


def camel(value: Any) -> Any:
    """A request with every field's name in camel case: the service takes `inline_data` for `inlineData`."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    named = {re.sub(r"_([a-z])", lambda match: match[1].upper(), key): item for key, item in value.items()}
    return {key: item if key in _FREE else camel(item) for key, item in named.items()}


def generation(model: str) -> int:
    """The number in a model's name; 3 for a name without one."""
    found = re.match(r"gemini-(\d+)", model)
    return int(found[1]) if found else 3


def signature(model: str, part: dict[str, Any]) -> str:
    """The signature of a part that this model makes. It proves itself, so that no emulator has to remember it."""
    call = part.get("functionCall", {})
    signed = [model, part.get("text"), call.get("name"), call.get("args") or {}, call.get("id")]
    text = json.dumps(signed, sort_keys=True).encode()
    return base64.b64encode(hashlib.sha256(text).digest()).decode()


def is_signature(model: str, part: dict[str, Any]) -> bool:
    """Whether the part carries the signature that this model gave it, or one that stands for none."""
    found = _decoded(str(part.get("thoughtSignature", "")))
    plain = str(part.get("thoughtSignature", "")).encode()
    return found == _decoded(signature(model, part)) or found in SENTINELS or plain in SENTINELS


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
