"""Files of a session: their bytes lie in its blobs, and what is recorded refers to them."""

from __future__ import annotations

from typing import Any

from onward.core.files import Stash, filled, stash
from onward.ports import Blobs


class Files:
    """Takes the bytes of files out of values, and puts them back."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def keep(self, key: str, value: Any) -> Any:
        """The value with references for files, whose bytes are in the session's blobs by then. Raises BadInput."""
        taken: Stash = {}
        value = stash(value, taken)
        await self.put(key, taken)
        return value

    async def put(self, key: str, taken: Stash) -> None:
        """Keep the bytes that were taken out of a value."""
        for digest, text in taken.items():
            await self._blobs.put(key, f"files/{digest}", text)

    async def fill(self, key: str, value: Any) -> Any:
        """The value with the bytes of its files in it, as far as they are there."""
        return await filled(value, lambda digest: self._blobs.get(key, f"files/{digest}"))

    async def forget_all(self, key: str) -> None:
        """Remove whatever lies beside a session's log."""
        await self._blobs.forget(key, "")

    async def forget(self, key: str, digests: set[str]) -> None:
        """Remove these files for good."""
        for digest in sorted(digests):
            await self._blobs.forget(key, f"files/{digest}")
