"""The emulator's comings and goings."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emulators.cloud_sdk import Missing, find_java
from emulators.firestore import JAR, find_jar

ROOT = Path(__file__).parents[2]


def listens(host: str) -> bool:
    name, port = host.split(":")
    try:
        with socket.create_connection((name, int(port)), 1):
            return True
    except OSError:
        return False


def test_it_is_gone_with_whoever_started_it(firestore: str) -> None:
    """Even where that one was killed. It asks for `firestore` so as to be left out where there is none."""
    command = [sys.executable, "-m", "emulators.firestore", "--port", "0"]
    starter = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    with starter:
        name, _, host = starter.stdout.readline().strip().partition("=")
        assert name == "FIRESTORE_EMULATOR_HOST"
        assert host != firestore
        assert listens(host)
        starter.kill()
    while listens(host):  # the test's own time limit ends this
        time.sleep(0.02)
    assert listens(firestore)


def test_what_is_missing_is_said_with_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(Missing, match=r"Firestore emulator is missing: .*gcloud components install.*CLOUDSDK_ROOT"):
        find_jar({"PATH": str(tmp_path)})
    with pytest.raises(Missing, match="Firestore emulator is missing"):
        find_jar({"CLOUDSDK_ROOT": str(tmp_path)})
    with pytest.raises(Missing, match=r"Java is missing, .*version 17"):
        find_java({"PATH": str(tmp_path)})


def test_the_sdk_is_found_where_it_is_said_to_be_and_beside_gcloud(tmp_path: Path) -> None:
    jar = tmp_path / JAR
    jar.parent.mkdir(parents=True)
    jar.touch()
    assert find_jar({"CLOUDSDK_ROOT": str(tmp_path)}) == jar
    gcloud = tmp_path / "bin/gcloud"
    gcloud.parent.mkdir()
    gcloud.touch(0o755)
    assert find_jar({"PATH": str(gcloud.parent)}) == jar
