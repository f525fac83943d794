"""List prices, as data: what Google asks for an operation, and what models cost by the token.

Each says where it is from and when it was seen there. They are what anybody is asked: without discounts, free quotas,
taxes, or traffic between regions. What a function itself takes (Cloud Run: CPU, memory, requests) is not among them: it
depends on how long tools and models are waited for, and on how many sessions share an instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal

from onward.core.events import Usage
from onward.errors import BadInput

Location = Literal["us-central1", "nam5"]
"""Where the database is: in one region, or in the multi-region of the United States."""

MILLION = 1_000_000
GIB, TIB = 2**30, 2**40
_FIRESTORE = "https://cloud.google.com/firestore/pricing"
_PUBSUB = "https://cloud.google.com/pubsub/pricing"
_TASKS = "https://cloud.google.com/tasks/pricing"
_STORAGE = "https://cloud.google.com/storage/pricing"
_GEMINI = "https://ai.google.dev/gemini-api/docs/pricing"


@dataclass(frozen=True, slots=True)
class Price:
    """`usd` for `per` of what `unit` names; `page` asks it, and was seen in `seen` (year and month)."""

    service: str
    unit: str
    usd: Decimal
    per: int
    page: str
    seen: str

    @property
    def each(self) -> Decimal:
        """USD for one of it."""
        return self.usd / self.per


def _firestore(read: str, write: str, delete: str, stored: str) -> dict[str, Price]:
    asked = {"reads": read, "writes": write, "deletes": delete}
    found = {
        name: Price("Firestore", f"100,000 {name} of documents", Decimal(usd), 100_000, _FIRESTORE, "2026-08")
        for name, usd in asked.items()
    }
    gib_month = Price("Firestore", "GiB stored for a month", Decimal(stored), GIB, _FIRESTORE, "2026-08")
    return found | {"stored_in_firestore": gib_month}


_EVERYWHERE: Mapping[str, Price] = {
    "tasks": Price("Cloud Tasks", "million calls and deliveries", Decimal("0.40"), MILLION, _TASKS, "2026-08"),
    "message_bytes": Price("Pub/Sub", "TiB published or delivered", Decimal(40), TIB, _PUBSUB, "2026-08"),
    "puts": Price("Cloud Storage", "1,000 objects written, in one region", Decimal("0.005"), 1000, _STORAGE, "2026-08"),
    "gets": Price("Cloud Storage", "1,000 objects read, in one region", Decimal("0.0004"), 1000, _STORAGE, "2026-08"),
    "stored_in_bucket": Price(
        "Cloud Storage", "GiB stored for a month, in one region", Decimal("0.020"), GIB, _STORAGE, "2026-09"
    ),
}

PRICES: Mapping[Location, Mapping[str, Price]] = MappingProxyType(
    {
        "us-central1": {**_firestore("0.03", "0.09", "0.01", "0.15"), **_EVERYWHERE},
        "nam5": {**_firestore("0.06", "0.18", "0.02", "0.18"), **_EVERYWHERE},
    }
)
"""By the name of what is counted: `core.cost.Operations` and `core.cost.Stored`."""

LEAST_MESSAGE = 1000
"""Bytes that a request to Pub/Sub, or one of its deliveries, is charged for at the least."""


# --- models ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """USD per million tokens of a call whose prompt has more than `above` tokens. Thinking is paid as output;
    `cached` is for the part of the prompt that the model had in its cache."""

    input: Decimal
    output: Decimal
    cached: Decimal
    above: int = 0

    def of(self, usage: Usage) -> Decimal:
        """USD for one call."""
        fresh = max(0, usage.input_tokens - usage.cached_tokens)
        out = usage.output_tokens + usage.thinking_tokens
        return (fresh * self.input + usage.cached_tokens * self.cached + out * self.output) / MILLION


TokenPrices = Mapping[str, tuple[TokenPrice, ...]]
"""By a model's name; of several, the one with the highest `above` that the prompt exceeds counts."""


def _tokens(input: str, cached: str, output: str, above: int = 0) -> TokenPrice:
    return TokenPrice(Decimal(input), Decimal(output), Decimal(cached), above)


TOKENS: TokenPrices = MappingProxyType(
    {
        "gemini-3.1-pro-preview": (_tokens("2.00", "0.20", "12.00"), _tokens("4.00", "0.40", "18.00", 200_000)),
        "gemini-3-flash-preview": (_tokens("0.50", "0.05", "3.00"),),
        "gemini-3.1-flash-lite": (_tokens("0.25", "0.025", "1.50"),),
        "gemini-2.5-pro": (_tokens("1.25", "0.125", "10.00"), _tokens("2.50", "0.25", "15.00", 200_000)),
        "gemini-2.5-flash": (_tokens("0.30", "0.03", "2.50"),),
        "gemini-2.5-flash-lite": (_tokens("0.10", "0.01", "0.40"),),
    }
)
"""The standard tier, for text: sound costs more, batches less, and keeping an explicit cache is paid by the hour."""

TOKENS_PAGE, TOKENS_SEEN = _GEMINI, "2026-07"


def token_price(prices: TokenPrices, model: str, usage: Usage) -> TokenPrice | None:
    """What one call of this model is priced by; None where nobody knows, which is not the same as nothing."""
    fitting = [price for price in prices.get(model, ()) if not price.above or usage.input_tokens > price.above]
    return max(fitting, key=lambda price: price.above, default=None)


_FIELDS = frozenset({"input", "output", "cached", "above"})


def overridden(doc: Any) -> TokenPrices:
    """The table with what a person says of some models in the place of ours, or beside it.

    `doc` is `{model: {"input": 0.3, "output": 2.5, "cached": 0.03}}`, USD per million tokens, or a list of such with
    `above`, the tokens of a prompt from which they count. Without `cached`, that part is paid as input. Numbers are int
    or Decimal. Raises BadInput, which names the field.
    """
    if not isinstance(doc, Mapping):
        raise BadInput('prices: write {"MODEL": {"input": 0.3, "output": 2.5}}, in USD per million tokens')
    return {**TOKENS, **{str(model): _tiers(f"prices: {model}", said) for model, said in doc.items()}}


def _tiers(field: str, said: Any) -> tuple[TokenPrice, ...]:
    tiers = [_tier(field, tier) for tier in (said if isinstance(said, list) else [said])]
    above = [tier.above for tier in tiers]
    if sorted(set(above)) != sorted(above) or 0 not in above:
        raise BadInput(f"{field}: one price has no 'above', and each of the others an 'above' of its own")
    return tuple(tiers)


def _tier(field: str, said: Any) -> TokenPrice:
    if not isinstance(said, Mapping) or not {"input", "output"} <= set(said) <= _FIELDS:
        raise BadInput(f"{field}: needs 'input' and 'output', and may have 'cached' and 'above'")
    numbers = {name: _number(f"{field}.{name}", value) for name, value in said.items()}
    above = numbers.pop("above", Decimal(0))
    if above != int(above):
        raise BadInput(f"{field}.above: {above} is no number of tokens")
    return TokenPrice(**{"cached": numbers["input"], **numbers}, above=int(above))


def _number(field: str, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not Decimal(value).is_finite() or value < 0:
        raise BadInput(f"{field}: {str(value)[:40]!r} is no number from zero")
    return Decimal(value)
