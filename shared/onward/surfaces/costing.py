"""What steps and sessions cost: tables for people, documents for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

from onward.core.cost import KINDS, LEFT_OUT, Kind, Operations, usd, usd_a_month
from onward.core.cost_sessions import ModelRow, Tally, tally
from onward.core.events import Event
from onward.core.head import Head
from onward.core.log import Commit
from onward.core.prices import (
    MILLION,
    PRICES,
    TOKENS,
    TOKENS_PAGE,
    TOKENS_SEEN,
    Location,
    Price,
    TokenPrices,
    overridden,
)
from onward.errors import BadInput, NotFound
from onward.runtime.access import Access
from onward.surfaces.output import Output
from onward.surfaces.text import safe, table

_TITLES = {"message_bytes": "PUB/SUB KB"}
_UNKNOWN = "unknown"


def checked(location: str) -> Location:
    """The location of this name. Raises BadInput."""
    for known in get_args(Location):
        if known == location:
            return known  # type: ignore[no-any-return]
    raise BadInput(f"location: {location!r} has no prices here; there are {', '.join(PRICES)}")


def token_prices(file: Path | None) -> TokenPrices:
    """Our prices of models, and before them what a file says. Raises BadInput."""
    if file is None:
        return TOKENS
    try:
        doc = json.loads(file.read_bytes(), parse_float=Decimal)
    except (OSError, ValueError, RecursionError) as exc:
        raise BadInput(f"prices: {file} can't be read as JSON: {exc}") from exc
    return overridden(doc)


# --- kinds of steps --------------------------------------------------------------------------------------------


def kinds(location: Location, tokens: TokenPrices, output: Output) -> None:
    """What a million of each kind of step costs, and by which prices."""
    if output.json:
        return output.doc(_kinds_doc(location, tokens))
    output.lines([f"USD for a million, in {location}, by counted operations and list prices, without compute", ""])
    output.lines(_kinds_table(location, output))
    output.lines(["", *_prices_table(location, output), "", *_tokens_table(tokens, output), "", *_left_out()])


def _kinds_table(location: Location, output: Output) -> list[str]:
    names = [name for name, _ in Operations().items()]
    head = ("KIND", "USD", *(_title(name) for name in names), "")
    rows = [(kind.name, _million(kind, location), *_counts(kind.operations), kind.what) for kind in KINDS.values()]
    return table(head, rows, output.paper)


def _million(kind: Kind, location: Location) -> str:
    return f"{usd(kind.operations, location) * MILLION:.2f}"


def _counts(operations: Operations) -> Iterator[str]:
    """Bytes as thousands: each message is charged for as one at least."""
    for name, count in operations.items():
        yield f"{-(-count // 1000) if name == 'message_bytes' else count:,}"


def _title(name: str) -> str:
    return _TITLES.get(name) or name.upper()


def _prices_table(location: Location, output: Output) -> list[str]:
    rows = [(price.service, f"{price.usd}", price.unit, price.seen, price.page) for price in PRICES[location].values()]
    return table(("SERVICE", "USD", "FOR", "SEEN", "AT"), rows, output.paper)


def _tokens_table(tokens: TokenPrices, output: Output) -> list[str]:
    rows = [
        (safe(model), f"{price.input}", f"{price.cached}", f"{price.output}", _told(model, tokens, price.above))
        for model, prices in tokens.items()
        for price in prices
    ]
    asked = f"USD for a million tokens, seen {TOKENS_SEEN} at {TOKENS_PAGE}"
    return [asked, *table(("MODEL", "INPUT", "CACHED", "OUTPUT", ""), rows, output.paper)]


def _told(model: str, tokens: TokenPrices, above: int) -> str:
    """When the price counts, and that it is not ours."""
    told = [f"prompts above {above:,} tokens"] if above else []
    return ", ".join(told if tokens[model] is TOKENS.get(model) else [*told, "as you say"])


def _left_out() -> list[str]:
    return ["Not counted:", *(f"  {what}" for what in LEFT_OUT)]


def _kinds_doc(location: Location, tokens: TokenPrices) -> dict[str, Any]:
    return {
        "location": location,
        "kinds": {kind.name: _kind_doc(kind, location) for kind in KINDS.values()},
        "prices": {name: _price_doc(price) for name, price in PRICES[location].items()},
        "tokens": {model: _tiers_doc(model, tokens) for model in tokens},
        "left_out": list(LEFT_OUT),
    }


def _kind_doc(kind: Kind, location: Location) -> dict[str, Any]:
    return {
        "what": kind.what,
        "operations": asdict(kind.operations),
        "usd_per_million": _money(usd(kind.operations, location) * MILLION),
    }


def _price_doc(price: Price) -> dict[str, Any]:
    return {
        "service": price.service,
        "unit": price.unit,
        "usd": _money(price.usd),
        "per": price.per,
        "seen": price.seen,
        "page": price.page,
    }


def _tiers_doc(model: str, tokens: TokenPrices) -> dict[str, Any]:
    ours = tokens[model] is TOKENS.get(model)
    tiers = [
        {"input": _money(p.input), "cached": _money(p.cached), "output": _money(p.output), "above": p.above}
        for p in tokens[model]
    ]
    return {"tiers": tiers, "seen": TOKENS_SEEN if ours else None, "page": TOKENS_PAGE if ours else None}


def _money(amount: Decimal) -> float:
    """A number for programs, to a billionth of a cent."""
    return float(round(amount, 11))


# --- one session -----------------------------------------------------------------------------------------------


async def session(runtime: Access, id: str, location: Location, tokens: TokenPrices, output: Output) -> None:
    """What one session cost. Raises NotFound where its log is gone, and CorruptLog."""
    head = await runtime.get(id)
    if head.status == "deleted":
        raise NotFound(
            f"session {id} was deleted; what it cost can't be told without its log, but usage has its tokens"
        )
    await runtime.verify(id)
    commits = await runtime.parts.backend.store.commits(head.key)
    counted = tally(commits, await _forked(runtime, head, commits[0]))
    models = counted.models(tokens)
    if output.json:
        return output.doc(_session_doc(id, counted, models, location))
    output.lines(_session_lines(id, counted, models, location, output))


async def _forked(runtime: Access, head: Head, first: Commit) -> Event | None:
    """What a branch began with, whole."""
    if head.origin is None:
        return None
    events = runtime.parts.loader.events(first)
    return await runtime.parts.loader.foldable(head.key, events[1])


def _session_lines(
    id: str, counted: Tally, models: Sequence[ModelRow], location: Location, output: Output
) -> Iterator[str]:
    services, known, unknown = _sums(counted, models, location)
    yield f"Session {safe(id)}, in {location}, by operations told from its log and list prices, without compute"
    yield ""
    yield from table(("COUNTED", "", ""), list(_counted(counted)), output.paper)
    yield ""
    yield from table(("OPERATIONS", "COUNT", "USD"), list(_operations(counted, location)), output.paper)
    yield ""
    if models:
        yield from table(_MODEL_HEAD, [_model_row(row) for row in models], output.paper)
        yield ""
    kept = usd_a_month(counted.stored, location)
    yield f"Services  {_exact(services)} USD, and {_exact(kept)} USD for each month that it is kept"
    yield f"Models    {_models_sum(models, known, unknown)}"
    yield f"In all    {'at least ' if unknown or counted.lost_tokens else ''}{_exact(services + known)} USD"
    yield from _unpriced(counted, unknown)


def _counted(counted: Tally) -> Iterator[tuple[str, ...]]:
    what = {
        "steps": "leases that left something in the log",
        "visits": "wakes and timers that found nothing to do, or will",
        "wakes": "messages that brought somebody to it",
        "commits": f"with {counted.events:,} events",
        "signals": "inputs, decisions, outcomes, ends of children",
        "timers": "armed",
        "children": "sessions of their own: onward cost CHILD",
        "snapshots": "written",
        "objects": "large values and files",
    }
    yield from ((name, f"{getattr(counted, name):,}", said) for name, said in what.items() if getattr(counted, name))
    for name, size in asdict(counted.stored).items():
        if size:
            yield name.replace("_", " "), f"{size:,}", "bytes"


def _operations(counted: Tally, location: Location) -> Iterator[tuple[str, ...]]:
    for name, count in counted.operations.items():
        if count:
            yield name.replace("_", " "), f"{count:,}", _exact(count * PRICES[location][name].each)


def _exact(amount: Decimal) -> str:
    """USD as far as one operation can be seen in it."""
    return f"{amount:.8f}"


_TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "thinking_tokens")
_MODEL_HEAD = ("MODEL", "CALLS", *(name.removesuffix("_tokens").upper() for name in _TOKENS), "USD")


def _model_row(row: ModelRow) -> tuple[str, ...]:
    counts = (f"{getattr(row, name):,}" for name in _TOKENS)
    return (safe(row.model), f"{row.calls:,}", *counts, _UNKNOWN if row.usd is None else _exact(row.usd))


def _sums(counted: Tally, models: Sequence[ModelRow], location: Location) -> tuple[Decimal, Decimal, list[str]]:
    """What the services cost, what the models cost whose prices are known, and which ones' are not."""
    known = sum((row.usd for row in models if row.usd is not None), Decimal(0))
    return usd(counted.operations, location), known, [row.model for row in models if row.usd is None]


def _models_sum(models: Sequence[ModelRow], known: Decimal, unknown: Sequence[str]) -> str:
    if not unknown:
        return f"{_exact(known)} USD"
    return _UNKNOWN if len(unknown) == len(models) else f"{_exact(known)} USD, and what is unknown"


def _unpriced(counted: Tally, unknown: Sequence[str]) -> Iterator[str]:
    for model in unknown:
        yield f"No price is known for model {safe(model)}: give it with --prices FILE"
    if counted.lost_tokens:
        yield f"Not priced: {counted.lost_tokens:,} tokens, which failed and lost attempts are taken to have used"


def _session_doc(id: str, counted: Tally, models: Sequence[ModelRow], location: Location) -> dict[str, Any]:
    services, known, unknown = _sums(counted, models, location)
    doc = {name: value for name, value in asdict(counted).items() if name != "used"}
    return {
        "session": id,
        "location": location,
        **doc,
        "models": [_row_doc(row) for row in models],
        "usd": {
            "services": _money(services),
            "models": None if unknown else _money(known),
            "known": _money(services + known),
            "stored_a_month": _money(usd_a_month(counted.stored, location)),
        },
        "unknown_models": unknown,
        "left_out": list(LEFT_OUT),
    }


def _row_doc(row: ModelRow) -> Mapping[str, Any]:
    return asdict(row) | {"usd": None if row.usd is None else _money(row.usd)}
