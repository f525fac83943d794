"""A process's supply: each resource is made once, when it is first used, and closed at the end; a secret is looked up
at each use."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from onward.config import secret_from_env
from onward.core.given import NOTHING, Given, Needs, NotPrepared
from onward.programs.injection import Secret
from onward.programs.resources import Provider, Resources, SecretSource, named

SHORTEST_SECRET = 4
"""Characters. Anything shorter stands in ordinary texts too, and starring it out would garble them."""

_END = object()
Close = Callable[[], Awaitable[None]]
log = logging.getLogger("onward.resources")


@dataclass(frozen=True, slots=True)
class _Made:
    """A resource, what it was made with, and what closes it."""

    provider: Provider
    value: Any
    given: Given
    close: Close | None = None


class ProcessSupply:
    """The Supply of an application in one process (`core.given`). Two calls at once make one instance of a resource;
    one that could not be made is tried again at its next use."""

    def __init__(self, resources: Resources, secrets: SecretSource | None = None) -> None:
        self._resources = resources
        self._secrets = secrets
        self._making: dict[Provider, asyncio.Task[_Made]] = {}
        self._made: list[_Made] = []
        self._closed = False

    async def give(self, needs: Needs) -> Given:
        """Raises NotPrepared."""
        if not needs:
            return NOTHING
        values: dict[str, Any] = {}
        words: set[str] = set()
        for parameter, wanted in needs.resources.items():
            made = await self._get(self._resources.provider(wanted))
            values[parameter] = made.value
            words |= made.given.words
        for parameter, name in needs.secrets.items():
            word = await self._secret(name)
            values[parameter] = Secret(word, name)
            words.add(word)
        return Given(values, words)

    async def close(self) -> None:
        """Close what was made, the newest first. One that can't be closed keeps no other from it."""
        self._closed = True
        making = [task for task in self._making.values() if not task.done()]
        for task in making:
            task.cancel()
        await asyncio.gather(*making, return_exceptions=True)
        while self._made:
            await _close(self._made.pop())

    # --- resources ---------------------------------------------------------------------------------------------

    async def _get(self, provider: Provider) -> _Made:
        """The one instance. Making it is a task of its own: who waits for it may be interrupted, and it goes on."""
        if self._closed:
            raise NotPrepared(f"the resource {provider.name} is closed: the process ends")
        task = self._making.get(provider)
        if task is None:
            task = self._making[provider] = asyncio.create_task(self._make(provider))
            task.add_done_callback(lambda done: self._note(provider, done))
        await asyncio.wait({task})
        if task.cancelled():
            raise NotPrepared(f"the resource {provider.name} was not made: the process ends")
        return task.result()

    def _note(self, provider: Provider, task: asyncio.Task[_Made]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._making.pop(provider, None)

    async def _make(self, provider: Provider) -> _Made:
        given = await self.give(provider.needs)
        wrong = ""
        try:
            value, close = await _start(provider, given)
        except Exception as exc:
            wrong = given.scrub(f"{type(exc).__name__}: {_text(exc)}")
        if wrong:  # raised outside, so that no traceback leads to what the provider said
            raise NotPrepared(f"the resource {provider.name} ({named(provider.gives)}) can't be made: {wrong}")
        made = _Made(provider, value, given, close)
        self._made.append(made)
        return made

    # --- secrets -----------------------------------------------------------------------------------------------

    async def _secret(self, name: str) -> str:
        wrong = ""
        try:
            word = await self._looked_up(name)
        except Exception as exc:  # what it says may be another secret
            wrong = f"can't be looked up: {type(exc).__name__}"
        if wrong:
            raise NotPrepared(f"secret {name} {wrong}")
        if word is None or word == "":
            where = f"set the environment variable {name}" if self._secrets is None else "App(secrets=...) has none"
            raise NotPrepared(f"secret {name} is missing: {where}")
        if not isinstance(word, str) or len(word) < SHORTEST_SECRET:
            raise NotPrepared(f"secret {name} is no text of {SHORTEST_SECRET} characters or more")
        return word

    async def _looked_up(self, name: str) -> Any:
        if self._secrets is None:
            return secret_from_env(name)
        if isinstance(self._secrets, Mapping):
            return self._secrets.get(name)
        if inspect.iscoroutinefunction(self._secrets):
            return await self._secrets(name)
        return await asyncio.to_thread(self._secrets, name)


async def _start(provider: Provider, given: Given) -> tuple[Any, Close | None]:
    """The value, and what closes it. What blocks is done in a thread."""
    source, keywords = provider.source, given.values
    if provider.kind == "value":
        return source, None
    if provider.kind == "function":
        value = await asyncio.to_thread(source, **keywords)
        if inspect.isawaitable(value):
            raise TypeError("it is not async and gave an awaitable: make it async")
        return value, None
    if provider.kind == "coroutine":
        return await source(**keywords), None
    if provider.kind == "async generator":
        steps = source(**keywords)
        return _first(await anext(steps, _END)), lambda: _last(anext(steps, _END))
    lines = source(**keywords)
    return _first(await asyncio.to_thread(next, lines, _END)), lambda: _last(asyncio.to_thread(next, lines, _END))


def _first(value: Any) -> Any:
    if value is _END:
        raise RuntimeError("it yielded nothing")
    return value


async def _last(step: Awaitable[Any]) -> None:
    if await step is not _END:
        raise RuntimeError("it yielded more than once")


async def _close(made: _Made) -> None:
    try:
        if made.close is not None:
            await made.close()
    except Exception as exc:
        error = made.given.scrub(f"{type(exc).__name__}: {_text(exc)}")
        extra = {"action": "resource_not_closed", "resource": made.provider.name, "error": error}
        log.warning("resource not closed", extra=extra)


def _text(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception:
        return ""
