"""`onward dev` as a process: it moves sessions, serves their API to this machine, and ends when asked to."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.http_client import Answer, Client
from tests.e2e.command import Desk

DEV = ("dev", "desk.py", "--model", "scripted:turns.json")
ROLES = '[[grants]]\nwho = ["ann"]\nroles = ["viewer"]\n'


class Dev(Client):
    """The server of a desk, once it serves."""

    def __init__(self, desk: Desk) -> None:
        self.process = desk.start(*DEV, "--no-browser", "--port", "0", "--json")
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1].decode()
        super().__init__(json.loads(line)["url"], lambda who: who)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, None, None, **headers)

    async def post(self, path: str, doc: Any = None, **headers: str) -> Answer:
        return await self.ask("POST", path, doc, None, **headers)


@pytest.fixture
def dev(desk: Desk) -> Iterator[Dev]:
    return Dev(desk)


async def test_a_session_is_started_decided_and_followed_on_one_machine(desk: Desk, dev: Dev) -> None:
    assert (await dev.get("me")).doc["name"] == "ann"
    start = {"program": "desk", "input": "My order came broken.", "id": "d-1"}
    assert (await dev.post("sessions", start)).status == 201
    stream = await dev.live("sessions/d-1/events")
    frames = stream.frames()
    async for frame in frames:
        if frame.data and frame.data["kind"] == "approval_requested":
            asked = frame.data["body"]
            break
    decision = {"call": asked["call"], "digest": asked["digest"], "verdict": "approved"}
    assert (await dev.post("sessions/d-1/decisions", decision)).status == 200
    kinds = [frame.data.get("kind", frame.name) async for frame in frames if frame.data]
    assert kinds[-2:] == ["session_completed", "end"]
    assert len(desk.books()) == 1
    assert '"kind":"session_completed"' in desk.run("events", "d-1", "--json").out  # another process, the same file
    await dev.drop()
    ended = desk.end(dev.process, signal.SIGINT)
    assert (ended.code, ended.err, json.loads(ended.out.splitlines()[-1])["worker"]) == (0, "", "stopped")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:8600", "", "[::1"])
async def test_a_name_that_leads_here_is_not_this_machines(dev: Dev, host: str) -> None:
    assert (await dev.get("sessions", host=host)).said == (403, "wrong_host")
    assert (await dev.get("sessions", host="localhost:1")).status == 200


async def test_it_ends_though_somebody_still_watches(desk: Desk, dev: Dev) -> None:
    await dev.post("sessions", {"program": "desk", "input": "Hi", "id": "d-2"})
    stream = await dev.live("sessions/d-2/events")
    ended = desk.end(dev.process, signal.SIGTERM)
    assert ended.code == 0
    frames = [frame async for frame in stream.frames()]
    assert frames[-1].comment == "come again"
    await dev.drop()


async def test_a_table_of_roles_can_be_tried(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.path / "roles.toml").write_text(ROLES)
    env = desk.env | {"ONWARD_ROLES": "roles.toml"}
    monkeypatch.setattr(Desk, "env", env)
    dev = Dev(desk)
    assert (await dev.get("sessions")).status == 200
    assert (await dev.post("sessions", {"program": "desk", "input": "Hi"})).said == (403, "not_allowed")
    (desk.path / "roles.toml").write_text(ROLES.replace("viewer", "boss"))
    wrong = desk.run(*DEV, "--no-browser", "--port", "0")
    assert (wrong.code, "roles.toml: grants.0.roles.0: " in wrong.err) == (2, True)


def test_a_port_that_is_taken_is_named(desk: Desk) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        wrong = desk.run(*DEV, "--no-browser", "--port", port)
    assert (wrong.code, f"--port: {port} can't be had on 127.0.0.1" in wrong.err) == (2, True)


def test_a_browser_is_shown_what_is_served(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = tmp_path / "shown"
    (tmp_path / "browser").write_text(f'#!/bin/sh\necho "$1" > {shown}.part && mv {shown}.part {shown}\n')
    (tmp_path / "browser").chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{tmp_path / 'browser'} %s")
    process = desk.start(*DEV, "--port", "0", "--json")
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"]
    desk._until(shown.exists, "no browser was opened")
    assert shown.read_text() == f"{url}/\n"
    assert desk.end(process, signal.SIGINT).code == 0


def test_it_is_for_files(desk: Desk) -> None:
    wrong = desk.run("dev", "desk.py", "--project", "my-project")
    assert (wrong.code, "has an API of its own" in wrong.err) == (2, True)
