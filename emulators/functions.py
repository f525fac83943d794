"""The functions as processes of their own, served by Google's functions framework as in production."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from emulators.cloud_sdk import STARTS_IN, Failed, Missing, free_port

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "functions" / "main.py"
NAMES = ("advance", "resume", "sweep", "api")


class Function:
    """One function at `url`, from its start until it is closed. What it logs goes to the file `log`.

    With another `source` it is served as it would be where it is deployed: from its own folder and with nothing else on
    its path, by this `python`."""

    def __init__(
        self, name: str, log: Path, port: int = 0, *, source: Path = SOURCE, python: str = sys.executable
    ) -> None:
        if importlib.util.find_spec("functions_framework") is None:
            raise Missing("functions-framework is missing: pip install -e '.[dev]'")
        self.name, self.log, self._port = name, log, port or free_port()
        self._source, self._python = source, python
        self.url = f"http://127.0.0.1:{self._port}/"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it with these settings added to the environment, and wait until it listens. Raises Failed."""
        command = [sys.executable, str(ROOT / "emulators" / "guarded.py"), self._python, "-m", "functions_framework"]
        command += ["--target", self.name, "--source", str(self._source)]
        command += ["--host", "127.0.0.1", "--port", str(self._port)]
        here = self._source == SOURCE
        path = f"{ROOT}:{ROOT}/shared" if here else ""
        added = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1,localhost"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=None if here else self._source.parent,
                env=dict(os.environ) | added | dict(environment),
            )
        self._await()

    def _await(self) -> None:
        assert self._process is not None
        end = time.monotonic() + STARTS_IN
        while not _listens(self._port):
            if self._process.poll() is not None or time.monotonic() > end:
                raise Failed(f"the function {self.name} did not start: {self.said()}")
            time.sleep(0.02)

    def said(self) -> str:
        """The end of what it logged."""
        return self.log.read_text(errors="replace")[-1500:].strip() or "it said nothing"

    def kill(self) -> int:
        """Kill the process that serves, as `kill -9` does, and answer its id. The framework starts another."""
        assert self._process is not None
        (framework,) = _children(self._process.pid)
        (serving,) = _children(framework)
        os.kill(serving, signal.SIGKILL)
        return serving

    def close(self) -> None:
        """Ask it to end, and wait until it and all that it started is gone."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(STARTS_IN)


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        tried.settimeout(1)
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _children(process: int) -> list[int]:
    said = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(pid) for pid, parent in map(str.split, said.splitlines()) if int(parent) == process]
