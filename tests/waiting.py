"""A workflow that waits for inputs, one after the other, and does nothing else."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from onward import Context, workflow


class Amount(BaseModel, extra="forbid"):
    amount: int


def waiting(*waits: tuple[str | None, Any], timeout: str | None = None, version: str = "1") -> Any:
    """Waits for inputs of these names and types, in this order, and ends with all of them."""

    @workflow(name="waiting", version=version)
    async def waits_for(ctx: Context, input: Any = None) -> list[Any]:
        return [await _wait(ctx, name, type, timeout) for name, type in waits]

    return waits_for


async def _wait(ctx: Context, name: str | None, type: Any, timeout: str | None) -> Any:
    return await (ctx.input(type, timeout=timeout) if name is None else ctx.signal(name, type, timeout=timeout))
