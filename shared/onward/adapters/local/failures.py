"""What goes wrong with the file, in one line each: what happened, to which file, and what to do."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from onward.errors import Ambiguous, CorruptLog, NotFound, OnwardError, StoreUnavailable, UsageError

NETWORK = ("nfs", "cifs", "smb", "fuse.sshfs", "afs", "ceph", "glusterfs", "fuse.glusterfs", "lustre")
"""How the names of file systems begin that don't lock, or don't share memory, as SQLite's log needs."""

MOUNTS = Path("/proc/mounts")

_PASSING = {
    sqlite3.SQLITE_BUSY: "is locked by another program: try again, or end that program",
    sqlite3.SQLITE_LOCKED: "is locked by another program: try again, or end that program",
    sqlite3.SQLITE_FULL: "can't grow, the disk is full: make room; nothing is lost",
    sqlite3.SQLITE_READONLY: "can't be written: check its permissions, and its directory's",
    sqlite3.SQLITE_PERM: "can't be written: check its permissions, and its directory's",
    sqlite3.SQLITE_CANTOPEN: "can't be opened: check its permissions, and its directory's",
    sqlite3.SQLITE_IOERR: "can't be read or written, the disk reports an error: check the disk",
    sqlite3.SQLITE_NOMEM: "can't be used, memory is short",
}
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def translate(exc: Exception, path: Path) -> Exception:
    """The error to raise for one of SQLite's, where the operation certainly did not happen. Others stay as they are."""
    code = _code(exc)
    if code in _DAMAGED:
        return CorruptLog(f"{path} is damaged ({exc}): restore it from a backup; it was left as it is")
    if code in _PASSING:
        return StoreUnavailable(f"{path} {_PASSING[code]} ({exc})")
    return exc


def translate_commit(exc: Exception, path: Path) -> Exception:
    """The same for a COMMIT: after a disk error, the log on disk may or may not hold it."""
    if _code(exc) == sqlite3.SQLITE_IOERR:
        return Ambiguous(f"{path}: the disk failed during a commit, which may have happened: check the disk ({exc})")
    return translate(exc, path)


def translate_open(exc: Exception, path: Path) -> Exception:
    """The same while the file is being opened, where it is still the caller's to choose another."""
    if _code(exc) == sqlite3.SQLITE_NOTADB:
        return UsageError(f"{path} is not a database: name another file; it was left as it is")
    if _code(exc) in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return UsageError(f"{path} {_PASSING[sqlite3.SQLITE_READONLY]} ({exc})")
    return translate(exc, path)


def is_busy(exc: Exception) -> bool:
    """Whether another process has the file just now."""
    return _code(exc) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _code(exc: Exception) -> int | None:
    """SQLite's primary code, without the details that the higher bits hold."""
    return exc.sqlite_errorcode & 0xFF if isinstance(exc, sqlite3.Error) and hasattr(exc, "sqlite_errorcode") else None


def make_file(path: Path, create: bool) -> None:
    """See that the file is there, can be written, and is nobody else's to read. Raises UsageError, NotFound."""
    check_place(path)
    try:
        os.close(os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600))
    except FileNotFoundError:
        raise NotFound(f"there is no database {path}: name another file, or start a session to make it") from None
    except OSError as exc:
        raise _refusal(exc, path) from exc


def _refusal(exc: OSError, path: Path) -> OnwardError:
    if isinstance(exc, IsADirectoryError):
        return UsageError(f"{path} is a directory: name a file")
    return UsageError(f"{path} can't be written ({exc.strerror}): check its permissions, and its directory's")


def check_place(path: Path, mounts: str | None = None) -> None:
    """Raises UsageError where no database can be: no such directory, or a network file system."""
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no directory {path.parent}: make it, or name another file")
    kind = _file_system(path.parent.resolve(), _mounts() if mounts is None else mounts)
    if kind.startswith(NETWORK):
        raise UsageError(f"{path} is on a network file system ({kind}), which could damage it: name a local file")


def _mounts() -> str:
    try:
        return MOUNTS.read_text(errors="replace")
    except OSError:
        return ""  # not Linux


def _file_system(directory: Path, mounts: str) -> str:
    """The type of the file system that holds the directory, or nothing where it isn't known."""
    rows = (line.split(" ") for line in mounts.splitlines() if line.count(" ") >= 2)
    places = [(_unescaped(place), at, kind) for at, (_, place, kind, *_) in enumerate(rows)]
    above = [(len(place), at, kind) for place, at, kind in places if directory.is_relative_to(place)]
    return max(above)[2] if above else ""


def _unescaped(place: str) -> str:
    for code, char in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        place = place.replace(code, char)
    return place
