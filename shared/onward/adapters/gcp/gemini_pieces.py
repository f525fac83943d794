"""An answer that comes in pieces, put together as if it had come whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onward.errors import ModelUnavailable

if TYPE_CHECKING:
    from google.genai import types

_PLAIN = frozenset({"text", "thought"})


class Pieces:
    """The pieces so far. A signature stays on the part that it came with, as the service wants it back."""

    def __init__(self) -> None:
        self._parts: list[types.Part] = []
        self._last: types.GenerateContentResponse | None = None
        self._ended: types.Candidate | None = None
        self._blocked = False

    def add(self, chunk: types.GenerateContentResponse) -> str:
        """Take the next piece, and answer what it says aloud."""
        said = chunk.candidates[0] if chunk.candidates else None
        parts = (said.content.parts if said is not None and said.content is not None else None) or []
        for part in parts:
            self._put(part)
        if said is not None and (said.finish_reason is not None or self._ended is None):
            self._ended = said
        self._blocked = self._blocked or chunk.prompt_feedback is not None
        if self._last is not None:
            kept = ("usage_metadata", "prompt_feedback")
            chunk = chunk.model_copy(update={k: getattr(self._last, k) for k in kept if getattr(chunk, k) is None})
        self._last = chunk
        return "".join(part.text for part in parts if part.text and not part.thought)

    def whole(self) -> types.GenerateContentResponse:
        """All of it. Raises ModelUnavailable where its end is missing."""
        if self._last is None or (not self._blocked and self._ended is not None and self._ended.finish_reason is None):
            raise ModelUnavailable("the answer broke off before its end")
        if self._ended is None:
            return self._last
        from google.genai import types

        content = types.Content(role="model", parts=self._parts) if self._parts else None
        return self._last.model_copy(update={"candidates": [self._ended.model_copy(update={"content": content})]})

    def _put(self, part: types.Part) -> None:
        """Text goes on where it left off; everything else is a part of its own."""
        if self._parts and _is_plain(part) and _is_plain(self._parts[-1]) and part.thought == self._parts[-1].thought:
            before = self._parts[-1]
            self._parts[-1] = before.model_copy(update={"text": (before.text or "") + (part.text or "")})
        elif part.text != "" or not _is_plain(part):
            self._parts.append(part)


def _is_plain(part: types.Part) -> bool:
    """Whether it is text and nothing else, such as a signature."""
    return part.text is not None and {name for name, value in part if value is not None} <= _PLAIN
