"""Serving the API on this machine, in a process that may do other things besides."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from onward.errors import BadInput
from onward.surfaces.http.service import Service

HOST = "127.0.0.1"
ENDS_IN = 5
"""Seconds that requests under way have when it is closed."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's own."""
        yield


def listening(port: int) -> socket.socket:
    """A socket of this machine alone, where requests may come from now on; port 0 is any that is free. Raises BadInput
    for one that is taken."""
    # The protocol is named: asyncio sends at once, and waits for no more to say, only on sockets that say they are TCP.
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        found.listen()
    except OSError as exc:
        found.close()
        raise BadInput(f"--port: {port} can't be had on {HOST} ({exc.strerror}); give another, or 0 for any") from exc
    return found


def address(at: socket.socket) -> str:
    """The URL of what is served on this socket."""
    return f"http://{HOST}:{at.getsockname()[1]}"


@asynccontextmanager
async def served(app: ASGIApp, service: Service, at: socket.socket) -> AsyncIterator[str]:
    """Serve it on this socket, and answer its URL; at the end streams are ended, and other requests answered."""
    config = uvicorn.Config(app, lifespan="off", log_level="error", access_log=False, server_header=False)
    config.timeout_graceful_shutdown = ENDS_IN
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[at]))
    try:
        yield address(at)
    finally:
        server.should_exit = True
        await service.close()
        await task
