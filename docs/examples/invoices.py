"""Reads invoices: a file goes in, a checked value comes out, whichever of two models answers."""

import json
from datetime import date
from decimal import Decimal

from pydantic import BaseModel, Field

from onward import Agent, App, Route, ScriptedModel, Turn


class Item(BaseModel):
    what: str
    price: Decimal = Field(gt=0)


class Invoice(BaseModel):
    number: str
    due: date
    items: list[Item] = Field(min_length=1)

    @property
    def total(self) -> Decimal:
        return sum((item.price for item in self.items), Decimal(0))


def has_file(turn: Turn) -> bool:
    return isinstance(turn.input, list)


GOOD = {"number": "2026-17", "due": "2026-12-24", "items": [{"what": "Desk", "price": "180.00"}]}
quick = ScriptedModel([{"text": "", "fails": [{"code": "rate_limited"}] * 9}], name="quick")
careful = ScriptedModel(
    [
        {"text": json.dumps({**GOOD, "due": "soon"})},  # refused: that is no date
        {"text": f"```json\n{json.dumps(GOOD)}\n```"},
    ],
    name="careful",
)
reader = Agent(
    "invoice-reader",
    model=[Route(quick, when=has_file), careful],
    instructions="Read the invoice.",
    output_type=Invoice,
)
app = App(programs=[reader])
