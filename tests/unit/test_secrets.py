"""Canaries: a secret that tools are given is nowhere afterwards, neither in the file nor in a log line."""

import asyncio
import base64
import json
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest

from onward import (
    Agent,
    App,
    Call,
    Done,
    File,
    Injected,
    NotDone,
    NotPerformed,
    Pending,
    Runtime,
    ScriptedModel,
    Secret,
    Unknown,
    tool,
)
from onward.core.state import State
from onward.programs.tools import Tool
from onward.wiring import Policy

CANARY = "sk_live_canary_4242"
DEEP = "whsec_canary_of_the_bank"
Key = Annotated[Secret, "STRIPE_KEY"]


class Bank:
    """It knows a secret of its own."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __repr__(self) -> str:
        return f"Bank({self.key})"


async def bank(key: Annotated[Secret, "BANK_KEY"]) -> AsyncIterator[Bank]:
    yield Bank(key.reveal())
    raise OSError(f"could not close {key.reveal()}")


class Odd:
    """What can't be written as JSON is recorded by its repr."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __repr__(self) -> str:
        return "x" * (2000 - len("Odd()") - 8) + f"Odd({self.key})"


class Shy(Exception):
    """An error that can't even be told."""

    def __str__(self) -> str:
        raise RuntimeError(f"about {CANARY}")


def outcomes(key: Secret, bank: Bank, how: str) -> Any:
    """Every way in which a tool may try to tell."""
    word = key.reveal()
    if how == "text":
        return f"{word} {bank!r} {base64.b64encode(f'{word}:'.encode()).decode()}"
    if how == "deep":
        return {word: [{"a": (word, word.encode())}]}
    if how == "repr":
        return Odd(word)
    if how == "file":
        return [File(data=f"key={word}".encode(), media_type="text/plain", name=word)]
    if how == "raised":
        raise ValueError(f"{word!r} was refused, {bank!r} too")
    if how == "long":
        raise ValueError("x" * (2000 - len("ValueError: ") - 8) + word)
    if how == "from":
        raise ConnectionError("refused") from ValueError(word)
    if how == "shy":
        raise Shy
    if how == "refused":
        raise NotPerformed(f"no such key: {word}")
    if how == "secret":
        return key
    return Unknown(f"who knows {word}") if how == "unknown" else Pending("1h", poll_every="1s")


WAYS = ["text", "deep", "repr", "file", "raised", "long", "from", "shy", "refused", "secret", "unknown"]


@tool(effect="read", retry=1)
async def look(how: str, *, key: Key, bank: Injected[Bank]) -> Any:
    """Look."""
    return outcomes(key, bank, how)


@tool(effect="read", retry=1)
def gaze(how: str, *, key: Key, bank: Injected[Bank]) -> Any:
    """Look, and block."""
    return outcomes(key, bank, how)


@tool
async def pay(how: str, *, key: Key, bank: Injected[Bank]) -> Any:
    """Pay."""
    return outcomes(key, bank, how)


@pay.reconcile
def paid(call: Call, key: Key, bank: Injected[Bank]) -> Done[str] | NotDone | Unknown:
    word = key.reveal()
    if call.arguments["how"] == "raised":
        raise LookupError(f"{word} has no access, nor {bank!r}")
    if call.arguments["how"] == "from":
        return Done(f"paid with {word}")
    return Unknown(f"{word} was not found by {bank!r}")


@tool(effect="idempotent")
async def ship(how: str, *, key: Key) -> Pending:
    """Ship."""
    return Pending("1h", poll_every="0.01s")


polls: list[int] = []


@ship.poll
async def shipped(key: Key, call: Call) -> Any:
    polls.append(1)
    if len(polls) == 1:
        raise ConnectionError(f"refused {key.reveal()}")
    return Done({"label": key.reveal()})


def application(*calls: tuple[Tool[..., Any], str], secrets: Any) -> App:
    turns = [{"calls": [{"tool": tool.name, "arguments": {"how": how}} for tool, how in calls]}]
    model = ScriptedModel([*turns, {"text": "done"}])
    agent = Agent("desk", model=model, tools=[look, gaze, pay, ship])
    return App(programs=[agent], resources=[bank], secrets=secrets)


SECRETS = {"STRIPE_KEY": CANARY, "BANK_KEY": DEEP}


class Lines(logging.Handler):
    """Every log line, as a formatter would write it and with everything that is attached to it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += f"{self.format(record)} {vars(record)!r}\n"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    handler, root = Lines(), logging.getLogger()
    monkeypatch.setattr(root, "handlers", [*root.handlers, handler])
    monkeypatch.setattr(root, "level", logging.DEBUG)
    return handler


async def played(db: Path, *calls: tuple[Tool[..., Any], str], secrets: Any = SECRETS) -> State:
    async with Runtime(application(*calls, secrets=secrets), db, policy=Policy(steps_per_wake=100)) as runtime:
        head = await runtime.start("desk", "go", id="s1")
        await runtime.wait(head.id)
        return await runtime.state(head.id)


def spilled(*texts: str) -> str:
    """What of the canaries is there: whole, in base64, or cut in the middle."""
    pieces = [CANARY, CANARY[:8], DEEP, DEEP[:8], *(_base64(CANARY, shift) for shift in range(3))]
    return " ".join(piece for piece in pieces if any(piece in text for text in texts))


def _base64(word: str, shift: int) -> str:
    return base64.b64encode(b"\0" * shift + word.encode()).decode()[4:16]


def bytes_of(db: Path) -> str:
    """The whole database, with its journal, and what base64 in it decodes to."""
    text = "".join(path.read_bytes().decode("latin-1") for path in sorted(db.parent.glob(f"{db.name}*")))
    packed = re.findall(r"[A-Za-z0-9+/]{8,}={0,2}", text)
    return text + "".join(base64.b64decode(part + "==").decode("latin-1") for part in packed if len(part) % 4 != 1)


def test_the_check_finds_a_canary_in_any_form() -> None:
    assert spilled(f"x{CANARY}")
    assert spilled(DEEP[:8])
    assert spilled(base64.b64encode(f"u:{CANARY}".encode()).decode())


@pytest.mark.parametrize("tool", [look, gaze], ids=["async", "blocking"])
async def test_a_read_tells_no_secret_whatever_comes_of_it(tool: Tool[..., Any], tmp_path: Path, lines: Lines) -> None:
    state = await played(tmp_path / "o.db", *((tool, how) for how in WAYS))
    results = [entry for entry in state.transcript if entry.kind == "result"]
    assert state.ended == "completed"
    assert len(results) == len(WAYS)
    assert sum("***" in entry.text for entry in results) == 8, (
        "all but an untold error, one that is only a cause, and a Secret itself"
    )
    assert "resource not closed" in lines.text
    assert spilled(bytes_of(tmp_path / "o.db"), lines.text) == ""


async def test_an_irreversible_call_tells_no_secret_whatever_comes_of_it(tmp_path: Path, lines: Lines) -> None:
    for how in WAYS:
        state = await played(tmp_path / f"{how}.db", (pay, how))
        assert state.ended == "completed" or state.calls["3.0"].status == "person"
        assert spilled(bytes_of(tmp_path / f"{how}.db"), lines.text) == "", how


async def test_a_poll_tells_no_secret(tmp_path: Path, lines: Lines) -> None:
    polls.clear()
    db = tmp_path / "o.db"
    async with Runtime(application((ship, ""), secrets=SECRETS), db, policy=Policy(steps_per_wake=100)) as runtime:
        await runtime.start("desk", "go", id="s1")
        await runtime.wait("s1", ended=True)
        state = await runtime.state("s1")
    assert [entry.value for entry in state.transcript if entry.kind == "result"] == [{"label": "***"}]
    assert "poll failed" in lines.text
    assert spilled(bytes_of(db), lines.text) == ""


async def test_g6_a_missing_secret_means_that_nothing_was_performed(tmp_path: Path) -> None:
    from onward.testing.runner import Runner

    runner = Runner(application((pay, "text"), secrets={"BANK_KEY": DEEP}), policy=Policy(steps_per_wake=100))
    await begin(runner)
    await runner.finish()
    state = await runner.state("s1")
    assert state.ended == "completed"
    (result,) = (entry for entry in state.transcript if entry.kind == "result")
    assert result.failed
    message = "secret STRIPE_KEY is missing: App(secrets=...) has none"
    assert result.value == {"code": "not_prepared", "message": message}
    kinds = await kinds_of(runner)
    assert kinds.count("call_failed") == 3, "it is tried as often as what may be repeated"
    assert not {"call_started", "call_in_doubt"} & set(kinds)


async def test_g6_a_resource_that_comes_back_lets_an_irreversible_call_through() -> None:
    from onward.testing.runner import Runner

    down = [1, 1]

    async def bank() -> Bank:
        if down:
            down.pop()
            raise ConnectionError("down")
        return Bank("")

    @tool
    async def pay(how: str, *, bank: Injected[Bank]) -> str:
        """Pay."""
        return "paid"

    model = ScriptedModel([{"calls": [{"tool": "pay", "arguments": {"how": ""}}]}, {"text": "done"}])
    app = App(programs=[Agent("desk", model=model, tools=[pay])], resources=[bank])
    runner = Runner(app, policy=Policy(steps_per_wake=100))
    await begin(runner)
    await runner.finish()
    kinds = await kinds_of(runner)
    assert [kind for kind in kinds if kind.startswith("call_")] == [
        "call_failed",
        "call_failed",
        "call_started",
        "call_completed",
    ]
    await runner.parts.close()


async def test_a_resource_that_takes_too_long_is_waited_for_no_longer_than_the_tool_may_take() -> None:
    from onward.testing.runner import Runner

    async def bank() -> Bank:
        await asyncio.Event().wait()
        raise AssertionError

    @tool(timeout=0.02, retry=1)
    async def pay(how: str, *, bank: Injected[Bank]) -> str:
        """Pay."""
        raise AssertionError

    model = ScriptedModel([{"calls": [{"tool": "pay", "arguments": {"how": ""}}]}, {"text": "done"}])
    runner = Runner(App(programs=[Agent("desk", model=model, tools=[pay])], resources=[bank]))
    await begin(runner)
    await runner.finish()
    (result,) = (entry for entry in (await runner.state("s1")).transcript if entry.kind == "result")
    assert result.value == {"code": "not_prepared", "message": "what pay needs was not there within 0.02 s"}
    await runner.parts.close()


async def begin(runner: Any) -> None:
    from onward.core.events import Actor
    from onward.engine.gateway import Start

    await runner.parts.gateway.start(Start("s1", "desk", "1", "go"), Actor(kind="person", name="ada"))


async def kinds_of(runner: Any) -> list[str]:
    from onward.core.ids import session_key

    commits = await runner.backend.store.commits(session_key("default", "s1"))
    return [event.kind for commit in commits for event in runner.parts.loader.events(commit)]


async def test_resources_are_closed_with_the_runtime(tmp_path: Path) -> None:
    story: list[str] = []

    async def bank() -> AsyncIterator[Bank]:
        story.append("open")
        yield Bank("")
        story.append("closed")

    @tool(effect="read")
    async def look(how: str, *, bank: Injected[Bank]) -> None:
        """Look."""
        story.append("looked")
        await asyncio.sleep(0)

    model = ScriptedModel([{"calls": [{"tool": "look", "arguments": {"how": how}} for how in "ab"]}, {"text": "done"}])
    app = App(programs=[Agent("desk", model=model, tools=[look])], resources=[bank])
    async with Runtime(app, tmp_path / "o.db") as runtime:
        assert story == []
        await runtime.start("desk", "go", id="s1")
        await runtime.wait("s1", ended=True)
        assert story == ["open", "looked", "looked"]
    assert story[-1] == "closed"
    assert json.dumps(story).count("closed") == 1
