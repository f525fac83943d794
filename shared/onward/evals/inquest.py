"""Asking judges about a run: each answer is a session beside it in the eval store."""

from __future__ import annotations

import asyncio
from typing import Any

from onward.core.canonical import digest
from onward.core.trajectory import trajectory
from onward.errors import BadInput
from onward.evals.judges import Verdict
from onward.evals.plan import Plan
from onward.evals.reading import Spending, spending
from onward.evals.resuming import taken_up
from onward.programs.agent import Agent
from onward.runtime import Runtime


class Inquest:
    """What judges say of the run of session `run`, and what that took."""

    def __init__(self, runtime: Runtime, plan: Plan, run: str) -> None:
        self._runtime, self._plan, self._run = runtime, plan, run
        self.spent = Spending(0.0, 0, 0, 0, 0.0)

    async def ask(self, model: str, told: str, shown: str) -> Any:
        """What a model answers who is told and shown this, once and for all. Raises BadInput where it gives none, and
        TimeoutError."""
        judge = self._judge(model, told)
        self._plan.bench.take(judge)
        id = f"{self._run}-judge-{digest([judge.name, shown])[:10]}"
        self._runtime.take(id)
        await taken_up(self._runtime, id, self._runtime.parts.clock.now())
        head = await self._runtime.start(judge.name, shown, id=id)
        if not head.ended:
            head = await asyncio.wait_for(self._runtime.wait(id), self._plan.suite.seconds)
        await self._count(id)
        if head.status != "completed":
            raise BadInput(f"the judge gave no verdict: {head.error.message if head.error else head.status}")
        return await self._runtime.value(id, (await self._runtime.state(id)).output)

    def _judge(self, model: str, told: str) -> Agent:
        found = self._plan.models.find(model)
        if found is None:
            raise BadInput(f"no model is called {model!r}")
        return Agent(f"judge-{digest([model, told])[:10]}", model=found, instructions=told, output_type=Verdict)

    async def _count(self, id: str) -> None:
        took = spending(trajectory(await self._runtime.recording(id), self._plan.prices))
        costs = (self.spent.cost, took.cost)
        self.spent = Spending(
            None if costs[0] is None or costs[1] is None else costs[0] + costs[1],
            self.spent.tokens + took.tokens,
            self.spent.turns + took.turns,
            self.spent.calls + took.calls,
            self.spent.seconds + took.seconds,
        )
