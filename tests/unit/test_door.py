"""The door that every request passes: what it turns away is heard by whoever sent it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from onward.errors import Unidentified
from onward.surfaces.http.door import Door
from onward.surfaces.http.problems import answer

PARTS = [b'{"program": "desk", ', b'"input": "Hi"', b"}"]


async def _nobody(headers: Mapping[str, str]) -> str:
    raise Unidentified("authorization: it is missing")


async def _ann(headers: Mapping[str, str]) -> str:
    return "ann"


class Line:
    """A connection: what is still to be received, and what was sent when how much of that was left."""

    def __init__(self, parts: list[bytes]) -> None:
        self.left = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        self.left[-1]["more_body"] = False
        self.sent: list[tuple[dict[str, Any], int]] = []

    async def receive(self) -> Any:
        assert self.left, "nothing more is to come, and who asks for it waits for ever"
        return self.left.pop(0)

    async def send(self, message: Any) -> None:
        self.sent.append((message, len(self.left)))

    @property
    def status(self) -> int:
        return int(self.sent[0][0]["status"])


@pytest.mark.parametrize(
    ("who", "headers", "status"),
    [
        (_nobody, {}, 401),
        (_ann, {"onward-deployment": "elsewhere/onward"}, 409),
        (_ann, {"origin": "https://evil.example"}, 403),
        (_ann, {"content-length": "99999999999"}, 413),
        (_ann, {"content-type": "text/plain"}, 415),
    ],
)
async def test_g15_a_refusal_is_not_sent_before_the_request_has_come_whole(
    who: Any, headers: dict[str, str], status: int
) -> None:
    """A connection that is closed while something is still to be read is reset, and the answer may go with it."""
    line = Line(PARTS)
    pairs = [(name.encode(), value.encode()) for name, value in ({"host": "x"} | headers).items()]
    scope = {"type": "http", "method": "POST", "path": "/v1/sessions", "headers": pairs}

    await Door(_never, who, lambda _, exc: answer(exc), "here/onward", None)(scope, line.receive, line.send)

    assert line.status == status
    assert [left for _, left in line.sent] == [0, 0]


async def test_what_was_received_whole_is_not_waited_for_again() -> None:
    line = Line([b""])
    scope = {"type": "http", "method": "GET", "path": "/v1/me", "headers": []}

    async def reads_and_refuses(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise Unidentified("somebody else is wanted")

    await Door(reads_and_refuses, _ann, lambda _, exc: answer(exc), None, None)(scope, line.receive, line.send)

    assert line.status == 401


async def _never(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("it was to be turned away")
