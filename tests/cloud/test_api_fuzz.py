"""Whatever is sent, the API answers as its description says, and never that something went wrong in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cloud import servers
from tests.cloud.http_client import openapi
from tests.cloud.servers import Api

OPERATIONS = [
    (method.upper(), path, operation)
    for path, operations in openapi()["paths"].items()
    for method, operation in operations.items()
]
SESSION = "fuzzed"
NAMES = ["content", "call", "digest", "verdict", "reason", "arguments", "result", "to", "status", "output", "limits"]
NAMES += [
    "scope",
    "off",
    "seq",
    "field",
    "token",
    "error",
    "ttl",
    "program",
    "input",
    "labels",
    "deadline",
    "not_before",
    "pinned",
    "exists",
    "version",
    "id",
    "at",
    "effects",
    "model",
    "instructions",
    "edits",
    "value",
    "colour",
]

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
known = st.sampled_from(
    ["approved", "rejected", "done", "not_done", "refund-desk", "3.0", "0" * 64, "2026-01-01T00:00Z"]
)
values = st.recursive(
    scalars | known,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
bodies = st.dictionaries(st.sampled_from(NAMES), values, max_size=6) | values
texts = st.text(max_size=30) | st.sampled_from(
    ["0", "1", "-1", "true", "default", "x=y", "2026-01-01T00:00:00Z", "AAAA"]
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, bytes, dict[str, str]]:
    """A request for some route, right in this and wrong in that."""
    method, path, operation = draw(st.sampled_from(OPERATIONS))
    ids = ["none"] if method == "DELETE" else [SESSION, SESSION, "none"]  # its log is read afterwards
    id = draw(st.sampled_from(ids) | st.text(min_size=1, max_size=20))
    asked, headers = [], dict[str, str]()
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path" or not draw(st.booleans()):
            continue
        if parameter["in"] == "query":
            asked.append((parameter["name"], _fitting(draw, parameter["schema"])))
        else:
            headers[parameter["name"].lower()] = draw(st.text("abc-0", min_size=1, max_size=9))
    body = b"" if method == "GET" or not draw(st.integers(0, 9)) else json.dumps(draw(bodies)).encode()
    if body:
        headers["content-type"] = "application/json"
    place = path.replace("{id}", quote(id, safe="")).replace("{token}", draw(texts.map(quote)) or "x")
    place = place.replace("{digest}", draw(st.sampled_from(["0" * 64, "x"])))
    return method, f"{place}?{urlencode(asked, errors='replace')}" if asked else place, body, headers


def _fitting(draw: st.DrawFn, schema: Any) -> str:
    """A value that the description allows, or any other."""
    allowed = json.dumps(schema)
    named = [
        word for word in ("waiting", "approval", "program", "session", "output", "evidence") if f'"{word}"' in allowed
    ]
    return draw(st.sampled_from(named) | texts if named else texts)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def served(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One server for all examples."""
    serving = servers.on_sqlite(tmp_path_factory.mktemp("fuzz"))
    api = runner.run(serving.__aenter__())
    runner.run(api.asking(SESSION))
    yield api
    runner.run(serving.__aexit__(None, None, None))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=requests())
def test_g15_every_answer_is_one_that_the_description_tells_of(
    served: Api, runner: asyncio.Runner, request: tuple[str, str, bytes, dict[str, str]]
) -> None:
    method, path, body, headers = request
    if "wait=" in path:  # nothing is to be waited for here
        path = path.replace("wait=", "after=")
    answer = runner.run(served.send(method, path, body, "grace@shop.example", headers))
    assert answer.status < 500, (request, answer)
    if answer.status >= 400:
        assert answer.doc["detail"]
        assert answer.doc["code"] != "error"


def test_the_fuzzed_session_can_still_be_read(served: Api, runner: asyncio.Runner, tmp_path: Path) -> None:
    log = runner.run(served.ask("GET", f"sessions/{SESSION}/events")).doc["events"]
    assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
