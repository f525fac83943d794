"""What a run may take."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from onward.evals.reading import Spending, spent
from onward.evals.scores import Help, Run, Score, Scorer, yes_or_no

NAMES = ("cost", "tokens", "turns", "calls", "seconds")


class Within(Scorer):
    """What a run may take at most: `cost` in USD by list prices, `tokens`, model `turns`, `calls`, `seconds`. What it
    has from the record is not counted; a cost that is not known is not within any."""

    kind: Literal["within"] = "within"
    cost: float | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    turns: int | None = Field(default=None, ge=0)
    calls: int | None = Field(default=None, ge=0)
    seconds: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _limits_something(self) -> Within:
        if not self._given():
            raise ValueError(f"write {', '.join(NAMES[:-1])} or {NAMES[-1]}")
        return self

    def _given(self) -> dict[str, float]:
        given = {name: getattr(self, name) for name in NAMES}
        return {name: limit for name, limit in given.items() if limit is not None}

    def _title(self) -> str:
        return f"within {', '.join(f'{limit:g} {name}' for name, limit in self._given().items())}"

    def score(self, run: Run, help: Help) -> Score:
        used = spent(run)
        over = [told for name, limit in self._given().items() if (told := _over(used, name, limit))]
        return yes_or_no(not over, "; ".join(over))


def _over(used: Spending, name: str, limit: float) -> str | None:
    value = getattr(used, name)
    if value is None:
        return f"the {name} is not known: no price is known for a model"
    return None if value <= limit else f"{name}: {value:g}, and {limit:g} at most"
