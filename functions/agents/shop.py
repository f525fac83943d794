"""A small shop in one SQLite file: customers, orders, and the ledger of what was paid back.

It stands for the systems that an agent works on. It knows nothing of Onward, shares no file and no transaction with
it, and is as easily misled as a real payment service: `book_refund` books whatever it is asked to, the same refund
twice included, and takes a moment to answer. The file is made, with its data, by the first who opens it.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILE = (HERE.parents[1] / "build" if HERE.parent.name == "functions" else Path(tempfile.gettempdir())) / "shop.db"
"""Where it is deployed only the folder for temporary files may be written to, and it goes with the instance."""

CONFIRMS_AFTER = 2.0
"""Seconds between a booking and its confirmation, as payment services have them."""


@dataclass(frozen=True)
class Item:
    name: str
    quantity: int
    price: Decimal


@dataclass(frozen=True)
class Order:
    id: str
    customer: str
    email: str
    ordered_on: date
    delivered_on: date | None
    items: list[Item]
    total: Decimal


@dataclass(frozen=True)
class Receipt:
    """One line of the ledger: a refund as it was booked."""

    reference: str
    order_id: str
    amount: Decimal
    key: str
    booked_at: datetime


# --- what the shop offers --------------------------------------------------------------------------------------


def find_order(order_id: str) -> Order | None:
    """The order with this number."""
    return next(iter(_orders("orders.id = ?", order_id.strip().upper())), None)


def find_orders(email: str) -> list[Order]:
    """A customer's orders, newest first."""
    return _orders("customers.email = ?", email.strip().lower())


def book_refund(order_id: str, amount: Decimal, key: str) -> Receipt:
    """Book a refund, then confirm it. `key` is noted and not looked at: the same one twice is booked twice."""
    booked_at = datetime.now(UTC)
    with _database() as db:
        row = db.execute(
            "INSERT INTO ledger (order_id, cents, key, booked_at) VALUES (?, ?, ?, ?) RETURNING *",
            (order_id, int(amount * 100), key, booked_at.isoformat(timespec="milliseconds")),
        ).fetchone()
    time.sleep(CONFIRMS_AFTER)
    return _receipt(row)


def refund_by_key(key: str) -> Receipt | None:
    """The refund that was booked under this key, if there is one."""
    return next((receipt for receipt in ledger() if receipt.key == key), None)


def ledger() -> list[Receipt]:
    """Every refund that was ever booked, oldest first."""
    with _database() as db:
        return [_receipt(row) for row in db.execute("SELECT * FROM ledger ORDER BY number")]


# --- how it keeps it -------------------------------------------------------------------------------------------

_SCHEMA = """
CREATE TABLE customers (email TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE orders (id TEXT PRIMARY KEY, email TEXT NOT NULL, ordered_on TEXT NOT NULL, delivered_on TEXT);
CREATE TABLE items (order_id TEXT NOT NULL, name TEXT NOT NULL, quantity INTEGER NOT NULL, cents INTEGER NOT NULL);
CREATE TABLE ledger (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id TEXT NOT NULL, cents INTEGER NOT NULL, key TEXT NOT NULL, booked_at TEXT NOT NULL
);
"""

_CUSTOMERS = [
    ("maria.keller@example.com", "Maria Keller"),
    ("tom.okafor@example.com", "Tom Okafor"),
    ("ines.duarte@example.com", "Inês Duarte"),
    ("jan.novak@example.com", "Jan Novák"),
    ("aylin.demir@example.com", "Aylin Demir"),
]

# number, customer, days ago: ordered and delivered, items: name, quantity, price in cents
_ORDERS: list[tuple[str, str, int, int | None, list[tuple[str, int, int]]]] = [
    ("A-1036", "tom.okafor@example.com", 31, 28, [("Moka pot, 6 cups", 1, 3450), ("Espresso beans, 1 kg", 2, 1890)]),
    ("A-1037", "maria.keller@example.com", 27, 24, [("Espresso beans, 1 kg", 1, 1890)]),
    ("A-1038", "ines.duarte@example.com", 22, 19, [("Electric kettle, 1.7 l", 1, 5990)]),
    ("A-1039", "jan.novak@example.com", 18, 15, [("Enamel mug, blue", 4, 1250), ("Tea strainer", 1, 790)]),
    ("A-1040", "aylin.demir@example.com", 14, 11, [("Espresso machine", 1, 34900), ("Milk jug, 350 ml", 1, 1690)]),
    ("A-1041", "tom.okafor@example.com", 9, 6, [("Paper filters, 100", 3, 420)]),
    ("A-1042", "maria.keller@example.com", 8, 3, [("Burr coffee grinder", 1, 8900), ("Cleaning brush", 1, 650)]),
    ("A-1043", "jan.novak@example.com", 1, None, [("Kitchen scale", 1, 2495)]),
]


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    """One transaction."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(FILE, timeout=10, isolation_level=None)
    db.row_factory = sqlite3.Row
    try:
        db.execute("BEGIN IMMEDIATE")
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'ledger'").fetchone():
            _furnish(db, datetime.now(UTC).date())
        yield db
        db.execute("COMMIT")
    finally:
        db.close()


def _furnish(db: sqlite3.Connection, today: date) -> None:
    for statement in _SCHEMA.split(";"):
        db.execute(statement)
    db.executemany("INSERT INTO customers VALUES (?, ?)", _CUSTOMERS)
    for id, email, ordered, delivered, items in _ORDERS:
        days = [None if ago is None else str(today - timedelta(days=ago)) for ago in (ordered, delivered)]
        db.execute("INSERT INTO orders VALUES (?, ?, ?, ?)", (id, email, *days))
        db.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", [(id, *item) for item in items])


def _orders(where: str, value: str) -> list[Order]:
    with _database() as db:
        query = f"SELECT * FROM orders JOIN customers USING (email) WHERE {where} ORDER BY ordered_on DESC"
        return [_order(db, row) for row in db.execute(query, (value,))]


def _order(db: sqlite3.Connection, row: sqlite3.Row) -> Order:
    rows = db.execute("SELECT * FROM items WHERE order_id = ? ORDER BY rowid", (row["id"],))
    items = [Item(item["name"], item["quantity"], _euros(item["cents"])) for item in rows]
    return Order(
        id=row["id"],
        customer=row["name"],
        email=row["email"],
        ordered_on=date.fromisoformat(row["ordered_on"]),
        delivered_on=date.fromisoformat(row["delivered_on"]) if row["delivered_on"] else None,
        items=items,
        total=sum((item.price * item.quantity for item in items), Decimal(0)),
    )


def _receipt(row: sqlite3.Row) -> Receipt:
    booked_at = datetime.fromisoformat(row["booked_at"])
    return Receipt(f"R-{row['number']:04}", row["order_id"], _euros(row["cents"]), row["key"], booked_at)


def _euros(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)
