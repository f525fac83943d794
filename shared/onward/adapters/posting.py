"""Requests to servers of somebody else's: to addresses that were checked, and to nothing they lead on to."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from onward.errors import NotDelivered

TIME_LIMIT = 10.0
"""Seconds for all of it: the name, the connection, the request, the answer's status."""

LONGEST_LINE = 16 * 1024
"""Bytes of one line of an answer that are read."""

MOST_LINES = 200
"""Lines of an answer that are read."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
_UNICAST = IPv6Network("2000::/3")
_PORTS = {"https": 443, "http": 80}


class PublicPost:
    """The Post port. `resolve` gives the addresses of a name; by default the system's resolver does, on threads of
    their own. `tls` is how servers are known to be who they are."""

    def __init__(
        self, resolve: Resolve | None = None, *, tls: ssl.SSLContext | None = None, time_limit: float = TIME_LIMIT
    ) -> None:
        self._resolve = resolve or _Resolver().resolve
        self._tls = tls
        self._time_limit = time_limit

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, private: bool) -> int:
        """The status of the answer. Raises NotDelivered."""
        parts = urlsplit(url)
        try:
            async with asyncio.timeout(self._time_limit):
                return await self._exchange(parts, _request(parts, headers, body), private)
        except TimeoutError:
            raise NotDelivered(f"{parts.hostname} did not answer within {self._time_limit:g} s") from None
        except (OSError, ValueError, EOFError) as exc:
            raise NotDelivered(f"{parts.hostname}: {type(exc).__name__}: {str(exc)[:200]}") from None

    async def _exchange(self, parts: SplitResult, request: bytes, private: bool) -> int:
        reader, writer = await self._connect(parts, await self._addresses(parts, private))
        try:
            writer.write(request)
            await writer.drain()
            return await _status(reader)
        finally:
            writer.transport.abort()  # what else it would say is not heard

    async def _addresses(self, parts: SplitResult, private: bool) -> Sequence[str]:
        """Where the name leads. One address that is not public is enough to go to none of them."""
        host, port = _place(parts)
        found = await self._resolve(host, port)
        closed = [address for address in found if not private and not is_public(address)]
        if closed or not found:
            why = f"has the address {closed[0]}, which is not public" if closed else "has no address"
            raise NotDelivered(f"{host} {why}")
        return found

    async def _connect(
        self, parts: SplitResult, addresses: Sequence[str]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To one of exactly these addresses, while the server must be known by its name."""
        host, port = _place(parts)
        tls = await self._context() if parts.scheme == "https" else None
        for address in addresses[:-1]:
            try:
                return await _open(address, port, tls, host)
            except OSError:
                continue
        return await _open(addresses[-1], port, tls, host)

    async def _context(self) -> ssl.SSLContext:
        """Made once, in a thread: it reads the authorities from disk."""
        if self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        return self._tls


class _Resolver:
    """The system's resolver. It may take long, and can't be interrupted: it has threads of its own to wait on."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(4, thread_name_prefix="onward-names")
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port)
        return list(dict.fromkeys(found))


def _look_up(host: str, port: int) -> list[str]:
    return [str(to[0]) for *_, to in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_public(address: str) -> bool:
    """Whether this is the address of one machine on the open internet. An IPv4 address within an IPv6 one, and those
    that a gateway translates, are none: they may lead anywhere."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if not found.is_global or found.is_multicast or found.is_reserved:
        return False
    return isinstance(found, IPv4Address) or _is_public_6(found)


def _is_public_6(address: IPv6Address) -> bool:
    return address in _UNICAST and address.sixtofour is None and address.teredo is None


# --- the little of HTTP that it takes --------------------------------------------------------------------------


def _place(parts: SplitResult) -> tuple[str, int]:
    return parts.hostname or "", parts.port or _PORTS[parts.scheme]


async def _open(
    address: str, port: int, tls: ssl.SSLContext | None, host: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    name = host if tls else None
    return await asyncio.open_connection(address, port, ssl=tls, server_hostname=name, limit=LONGEST_LINE)


def _request(parts: SplitResult, headers: Mapping[str, str], body: bytes) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.netloc.rpartition("@")[2]
    fixed = {"host": host, "user-agent": "onward", "connection": "close", "content-length": str(len(body))}
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in {**headers, **fixed}.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise NotDelivered(f"{parts.hostname}: a header holds a line break")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of the answer; those that only announce one are passed over."""
    for _ in range(MOST_LINES):
        version, status, *_ = [*(await _line(reader)).split(maxsplit=2), b"", b""]
        if not version.startswith(b"HTTP/1.") or not status.isdigit() or len(status) != 3:
            raise ValueError("the answer is no HTTP")
        if int(status) >= 200:
            return int(status)
        while (await _line(reader)).strip():
            continue
    raise ValueError("the answer does not come to an end")


async def _line(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise EOFError("the connection was closed before there was an answer")
    return line
