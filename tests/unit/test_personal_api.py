"""The API as a client sees it: whose token it sends, where to, and what an answer means."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from onward.adapters.gcp.api import FRESH, PersonalApi
from onward.core.files import File
from onward.errors import BadInput, NotAllowed, NotFound, OnwardError, Refused, Retryable, Unidentified
from onward.testing.clock import ManualClock


def token(email: str, expires: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"email": email, "exp": expires}).encode()).decode().rstrip("=")
    return f"e30.{claims}.signature"


class Server:
    """Answers every request with what it is told to, and keeps them."""

    def __init__(self) -> None:
        self.status, self.text, self.headers = 200, "{}", {}
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked.append((self.command, self.path, dict(self.headers), json.loads(body)))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(outer.text.encode())

            def log_message(self, *_: object) -> None:
                return None

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def lasting(clock: ManualClock, email: str = "ann@x.org", seconds: float = 3600) -> str:
    return token(email, clock.now().timestamp() + seconds)


async def test_it_asks_in_the_name_that_the_token_says(server: Server, clock: ManualClock) -> None:
    given = lasting(clock)
    api = PersonalApi(f"{server.url}/", given, "p/d", clock)
    server.text = '{"decided": true}'
    assert await api.person() == "ann@x.org"
    file = File(data=b"abc", media_type="text/plain", name="a.txt")
    assert await api.ask("POST", "/v1/sessions", {"input": ["Hi", file]}) == {"decided": True}
    ((method, path, headers, body),) = server.asked
    assert (method, path) == ("POST", "/v1/sessions")
    assert headers["Authorization"] == headers["X-Serverless-Authorization"] == f"Bearer {given}"
    assert headers["Onward-Deployment"] == "p/d"
    assert body["input"][1]["$file"]["data"] == "YWJj"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "bad_input", BadInput),
        (401, "unidentified", Unidentified),
        (403, "not_approver", NotAllowed),
        (404, "not_found", NotFound),
        (409, "wrong_digest", Refused),
        (500, "error", Retryable),
        (503, "unavailable", Retryable),
    ],
)
async def test_what_is_wrong_is_raised_as_the_library_would(
    server: Server, clock: ManualClock, status: int, code: str, kind: type[OnwardError]
) -> None:
    server.status, server.text = status, json.dumps({"code": code, "detail": "no: it stands", "stands": "it stands"})
    with pytest.raises(kind, match="no: it stands") as caught:
        await PersonalApi(server.url, lasting(clock), "p/d", clock).ask("POST", "/v1/sessions", {})
    assert status == 500 or caught.value.code == code


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, Unidentified, r"lets ann@x.org not in \(401\): the role run.invoker is needed"),
        (403, Unidentified, r"lets ann@x.org not in \(403\)"),
        (404, Retryable, "is ONWARD_API_URL right"),
        (200, Retryable, "is ONWARD_API_URL right"),
    ],
)
async def test_what_stands_before_the_api_is_told_from_it(
    server: Server, clock: ManualClock, status: int, kind: type[OnwardError], words: str
) -> None:
    server.status, server.text = status, "<html>something else</html>"
    with pytest.raises(kind, match=words):
        await PersonalApi(server.url, lasting(clock), "p/d", clock).ask("POST", "/v1/sessions", {})


async def test_a_token_follows_no_redirect(server: Server, clock: ManualClock) -> None:
    server.status, server.headers = 307, {"Location": f"{server.url}/elsewhere"}
    with pytest.raises(Retryable, match="answered 307"):
        await PersonalApi(server.url, lasting(clock), "p/d", clock).ask("POST", "/v1/sessions", {})
    assert [path for _, path, _, _ in server.asked] == ["/v1/sessions"]


async def test_an_api_that_is_away_may_be_asked_again(clock: ManualClock) -> None:
    given = lasting(clock)
    with pytest.raises(Retryable, match=r"did not answer: .+; the same again does no harm") as caught:
        await PersonalApi("http://127.0.0.1:1", given, "p/d", clock).ask("POST", "/v1/sessions", {})
    assert given not in str(caught.value)


# --- whose token it is -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", ["x", "a.b.c", "e30.e30.s", "e30.W10.s", f"e30.{'A' * 5}.s", "e30.e30.s\n", "e30.e30.\u00fc"]
)
async def test_g15_what_is_no_token_is_refused_and_not_shown(clock: ManualClock, wrong: str) -> None:
    with pytest.raises(Unidentified, match="it is no identity token that names an e-mail address") as caught:
        await PersonalApi("http://localhost:1", f"{wrong}secret", "p/d", clock).person()
    assert "secret" not in str(caught.value)


def gcloud(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """A gcloud that notes each run of it."""
    ran = folder / "ran"
    (folder / "gcloud").write_text(f'#!/bin/sh\necho "$@" >> {ran}\n{script}\n')
    (folder / "gcloud").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return ran


async def test_who_is_logged_in_to_gcloud_decides_and_is_asked_for_again_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    ran = gcloud(tmp_path, monkeypatch, f"cat {tmp_path / 'token'}")
    (tmp_path / "token").write_text(lasting(clock, "ben@x.org", FRESH + 10))
    api = PersonalApi("http://localhost:1", None, "p/d", clock)
    assert [await api.person(), await api.person()] == ["ben@x.org"] * 2
    assert ran.read_text() == "auth print-identity-token\n"
    clock.advance(11)
    (tmp_path / "token").write_text(lasting(clock, "cleo@x.org"))
    assert await api.person() == "cleo@x.org"


async def test_without_a_login_it_is_said_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    gcloud(tmp_path, monkeypatch, "echo 'ERROR: nobody is logged in.' >&2; echo 'A long story' >&2; exit 1")
    api = PersonalApi("http://localhost:1", None, "p/d", clock)
    with pytest.raises(Unidentified, match=r"gcloud says: ERROR: nobody is logged in\. Log in with gcloud auth login"):
        await api.person()
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(Unidentified, match=r"gcloud does not run \(FileNotFoundError\)\. Log in with gcloud auth"):
        await api.person()
