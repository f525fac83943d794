"""Sessions to branch, and words for what a test does with branches."""

from __future__ import annotations

from collections import Counter
from typing import Any

from onward import Agent, App, Approval, NotPerformed, Pending, ScriptedModel, tool
from onward.core.files import File
from onward.core.head import Head
from onward.core.ids import session_key
from onward.engine.fork import Fork
from tests.unit.play import ANN, OPERATOR, Play, Watching, call

done: list[Any] = []
"""What tools did."""


@tool(effect="read")
async def look(order: str) -> str:
    """Look."""
    done.append(("look", order))
    return f"{order}, for the {done.count(('look', order))}. time"


@tool(effect="irreversible")
async def pay(amount: int) -> str:
    """Pay."""
    done.append(("pay", amount))
    return f"paid {amount}"


@tool(effect="compensatable", undo=pay, approval=Approval(timeout="1h", on_timeout="approve"))
async def give(amount: int) -> str:
    """Give, unless somebody says no."""
    done.append(("give", amount))
    return f"gave {amount}"


@tool(effect="irreversible", approval=Approval(when=lambda args: args.amount > 5, timeout="1h"))
async def lend(amount: int) -> str:
    """Lend; much of it only if somebody says so."""
    done.append(("lend", amount))
    return f"lent {amount}"


@tool(effect="irreversible")
async def vanish(amount: int) -> str:
    """Do it or not: nobody knows."""
    done.append(("vanish", amount))
    raise ConnectionError("no answer")


@tool(effect="irreversible")
async def decline(amount: int) -> str:
    """Say no."""
    raise NotPerformed("the account is closed")


@tool(effect="idempotent")
async def ship(order: str) -> Pending:
    """Ship."""
    done.append(("ship", order))
    return Pending(timeout="1d")


@tool(effect="read")
async def nap(hours: int) -> Pending:
    """Wait."""
    return Pending(timeout=f"{hours}h", ends="done")


@tool(effect="read")
async def archive(size: int) -> str:
    """Read much."""
    return "a" * size


@tool(effect="read")
async def photograph() -> File:
    """Take a picture."""
    return File(data=b"a picture", media_type="image/png", name="p.png")


TOOLS: list[Any] = [look, pay, give, lend, vanish, decline, ship, nap, archive, photograph]


def desk(*turns: Any, name: str = "desk", **options: Any) -> Agent:
    """An agent whose model plays these turns: each is what it says, or the calls that it asks for."""
    played = [{"text": turn} if isinstance(turn, str) else turn for turn in turns]
    model = Watching(ScriptedModel(played, name=f"model of {name}"))
    return Agent(name, **{"model": model, "tools": TOOLS, **options})


def asks(*calls: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A turn that asks for these calls."""
    return {"calls": [call(name, **arguments) for name, arguments in calls]}


class Forks(Play):
    """A play with branches."""

    def __init__(self, *programs: Any, app: App | None = None, **options: Any) -> None:
        super().__init__(*programs, app=app, **options)
        done.clear()

    async def fork(
        self, at: int | str | None = None, branch: str = "b", *, of: str = "s", settle: bool = True, **more: Any
    ) -> Head:
        """Branch off after an event, or after the first one of a kind."""
        if isinstance(at, str):
            at = await self.first(at, of)
        await self.runner.parts.forker.fork(Fork(session=of, id=branch, at=at, **more), ANN)
        if settle:
            await self.settle()
        return await self.head(branch)

    async def first(self, kind: str, id: str = "s") -> int:
        return next(event.seq for event in await self.events(id) if event.kind == kind)

    async def said(self, id: str = "b") -> list[tuple[str, Any]]:
        """What a session's transcript says."""
        return [(entry.kind, entry.value) for entry in (await self.state(id)).transcript]

    async def results(self, id: str = "b") -> list[Any]:
        return [value for kind, value in await self.said(id) if kind == "result"]

    async def delete(self, id: str = "s") -> None:
        await self.runner.parts.deleter.delete(session_key("default", id), OPERATOR.name, "asked to")

    async def erase(self, seq: int, field: str, id: str = "s") -> None:
        await self.runner.parts.eraser.erase(session_key("default", id), seq, field, OPERATOR, "asked to")
        await self.settle()

    def counted(self) -> Counter[tuple[str, str]]:
        """How often the logs of sessions are read from now on, and how many commits that gives: by session."""
        store, counts = self.runner.backend.store, Counter[tuple[str, str]]()
        read = store.commits

        async def commits(key: str, *more: Any, **others: Any) -> Any:
            found = await read(key, *more, **others)
            counts[key, "reads"] += 1
            counts[key, "commits"] += len(found)
            return found

        store.commits = commits
        return counts
