"""Sessions as files, on the command line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from onward.core.head import Head
from onward.core.portable import Export, read
from onward.errors import BadInput, CorruptLog, UnreadableLog
from onward.runtime.access import Access
from onward.surfaces.output import Output
from onward.surfaces.text import safe
from onward.surfaces.verbs import Place


def is_there(name: str) -> bool:
    """Whether there is a file of this name, or a pipe."""
    try:
        return Path(name).exists() and not is_directory(name)
    except OSError:  # it is longer than a name may be
        return False


def is_directory(name: str) -> bool:
    """Whether there is a directory of this name."""
    try:
        return Path(name).is_dir()
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be exported, to which file (standard output, if none), and without what."""

    session: str
    file: Path | None
    force: bool
    private: bool
    erase: Collection[str]


async def export(access: Access, wanted: Wanted, output: Output) -> None:
    """Write the file, whole or not at all. Raises BadInput for one that is there, or can't be written."""
    lines = access.export(wanted.session, private=wanted.private, erase=wanted.erase)
    if wanted.file is None:
        return await _piped(lines, output)
    if is_there(str(wanted.file)) and not wanted.force:
        raise BadInput(f"--output: {wanted.file} is there already; --force writes over it")
    try:
        with _whole(wanted.file) as file:
            async for line in lines:
                file.write(line.encode())
    except OSError as exc:
        raise BadInput(f"--output: {wanted.file} can't be written: {exc.strerror or exc}") from exc
    _tell_exported(_checked(wanted.file), wanted.file, output)


async def _piped(lines: AsyncIterator[str], output: Output) -> None:
    """As bytes: an export is UTF-8, whatever the terminal takes."""
    async for line in lines:
        output.out.buffer.write(line.encode())
    output.out.flush()


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A file that has its name only once it is whole, and on the disk."""
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with hidden.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)


def _checked(path: Path) -> Export:
    """What was written, read as anybody would read it."""
    with path.open(encoding="utf-8") as file:
        return read(file)


def _tell_exported(export: Export, file: Path, output: Output) -> None:
    header, erased = export.header, len(export.erased)
    if output.json:
        told = {"session": header.session, "seq": header.seq, "hash": header.hash, "file": str(file)}
        return output.doc(told | {"erased": erased, "left_out": list(header.left_out)})
    without = f", {erased} private fields erased in it" if erased else ""
    output.lines([f"exported: {header.seq} events of session {header.session} to {file}{without}"])
    output.lines([f"head {header.hash}"])


# --- import ----------------------------------------------------------------------------------------------------


async def import_(access: Access, lines: Iterable[str], id: str | None, place: Place, output: Output) -> None:
    """Keep the session in these lines as a recording. Raises BadInput, CorruptLog and Refused."""
    head, new = await access.imported(lines, id)
    _tell_imported(head, new, place, output)


def _tell_imported(head: Head, new: bool, place: Place, output: Output) -> None:
    if output.json:
        from onward.surfaces.documents import session_doc

        return output.doc(session_doc(head) | {"new": new})
    said = "imported" if new else "here already"
    output.lines([f"{said}: session {head.id}, {head.seq} events of program {safe(f'{head.program} {head.version}')}"])
    output.lines(["A recording: it can be looked at, forked and compared, and nothing moves it."])
    output.lines([f"  {place.command('show', head.id)}", f"head {head.hash}"])


def verified(lines: Iterable[str]) -> Export:
    """The export that somebody sends in. Raises BadInput for whatever is wrong with it."""
    try:
        return read(lines)
    except (CorruptLog, UnreadableLog) as exc:
        raise BadInput(f"file: {exc}") from exc
