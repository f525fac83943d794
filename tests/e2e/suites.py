"""A shop whose sessions are recorded, exported, and run again by suites."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from onward import Agent, App, Runtime, ScriptedModel, tool
from onward.core.model import ModelRequest
from onward.evals import Calls, Progress, Report, Suite, run_suite

paid: list[str] = []


@tool(effect="read")
def find_order(order: str) -> str:
    """Find an order."""
    return "35.00"


@tool(effect="irreversible")
def refund(order: str, amount: Decimal) -> str:
    """Refund an order."""
    paid.append(f"{order} {amount}")
    return f"refunded {amount}"


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"calls": [{"tool": tool, "arguments": arguments}]}


@dataclass
class Shop:
    """A directory with exported sessions, and the models that they and their runs ask."""

    path: Path
    asked: Counter[str] = field(default_factory=Counter)

    def answers(self, request: ModelRequest) -> dict[str, Any]:
        """Look the order up, refund it, say so. Who is told to be strict refunds less."""
        self.asked["shop"] += 1
        order = next(entry.value for entry in request.transcript if entry.kind == "input")
        amount = "30.00" if "strict" in request.instructions else "35.00"
        turns = [call("find_order", order=order), call("refund", order=order, amount=amount), {"text": "It is done."}]
        return turns[min(2, sum(entry.kind == "answer" for entry in request.transcript))]

    def app(self, **more: Any) -> App:
        """The application; another agent with `more`."""
        how = {"model": ScriptedModel(self.answers), "instructions": "Be kind.", "tools": [find_order, refund]}
        return App(programs=[Agent("shop", **(how | more))])

    async def record(self, *ids: str, app: App | None = None, inputs: tuple[str, ...] = ()) -> None:
        """Sessions that did all of it, each in a file."""
        async with Runtime(app or self.app(), self.path / "onward.db", identity="ann") as runtime:
            for id in ids:
                await runtime.start("shop", id, id=id)
                await runtime.wait(id)
                for text in inputs:
                    await runtime.send(id, text)
                    await runtime.wait(id)
                await self.export(runtime, id)
        self.asked.clear()
        paid.clear()

    async def export(self, runtime: Runtime, id: str, **how: Any) -> None:
        lines = [line async for line in runtime.export(id, **how)]
        (self.path / f"{id}.jsonl").write_text("".join(lines))

    def suite(self, **fields: Any) -> Suite:
        """A suite of all that was exported, with these fields."""
        return Suite(**({"sessions": ["*.jsonl"], "scores": [Calls()], "directory": self.path} | fields))

    async def evaluate(self, *, app: App | None = None, models: Any = None, only: str = "*", **fields: Any) -> Report:
        """Run it."""
        told = list[Progress]()
        suite = self.suite(**fields)
        report = await run_suite(suite, app=app or self.app(), models=models, only=only, observe=told.append)
        assert [each.done for each in told] == list(range(len(list(report.runs)) + 1))
        assert [each.result is None for each in told] == [each.done == 0 for each in told]
        assert paid == []
        return report
