"""The outside world, kept in another process: what was done there, no crash of ours can take back.

    ledger = start()                  # a process of its own
    ledger.book("run", "refund", {...})
    ledger.entries("run")

It books whatever it is told, repeats too. Any process reaches it under its `address`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

Entry = tuple[str, dict[str, Any]]


class Ledger:
    """The way to it. Made anew in each process, and usable from any thread."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._line: Connection = Client(address, "AF_UNIX")
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def book(self, run: str, what: str, details: dict[str, Any]) -> None:
        """Write down that this was done. It is once it has left this process, and nobody waits for an answer."""
        with self._lock:
            self._line.send(("book", run, (what, details)))

    def book_surely(self, run: str, what: str, details: dict[str, Any]) -> None:
        """The same, and it is in the book when this returns: for whoever else asks on a line of their own."""
        self.book(run, what, details)
        self._ask("asked", run, None)

    def entries(self, run: str) -> list[Entry]:
        """Everything that was done in this run, in order."""
        entries: list[Entry] = self._ask("entries", run, None)
        return entries

    def forget(self, run: str) -> None:
        """The run is over."""
        with self._lock:
            self._line.send(("forget", run, None))

    def _ask(self, *question: Any) -> Any:
        with self._lock:
            self._line.send(question)
            return self._line.recv()

    @classmethod
    @contextlib.contextmanager
    def at(cls, address: str) -> Iterator[Ledger]:
        """The way to it for as long as a block runs."""
        ledger = cls(address)
        yield ledger
        ledger.close()

    def close(self) -> None:
        self._line.close()
        if self._process is not None:
            self._process.communicate()
            shutil.rmtree(Path(self.address).parent, ignore_errors=True)


def start() -> Ledger:
    """Start the other process, and connect to it."""
    address = str(Path(tempfile.mkdtemp(prefix="ledger-")) / "ledger")
    process = subprocess.Popen(
        [sys.executable, __file__, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    ledger = Ledger(address)
    ledger._process = process
    return ledger


def end_with_parent() -> None:
    """End this process when the one that started it, and holds the other end of its stdin, has ended."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def _serve(address: str) -> None:
    books: dict[str, list[Entry]] = defaultdict(list)
    with Listener(address, "AF_UNIX") as listener:
        print("ready", flush=True)
        while True:
            line = listener.accept()
            threading.Thread(target=_answer, args=(line, books), daemon=True).start()


def _answer(line: Connection, books: dict[str, list[Entry]]) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            what, run, entry = line.recv()
            if what == "book":
                books[run].append(entry)
            elif what == "entries":
                line.send(list(books[run]))
            elif what == "forget":
                books.pop(run, None)
            else:
                line.send(None)


if __name__ == "__main__":
    end_with_parent()
    _serve(sys.argv[1])
