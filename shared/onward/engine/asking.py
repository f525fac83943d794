"""Asking a model: what it is shown, and what is made of its answer or its failure (G7, G11, G13)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

from onward.core import events as ev
from onward.core.canonical import DEEPEST, canonical
from onward.core.draft import ENGINE
from onward.core.events import Actor, Body, Failure
from onward.core.failures import failure
from onward.core.limits import exceeded
from onward.core.model import Model, ModelAnswer, ModelRequest, Speaking
from onward.core.program import AskModel
from onward.core.retry import FAILURES_TO_PARK, MODEL_RETRY
from onward.core.state import Entry, State, changed
from onward.engine.files import Files
from onward.engine.hold import Hold
from onward.engine.load import Loader
from onward.engine.records import Records
from onward.engine.speaking import Hear, Speech
from onward.errors import BadAnswer, ModelRefused, ModelUnavailable, OnwardError

Fact = tuple[Actor, Body]


class Asking:
    """Asks the models of one process, and in the end closes those that were asked."""

    def __init__(self, loader: Loader, files: Files, records: Records) -> None:
        self._loader = loader
        self._records = records
        self._files = files
        self._asked: dict[int, Model] = {}
        self.hear: Hear | None = None
        """Who is told what models say before they have answered, if somebody is (G4)."""

    async def close(self) -> None:
        """End the connections of every model that keeps some."""
        asked, self._asked = list(self._asked.values()), {}
        for model in asked:
            close = getattr(model, "close", None)
            if close is not None:
                await close()

    async def ask(self, hold: Hold, state: State, effect: AskModel) -> list[Fact]:
        """Ask once, and answer what came of it. A branch may have it from its parent's record."""
        actor, attempt = Actor(kind="model", name=effect.model.name), effect.request.attempt
        recorded = await self._records.answer(hold.key, state, effect)
        if recorded is not None:
            return [(actor, recorded)]
        over = exceeded(state, [effect], hold.now(), effect.timeout) if state.effects == "recorded" else None
        if over is not None:
            return [(ENGINE, over)]
        request = replace(effect.request, transcript=await self._whole(hold, effect.request.transcript))
        self._asked[id(effect.model)] = effect.model
        try:
            with Speech(self.hear, hold.key, state.seq + 1, attempt) as speech:
                async with asyncio.timeout(effect.timeout):
                    answer = await self._answer(effect, request, speech)
                return [(actor, _answered(effect, answer, attempt))]
        except Exception as exc:
            return _failed(hold, state, effect, exc)

    async def _answer(self, effect: AskModel, request: ModelRequest, speech: Speech) -> ModelAnswer:
        """The answer, heard meanwhile where somebody listens; a summary is nothing that is said to anybody."""
        model = effect.model
        if self.hear is not None and effect.summarize is None and isinstance(model, Speaking):
            return await model.speak(request, speech.say)
        return await model.answer(request)

    async def _whole(self, hold: Hold, transcript: tuple[Entry, ...]) -> tuple[Entry, ...]:
        """The transcript with the values that lie in blobs fetched."""
        if not any(entry.elsewhere for entry in transcript):
            return transcript
        return tuple([await self._fetched(hold.key, entry) for entry in transcript])

    async def _fetched(self, key: str, entry: Entry) -> Entry:
        if not entry.elsewhere:
            return entry
        value, content = await self._loader.resolve(key, entry.value), await self._loader.resolve(key, entry.content)
        arguments = await self._loader.resolve(key, entry.arguments)
        return changed(entry, value=await self._files.fill(key, value), content=content, arguments=arguments)


def _answered(effect: AskModel, answer: ModelAnswer, attempt: int) -> Body:
    """Raises BadInput for an answer that can't be stored: then it was none."""
    model, calls = effect.model.name, [{"name": call.name, "arguments": call.arguments} for call in answer.calls]
    canonical([answer.text, calls, answer.content], DEEPEST)
    if effect.summarize is not None:
        return _summed_up(effect, answer)
    return ev.ModelAnswered(
        model=model,
        answer={"text": answer.text, "calls": calls},
        calls=len(calls),
        content=answer.content,
        usage=answer.usage,
        finish=answer.finish,
        attempt=attempt,
    )


def _summed_up(effect: AskModel, answer: ModelAnswer) -> Body:
    assert effect.summarize is not None
    if not answer.text.strip():
        raise BadAnswer(f"{effect.model.name} gave no summary", answer.usage.total)
    return ev.TranscriptCompacted(
        up_to=effect.summarize, summary=answer.text, model=effect.model.name, usage=answer.usage
    )


def _failed(hold: Hold, state: State, effect: AskModel, exc: Exception) -> list[Fact]:
    """What a model's failure becomes: its program's next model is asked, or the same again later, or a person has to
    look. An outage parks nobody (G13), be it of a better model than this one; what a model itself does wrong is not
    tried for ever."""
    attempt, actor, error = effect.request.attempt, Actor(kind="model", name=effect.model.name), _why(effect, exc)
    failed = partial(ev.ModelFailed, model=actor.name, error=error, attempt=attempt, tokens=_paid(effect, exc))
    if error.code in effect.leave_on:
        return [(actor, failed(retry_at=None, left=True))]
    final = isinstance(exc, ModelRefused) or state.bad_answers + 1 >= FAILURES_TO_PARK
    if final and not _outage(exc) and not any(left.outage for left in state.trouble):
        return [(actor, failed(retry_at=None)), (Actor(kind="engine"), ev.SessionParked(error=error))]
    wait = max(getattr(exc, "retry_after", None) or 0.0, MODEL_RETRY.after(attempt))
    return [(actor, failed(retry_at=hold.now() + timedelta(seconds=wait)))]


def _outage(exc: Exception) -> bool:
    return isinstance(exc, ModelUnavailable | TimeoutError) and not isinstance(exc, BadAnswer)


def _why(effect: AskModel, exc: Exception) -> Failure:
    if isinstance(exc, TimeoutError) and not str(exc):
        return Failure(code="model_unavailable", message=f"no answer within {effect.timeout:g} s")
    return failure(exc, "" if isinstance(exc, OnwardError) else "model_error")


def _paid(effect: AskModel, exc: Exception) -> int:
    """Tokens that a failed attempt may have cost."""
    if isinstance(exc, BadAnswer | ModelRefused):
        return exc.tokens
    return effect.request.reserve if isinstance(exc, TimeoutError) else 0
