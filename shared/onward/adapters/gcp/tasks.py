"""Timers as tasks of Cloud Tasks: a bare wake or an errand, posted to the resume function at its time (R14)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from onward.adapters.gcp.clients import PerLoop, credentials, is_outage, repeats
from onward.adapters.gcp.messages import errand_message, wake_message
from onward.adapters.gcp.trace import trace_header
from onward.errors import Retryable
from onward.ports import Clock, Errand, Wake

if TYPE_CHECKING:
    from google.cloud.tasks_v2 import CloudTasksAsyncClient, Task

FURTHEST = timedelta(days=30) - timedelta(hours=1)
"""The service takes no task for more than 30 days ahead, on its clock, which may be behind this one."""

PATIENCE = 20.0
"""Seconds that one task is tried again for."""

ATTEMPT = 10.0
"""Seconds that one attempt may take."""


class TaskTimers:
    """The Timers port over one queue, `projects/P/locations/L/queues/Q`.

    A task posts a wake to `url`, with an OIDC token of `service_account` for `audience` (by default the url). Tasks
    have no names: an attempt whose answer was lost may make a second one, which does no harm, while a name would stay
    taken for a day. `endpoint` is the host:port of a stand-in, which is asked without credentials.
    """

    def __init__(
        self,
        queue: str,
        url: str,
        clock: Clock,
        *,
        service_account: str | None,
        audience: str | None = None,
        endpoint: str | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._queue = queue
        self._url = url
        self._clock = clock
        self._service_account = service_account
        self._audience = audience or url
        self._endpoint = endpoint
        self._patience = patience
        self._clients = PerLoop(self._client)

    async def arm(self, key: str, at: datetime) -> None:
        """Arm a timer. One further ahead than the service takes is armed for as far as it does: who finds it early
        arms the next. Raises Retryable; the timer may be armed all the same."""
        body, _ = wake_message(Wake(key, look=True, delayed=True))
        await self._create(body, at)

    async def send(self, errand: Errand, at: datetime) -> None:
        """Send an errand. Raises Retryable; it may be on its way all the same."""
        await self._create(errand_message(errand), at)

    async def _create(self, body: bytes, at: datetime) -> None:
        try:
            client = await self._clients.get()
            # A queue that lay idle for long is said not to be there until it has woken up: NotFound may pass.
            task = self._task(body, min(at, self._clock.now() + FURTHEST))
            await client.create_task(
                parent=self._queue,
                task=task,
                retry=repeats(self._patience, "NotFound"),
                timeout=min(ATTEMPT, self._patience),
            )
        except Exception as exc:
            if not is_outage(exc):
                raise
            raise Retryable(f"{self._queue} took no task: {type(exc).__name__}: {str(exc)[:500]}") from exc

    async def close(self) -> None:
        """Close the connection of the running event loop. A later timer opens a new one."""
        client = await self._clients.take()
        if client is not None:
            await client.transport.close()

    def _task(self, body: bytes, at: datetime) -> Task:
        from google.cloud.tasks_v2 import HttpMethod, HttpRequest, OidcToken, Task

        account = self._service_account
        request = HttpRequest(
            url=self._url,
            http_method=HttpMethod.POST,
            headers={"Content-Type": "application/json"} | trace_header(),
            body=body,
            oidc_token=account and OidcToken(service_account_email=account, audience=self._audience),
        )
        return Task(http_request=request, schedule_time=at.astimezone(UTC))

    async def _client(self) -> CloudTasksAsyncClient:
        """Made in a thread as far as it can be: that loads much, and may look for credentials."""
        found = await asyncio.to_thread(_loaded, self._endpoint)
        import grpc
        from google.cloud.tasks_v2 import CloudTasksAsyncClient
        from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcAsyncIOTransport as Transport

        if self._endpoint is None:
            return CloudTasksAsyncClient(credentials=found)
        return CloudTasksAsyncClient(transport=Transport(channel=grpc.aio.insecure_channel(self._endpoint)))


def _loaded(endpoint: str | None) -> Any:
    import google.cloud.tasks_v2  # noqa: F401 - loaded here, and not in the event loop

    return credentials(endpoint, "cloud-platform")
