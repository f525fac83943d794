"""What steps and sessions are said to cost, and how it is said; `contract/test_cost_counts.py` counts beside it."""

import json
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner

from onward import Agent, App, ScriptedModel, run, tool
from onward.core import events as ev
from onward.core.codec import encode
from onward.core.cost import KINDS, Operations, Stored, usd, usd_a_month
from onward.core.cost_sessions import Tally, tally
from onward.core.events import Actor, Body, Event, Usage
from onward.core.ids import session_key
from onward.core.log import Commit, seal
from onward.core.prices import PRICES, TOKENS, Location, overridden, token_price
from onward.engine.gateway import Start
from onward.errors import BadInput, NotFound
from onward.surfaces import costing
from onward.surfaces.cli import onward
from onward.surfaces.commands.costing import LOCATIONS
from onward.surfaces.output import Output
from onward.surfaces.text import Paper
from onward.testing.contracts.story import START, salts
from onward.testing.runner import Runner

PERSON = Actor(kind="person", name="ana")


# --- sessions in memory ----------------------------------------------------------------------------------------


@tool(effect="read")
async def look(number: int) -> str:
    """Look."""
    return "x" * 200


def call(name: str, number: int = 1, **more: Any) -> dict[str, Any]:
    return {"calls": [{"tool": name, "arguments": more or {"number": number}}]}


DONE = {"text": "done"}


async def ran(*turns: Any, tools: Sequence[Any] = (look,), **more: Any) -> tuple[Runner, Tally]:
    """A session that has run, and what its log tells."""
    desk = Agent("desk", model=ScriptedModel([*turns]), tools=[*tools], **more)
    runner = Runner(App(programs=[desk]))
    await runner.parts.gateway.start(Start("s", "desk", "1", input="hi"), PERSON)
    await runner.finish()
    return runner, tally(await runner.backend.store.commits(session_key("default", "s")))


async def test_snapshots_are_counted_where_they_were_written() -> None:
    written: list[str] = []
    desk = Agent("desk", model=ScriptedModel([*([call("wordy")] * 20), DONE]), tools=[wordy])
    runner = Runner(App(programs=[desk]))
    real = runner.backend.blobs.put

    async def put(key: str, name: str, text: str) -> None:
        written.append(name)
        await real(key, name, text)

    runner.backend.blobs.put = put
    await runner.parts.gateway.start(Start("s", "desk", "1", input="hi"), PERSON)
    await runner.finish()
    counted = tally(await runner.backend.store.commits(session_key("default", "s")))
    assert counted.snapshots == len(written) > 2
    assert counted.operations.puts == len(written)
    newest = await runner.backend.blobs.get(session_key("default", "s"), written[-1])
    assert counted.stored.stored_in_bucket - len(newest) in LIKE


LIKE = range(100)
"""Bytes by which the text of a state may differ that was read from a log: what was left unset stands there as null."""


@tool(effect="read")
async def wordy(number: int) -> str:
    """Say much."""
    return "word " * 1000


async def test_bytes_are_those_of_the_log_and_the_fold() -> None:
    runner, counted = await ran(call("look"), DONE)
    commits = await runner.backend.store.commits(session_key("default", "s"))
    head = await runner.backend.store.read(session_key("default", "s"))
    log = sum(len(commit.to_json().encode()) for commit in commits)
    assert counted.stored.stored_in_firestore - log - len(head.fold.text) in LIKE
    assert counted.stored.stored_in_bucket == 0
    assert (counted.commits, counted.events, counted.steps) == (4, 6, 3)


async def test_large_events_are_charged_for_by_their_bytes() -> None:
    _, counted = await ran(DONE)
    small = KINDS["start"].operations.message_bytes + KINDS["step"].operations.message_bytes
    assert counted.operations.message_bytes == small
    many = [ev.LabelsChanged(set={f"label-{number}": "v" * 100}) for number in range(30)]
    started = ev.SessionStarted(tenant="t", session="s", program="p", version="1")
    assert tally([commit(started, *many)]).operations.message_bytes > 30 * 500


# --- models ----------------------------------------------------------------------------------------------------


def commit(*bodies: Body) -> Commit:
    events = [Event(seq=at, at=START, actor=Actor(kind="engine"), body=body) for at, body in enumerate(bodies, start=1)]
    pool = salts()
    return seal([encode(event, pool) for event in events], prev="", epoch=1, token="t")


def answered(model: str, input: int, output: int = 0, cached: int = 0, thinking: int = 0) -> Body:
    usage = Usage(input_tokens=input, output_tokens=output, cached_tokens=cached, thinking_tokens=thinking)
    return ev.ModelAnswered(model=model, answer={"text": "", "calls": []}, usage=usage)


FIRST = ev.SessionStarted(tenant="t", session="s", program="p", version="1")
LOST = ev.AttemptsLost(count=1, turns=1, tokens=70)


def test_tokens_are_priced_by_model_and_kind() -> None:
    counted = tally([commit(FIRST, answered("gemini-2.5-flash", 1_000_000, 100_000, 400_000, 300_000))])
    (row,) = counted.models(TOKENS)
    assert row.usd == Decimal("0.6") * Decimal("0.30") + Decimal("0.4") * Decimal("0.03") + Decimal("0.4") * Decimal(
        "2.50"
    )
    assert (row.calls, row.input_tokens, row.cached_tokens, row.thinking_tokens) == (1, 1_000_000, 400_000, 300_000)


def test_each_long_prompt_has_the_price_of_long_ones() -> None:
    turns = (answered("gemini-2.5-pro", 200_000), answered("gemini-2.5-pro", 200_001))
    (row,) = tally([commit(FIRST, *turns)]).models(TOKENS)
    assert row.usd == (Decimal("1.25") * 200_000 + Decimal("2.50") * 200_001) / 1_000_000


def test_a_model_without_a_price_is_unknown_and_not_free() -> None:
    assert token_price(TOKENS, "own", Usage()) is None
    counted = tally([commit(FIRST, answered("own", 10), answered("gemini-2.5-flash", 1_000_000), answered("own", 5))])
    own, flash = counted.models(TOKENS)
    assert (own.model, own.calls, own.input_tokens, own.usd) == ("own", 2, 15, None)
    assert flash.usd == Decimal("0.30")


def test_summaries_count_and_rules_have_no_tokens() -> None:
    by_model = ev.TranscriptCompacted(up_to=1, summary="s", model="own", usage=Usage(input_tokens=3))
    by_rule = ev.TranscriptCompacted(up_to=1, summary="s")
    (row,) = tally([commit(FIRST, by_model, by_rule)]).models(TOKENS)
    assert (row.model, row.calls, row.input_tokens) == ("own", 1, 3)


def test_tokens_of_failed_and_lost_attempts_are_told_apart() -> None:
    error = ev.Failure(code="model_unavailable", message="down")
    failed = ev.ModelFailed(model="own", error=error, attempt=1, retry_at=None, left=True, tokens=7)
    counted = tally([commit(FIRST, failed, LOST)])
    assert (counted.lost_tokens, counted.used) == (77, [])


def test_prices_of_models_are_overridden_one_by_one() -> None:
    mine = {"own": {"input": Decimal("0.5"), "output": 2}, "gemini-2.5-pro": {"input": 1, "output": 1, "cached": 0}}
    prices = overridden(mine)
    (own,), (pro,) = prices["own"], prices["gemini-2.5-pro"]
    assert (own.input, own.output, own.cached) == (Decimal("0.5"), 2, Decimal("0.5"))
    assert (pro.input, pro.cached) == (1, 0)
    assert prices["gemini-2.5-flash"] is TOKENS["gemini-2.5-flash"]


@pytest.mark.parametrize(
    ("doc", "named"),
    [
        ([], "prices: write"),
        ({"own": 3}, "prices: own"),
        ({"own": []}, "prices: own"),
        ({"own": {"input": 1}}, "prices: own: needs"),
        ({"own": {"input": 1, "output": 1, "price": 1}}, "prices: own: needs"),
        ({"own": {"input": -1, "output": 1}}, "prices: own.input"),
        ({"own": {"input": True, "output": 1}}, "prices: own.input"),
        ({"own": {"input": 1, "output": "2"}}, "prices: own.output"),
        ({"own": {"input": 1, "output": float("nan")}}, "prices: own.output"),
        ({"own": {"input": 1, "output": 1, "above": Decimal("0.5")}}, "prices: own.above"),
        ({"own": {"input": 1, "output": 1, "above": 5}}, "prices: own: one price"),
        ({"own": [{"input": 1, "output": 1}, {"input": 2, "output": 2}]}, "prices: own: one price"),
    ],
)
def test_prices_that_are_none_are_refused_by_name(doc: Any, named: str) -> None:
    with pytest.raises(BadInput, match=named):
        overridden(doc)


# --- prices ----------------------------------------------------------------------------------------------------


def test_every_operation_has_a_price_that_says_where_and_when_it_was_seen() -> None:
    for location in get_args(Location):
        prices = PRICES[location]
        assert {name for name, _ in Operations().items()} <= set(prices)
        for price in prices.values():
            assert price.usd > 0
            assert price.page.startswith("https://")
            assert len(price.seen) == len("2026-08")
    assert get_args(Location) == LOCATIONS


def test_an_ordinary_step_costs_less_than_four_dollars_a_million() -> None:
    firestore = Decimal("0.03") / 100_000 + 3 * Decimal("0.09") / 100_000
    pubsub = 3000 * Decimal(40) / 2**40
    step = KINDS["step"].operations
    assert usd(step, "us-central1") == firestore + pubsub
    assert usd(step * 1_000_000, "us-central1") < 4
    assert usd(step, "nam5") == 2 * firestore + pubsub


def test_what_is_kept_costs_by_the_month() -> None:
    assert usd_a_month(Stored(2**30, 2**31), "us-central1") == Decimal("0.15") + 2 * Decimal("0.020")


# --- the command -----------------------------------------------------------------------------------------------


def printed(*words: str) -> str:
    with suppress(SystemExit):
        result = CliRunner().invoke(onward, list(words), standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.output


def test_the_table_is_printed_with_prices_and_what_is_left_out() -> None:
    text = printed("cost")
    (step,) = [line for line in text.splitlines() if line.startswith("step ")]
    assert step.split()[:4] == ["step", "3.11", "1", "3"]
    for part in ("2026-08  https://cloud.google.com/firestore/pricing", "Cloud Run: CPU", "gemini-2.5-pro", "…"):
        assert (part in text) == (part != "…"), part


def test_the_table_for_programs_has_numbers() -> None:
    doc = json.loads(printed("cost", "--json", "--location", "nam5"))
    assert doc["kinds"]["step"]["operations"]["writes"] == 3
    assert 6.1 < doc["kinds"]["step"]["usd_per_million"] < 6.2
    assert doc["prices"]["reads"] == {
        "service": "Firestore",
        "unit": "100,000 reads of documents",
        "usd": 0.06,
        "per": 100_000,
        "seen": "2026-08",
        "page": "https://cloud.google.com/firestore/pricing",
    }
    assert [tier["above"] for tier in doc["tokens"]["gemini-2.5-pro"]["tiers"]] == [0, 200_000]


def test_prices_are_taken_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text('{"own": {"input": 0.1, "output": 0.2}}')
    doc = json.loads(printed("cost", "--json", "--prices", str(file)))
    assert doc["tokens"]["own"] == {
        "tiers": [{"input": 0.1, "cached": 0.1, "output": 0.2, "above": 0}],
        "seen": None,
        "page": None,
    }
    for wrong in ("{", '{"own": {"input": NaN, "output": 1}}'):
        file.write_text(wrong)
        with pytest.raises(BadInput, match="prices"):
            printed("cost", "--prices", str(file))


def lines(counted: Tally) -> list[str]:
    output = Output(StringIO(), Paper(120), False, False)
    return list(costing._session_lines("s", counted, counted.models(TOKENS), "us-central1", output))


def test_a_session_is_told_with_its_models() -> None:
    known = lines(tally([commit(FIRST, answered("gemini-2.5-flash", 1_000_000))]))
    assert "Models    0.30000000 USD" in known
    assert not [line for line in known if "at least" in line]


def test_what_is_unknown_of_a_session_is_said() -> None:
    told = lines(tally([commit(FIRST, answered("own\x1b[2J", 10), answered("gemini-2.5-flash", 1_000_000), LOST)]))
    assert "No price is known for model own\\x1b[2J: give it with --prices FILE" in told
    assert any(line.startswith("Not priced: 70 tokens") for line in told)
    assert any(line.startswith("In all    at least 0.3000") for line in told)
    assert "Models    0.30000000 USD, and what is unknown" in told
    alone = lines(tally([commit(FIRST, answered("own", 10))]))
    assert "Models    unknown" in alone


def test_the_command_counts_a_session_that_ran_here(tmp_path: Path) -> None:
    db = str(tmp_path / "onward.db")
    run(Agent("guide", model=ScriptedModel([call("look"), DONE]), tools=[look]), "Hi", db=db, id="g1")
    doc = json.loads(printed("cost", "g1", "--db", db, "--json"))
    assert (doc["session"], doc["steps"], doc["commits"]) == ("g1", 3, 4)
    assert doc["operations"]["writes"] == 2 + 3 * 3
    assert (doc["models"][0]["usd"], doc["usd"]["models"], doc["unknown_models"]) == (None, None, ["scripted"])
    prices = tmp_path / "prices.json"
    prices.write_text('{"scripted": {"input": 1.5, "output": 0}}')
    known = json.loads(printed("cost", "g1", "--db", db, "--json", "--prices", str(prices)))
    assert known["usd"]["models"] == doc["models"][0]["input_tokens"] * 1.5 / 1_000_000
    assert known["usd"]["known"] == pytest.approx(known["usd"]["models"] + known["usd"]["services"])


def test_a_session_that_is_not_there_or_was_deleted_is_said_so(tmp_path: Path) -> None:
    db = str(tmp_path / "onward.db")
    run(Agent("guide", model=ScriptedModel([DONE])), "Hi", db=db, id="g1")
    with pytest.raises(NotFound, match="no session g2"):
        printed("cost", "g2", "--db", db)
    printed("delete", "g1", "--yes", "--db", db)
    with pytest.raises(NotFound, match="was deleted"):
        printed("cost", "g1", "--db", db)


def test_the_page_has_the_table_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs/howto/cost.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert {row[0].strip("`"): row[2:] for row in rows} == {name: _row(name) for name in KINDS}


def _row(kind: str) -> list[str]:
    found = KINDS[kind].operations
    costs = [f"{usd(found, location) * 1_000_000:.2f}" for location in LOCATIONS]
    return [str(found.reads), str(found.writes), *costs]
