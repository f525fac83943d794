"""Trajectories and comparisons of sessions, from Python."""

from __future__ import annotations

import asyncio

from onward.core.comparing import Comparison, compare
from onward.core.trajectory import trajectory
from onward.core.turns import Trajectory
from onward.runtime.sessions import Sessions


class Comparing(Sessions):
    """What a runtime can say of what sessions did."""

    async def trajectory(self, id: str, tenant: str = "default") -> Trajectory:
        """What a session did by now, turn by turn. Raises NotFound and CorruptLog."""
        return await asyncio.to_thread(trajectory, await self.recording(id, tenant))

    async def compare(self, a: str, b: str, *, tenant: str = "default") -> Comparison:
        """What session `b` did otherwise than `a`, turn by turn, and a verdict. Raises NotFound and CorruptLog."""
        one, other = await self.trajectory(a, tenant), await self.trajectory(b, tenant)
        return await asyncio.to_thread(compare, one, other)
