"""Pages of what asks for very much at once: they cost what they show, and not that times itself."""

from __future__ import annotations

from pathlib import Path

from onward import Agent, App, Approval, Call, ScriptedModel, tool
from tests.cloud import servers
from tests.console.house import GRACE
from tests.console.visitor import Visitor

MANY = 40


@tool(effect="irreversible", approval=Approval(timeout="1d"))
def pay(amount: int, *, call: Call) -> str:
    """Pay something."""
    return f"paid {amount}"


def asks_much() -> App:
    calls = [{"tool": "pay", "arguments": {"amount": amount}} for amount in range(MANY)]
    return App(programs=[Agent("wide", model=ScriptedModel([{"calls": calls}, {"text": "Done."}]), tools=[pay])])


async def test_what_a_session_asks_is_read_once_however_much_it_is(tmp_path: Path) -> None:
    async with servers.on_sqlite(tmp_path, app=asks_much()) as api:
        asked = await api.asking("w-1", program="wide")
        grace = Visitor(api, GRACE)
        for path, calls in (("/approvals", MANY), (f"/approvals/w-1/{asked['call']}", 1)):
            api.counts.clear()
            page = await grace.get(path)
            assert page.html.count(">Approve<") == calls
            assert api.counts["commits"] <= 4, path
