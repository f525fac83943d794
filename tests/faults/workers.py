"""Worker processes (`tests.faults.process`), as the test that starts them sees them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.ledger import Ledger

ROOT = Path(__file__).parents[2]


class Workers:
    """Worker processes at one place, each replaced when it has died; each looks at `session` first, if there is one."""

    def __init__(self, place: str | Path, ledger: Ledger, count: int, ttl: float = 90.0, session: str = "") -> None:
        self._command = [sys.executable, "-m", "tests.faults.process", str(place), ledger.address, str(ttl)]
        self._command += [session] if session else []
        self._workers = [self._start() for _ in range(count)]
        self.died = 0

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(ROOT / "shared"), str(ROOT)])
        return subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def kill(self, index: int) -> None:
        """SIGKILL."""
        self._workers[index].kill()

    def freeze(self, index: int) -> None:
        """It stands still, all its threads with it, until `thaw`."""
        self._workers[index].send_signal(signal.SIGSTOP)

    def thaw(self, index: int) -> None:
        self._workers[index].send_signal(signal.SIGCONT)

    def replace_dead(self) -> None:
        for index, worker in enumerate(self._workers):
            if worker.poll() is not None:
                worker.communicate()
                self.died += 1
                self._workers[index] = self._start()

    def end(self) -> None:
        for worker in self._workers:
            worker.kill()
            worker.communicate()
