"""B1 to B3: large values."""

from __future__ import annotations

import asyncio

import pytest

from onward.testing.contracts.story import Backend

KEY, OTHER = "a" * 32, "b" * 32


@pytest.mark.asyncio
class BlobsContract:
    """Clauses B1 to B3."""

    async def test_b1_put_is_create_only(self, backend: Backend) -> None:
        await backend.blobs.put(KEY, "blobs/x", "first")
        await backend.blobs.put(KEY, "blobs/x", "first")
        await backend.blobs.put(KEY, "blobs/x", "second")
        assert await backend.blobs.get(KEY, "blobs/x") == "first"

    async def test_b1_put_by_many_at_once_is_one(self, backend: Backend) -> None:
        await asyncio.gather(*(backend.blobs.put(KEY, "blobs/x", "same") for _ in range(5)))
        assert await backend.blobs.get(KEY, "blobs/x") == "same"

    async def test_b2_get_gives_what_was_put(self, backend: Backend) -> None:
        text = 'Ünï\x00 \u2028 "😀" ' * 100_000
        await backend.blobs.put(KEY, "blobs/x", text)
        assert await backend.blobs.get(KEY, "blobs/x") == text

    async def test_b2_get_gives_none_for_what_is_not_there(self, backend: Backend) -> None:
        await backend.blobs.put(KEY, "blobs/x", "text")
        assert await backend.blobs.get(KEY, "blobs/y") is None
        assert await backend.blobs.get(OTHER, "blobs/x") is None

    async def test_b3_forget_removes_what_begins_so(self, backend: Backend) -> None:
        names = ("snapshots/1", "snapshots/2", "snapshots/3", "snapshot", "blobs/1")
        for key in (KEY, OTHER):
            for name in names:
                await backend.blobs.put(key, name, name)
        await backend.blobs.forget(KEY, "snapshots/", keep="snapshots/2")
        left = [name for name in names if await backend.blobs.get(KEY, name)]
        assert left == ["snapshots/2", "snapshot", "blobs/1"]
        assert all([await backend.blobs.get(OTHER, name) for name in names])
        await backend.blobs.forget(KEY, "snapshots/")
        assert await backend.blobs.get(KEY, "snapshots/2") is None
        await backend.blobs.forget(KEY, "nothing/")
