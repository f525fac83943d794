"""`onward replay`: recorded sessions against the application of today, one line for each."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onward.core.comparing import compare
from onward.core.comparing import doc as comparison_doc
from onward.core.divergence import Same
from onward.core.portable import Export, read, write
from onward.core.program import Programs
from onward.core.trajectory import trajectory
from onward.errors import BadInput, CorruptLog, OnwardError, UnreadableLog
from onward.programs.app import load_target
from onward.programs.replaying import programs_of
from onward.runtime import Runtime
from onward.runtime.access import Access
from onward.runtime.replaying import replay_export
from onward.runtime.rerun import rerun
from onward.surfaces.output import Output
from onward.surfaces.porting import is_directory, is_there
from onward.surfaces.running import Plan
from onward.surfaces.text import safe
from onward.wiring import Policy

AS_RECORDED, AGAIN = "recorded", "again"
"""The sessions of a database in which one is run again."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What is to be replayed: ids of sessions, and exported files, in the order in which they were named."""

    named: tuple[str | Path, ...]

    @classmethod
    def of(cls, words: Sequence[str]) -> Sources:
        """Files, directories of *.jsonl, patterns of files, and ids. Raises BadInput for a pattern or a directory that
        has none, and for what looks like a file and is not there."""
        return cls(tuple(each for word in words for each in _named(word)))

    @property
    def ids(self) -> bool:
        """Whether a database is needed."""
        return any(isinstance(each, str) for each in self.named)


def _named(word: str) -> Sequence[str | Path]:
    if is_there(word):
        return [Path(word)]
    path, many, is_pattern = Path(word), is_directory(word), any(char in word for char in "*?[")
    found = sorted(path.glob("*.jsonl")) if many else _matching(path) if is_pattern else []
    if not found and (many or is_pattern or path.suffix == ".jsonl" or len(path.parts) > 1):
        raise BadInput(f"there is no file {word}" + ("/*.jsonl" if many else ""))
    return found or [word]


def _matching(pattern: Path) -> list[Path]:
    """The files that a pattern finds, as people name them."""
    base = Path(pattern.anchor)
    try:
        return sorted(file for file in base.glob(str(pattern.relative_to(pattern.anchor))) if file.is_file())
    except (ValueError, OSError):  # it is no pattern, or longer than a name may be
        return []


@dataclass(frozen=True, slots=True)
class Row:
    """What one replay came to. `verdict` is a word, `doc` the whole of it for programs."""

    name: str
    verdict: str
    line: str
    doc: dict[str, Any]

    @property
    def same(self) -> bool:
        return self.verdict == "same"


def programs_in(source: str, model: str | None) -> Programs:
    """The programs of an application, its models only named. Raises BadInput for one that can't be had."""
    return programs_of(load_target(source).app, model)


async def replay(
    access: AbstractAsyncContextManager[Access] | None, sources: Sources, programs: Programs, output: Output
) -> int:
    """Decide each again, and say what came of it as soon as it is known. 0 if all are the same, else 1."""

    async def one(access: Access | None, source: str | Path) -> Row:
        if isinstance(source, Path):
            verdict = replay_export(_exported(source), programs)
        else:
            assert access is not None
            verdict = await access.replayed(source, programs)
        word = "same" if isinstance(verdict, Same) else str(verdict.doc()["verdict"])
        return Row(str(source), word, verdict.line, verdict.doc())

    async with access or nullcontext() as opened:
        return await _all(sources, output, lambda source: one(opened, source))


async def run_again(
    access: AbstractAsyncContextManager[Access] | None, sources: Sources, plan: Plan, output: Output
) -> int:
    """Run each again with its models asked and its calls answered from the record, in a database of its own, and
    compare it with what was recorded."""

    async def one(access: Access | None, source: str | Path) -> Row:
        with tempfile.TemporaryDirectory() as place:
            async with Runtime(plan.app, Path(place) / "onward.db", policy=Policy(handover=0)) as runtime:
                head = await runtime.import_(await _lines(access, source), AS_RECORDED)
                plan.check_branch(head, None)
                return await _compared(runtime, str(source))

    async with access or nullcontext() as opened:
        return await _all(sources, output, lambda source: one(opened, source))


async def _compared(runtime: Runtime, name: str) -> Row:
    """Run the session again, and hold it against what was recorded. One that stopped on the way says why."""
    try:
        again = await rerun(runtime, AS_RECORDED, branch=AGAIN)
    except BadInput as exc:  # an input of it was erased
        return Row(name, "unclear", str(exc), {"verdict": "unclear"})
    pair = [await runtime.recording(id) for id in (AS_RECORDED, AGAIN)]
    found = compare(*map(trajectory, pair))
    why = f"; it stopped: {again.error.code}: {again.error.message}" if again.error and not found.same else ""
    return Row(name, "same" if found.same else "differs", found.verdict + why, comparison_doc(found))


async def _lines(access: Access | None, source: str | Path) -> list[str]:
    if isinstance(source, Path):
        return list(write(_exported(source)))
    assert access is not None
    return [line async for line in access.export(source)]


class _Unreadable(Exception):
    """A file that is no export, or was changed: the others are replayed all the same."""


def _exported(file: Path) -> Export:
    try:
        with file.open(encoding="utf-8") as lines:
            return read(lines)
    except (OnwardError, OSError) as exc:
        raise _Unreadable(str(exc)) from exc


# --- saying so -------------------------------------------------------------------------------------------------


async def _all(sources: Sources, output: Output, one: Any) -> int:
    rows = [row async for row in _rows(sources, output, one)]
    same = sum(row.same for row in rows)
    if output.json:
        docs = [row.doc | {"name": row.name, "line": row.line} for row in rows]
        output.doc({"same": same == len(rows), "replays": docs})
    elif len(rows) > 1:
        output.lines([f"{same} of {len(rows)} are the same"])
    return 0 if same == len(rows) else 1


async def _rows(sources: Sources, output: Output, one: Any) -> AsyncIterator[Row]:
    for source in sources.named:
        try:
            row: Row = await one(source)
        except (_Unreadable, CorruptLog, UnreadableLog) as exc:
            row = Row(str(source), "unreadable", str(exc), {"verdict": "unreadable"})
        except BadInput as exc:  # it is of another application
            if len(sources.named) == 1:
                raise
            row = Row(str(source), "unclear", str(exc), {"verdict": "unclear"})
        if not output.json:
            word = output.paper.tint(row.verdict, "good" if row.same else "bad")
            output.lines([f"{word}  {safe(row.name)}  {safe(_rest(row))}"])
        yield row


def _rest(row: Row) -> str:
    return row.line.removeprefix("same: ")
