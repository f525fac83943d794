"""Replays, from Python: recorded sessions, and files of them, against an application."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from onward.core.divergence import Verdict
from onward.core.portable import Export, read
from onward.core.program import Programs
from onward.core.replaying import replay
from onward.programs.replaying import programs_of
from onward.runtime.sessions import Sessions

RESTING = "waiting"
"""The status of a session that has nothing to do before something comes from outside."""


class Replaying(Sessions):
    """What a runtime can do with what was decided."""

    _app: Any = None
    """The application of this runtime, if it has one."""

    async def replay(self, id: str, tenant: str = "default", *, app: Any = None) -> Verdict:
        """Whether the programs of an application, by default this runtime's own, decide as a session's did. No model is
        asked, no call is made, and nothing is written. Raises NotFound, CorruptLog, and BadInput for a program that the
        application does not have.
        """
        return await self.replayed(id, programs_of(app or self._app), tenant)

    async def replayed(self, id: str, programs: Programs, tenant: str = "default") -> Verdict:
        """The same, with programs that are ready for it (`programs.replaying.programs_of`)."""
        head, recording = await self.get(id, tenant), await self.recording(id, tenant)
        rests = head.status == RESTING and recording.hash == head.hash
        return await asyncio.to_thread(replay, recording, programs, rests=rests)


def replay_file(lines: Iterable[str], programs: Programs) -> Verdict:
    """The same for the lines of an exported session's file, with programs that are ready for it
    (`programs.replaying.programs_of`). Raises BadInput and CorruptLog."""
    return replay_export(read(lines), programs)


def replay_export(export: Export, programs: Programs) -> Verdict:
    """The same for an export that was read. Raises BadInput."""
    return replay(export.recording(), programs, rests=export.header.status == RESTING)
