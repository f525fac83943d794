"""Fifty functions with signatures like those that the documentation of well-known libraries shows as tools, and what a
model would send to each: `sent`, the values the function is to get for it (`got`), and a wrong value for one field.

The bodies are beside the point, so there are none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal, NamedTuple, NotRequired
from uuid import UUID

from annotated_types import Ge, Le, Len
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, HttpUrl, PositiveInt, StringConstraints
from typing_extensions import TypedDict

from onward.core.outcomes import Call


@dataclass
class Case:
    """`wrong` is a field, as a message names it, and the arguments to change so that it is wrong."""

    function: Any
    sent: dict[str, Any]
    got: dict[str, Any]
    wrong: tuple[str, dict[str, Any]]

    @property
    def name(self) -> str:
        return str(self.function.__name__)


CASES: list[Case] = []


def case(sent: dict[str, Any], wrong: tuple[str, dict[str, Any]], **got: Any) -> Any:
    """Sent values arrive as they are unless `got` says otherwise."""

    def add(function: Any) -> Any:
        CASES.append(Case(function, sent, {**sent, **got}, wrong))
        return function

    return add


# --- agent frameworks ------------------------------------------------------------------------------------------


@case({"a": 3, "b": 4}, ("a", {"a": "three"}))
def multiply(a: int, b: int) -> int:
    """Multiply two integers."""
    return a * b


@case({"city": "Paris"}, ("city", {"city": None}), units="celsius")
def get_weather(city: str, units: Literal["celsius", "fahrenheit"] = "celsius") -> str:
    """Current weather for a given city.

    Args:
        city: The name of the city.
        units: Which scale.
    """
    return ""


class Location(TypedDict):
    lat: float
    long: float
    label: NotRequired[str]


@case({"location": {"lat": 1.5, "long": 2.5}}, ("location.lat", {"location": {"long": 2.5}}))
async def fetch_weather(location: Location) -> str:
    """Fetch the weather for a given location.

    Args:
        location: The location to fetch the weather for.
    """
    return ""


@case({"path": "/tmp/a.txt"}, ("path", {"path": 1}), directory=None)
def read_file(path: str, directory: str | None = None) -> str:
    """Read the contents of a file."""
    return ""


@case({"query": "durable agents", "max_results": 5}, ("max_results", {"max_results": 0}), topic="general", days=None)
def web_search(
    query: Annotated[str, Field(min_length=1, description="what to search for")],
    max_results: Annotated[int, Ge(1), Le(20)] = 10,
    topic: Literal["general", "news", "finance"] = "general",
    days: int | None = None,
) -> list[str]:
    """Search the web."""
    return []


class SearchInput(BaseModel):
    query: str = Field(description="should be a search query")
    limit: int = Field(default=10, ge=1)


@case(
    {"search": {"query": "tea"}},
    ("search.limit", {"search": {"query": "tea", "limit": 0}}),
    search=SearchInput(query="tea"),
)
def search_database(search: SearchInput) -> list[str]:
    """Search the customer database for records matching the query."""
    return []


class Person(BaseModel):
    name: str
    email: str | None = None
    tags: list[str] = []


@case(
    {"people": [{"name": "Ada"}, {"name": "Bob", "tags": ["vip"]}]},
    ("people.1.name", {"people": [{"name": "Ada"}, {}]}),
    people=[Person(name="Ada"), Person(name="Bob", tags=["vip"])],
)
async def save_people(people: list[Person]) -> int:
    """Save people that were found in a text."""
    return 0


@case({"amount": "12.50", "customer_id": 7}, ("customer_id", {"customer_id": "seven"}), amount=Decimal("12.50"))
async def customer_balance(customer_id: int, amount: Decimal, include_pending: bool = True, *, call: Call) -> str:
    """The customer's balance after an amount is taken."""
    return ""


CASES[-1].got["include_pending"] = True


@case({"x": 1.5, "y": 2, "operation": "add"}, ("operation", {"operation": "plus"}), y=2.0)
def calculator(x: float, y: float, operation: Literal["add", "subtract", "multiply", "divide"]) -> float:
    """Perform basic arithmetic."""
    return 0


class Color(Enum):
    RED = "red"
    GREEN = "green"


@case({"color": "red"}, ("color", {"color": "blue"}), color=Color.RED, brightness=1.0)
def set_light_values(color: Color, brightness: Annotated[float, Field(ge=0, le=1)] = 1.0) -> dict[str, Any]:
    """Set the brightness and color temperature of a room light.

    Parameters
    ----------
    color : Color
        Which one.
    brightness : float
        From 0, which is off, to 1.
    """
    return {}


@case(
    {"currency_date": "latest", "currency_from": "USD"}, ("currency_from", {"currency_from": "usd"}), currency_to="EUR"
)
def get_exchange_rate(
    currency_from: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")] = "USD",
    currency_to: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")] = "EUR",
    currency_date: str = "latest",
) -> dict[str, Any]:
    """Retrieve the exchange rate between two currencies on a specified date."""
    return {}


@case({"purpose": "taxi", "amount": 30.0}, ("amount", {"amount": "a lot"}))
def reimburse(purpose: str, amount: float) -> dict[str, str]:
    """Reimburse the amount of money to the employee."""
    return {}


@case(
    {"messages": [{"role": "user", "content": "hi"}]},
    ("messages.0.role", {"messages": [{"role": "robot", "content": "hi"}]}),
)
def summarize(messages: list["ChatMessage"], max_words: int = 100) -> str:
    """Summarize a conversation."""
    return ""


CASES[-1].got["max_words"] = 100


class ChatMessage(TypedDict):
    role: Literal["user", "assistant"]
    content: str


class Step(BaseModel):
    title: str
    steps: list["Step"] = []


@case(
    {"plan": {"title": "move", "steps": [{"title": "pack"}]}},
    ("plan.steps.0.title", {"plan": {"title": "move", "steps": [{}]}}),
    plan=Step(title="move", steps=[Step(title="pack")]),
)
def write_plan(plan: Step) -> None:
    """Write down a plan, whose steps may have steps of their own."""


# --- discriminated unions, as FastAPI and pydantic show them -----------------------------------------------------


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    good: bool = True


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


@case({"pet": {"kind": "dog"}}, ("pet", {"pet": {"kind": "cow"}}), pet=Dog(kind="dog"))
def register_pet(pet: Pet) -> str:
    """Register a pet."""
    return ""


@case(
    {"pets": {"rex": {"kind": "dog", "good": False}}},
    ("pets.rex.dog.good", {"pets": {"rex": {"kind": "dog", "good": "perhaps"}}}),
    pets={"rex": Dog(kind="dog", good=False)},
)
def register_pets(pets: dict[str, Pet]) -> str:
    """Register pets by name."""
    return ""


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=20)
    price: Annotated[float, Field(gt=0)]
    tax: float | None = None


@case(
    {"item_id": 3, "item": {"name": "tea", "price": 2.5}},
    ("item.prize", {"item": {"name": "tea", "price": 2.5, "prize": 1}}),
    item=Item(name="tea", price=2.5),
    q=None,
)
async def update_item(item_id: Annotated[int, Field(ge=0, le=1000)], item: Item, q: str | None = None) -> Item:
    """Update an item."""
    return item


@case({"skip": 5}, ("limit", {"limit": 1000}), limit=100, q=None)
async def list_items(
    skip: int = 0, limit: int = Field(100, le=500, description="how many"), q: str | None = None
) -> None:
    """List items."""


@case(
    {"user_id": "7f1e3a52-9c0b-4d8e-8a57-52b1f5a5f3c1", "start": "2026-01-05T09:00:00Z", "repeat_at": "14:23:55"},
    ("repeat_at", {"repeat_at": "teatime"}),
    user_id=UUID("7f1e3a52-9c0b-4d8e-8a57-52b1f5a5f3c1"),
    start=datetime(2026, 1, 5, 9, tzinfo=UTC),
    repeat_at=time(14, 23, 55),
    process_after=timedelta(minutes=5),
)
async def schedule_item(
    user_id: UUID, start: datetime, repeat_at: time, process_after: timedelta = timedelta(minutes=5)
) -> None:
    """Schedule an item."""


# --- payments --------------------------------------------------------------------------------------------------


class RefundReason(StrEnum):
    DUPLICATE = "duplicate"
    FRAUDULENT = "fraudulent"
    REQUESTED = "requested_by_customer"


@case(
    {"payment_intent": "pi_3", "amount": 1000, "reason": "duplicate", "metadata": {"order": "A-1"}},
    ("reason", {"reason": "duplicated"}),
    reason=RefundReason.DUPLICATE,
)
def create_refund(
    payment_intent: str,
    amount: PositiveInt | None = None,
    reason: RefundReason | None = None,
    metadata: dict[str, str] | None = None,
    *,
    call: Call,
) -> str:
    """Refund a charge that has previously been created but not yet refunded.

    :param payment_intent: The identifier of the payment to refund.
    :param amount: A positive integer in cents.
    :param reason: Why.
    :param metadata: Key-value pairs to attach.
    """
    return ""


class LineItem(TypedDict):
    price: str
    quantity: Annotated[int, Field(ge=1)]


@case(
    {"line_items": [{"price": "price_1", "quantity": 2}]},
    ("line_items.0.quantity", {"line_items": [{"price": "price_1", "quantity": 0}]}),
    mode="payment",
    success_url=None,
)
def create_checkout_session(
    line_items: Annotated[list[LineItem], Len(1)],
    mode: Literal["payment", "setup", "subscription"] = "payment",
    success_url: str | None = None,
) -> str:
    """Create a checkout session."""
    return ""


@case(
    {"customer": "cus_1", "items": [["price_1", 2], ["price_2", 1]], "trial_end": "now"},
    ("items.0.1", {"items": [["price_1", "two"]]}),
    items=[("price_1", 2), ("price_2", 1)],
)
def create_subscription(
    customer: str, items: list[tuple[str, int]], trial_end: int | Literal["now"] | None = None
) -> str:
    """Create a subscription."""
    return ""


class Money(NamedTuple):
    amount: Decimal
    currency: str = "EUR"


@case({"to": "DE02", "money": ["3.50"]}, ("money", {"money": 3.5}), money=Money(Decimal("3.50")))
def transfer(to: str, money: Money) -> str:
    """Transfer money."""
    return ""


@dataclass
class Address:
    line1: str
    city: str
    country: str = "DE"
    lines: list[str] = field(default_factory=list)


@case(
    {"name": "Ada", "address": {"line1": "Mill 1", "city": "Ulm"}},
    ("address.city", {"address": {"line1": "Mill 1"}}),
    address=Address("Mill 1", "Ulm"),
    email=None,
)
def create_customer(name: str, address: Address, email: str | None = None) -> str:
    """Create a customer."""
    return ""


# --- chat and mail ---------------------------------------------------------------------------------------------


@case({"channel": "C1", "text": "hi", "unfurl_links": False}, ("unfurl_links", {"unfurl_links": "perhaps"}))
def post_message(
    channel: str,
    text: str,
    thread_ts: str | None = None,
    blocks: Sequence[Mapping[str, Any]] | None = None,
    unfurl_links: bool = True,
) -> dict[str, Any]:
    """Send a message to a channel."""
    return {}


CASES[-1].got |= {"thread_ts": None, "blocks": None}


@case(
    {"channel": "C1", "text": "later", "post_at": 1767600000},
    ("post_at", {"post_at": "soon"}),
)
def schedule_message(channel: str, text: str, post_at: int) -> str:
    """Schedule a message to be sent to a channel."""
    return ""


@case({"channel": "C1", "users": ["U1", "U2"]}, ("users", {"users": []}), users={"U1", "U2"})
def invite_to_channel(channel: str, users: Annotated[set[str], Len(1, 1000)]) -> str:
    """Invite users to a channel."""
    return ""


class Block(BaseModel):
    type: Literal["section", "divider"] = "section"
    text: str = ""


@case(
    {"channel": "C1", "blocks": [{"text": "hi"}, {"type": "divider"}]},
    ("blocks.0.type", {"blocks": [{"type": "header"}]}),
    blocks=(Block(text="hi"), Block(type="divider")),
)
def post_blocks(channel: str, blocks: tuple[Block, ...]) -> str:
    """Send blocks to a channel."""
    return ""


@case({"name": "a.bin", "content": "aGVsbG8="}, ("content", {"content": "no base 64!"}), content=b"hello")
def upload_file(name: str, content: bytes) -> str:
    """Upload a file."""
    return ""


@case(
    {"to": ["ada@example.org"], "subject": "hi", "body": "there"},
    ("to.0", {"to": [3]}),
    cc=[],
    importance="normal",
    send_at=None,
)
def send_email(
    to: list[str],
    subject: Annotated[str, Field(max_length=998)],
    body: str,
    cc: list[str] = [],  # noqa: B006 - as it is written there; it is copied
    importance: Literal["low", "normal", "high"] = "normal",
    send_at: datetime | None = None,
) -> str:
    """Send an e-mail."""
    return ""


# --- repositories ----------------------------------------------------------------------------------------------


@case(
    {"owner": "octo", "repo": "hello", "title": "It fails", "labels": ["bug"]},
    ("labels.0", {"labels": [{"name": "bug"}]}),
    body=None,
    milestone=None,
)
def create_issue(
    owner: str,
    repo: str,
    title: str,
    body: str | None = None,
    labels: list[str] | None = None,
    milestone: int | str | None = None,
) -> str:
    """Create an issue."""
    return ""


@case(
    {"owner": "octo", "repo": "hello", "state": "open", "since": "2026-01-05T00:00:00Z"},
    ("state", {"state": "opened"}),
    since=datetime(2026, 1, 5, tzinfo=UTC),
    per_page=30,
)
def list_issues(
    owner: str,
    repo: str,
    state: Literal["open", "closed", "all"] = "open",
    since: datetime | None = None,
    per_page: Annotated[int, Field(ge=1, le=100)] = 30,
) -> str:
    """List issues of a repository."""
    return ""


class Create(BaseModel):
    op: Literal["create"]
    path: str
    content: str


class Delete(BaseModel):
    op: Literal["delete"]
    path: str


@case(
    {
        "branch": "main",
        "message": "Tidy",
        "changes": [{"op": "delete", "path": "a"}, {"op": "create", "path": "b", "content": ""}],
    },
    ("changes.0.delete.path", {"changes": [{"op": "delete"}]}),
    changes=[Delete(op="delete", path="a"), Create(op="create", path="b", content="")],
)
def commit_files(
    branch: str, message: str, changes: list[Annotated[Create | Delete, Field(discriminator="op")]]
) -> str:
    """Commit changes to a branch."""
    return ""


class Permission(IntEnum):
    PULL = 1
    PUSH = 2


@case({"user": "ada", "permission": 2}, ("permission", {"permission": 3}), permission=Permission.PUSH)
def add_collaborator(user: str, permission: Permission = Permission.PULL) -> None:
    """Add a collaborator."""


@case({"event_type": "rebuild", "client_payload": {"a": [1, None, {"b": True}]}}, ("event_type", {"event_type": 1}))
def dispatch_event(event_type: str, client_payload: dict[str, Any]) -> None:
    """Send an event to a repository."""


@case({"repo": "hello", "pull_number": 5}, ("pull_number", {"pull_number": 5.5}), merge_method="squash", sha=None)
def merge_pull_request(
    repo: str, pull_number: int, merge_method: Literal["merge", "squash", "rebase"] = "squash", sha: str | None = None
) -> None:
    """Merge a pull request."""


# --- calendars, documents, maps ----------------------------------------------------------------------------------


class EventTime(BaseModel):
    dateTime: datetime | None = None
    day: Annotated[date | None, Field(description="for a whole day")] = None
    timeZone: str | None = None


class Attendee(BaseModel):
    email: str
    optional: bool = False


@case(
    {"summary": "Tea", "start": {"day": "2026-01-05"}, "end": {"day": "2026-01-06"}, "attendees": [{"email": "a@b.c"}]},
    ("start.day", {"start": {"day": "monday"}}),
    start=EventTime(day=date(2026, 1, 5)),
    end=EventTime(day=date(2026, 1, 6)),
    attendees=[Attendee(email="a@b.c")],
    recurrence=[],
)
def insert_event(
    summary: str,
    start: EventTime,
    end: EventTime,
    attendees: list[Attendee] = [],  # noqa: B006
    recurrence: list[str] = [],  # noqa: B006
) -> str:
    """Create an event."""
    return ""


@case(
    {"timeMin": "2026-01-05T00:00:00+01:00", "calendarId": "primary"},
    ("timeMin", {"timeMin": "soon"}),
)
def list_events(
    calendar_id: Annotated[str, Field(alias="calendarId")],
    time_min: Annotated[datetime, Field(alias="timeMin")],
    order_by: Annotated[Literal["startTime", "updated"] | None, Field(alias="orderBy")] = None,
) -> str:
    """List events, by the names that the service has for its parameters."""
    return ""


CASES[-1].got = {
    "calendar_id": "primary",
    "time_min": datetime.fromisoformat("2026-01-05T00:00:00+01:00"),
    "order_by": None,
}


@case(
    {"day": "2026-02-28", "slot": "PT30M"},
    ("day", {"day": "2026-02-30"}),
    day=date(2026, 2, 28),
    slot=timedelta(minutes=30),
)
def free_slots(day: date, slot: timedelta) -> list[time]:
    """When there is time on a day."""
    return []


@case(
    {"origin": [48.4, 10.0], "destination": "Ulm"},
    ("origin", {"origin": [1, 2, 3]}),
    origin=(48.4, 10.0),
    mode="driving",
)
def get_directions(
    origin: str | tuple[float, float],
    destination: str | tuple[float, float],
    mode: Literal["driving", "walking", "bicycling", "transit"] = "driving",
) -> str:
    """Directions between two places."""
    return ""


@case({"url": "https://example.org/a?b=c"}, ("url", {"url": "ftp://example.org"}), timeout=30.0, headers={})
def fetch_page(url: HttpUrl, timeout: Annotated[float, Field(gt=0)] = 30.0, headers: dict[str, str] = {}) -> str:  # noqa: B006
    """Fetch a page."""
    return ""


CASES[-1].got["url"] = HttpUrl("https://example.org/a?b=c")


@case({"address": "10.0.0.1", "url": "redis://h"}, ("address", {"address": "10.0.0.256"}))
def open_port(address: IPv4Address, url: AnyUrl) -> None:
    """Open a port."""


CASES[-1].got = {"address": IPv4Address("10.0.0.1"), "url": AnyUrl("redis://h")}


# --- data ------------------------------------------------------------------------------------------------------


class QueryParameter(BaseModel):
    name: str
    value: int | float | bool | str | None


@case(
    {"query": "select 1", "parameters": [{"name": "n", "value": 3}, {"name": "s", "value": "x"}]},
    ("parameters.0.value", {"parameters": [{"name": "n", "value": []}]}),
    parameters=[QueryParameter(name="n", value=3), QueryParameter(name="s", value="x")],
    maximum_bytes_billed=10**9,
    dry_run=False,
)
def run_query(
    query: str,
    parameters: list[QueryParameter] | None = None,
    maximum_bytes_billed: Annotated[int, Field(gt=0)] = 10**9,
    dry_run: bool = False,
) -> list[dict[str, Any]]:
    """Run a query and give its rows."""
    return []


@case(
    {"table": "t", "rows": [{"id": 1, "name": None}]},
    ("rows.0.id", {"rows": [{"id": {"a": 1}}]}),
)
def insert_rows(table: str, rows: list[dict[str, int | str | None]]) -> int:
    """Insert rows into a table."""
    return 0


@case(
    {"by": ["city"], "agg": {"price": ["mean", "max"]}},
    ("agg.price.1", {"agg": {"price": ["mean", "average"]}}),
    how="left",
    dropna=True,
)
def group_by(
    by: str | list[str],
    agg: dict[str, list[Literal["mean", "max", "min", "sum"]]],
    how: Literal["left", "right"] = "left",
    dropna: bool = True,
) -> str:
    """Group rows and sum them up.

    Parameters
    ----------
    by : str or list of str
        Columns to group by.
    agg : dict
        Functions by column.
    """
    return ""


@case({"path": "a.csv", "usecols": ["a", "b"], "nrows": None}, ("sep", {"sep": ";;"}), sep=",", skiprows=frozenset())
def read_csv(
    path: str,
    sep: Annotated[str, Len(1, 1)] = ",",
    usecols: list[str] | list[int] | None = None,
    nrows: int | None = None,
    skiprows: frozenset[int] = frozenset(),
) -> str:
    """Read a table."""
    return ""


@case(
    {"matrix": [[1, 2], [3, 4]], "vector": [1, 2, 3]},
    ("vector", {"vector": [1, 2]}),
    matrix=[[1.0, 2.0], [3.0, 4.0]],
    vector=(1.0, 2.0, 3.0),
)
def solve(matrix: list[list[float]], vector: tuple[float, float, float]) -> list[float]:
    """Solve a system of equations."""
    return []


class Vertex(BaseModel):
    model_config = ConfigDict(frozen=True)
    x: int
    y: int = 0


@case(
    {"vertices": [{"x": 1}, {"x": 2, "y": 3}], "weights": {"a": "0.5"}},
    ("vertices", {"vertices": {"x": 1}}),
    vertices=frozenset({Vertex(x=1), Vertex(x=2, y=3)}),
    weights={"a": Decimal("0.5")},
)
def hull(vertices: frozenset[Vertex], weights: dict[str, Decimal]) -> list[Vertex]:
    """The hull of some points."""
    return []


class Between(TypedDict, total=False):
    gte: datetime
    lt: datetime


@case(
    {"created": {"gte": "2026-01-05T00:00:00Z"}, "limit": 3},
    ("created", {"created": "yesterday"}),
    created={"gte": datetime(2026, 1, 5, tzinfo=UTC)},
    starting_after=None,
)
def list_charges(
    created: int | Between | None = None, limit: Annotated[int, Ge(1), Le(100)] = 10, starting_after: str | None = None
) -> str:
    """List charges."""
    return ""


@case(
    {"images": ["AAE=", "_-8="], "prompt": "a cat"},
    ("images.1", {"images": ["AAE=", "?"]}),
    images=[b"\0\1", b"\xff\xef"],
)
def edit_images(images: list[bytes], prompt: str, size: Literal["256x256", "512x512"] | None = None) -> bytes:
    """Edit images."""
    return b""


CASES[-1].got["size"] = None


@case(
    {"seconds": "PT90S", "at": "2026-01-05"},
    ("seconds", {"seconds": "soon"}),
    seconds=timedelta(seconds=90),
    at=date(2026, 1, 5),
)
def set_timer(seconds: timedelta, at: date | None = None, days: frozenset[Literal["mon", "tue"]] = frozenset()) -> None:
    """Set a timer."""


CASES[-1].got["days"] = frozenset()
