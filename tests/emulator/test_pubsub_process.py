"""Google's emulators as processes: what is said where they are missing, and that none outlives who started it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emulators import cloud_sdk, pubsub

PATIENCE = 30.0


def test_what_is_missing_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    nothing = {"PATH": str(tmp_path)}
    with pytest.raises(cloud_sdk.Missing, match="install a runtime, version 17"):
        cloud_sdk.find_java(nothing)
    for environment in (nothing, {"CLOUDSDK_ROOT": str(tmp_path)}):
        with pytest.raises(cloud_sdk.Missing, match="gcloud components install pubsub-emulator"):
            cloud_sdk.find_in_sdk(pubsub.JAR, pubsub.COMPONENT, environment)


def test_the_sdk_is_found_by_its_variable_or_beside_its_command(tmp_path: Path) -> None:
    jar = tmp_path / "sdk/platform/pubsub-emulator/lib/cloud-pubsub-emulator-1-all.jar"
    jar.parent.mkdir(parents=True)
    jar.touch()
    command = tmp_path / "sdk/bin/gcloud"
    command.parent.mkdir()
    command.touch(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gcloud").symlink_to(command)
    for environment in ({"CLOUDSDK_ROOT": str(tmp_path / "sdk")}, {"PATH": str(tmp_path / "bin")}):
        assert cloud_sdk.find_in_sdk(pubsub.JAR, pubsub.COMPONENT, environment) == jar


def test_one_that_does_not_start_says_why() -> None:
    command = ["/bin/sh", "-c", "echo it is too late; exit 3"]
    with pytest.raises(cloud_sdk.Failed, match="it is too late"):
        cloud_sdk.SdkEmulator("emulator", command, cloud_sdk.free_port())


SERVER = """
import http.server, sys
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
server.serve_forever()
"""
STARTER = """
import sys, time
from emulators.cloud_sdk import SdkEmulator
emulator = SdkEmulator("emulator", [sys.executable, "-c", sys.argv[1], sys.argv[2]], int(sys.argv[2]))
print("here", flush=True)
time.sleep(600)
"""


def test_one_ends_with_whoever_started_it_however_that_ends() -> None:
    port = cloud_sdk.free_port()
    command = [sys.executable, "-c", STARTER, SERVER, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "here\n"
        assert listens(port)
        starter.kill()
    end = time.monotonic() + PATIENCE
    while listens(port):
        assert time.monotonic() < end, "it is still there"
        time.sleep(0.02)


def listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
