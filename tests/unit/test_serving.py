"""The socket that the API is served at on this machine."""

from __future__ import annotations

import asyncio
import socket

import pytest

pytest.importorskip("uvicorn", reason="uvicorn is missing: pip install -e '.[api]'")

from onward.errors import BadInput
from onward.surfaces.http.serving import listening


async def test_what_is_answered_is_sent_at_once() -> None:
    """Else the second part of each answer waits until the first was confirmed: 40 ms."""
    accepted = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made = writer.get_extra_info("socket")
        accepted.set_result(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listening(0) as at:
        server = await asyncio.start_server(take, sock=at)
        _, writer = await asyncio.open_connection(*at.getsockname())
        assert await accepted
        writer.close()
        server.close()


def test_a_port_that_is_taken_is_refused() -> None:
    with listening(0) as at, pytest.raises(BadInput, match="--port"):
        listening(at.getsockname()[1])
