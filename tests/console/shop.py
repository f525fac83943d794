"""What the browser is shown in these tests: a shop whose agents play scripts, and tools that note what they did.

What a tool did is in `books.jsonl` beside the database. A tool that waits goes on when a file of its name is there.
"""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from onward import Agent, App, Approval, Call, Context, NotPerformed, ScriptedModel, tool, workflow
from onward.core.model import ModelRequest

HERE = Path.cwd()
HOSTILE = (
    '</td></main></body><h1 id="forged">Owned</h1><script>document.title = "owned"; alert(1)</script>'
    '<img src="http://evil.example/pixel.png" onerror="alert(2)"><svg onload="alert(3)"></svg>'
    '<a href="javascript:alert(4)">free money</a> [free money](javascript:alert(5)) <form action="http://evil.example">'
    '<style>body{display:none}</style><link rel="stylesheet" href="http://evil.example/x.css">'
    "<base href='http://evil.example/'><meta http-equiv=refresh content='0;url=http://evil.example/'> "
    "{{7*7}} {% raw %} ${7*7} --> ]]> \u202egnp.exe\u202c "
    "\u2066hidden\u2069 \x1b[31mred\x1b[0m \x07 e\u0301\u0301\u0301 \ufffe \u0000" + "and so on " * 100
)
"""What a model writes that wants to be more than text."""


def book(what: str, call: Call, **more: Any) -> None:
    """Write down what was done."""
    with (HERE / "books.jsonl").open("a") as books:
        books.write(json.dumps({"what": what, "session": call.session, **more}) + "\n")


async def until_there(name: str) -> None:
    while not (HERE / name).exists():
        await asyncio.sleep(0.02)


class Account(BaseModel):
    """Where the money goes."""

    holder: str = Field(min_length=1, max_length=80)
    iban: str = Field(pattern=r"^[A-Z]{2}[0-9]{10,30}$", description="Without spaces.")
    bank: str | None = None


@tool(effect="read")
def find_order(order: str) -> dict[str, str]:
    """Find an order.

    Args:
        order: Its number.
    """
    return {"order": order, "article": "Coffee grinder", "paid": "89.00 EUR", "arrived": "broken"}


@tool(effect="read", timeout="60s")
async def watch(parcel: str, *, call: Call) -> str:
    """Ask the carrier, which takes its time."""
    await until_there(f"go-{call.session}-{parcel}")
    return f"parcel {parcel} is on its way"


@tool(effect="irreversible", approval=Approval(rule="every refund is looked at", timeout="24h", remind="4h"))
def refund(
    order: str,
    amount: Annotated[Decimal, Field(gt=0, le=500, description="At most 500.")],
    *,
    cause: Literal["broken", "late", "regret"],
    to: Account,
    letter: bool = False,
    parts: list[str] | None = None,
    note: str | None = None,
    call: Call,
) -> str:
    """Refund an order. The money is gone then."""
    given = {"order": order, "amount": str(amount), "cause": cause, "to": to.model_dump(), "letter": letter}
    book("refund", call, arguments={**given, "parts": parts, "note": note})
    return f"refunded {amount}"


@tool(effect="irreversible", approval=Approval(rule="two look at a transfer", people=2, timeout="24h"))
def transfer(amount: int, *, call: Call) -> str:
    """Move money between our accounts."""
    book("transfer", call, arguments={"amount": amount})
    return "moved"


@tool(effect="irreversible", approval=Approval(rule="somebody hurries", timeout="2s"))
def hurry(amount: int, *, call: Call) -> str:
    """Pay, if somebody says so at once."""
    book("hurry", call, arguments={"amount": amount})
    return "paid"


@tool(effect="irreversible")
def pay(order: str, *, call: Call) -> str:
    """Pay a refund out, and lose the line to the bank."""
    book("pay", call, order=order)
    raise ConnectionError("the bank hung up before it answered")


TAME = ("A text like any other, with no more in it than words. " * 30)[: len(HOSTILE)]


@tool(effect="irreversible", approval=Approval(rule=HOSTILE, timeout="24h"))
def post(text: str, *, extra: dict[str, Any], call: Call) -> str:
    """Post a text."""
    book("post", call)
    return text


@tool(effect="read")
def read_page(url: str) -> dict[str, str]:
    """Read a page of the web, if the web is there."""
    text = HOSTILE if url == HOSTILE else TAME
    if url.startswith("broken"):
        raise NotPerformed(HOSTILE)
    return {"page": text, text[:60]: text[:140], "long": text + "<b>" * 70_000}


MONEY = {"order": "A-1042", "amount": "89.00", "cause": "broken", "letter": False}
ACCOUNT = {"holder": "Maria Keller", "iban": "DE021203000000"}


def calls(name: str, **arguments: Any) -> dict[str, Any]:
    return {"tool": name, "arguments": arguments}


def agent(name: str, *turns: Any, of: list[Any], **more: Any) -> Agent:
    return Agent(name, model=ScriptedModel(turns), instructions="Help the customer.", tools=of, **more)


def stranger_says(request: ModelRequest) -> dict[str, Any]:
    """Reads pages, says what it found at length, and asks to post it: what it was told to say, or something tame."""
    text = TAME if "tame" in str(request.transcript[0].value) else HOSTILE
    if not any(entry.kind == "answer" for entry in request.transcript):
        return {"text": text[:140], "calls": [calls("read_page", url=text), calls("read_page", url=f"broken {text}")]}
    return {"text": text + "A" * 200_000, "calls": [calls("post", text=text, extra={text: [text]})]}


clerk = agent(
    "refund-desk",
    {"text": "Let me look at your order.", "calls": [calls("find_order", order="A-1042")]},
    {"text": "It arrived broken, so you get your money back.", "calls": [calls("refund", **MONEY, to=ACCOUNT)]},
    {"text": "Your money is on its way."},
    of=[find_order, refund],
)
parcels = agent(
    "parcel-desk",
    *({"text": f"I ask about parcel {at}.", "calls": [calls("watch", parcel=str(at))]} for at in (1, 2, 3)),
    {"text": "All three parcels are on their way."},
    of=[watch],
)
talker = agent("front-desk", *({"text": f"Answer {at}."} for at in range(1, 50)), of=[], conversation=True)
speaker = agent(
    "speaker",
    {"text": "Ask me."},
    {"text": ["Let me think. ", HOSTILE[:140], " That is all."], "pause": 0.7},
    of=[],
    conversation=True,
)
treasury = agent("treasury", {"calls": [calls("transfer", amount=900)]}, {"text": "Done."}, of=[transfer])
hasty = agent("hasty", {"calls": [calls("hurry", amount=5)]}, {"text": "Done."}, of=[hurry])
cashier = agent("cashier", {"calls": [calls("pay", order="A-1042")]}, {"text": "It is paid."}, of=[pay])
stranger = Agent("stranger", model=ScriptedModel(stranger_says), tools=[read_page, post])
manager = agent(
    "manager",
    {"text": "I hand this to the desk.", "calls": [calls("refund_desk", input="My grinder came broken.")]},
    {"text": "The desk has seen to it."},
    of=[clerk],
)


class Collected(BaseModel):
    """The carrier has been there."""

    by: str
    parcels: int = Field(ge=1, le=9)


async def reserve(article: str, *, call: Call) -> str:
    book("reserve", call, article=article)
    return f"shelf 7: {article}"


async def put_back(result: str, *, call: Call) -> str:
    book("put back", call)
    return result


async def print_label(order: str) -> str:
    return f"label-{order}"


async def send_out(shelf: str, label: str, *, call: Call) -> str:
    book("send out", call, label=label)
    return "sent"


@workflow
async def replacement(ctx: Context, order: str) -> dict[str, Any]:
    """Send another one for what came broken."""
    found = await ctx.step(find_order, order)
    shelf = await ctx.step(reserve, found["article"], undo=put_back)

    async def parcel() -> Collected:
        await ctx.step(print_label, order, effect="read")
        return await ctx.signal("collected", Collected, timeout="5d")

    async def answer() -> None:
        decision = await ctx.approval(f"Send a new {found['article']} at once?", evidence=found, timeout="2d")
        if not decision.approved:
            raise RuntimeError("it is not replaced")

    collected, _ = await asyncio.gather(parcel(), answer())
    sent = await ctx.step(send_out, shelf, f"label-{order}", effect="irreversible")
    return {"sent": sent, "collected": collected}


app = App(programs=[clerk, parcels, talker, speaker, treasury, hasty, cashier, stranger, manager, replacement])
