"""What the emulators of the Google Cloud SDK have in common: a jar, run by Java, and gone with whoever started it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m")
"""For runs of a few minutes. Long ones are quicker without."""

STARTS_IN, STOPS_IN = 60.0, 20.0
"""Seconds, on a machine that has much else to do."""

_GUARDED = 'exec 3<&0 </dev/null; "$@" 3<&- & child=$!; (read -r _ <&3; kill $child) & wait $child'
"""The shell kills the command once the pipe at its input is closed: by us, or by our death."""


class Missing(Exception):
    """What is not on this machine; the message says how to get it."""


class Failed(Exception):
    """The emulator did not start; the message has the end of what it said."""


def find_java(environment: Mapping[str, str] = os.environ) -> str:
    """The `java` of JAVA_HOME, else of the path. Raises Missing."""
    home = environment.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else environment.get("PATH"))
    if java is None:
        raise Missing("Java is missing, which Google's emulators need: install a runtime, version 17 or newer")
    return java


def find_in_sdk(pattern: str, component: str, environment: Mapping[str, str] = os.environ, called: str = "") -> Path:
    """The file of this pattern below CLOUDSDK_ROOT, else beside `gcloud`. Raises Missing, naming the component, which
    people may know as `called`."""
    gcloud = shutil.which("gcloud", path=environment.get("PATH"))
    root = environment.get("CLOUDSDK_ROOT")
    roots = [Path(root)] if root else list(Path(gcloud).resolve().parents) if gcloud else []
    for found in (path for root in roots if (root / "platform").is_dir() for path in sorted(root.glob(pattern))):
        return found
    name, package = called or f"Google Cloud SDK's {component}", component.removeprefix("cloud-")
    raise Missing(
        f"the {name} is missing: install the Google Cloud CLI and its component "
        f"(gcloud components install {component}, or the package google-cloud-cli-{package}), "
        "or set CLOUDSDK_ROOT to where it is"
    )


class SdkEmulator:
    """A command that serves HTTP on this machine at `address` from its making until it is closed. Raises Failed."""

    guard = _GUARDED
    starts_in = STARTS_IN

    def __init__(self, name: str, command: Sequence[str], port: int, **settings: Any) -> None:
        """`settings` are those of `subprocess.Popen`: where it runs, and in which environment."""
        self.address = f"127.0.0.1:{port}"
        self._name = name
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", self.guard, name, *command],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **settings,
        )
        try:
            self.await_answers()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> SdkEmulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop it, and wait until it is gone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOPS_IN)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()

    def wait(self) -> None:
        """Until it has ended by itself."""
        self._process.wait()

    def await_answers(self) -> None:
        """Until it can be used. Raises Failed."""
        self.await_answer(self.address)

    def await_answer(self, address: str) -> None:
        """Until it serves there. Raises Failed."""
        end = time.monotonic() + self.starts_in
        while not answers(address):
            if self._process.poll() is not None or time.monotonic() > end:
                self._log.seek(0)
                said = self._log.read().decode(errors="replace")[-1000:].strip() or "it said nothing"
                raise Failed(f"the {self._name} did not start: {said}")
            time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""For what is on this machine: no proxy."""


def answers(address: str) -> bool:
    """Whether something serves HTTP there."""
    try:
        with OPENER.open(f"http://{address}/", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
