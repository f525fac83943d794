"""Google's emulators, started by the Firebase CLI: a session runs on them, and they end with whoever started them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emulators import cloud_sdk, firestore, pubsub
from emulators.cloud import SESSIONS
from emulators.firebase import CONFIG, Firebase, find_cli, find_java_21
from onward.config import CloudSettings
from onward.errors import NotFound
from onward.surfaces.http.caller import Caller
from onward.wiring import cloud as parts_of
from tests.cloud.test_emulators import listens

ROOT = Path(__file__).parents[2]
DESK = Path(__file__).with_name("desk.py")
PATIENCE = 60.0


# --- the real one ---------------------------------------------------------------------------------------------------


@pytest.fixture
def needed() -> None:
    """Without the Cloud SDK the CLI would download what it starts: that is no part of a test."""
    try:
        find_cli(), find_java_21(), firestore.find_jar(), cloud_sdk.find_in_sdk(pubsub.JAR, pubsub.COMPONENT)
    except cloud_sdk.Missing as exc:
        pytest.skip(str(exc))


@contextmanager
def the_cloud(folder: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """`make emulators ARGS='--with firebase'`, and what it prints to be exported."""
    command = [sys.executable, "-m", "emulators", "--with", "firebase", "--app", str(DESK), "--logs", str(folder)]
    env = {**os.environ, "LEDGER": str(folder / "ledger"), "TMPDIR": str(folder)}
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, _exported(process)
        finally:
            process.kill()


def _exported(process: subprocess.Popen[str]) -> dict[str, str]:
    said = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(shlex.split(line, comments=True))
        if "Ctrl-C" in line:
            break
    pairs = [words[1].partition("=") for words in said if words[:1] == ["export"]]
    return {name: value for name, _, value in pairs}


async def completed(exported: dict[str, str], session: str) -> list[str]:
    """The kinds of its events, once it is completed."""
    parts = parts_of(CloudSettings.from_env(exported))
    try:
        sessions, end, kinds = Caller(parts, "test"), time.monotonic() + PATIENCE, list[str]()
        while "session_completed" not in kinds:
            assert time.monotonic() < end, kinds
            await asyncio.sleep(0.1)
            kinds = await _kinds(sessions, session)
        return kinds
    finally:
        await parts.close()


async def _kinds(sessions: Caller, session: str) -> list[str]:
    try:
        return [event.kind async for event in sessions.events(session)]
    except NotFound:
        return []


def publish(exported: dict[str, str], doc: object) -> None:
    topic = f"projects/{exported['GOOGLE_CLOUD_PROJECT']}/topics/{SESSIONS}"
    data = base64.b64encode(json.dumps(doc).encode()).decode()
    pubsub.Topics(exported["PUBSUB_EMULATOR_HOST"]).publish(topic, data)


def processes() -> dict[int, int]:
    """All that live, each with its parent."""
    said = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in said.splitlines()]
    return {int(pid): int(parent) for pid, parent, state in lines if not state.startswith("Z")}


def started_by(process: int) -> set[int]:
    parents, found = processes(), {process}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


async def test_a_session_runs_on_them_and_they_end_with_whoever_started_them(needed: None, tmp_path: Path) -> None:
    with the_cloud(tmp_path) as (process, exported):
        publish(
            exported, {"version": 1, "session": "s", "kind": "start", "body": {"program": "pack-desk", "input": "Hi"}}
        )
        kinds = await completed(exported, "s")
        started = started_by(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert "call_completed" in kinds
    assert len(started) > 10
    end = time.monotonic() + PATIENCE
    while left := started & processes().keys():
        assert time.monotonic() < end, left
        await asyncio.sleep(0.1)


def test_nothing_is_left_once_it_is_closed(needed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Firebase():
        (folder,) = tmp_path.iterdir()
        emulators = json.loads((folder / CONFIG.name).read_text())["emulators"]
        ports = [emulators[name]["port"] for name in ("firestore", "pubsub", "hub")]
        assert all(map(listens, ports))
    assert list(tmp_path.iterdir()) == []
    end = time.monotonic() + PATIENCE  # a port may be somebody else's for a moment
    while any(map(listens, ports)):
        assert time.monotonic() < end, ports
        time.sleep(0.1)


# --- what is missing, or fails: a CLI and a Java that only talk ------------------------------------------------------


def script(path: Path, *lines: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A machine with Java 21, and a CLI that says what it was given and ends."""
    script(tmp_path / "bin" / "java", "echo 'openjdk version \"21.0.8\" 2025-07-15' >&2")
    said = "gave=$FIRESTORE_EMULATOR_BINARY_PATH,$PUBSUB_EMULATOR_BINARY_PATH"
    script(tmp_path / "bin" / "firebase", f'echo "$@"; echo "{said}"; exit 1')
    return {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "CLOUDSDK_ROOT": str(tmp_path / "sdk")}


def test_a_cli_that_is_missing_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bin" / "firebase").unlink()
    with pytest.raises(cloud_sdk.Missing, match="Firebase CLI is missing: npm install -g firebase-tools"):
        Firebase(environment | {"PATH": str(tmp_path / "bin")})


@pytest.mark.parametrize("said", ['openjdk version "17.0.15" 2025-04-15', 'java version "1.8.0_292"', "no Java here"])
def test_a_java_that_is_too_old_is_none(environment: dict[str, str], tmp_path: Path, said: str) -> None:
    script(tmp_path / "bin" / "java", f"echo '{said}' >&2")
    with pytest.raises(cloud_sdk.Missing, match=r"Java 21 is missing, or a newer one.*: install .*FIREBASE_JAVA_HOME"):
        Firebase(environment)


def test_the_cli_may_have_a_java_of_its_own(environment: dict[str, str], tmp_path: Path) -> None:
    own = script(tmp_path / "own" / "bin" / "java", "echo 'openjdk version \"25\" 2025-09-16' >&2")
    script(tmp_path / "bin" / "java", "echo 'openjdk version \"17.0.15\"' >&2")
    assert find_java_21(environment | {"FIREBASE_JAVA_HOME": str(tmp_path / "own")}) == own
    with pytest.raises(cloud_sdk.Missing, match="Java 21"):
        find_java_21(environment | {"FIREBASE_JAVA_HOME": str(tmp_path)} | {"PATH": str(tmp_path)})


@pytest.mark.parametrize(("held", "given"), [((), "gave=,"), ((firestore.JAR, pubsub.JAR), r"gave=/\S+\.jar,/\S+")])
def test_what_the_sdk_has_is_not_downloaded(
    environment: dict[str, str], tmp_path: Path, held: tuple[str, ...], given: str
) -> None:
    (tmp_path / "sdk" / "platform").mkdir(parents=True)
    for jar in held:
        script(tmp_path / "sdk" / jar.replace("*", "1.0"))
    with pytest.raises(cloud_sdk.Failed, match=f"Firebase CLI did not start: emulators:start .*\n{given}$"):
        Firebase(environment)
