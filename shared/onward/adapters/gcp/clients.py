"""What the clients of Google's services have in common: whose they are, what they may try again, how they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """One client for each event loop, since gRPC's are bound to the loop that first uses them. It is made when first
    asked for; those of loops that are closed are let go."""

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._made: dict[asyncio.AbstractEventLoop, asyncio.Task[T]] = {}

    async def get(self) -> T:
        """The running loop's. Raises what making it raises; the next who asks tries again."""
        loop = asyncio.get_running_loop()
        making = self._made.get(loop)
        if making is None or (making.done() and (making.cancelled() or making.exception())):
            self._made = {other: made for other, made in self._made.items() if not other.is_closed()}
            making = self._made[loop] = loop.create_task(self._now())
        return await asyncio.shield(making)  # one who gives up must not take it from the others

    async def _now(self) -> T:
        return await self._make()

    async def take(self) -> T | None:
        """The running loop's, if it was made, which is then forgotten: for closing it."""
        making = self._made.pop(asyncio.get_running_loop(), None)
        if making is None:
            return None
        await asyncio.wait([making])
        return None if making.cancelled() or making.exception() else making.result()


def credentials(endpoint: str | None, scope: str) -> Any:
    """The machine's credentials; None for an emulator. Blocks: it may ask a server for them. Raises GoogleAuthError."""
    if endpoint is not None:
        return None
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        return google.auth.default(scopes=[f"https://www.googleapis.com/auth/{scope}"])[0]
    except DefaultCredentialsError as exc:
        raise DefaultCredentialsError(f"{exc} On a machine of yours: gcloud auth application-default login") from exc


def repeats(patience: float, *more: str) -> Any:
    """How a request is tried again that may be sent twice: for `patience` seconds, where what failed may pass. `more`
    names further errors of `google.api_core.exceptions` that may."""
    from google.api_core import exceptions as errors
    from google.api_core.retry_async import AsyncRetry, if_exception_type

    passing = [getattr(errors, name) for name in (*_PASSING, *more)]
    return AsyncRetry(predicate=if_exception_type(*passing), initial=0.1, maximum=2.0, multiplier=2.0, timeout=patience)


_PASSING = (
    "Aborted",
    "Cancelled",
    "DeadlineExceeded",
    "InternalServerError",
    "ResourceExhausted",
    "ServiceUnavailable",
    "Unknown",
)


def is_outage(exc: Exception) -> bool:
    """Whether the service failed or refused, and not the program that asked. Loads little, and only now."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    return isinstance(exc, GoogleAPIError | GoogleAuthError | OSError)
