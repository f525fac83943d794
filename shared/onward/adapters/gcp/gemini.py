"""Gemini as a model, by an API key or on Vertex AI, through the google-genai package."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onward.config import GeminiSettings
from onward.core.model import ModelAnswer, ModelRequest
from onward.errors import BadInput, ModelRefused, OnwardError

if TYPE_CHECKING:
    import asyncio

    from google import genai
    from google.genai import types

LEVELS = ("minimal", "low", "medium", "high")
_LONGEST_REQUEST = 600_000
"""Milliseconds. The engine stops waiting long before, by the agent's model_timeout; nothing hangs for ever."""


class Gemini:
    """A model of Google's, by its name: `Gemini("gemini-3-flash")` (`core.model.Model`).

    What is not given is taken from the environment when it is first asked: GEMINI_API_KEY or GOOGLE_API_KEY, or, with
    GOOGLE_GENAI_USE_VERTEXAI, GOOGLE_CLOUD_PROJECT, GOOGLE_CLOUD_LOCATION and the machine's credentials. `vertex=True`
    asks for Vertex AI; `project` and `location` are for it alone. `base_url` is where the service is, such as an
    emulator. `thinking` is how much the model thinks: a level (`minimal`, `low`, `medium`, `high`) for Gemini 3 and
    newer, or a number of tokens (0 none, -1 as it likes) for Gemini 2.5; None leaves it to the model. What it thinks
    counts against an agent's `max_output_tokens`.

    Gemini 3 and newer give an answer of a given shape beside tools; older ones are told the shape in words where an
    agent has tools, and held to it by whoever asked.

    The constructor raises BadInput, and loads and reaches nothing. It may be used from several event loops; `close`
    ends the connections of the running one.
    """

    def __init__(
        self,
        name: str,
        *,
        api_key: str | None = None,
        vertex: bool = False,
        project: str | None = None,
        location: str | None = None,
        base_url: str | None = None,
        thinking: str | int | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise BadInput(f"Gemini: {name!r} is no name of a model; write one such as gemini-3-flash")
        if (project or location) and not vertex:
            raise BadInput(f"Gemini {name}: project and location are for Vertex AI: add vertex=True")
        self.name = name
        self._asked = GeminiSettings(api_key, vertex, project, location, base_url)
        self._thinking = _checked_thinking(name, thinking)
        self._lines: dict[asyncio.AbstractEventLoop, _Line] = {}

    def __repr__(self) -> str:
        return f"<Gemini {self.name}>"

    async def answer(self, request: ModelRequest) -> ModelAnswer:
        """One answer by one request; raises what the Model port says."""
        settings = self._settings()
        with _translated(self.name, settings):
            client = await self._client(settings)
        contents, config = _request(request, self._thinking)
        with _translated(self.name, settings):
            response = await client.aio.models.generate_content(model=self.name, contents=contents, config=config)
        from onward.adapters.gcp.gemini_answers import answer_in

        return answer_in(response)

    async def speak(self, request: ModelRequest, say: Callable[[str], None]) -> ModelAnswer:
        """The same answer by one request, and its text as it comes (`core.model.Speaking`)."""
        settings = self._settings()
        with _translated(self.name, settings):
            client = await self._client(settings)
        contents, config = _request(request, self._thinking)
        from onward.adapters.gcp.gemini_answers import answer_in
        from onward.adapters.gcp.gemini_pieces import Pieces

        pieces = Pieces()
        with _translated(self.name, settings):
            models = client.aio.models
            stream = await models.generate_content_stream(model=self.name, contents=contents, config=config)
            async for chunk in stream:
                say(pieces.add(chunk))
        return answer_in(pieces.whole())

    async def close(self) -> None:
        """Close the connections of the running event loop. A later answer opens new ones."""
        import asyncio

        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None and line.client is not None:
            await line.client.aio.aclose()
            line.client.close()

    def _settings(self) -> GeminiSettings:
        settings = self._asked.completed()
        if not settings.vertex and not settings.api_key:
            raise ModelRefused(
                f"{self.name}: there is no API key: set GEMINI_API_KEY, or GOOGLE_GENAI_USE_VERTEXAI for Vertex AI"
            )
        return settings

    async def _client(self, settings: GeminiSettings) -> genai.Client:
        """The client of the running loop. It is made in a thread: that loads much, and may look for credentials."""
        import asyncio

        loop = asyncio.get_running_loop()
        if loop not in self._lines:
            self._lines = {other: line for other, line in self._lines.items() if not other.is_closed()}
            self._lines[loop] = _Line(asyncio.Lock())
        line = self._lines[loop]
        async with line.lock:
            if line.client is None:
                line.client = await asyncio.to_thread(_made, self.name, settings)
            return line.client


@dataclass(slots=True)
class _Line:
    """What one event loop has: its client, and the lock under which that is made."""

    lock: asyncio.Lock
    client: genai.Client | None = field(default=None)


def resolve_model(text: str) -> Gemini | None:
    """The model of a name such as `gemini-3-flash`; None for a name of another kind."""
    return Gemini(text) if text.startswith("gemini-") else None


def _made(model: str, settings: GeminiSettings) -> genai.Client:
    try:
        from google import genai
        from google.genai import types
    except ImportError as exc:
        raise ModelRefused(f"{model}: google-genai is missing: pip install 'onward[gemini]'") from exc
    return genai.Client(
        vertexai=settings.vertex,
        api_key=settings.api_key,
        project=settings.project,
        location=settings.location,
        http_options=types.HttpOptions(
            base_url=settings.base_url,
            timeout=_LONGEST_REQUEST,
            # Without options of its own the client sends again what failed on the way, over some transports.
            retry_options=types.HttpRetryOptions(attempts=1),
        ),
    )


@contextmanager
def _translated(model: str, settings: GeminiSettings) -> Iterator[None]:
    """What the client raises, as an error of ours. Its own is left out: its text could show the key."""
    try:
        yield
    except OnwardError:
        raise
    except Exception as exc:
        from onward.adapters.gcp.gemini_errors import error_for

        error = error_for(exc, model, [settings.api_key or ""])
        if error is None:
            raise
        raise error from None


# --- what is asked ---------------------------------------------------------------------------------------------


def _request(request: ModelRequest, thinking: str | int | None) -> tuple[list[Any], types.GenerateContentConfig]:
    from google.genai import types

    from onward.adapters.gcp.gemini_contents import contents_of

    contents = [types.Content.model_validate(content) for content in contents_of(request.transcript, request.model)]
    shape = request.output_schema
    in_words = shape is not None and _tells_in_words(request)
    config = types.GenerateContentConfig(
        system_instruction=_instructions(request, in_words) or None,
        tools=_tools(request),
        max_output_tokens=request.max_output_tokens,
        response_mime_type="application/json" if shape is not None and not in_words else None,
        response_json_schema=None if in_words else shape,
        thinking_config=_thinking_config(thinking),
        # One call is one request: the engine performs calls, goes on and tries again.
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        automatic_continuation=False,
    )
    return contents, config


def _tells_in_words(request: ModelRequest) -> bool:
    from onward.adapters.gcp.gemini_contents import generation

    return bool(request.tools) and (generation(request.model) or 0) < 3


def _instructions(request: ModelRequest, in_words: bool) -> str:
    if not in_words:
        return request.instructions
    schema = json.dumps(request.output_schema, ensure_ascii=False)
    rule = f"An answer in which you call no function is JSON and nothing else, of this JSON Schema: {schema}"
    return f"{request.instructions}\n\n{rule}".strip()


def _tools(request: ModelRequest) -> list[Any] | None:
    from google.genai import types

    declared = [
        types.FunctionDeclaration(
            name=tool.name,
            description=tool.description or None,
            parameters_json_schema=dict(tool.parameters) if tool.parameters.get("properties") else None,
        )
        for tool in request.tools
    ]
    return [types.Tool(function_declarations=declared)] if declared else None


def _thinking_config(thinking: str | int | None) -> types.ThinkingConfig | None:
    from google.genai import types

    if thinking is None:
        return None
    if isinstance(thinking, int):
        return types.ThinkingConfig(thinking_budget=thinking)
    return types.ThinkingConfig(thinking_level=types.ThinkingLevel(thinking.upper()))


def _checked_thinking(name: str, thinking: Any) -> str | int | None:
    is_budget = isinstance(thinking, int) and not isinstance(thinking, bool) and thinking >= -1
    if thinking is None or is_budget or thinking in LEVELS:
        checked: str | int | None = thinking
        return checked
    raise BadInput(f"Gemini {name}: thinking {thinking!r} is neither one of {', '.join(LEVELS)} nor a number from -1")
