"""Requests to webhooks: where they may go, where they do go, and what a receiver can do about it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from onward.adapters.posting import PublicPost, is_public
from onward.errors import NotDelivered

CERTIFICATE = Path(__file__).with_name("hooks_example_com.pem")
"""Of hooks.example.com, with its key: for tests alone."""

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Asked:
    """A resolver that knows only what it is told, and remembers what it was asked. With several answers it gives
    another one each time."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.names: list[str] = []
        self._answers = list(answers)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.names.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@asynccontextmanager
async def receiver(answer: Answer | bytes, tls: bool = False) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server on this machine: its port, and the requests that reached it."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            requests.append(head + await reader.readexactly(length))
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(reader, writer)
            await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=_server_tls() if tls else None)
    try:
        yield server.sockets[0].getsockname()[1], requests
    finally:
        server.close()


def _server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def says(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "", ""]).encode()


async def posted(post: PublicPost, url: str, *, private: bool = True, body: bytes = b"{}") -> int:
    return await post.post(url, {"webhook-id": "msg_1"}, body, private=private)


# --- where it may go -------------------------------------------------------------------------------------------

PRIVATE = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "224.0.1.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001:db8::1",
    "2001::1", "2002:7f00:1::", "2002:808:808::", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1",
    "ff02::1", "ff0e::1", "localhost", "", "1.2.3", "0x7f000001",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "100.63.255.255", "172.32.0.1", "2606:4700:4700::1111"]


@pytest.mark.parametrize("address", PRIVATE)
def test_no_address_of_a_private_place_is_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_open_internet_is(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "found", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["169.254.169.254"], []]
)
async def test_one_private_address_is_enough_to_go_to_none(found: list[str]) -> None:
    async with receiver(says("204 No Content")) as (port, requests):
        asked = Asked(found)
        with pytest.raises(NotDelivered, match=r"hooks\.example\.com has"):
            await posted(PublicPost(asked), f"http://hooks.example.com:{port}/secret-path", private=False)
        assert (asked.names, requests) == (["hooks.example.com"], [])


async def test_a_url_that_names_a_private_address_is_refused_with_the_systems_own_resolver() -> None:
    async with receiver(says("204 No Content")) as (port, requests):
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f000001"):
            with pytest.raises(NotDelivered):
                await posted(PublicPost(), f"http://{host}:{port}/", private=False)
        assert requests == []
        assert await posted(PublicPost(), f"http://127.0.0.1:{port}/") == 204


async def test_where_it_goes_is_what_was_checked_and_not_what_the_name_says_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that leads elsewhere the second time is asked once, and the connection is made to an address."""
    opened: list[str] = []

    async def open_connection(host: str, port: int, **_: object) -> None:
        opened.append(host)
        raise ConnectionRefusedError(111, "nobody is there")

    monkeypatch.setattr(asyncio, "open_connection", open_connection)
    asked = Asked(["93.184.216.34", "2606:4700:4700::1111"], ["127.0.0.1"])
    with pytest.raises(NotDelivered, match="nobody is there"):
        await posted(PublicPost(asked), "https://hooks.example.com/", private=False)
    assert (asked.names, opened) == (["hooks.example.com"], ["93.184.216.34", "2606:4700:4700::1111"])


async def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    async with receiver(says("200 OK")) as (port, requests):
        assert await posted(PublicPost(Asked(["127.0.0.9", "127.0.0.1"])), f"http://hooks.example.com:{port}/") == 200
        assert len(requests) == 1


# --- as whom it asks -------------------------------------------------------------------------------------------


async def test_the_server_must_be_known_by_its_name_though_it_is_reached_by_an_address() -> None:
    trusted = ssl.create_default_context(cafile=CERTIFICATE)
    async with receiver(says("200 OK"), tls=True) as (port, requests):
        post = PublicPost(Asked(["127.0.0.1"]), tls=trusted)
        assert await posted(post, f"https://hooks.example.com:{port}/onward?x=1") == 200
        assert requests[0].startswith(b"POST /onward?x=1 HTTP/1.1\r\n")
        assert f"\r\nhost: hooks.example.com:{port}\r\n".encode() in requests[0]
        with pytest.raises(NotDelivered, match=r"(?i)certificate.*other\.example\.com"):
            await posted(post, f"https://other.example.com:{port}/")
        with pytest.raises(NotDelivered, match=r"(?i)certificate"):
            await posted(PublicPost(Asked(["127.0.0.1"])), f"https://hooks.example.com:{port}/")
        assert len(requests) == 1


async def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with receiver(says("200 OK")) as (port, requests):
        assert await posted(PublicPost(), f"http://127.0.0.1:{port}/") == 200
        assert len(requests) == 1


async def test_the_body_arrives_whole_with_its_headers() -> None:
    body = "ä".encode() * 200_000
    async with receiver(says("202 Accepted")) as (port, requests):
        assert await posted(PublicPost(), f"http://127.0.0.1:{port}", body=body) == 202
        head, _, got = requests[0].partition(b"\r\n\r\n")
        assert got == body
        assert head.startswith(b"POST / HTTP/1.1\r\nwebhook-id: msg_1\r\n")


# --- what it is answered ---------------------------------------------------------------------------------------


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with receiver(says("204 No Content")) as (elsewhere, led):
        for status in (301, 302, 303, 307, 308):
            away = says(f"{status} Away", f"Location: http://127.0.0.1:{elsewhere}/")
            async with receiver(away) as (port, _):
                assert await posted(PublicPost(), f"http://127.0.0.1:{port}/") == status
        assert led == []


@pytest.mark.parametrize("status", [200, 204, 410, 404, 500])
async def test_the_status_is_what_counts(status: int) -> None:
    async with receiver(says(f"{status}")) as (port, _):
        assert await posted(PublicPost(), f"http://127.0.0.1:{port}/") == status


async def test_what_only_announces_an_answer_is_passed_over() -> None:
    async with receiver(says("103 Early Hints", "Link: </x>") + says("200 OK")) as (port, _):
        assert await posted(PublicPost(), f"http://127.0.0.1:{port}/") == 200


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1", b"nonsense\r\n\r\n", b"HTTP/1.1 2 OK\r\n\r\n", b"x" * 100_000, b"HTTP/1.1 100 C\r\n"]
)
async def test_what_is_no_answer_is_a_failure(answer: bytes) -> None:
    async with receiver(answer) as (port, _):
        with pytest.raises(NotDelivered, match=r"127\.0\.0\.1"):
            await posted(PublicPost(), f"http://127.0.0.1:{port}/")


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 100 Continue\r\n")
    while not reader.at_eof():
        writer.write(b"x: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("answer", [_silent, _dripping])
async def test_a_receiver_that_takes_for_ever_is_left(answer: Answer) -> None:
    async with receiver(answer) as (port, requests):
        with pytest.raises(NotDelivered, match=r"did not answer within 0\.2 s"):
            await posted(PublicPost(time_limit=0.2), f"http://127.0.0.1:{port}/")
        assert len(requests) == 1


async def test_a_name_that_takes_for_ever_is_left() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return await asyncio.Event().wait() and []

    with pytest.raises(NotDelivered, match="did not answer"):
        await posted(PublicPost(resolve, time_limit=0.05), "https://hooks.example.com/")


async def test_what_goes_wrong_names_the_host_and_nothing_else_of_the_url() -> None:
    async with receiver(b"") as (port, _):
        for url in (f"http://127.0.0.1:{port}/T0/B0/token", "https://name.invalid/T0/B0/token", "http://[::1]:1/token"):
            with pytest.raises(NotDelivered) as refused:
                await posted(PublicPost(), url)
            assert "token" not in str(refused.value)
