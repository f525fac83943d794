"""Runs a command until it ends, or the pipe at its input does: `python -m emulators.guarded COMMAND ...`.

So the command ends with whoever holds the other end, however that ends. It is asked first, by SIGTERM; then everything
that it started is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

PATIENCE = 10.0
"""Seconds between asking and killing, as on Cloud Run."""


def main() -> int:
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: command.terminate())
    threading.Thread(target=_end_with_pipe, args=(command,), daemon=True).start()
    code = command.wait()
    _kill_the_rest()
    return code


def _end_with_pipe(command: subprocess.Popen[bytes]) -> None:
    sys.stdin.buffer.read()
    command.terminate()
    try:
        command.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        _kill_the_rest()


def _kill_the_rest() -> None:
    """Everything of this session's group, this process included."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
