"""A file that is put back from a backup has forgotten what was done since: nobody is paid twice for that (R22)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from onward import Agent, App, Approval, Runtime, ScriptedModel, tool

PAY = {"calls": [{"tool": "refund", "arguments": {"amount": 5}}]}


class Books:
    """What was refunded, as the bank has it: no backup brings that back."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def application(self) -> App:
        @tool(effect="irreversible", approval=Approval(timeout="24h"))
        def refund(amount: int) -> str:
            """Refund."""
            self.entries.append(f"refund {amount}")
            return self.entries[-1]

        return App(programs=[Agent("desk", model=ScriptedModel([PAY, {"text": "done"}]), tools=[refund])])


def copied(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def put_back(backup: Path, db: Path) -> None:
    for file in db.parent.glob(f"{db.name}*"):
        file.unlink()
    copied(backup, db)


async def approve(runtime: Runtime) -> None:
    (wait,) = (await runtime.get("s")).waits
    await runtime.decide("s", "approved", call=wait.call, digest=wait.digest, by="ann@example.com")


@pytest.mark.parametrize("approved", [False, True], ids=["asked", "approved"])
async def test_r22_a_refund_that_the_backup_has_forgotten_is_not_made_again(tmp_path: Path, approved: bool) -> None:
    db, backup, books = tmp_path / "onward.db", tmp_path / "backup.db", Books()
    async with Runtime(books.application(), db) as runtime:
        await runtime.start("desk", "hello", id="s")
        await runtime.wait("s")
    async with Runtime(db=db) as nobody_works:
        if approved:
            await approve(nobody_works)
        copied(db, backup)
        if not approved:
            await approve(nobody_works)
    async with Runtime(books.application(), db) as runtime:
        assert (await runtime.wait("s", ended=True)).status == "completed"
    assert books.entries == ["refund 5"]

    put_back(backup, db)
    async with Runtime(db=db, identity="olga") as operator:
        told = await operator.restored("the disk broke")
        assert (told.number, told.by.name, list(await operator.restores())) == (2, "olga", [told])
    async with Runtime(books.application(), db, identity="olga") as runtime:
        if not approved:
            await approve(runtime)
        head = await runtime.wait("s")
        assert (head.status, head.error and head.error.code) == ("needs_attention", "restored")
        assert "the disk broke" in head.waits[0].note
        assert books.entries == ["refund 5"]
        await runtime.retry("s", "it is not in the bank's books")
        assert (await runtime.wait("s", ended=True)).status == "completed"
    assert books.entries == ["refund 5"] * 2, "an operator has looked, and decided so"
