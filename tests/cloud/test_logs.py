"""What the functions log: one line for a step, in one table of fields."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emulators.cloud import SESSIONS
from onward.adapters.gcp.trace import traced
from onward.surfaces.functions import logs

if TYPE_CHECKING:
    from tests.cloud.world import World

ROOT = Path(__file__).parents[2]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def out() -> Iterator[StringIO]:
    """Where this process logs to meanwhile."""
    text, root = StringIO(), logging.getLogger("onward")
    before = (root.handlers, root.propagate, root.level)
    logs.log_to("p", text)
    yield text
    root.handlers, root.propagate = before[:2]
    root.setLevel(before[2])


def test_the_fields_of_the_log_are_documented() -> None:
    page = (ROOT / "docs/cloud.md").read_text()
    told = dict(re.findall(r"^\| `([\w./]+)` \| (.+) \|$", page.partition("## What is logged")[2], re.M))
    assert told == dict(logs.FIELDS)


def test_a_line_has_only_fields_of_the_table(out: StringIO) -> None:
    extra = {"action": "step", "session": "s", "seq": 3, "password": "hunter2", "code": None}
    logging.getLogger("onward.functions").warning("a word", extra=extra)
    try:
        raise ValueError("wrong")
    except ValueError:
        logging.getLogger("onward.engine").exception("failed")
    first, second = map(json.loads, out.getvalue().splitlines())
    assert first.keys() == {"severity", "time", "message", "action", "session", "seq"}
    assert first.keys() | second.keys() <= logs.FIELDS.keys()
    assert (second["severity"], "ValueError: wrong" in second["message"]) == ("ERROR", True)


@pytest.mark.parametrize(("parent", "named"), [(PARENT, f"projects/p/traces/{TRACE}"), ("mine", None), (None, None)])
def test_a_trace_is_named_as_cloud_logging_does(out: StringIO, parent: str | None, named: str | None) -> None:
    with traced(parent):
        logging.getLogger("onward.engine").warning("a word")
    assert json.loads(out.getvalue()).get(logs.TRACE) == named


async def test_a_step_says_how_long_its_parts_took(world: World) -> None:
    await world.start("s-parts", "pack-desk")
    await world.until("s-parts", "session_completed")
    asked, packed, said = await _steps(world, "s-parts")
    parts = {"claim_ms", "load_ms", "decide_ms", "perform_ms", "append_ms", "publish_ms"}
    assert asked.keys() & packed.keys() & said.keys() >= parts
    assert packed["perform_ms"] >= 1500
    assert all(sum(line[part] for part in parts) <= line["ms"] + 1 for line in (asked, packed, said))


async def test_a_trace_goes_through_all_steps_and_to_subscribers(world: World) -> None:
    body = {"program": "pack-desk", "input": "Hi"}
    start = json.dumps({"version": 1, "session": "s-trace", "kind": "start", "body": body})
    data = base64.b64encode(start.encode()).decode()
    world.cloud.pubsub.publish(world.cloud.topic(SESSIONS), data, traceparent=PARENT)
    await world.until("s-trace", "session_completed")
    name = f"projects/{world.settings.project}/traces/{TRACE}"
    assert {line.get(logs.TRACE) for line in await _steps(world, "s-trace")} == {name}


async def test_steps_tell_the_tokens_that_they_spent(world: World) -> None:
    await world.start("s-tokens", "pack-desk")
    steps = await _steps(world, "s-tokens")
    status, session = await world.ask("GET", "sessions/s-tokens")
    assert (status, sum(line.get("tokens", 0) for line in steps)) == (200, session["spent"]["tokens"])
    assert session["spent"]["tokens"] > 0


async def test_what_needs_attention_is_said_in_a_line_of_its_own(world: World) -> None:
    await world.start("s-parked", "pack-desk", limits={"turns": 1})
    await world.until("s-parked", "limit_reached")
    (line,) = await world.logged("advance", session="s-parked", action="parked")
    assert (line["severity"], line["code"]) == ("ERROR", "limit_reached")


async def _steps(world: World, session: str) -> list[dict[str, Any]]:
    """The lines of the steps that moved it, the last of which ended it."""
    await world.logged("advance", session=session, outcome="moved")
    lines = world.lines("advance", session=session, outcome="moved")
    while not any("session_completed" in line["kinds"] for line in lines):
        lines = world.lines("advance", session=session, outcome="moved")
    return lines
