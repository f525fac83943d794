"""What Gemini answered, as an answer or as the error that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onward.core.events import Usage
from onward.core.model import ModelAnswer, ModelCall
from onward.errors import BadAnswer, ModelBlocked, ModelRefused

if TYPE_CHECKING:
    from google.genai import types

_WHOLE = frozenset({"STOP", ""})
_CUT = frozenset({"MAX_TOKENS", "CONTINUATION"})
_BLOCKED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "MODEL_ARMOR",
        "ESCALATION",
        "PUP_LIMITED_DISABLED",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
    }
)


def answer_in(response: types.GenerateContentResponse) -> ModelAnswer:
    """The answer. Raises ModelBlocked for one that was withheld, ModelRefused where the history is at fault, and
    BadAnswer, with the tokens it cost, for one that is empty, cut within its calls or malformed."""
    usage = _usage(response.usage_metadata)
    feedback = response.prompt_feedback
    if feedback is not None and feedback.block_reason is not None:
        raise ModelBlocked(_reason("the prompt was blocked", feedback.block_reason, feedback.block_reason_message))
    if not response.candidates:
        raise BadAnswer("the model answered nothing: no candidate", usage.total)
    return _answer(response.candidates[0], usage)


def _answer(candidate: types.Candidate, usage: Usage) -> ModelAnswer:
    finish = "" if candidate.finish_reason is None else str(candidate.finish_reason.value)
    if finish in _BLOCKED:
        raise ModelBlocked(_reason("the answer was blocked", finish, candidate.finish_message))
    if finish == "MISSING_THOUGHT_SIGNATURE":
        raise ModelRefused(_reason("the history lacks a thought signature", finish, candidate.finish_message))
    if finish not in _WHOLE | _CUT:
        raise BadAnswer(_reason("the model gave no answer", finish, candidate.finish_message), usage.total)
    content = candidate.content
    if content is None or not content.parts:
        raise BadAnswer(_reason("the model answered nothing", finish or "no finish reason", None), usage.total)
    return _read(content, finish in _CUT, usage)


def _read(content: types.Content, cut: bool, usage: Usage) -> ModelAnswer:
    parts = content.parts or []
    text = "".join(part.text for part in parts if part.text and not part.thought)
    asked = [part.function_call for part in parts if part.function_call is not None]
    if cut and asked:
        raise BadAnswer("the answer was cut within its calls: more output tokens are needed", usage.total)
    if not all(call.name for call in asked):
        raise BadAnswer("the model made a call without a name", usage.total)
    if not text and not asked:
        more = ": its tokens were spent before it said anything" if cut else ""
        raise BadAnswer(f"the model answered with neither text nor calls{more}", usage.total)
    return ModelAnswer(
        text=text,
        calls=tuple(ModelCall(call.name or "", call.args or {}) for call in asked),
        usage=usage,
        finish="length" if cut else "stop",
        content=content.model_dump(mode="json", exclude_none=True),
    )


def _usage(found: types.GenerateContentResponseUsageMetadata | None) -> Usage:
    """The prompt's tokens include cached ones; what is thought is not part of the output."""
    if found is None:
        return Usage()
    return Usage(
        input_tokens=(found.prompt_token_count or 0) + (found.tool_use_prompt_token_count or 0),
        output_tokens=found.candidates_token_count or 0,
        cached_tokens=found.cached_content_token_count or 0,
        thinking_tokens=found.thoughts_token_count or 0,
    )


def _reason(what: str, reason: object, message: str | None) -> str:
    code = getattr(reason, "value", reason)
    return f"{what} ({code})" + (f": {message}" if message else "")
