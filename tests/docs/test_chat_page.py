"""The receiver that the page on chat shows is run, as a process of its own, between a session and a chat."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onward import App, Runtime, Webhook
from tests.docs.test_docs import FENCE, ROOT
from tests.emulator.sink import Sink
from tests.unit.told import a_desk

PAGE = ROOT / "docs/howto/chat.md"
SECRET = "known to the receiver"


def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_for(at: int) -> None:
    """Until somebody listens there."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", at), timeout=1):
            return
        time.sleep(0.02)


@pytest.fixture
def chat() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def receiver(chat: Sink) -> Iterator[str]:
    (code,) = [match[2] for match in FENCE.finditer(PAGE.read_text()) if match[1] == "py"]
    env = {"PATH": os.environ["PATH"], "HOOKS_SECRET": SECRET, "CHAT_URL": chat.url, "PORT": str(at := port())}
    with subprocess.Popen([sys.executable, "-c", code], env=env, stderr=subprocess.DEVNULL) as process:
        wait_for(at)
        yield f"http://127.0.0.1:{at}/"
        process.terminate()


def app(url: str) -> App:
    hook = Webhook(url, secret="HOOKS_SECRET", allow_private=True)
    return App(programs=[a_desk()], webhooks=[hook], secrets={"HOOKS_SECRET": SECRET})


async def said(chat: Sink, many: int) -> list[str]:
    arrivals: list[Any] = await asyncio.to_thread(chat.wait, many)
    return [json.loads(arrival.body)["text"] for arrival in arrivals]


async def test_a_chat_hears_of_an_approval_and_of_the_end(receiver: str, chat: Sink, tmp_path: Path) -> None:
    console = "https://console.example.com"
    async with Runtime(app(receiver), tmp_path / "onward.db", console=console, identity="ann") as runtime:
        await runtime.start(input="hi", id="order-7")
        await runtime.wait("order-7")
        (asked,) = await said(chat, 1)
        assert asked.startswith('order-7: may pay be called with {"amount": 500, "note": ""}? https://console.')
        await runtime.decide("order-7", "approved")
        _, over = await said(chat, 2)
        assert over == "order-7: ended, completed"


async def test_what_is_not_signed_is_not_passed_on(receiver: str, chat: Sink) -> None:
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
    request = urllib.request.Request(receiver, b"{}", headers, method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        await asyncio.to_thread(opener.open, request, timeout=10)
    refused.value.close()
    assert chat.arrivals == []
