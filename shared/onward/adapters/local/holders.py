"""Who is alive: each process that may hold leases keeps a lock on a file of its own for its life (R3).

A lock goes when its process ends, however it ends, so whoever can take it knows that the process is dead. Ids are
random and never used again: a file that is gone means the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import re
import secrets
import threading
import weakref
from pathlib import Path

_ID = re.compile(r"[0-9a-f]{16}")


class Holders:
    """This process's own life sign, and a look at those of others."""

    def __init__(self, database: Path) -> None:
        self._prefix = f"{database.name}-holder-"
        self._directory = database.parent
        self._id: str | None = None
        self._fd: int | None = None
        self._beginning = threading.Lock()
        _EVERY.add(self)

    @property
    def id(self) -> str:
        """This process's id, which no other has or ever had. Its life sign begins with the first use."""
        with self._beginning:
            if self._id is None:
                id = secrets.token_hex(8)
                self._fd = self._begin(id)
                self._id = id
            return self._id

    def _begin(self, id: str) -> int:
        """The file gets its name only when it is locked, so that nobody ever sees it without a lock."""
        hidden = self._directory / f".{self._prefix}{id}"
        fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(self._file(id))
        except BaseException:
            os.close(fd)
            raise
        return fd

    def is_dead(self, owner: str) -> bool:
        """Whether the process of this owner (`<id>` or `<id>:<anything>`) has certainly ended."""
        id = owner.partition(":")[0]
        if not _ID.fullmatch(id) or id == self._id:
            return False
        try:
            fd = os.open(self._file(id), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        try:
            # Shared, so that two who look at the same time don't take each other for the holder.
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            self._file(id).unlink(missing_ok=True)
        except OSError:
            return False
        finally:
            os.close(fd)
        return True

    def clean(self) -> None:
        """Remove the files of the dead."""
        for id in self._known():
            self.is_dead(id)

    def alive(self) -> int:
        """How many processes use the database, this one too if it has begun."""
        return sum(not self.is_dead(id) for id in self._known())

    def _known(self) -> list[str]:
        files = self._directory.glob(f"{glob.escape(self._prefix)}*")
        return [file.name.removeprefix(self._prefix) for file in files]

    def close(self) -> None:
        """This process will hold nothing more."""
        with self._beginning:
            if self._fd is not None and self._id is not None:
                self._file(self._id).unlink(missing_ok=True)
                os.close(self._fd)
                self._fd = None

    def abandon(self) -> None:
        """Close without a word, as death would."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _file(self, id: str) -> Path:
        return self._directory / f"{self._prefix}{id}"


_EVERY: weakref.WeakSet[Holders] = weakref.WeakSet()


def _forget() -> None:
    """A forked child shares its parent's locks; kept there, they would outlive the parent."""
    for holders in _EVERY:
        with contextlib.suppress(OSError):
            holders.abandon()


os.register_at_fork(after_in_child=_forget)
