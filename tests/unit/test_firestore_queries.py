"""The shapes of queries, and the indexes that are derived from them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from onward.adapters.gcp.firestore_documents import STANDING
from onward.adapters.gcp.firestore_queries import (
    COLLECTIONS,
    LISTS,
    SHAPES,
    TOMBSTONES,
    Shape,
    index_definitions,
)

ROOT = Path(__file__).parents[2]
DEFINED = index_definitions()


def composite(shape: Shape) -> dict[str, Any]:
    scope = "COLLECTION_GROUP" if shape.group else "COLLECTION"
    return {"collectionGroup": shape.collection, "queryScope": scope, "fields": shape.fields()}


def test_the_indexes_in_infra_are_current() -> None:
    written = json.loads((ROOT / "infra/firestore.indexes.json").read_text())
    assert written == DEFINED, "run: python infra/firestore_indexes.py"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_shape_has_an_index(shape: Shape) -> None:
    fields = shape.fields()
    if len(fields) > 1:
        assert composite(shape) in DEFINED["indexes"]
    else:
        asked = {"order": fields[0]["order"], "queryScope": "COLLECTION"}
        ways = {other.order[1] for other in SHAPES if other.fields()[1:] == [] and other.order[0] == shape.order[0]}
        (one,) = [entry for entry in DEFINED["fieldOverrides"] if _names(entry) == (shape.collection, shape.order[0])]
        assert asked in one["indexes"]
        assert len(one["indexes"]) == len(ways)
        assert not shape.group


def _names(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["collectionGroup"], entry["fieldPath"]


def test_there_is_no_index_that_no_shape_asks_for() -> None:
    assert sorted(DEFINED["indexes"], key=str) == sorted(
        (composite(shape) for shape in SHAPES if len(shape.fields()) > 1), key=str
    )
    assert len(DEFINED["indexes"]) == len({str(index) for index in DEFINED["indexes"]})


def test_everything_else_is_exempt() -> None:
    exempt = [entry["collectionGroup"] for entry in DEFINED["fieldOverrides"] if entry["fieldPath"] == "*"]
    assert sorted(exempt) == sorted(COLLECTIONS)
    indexed = {_names(entry) for entry in DEFINED["fieldOverrides"] if entry["indexes"]}
    assert indexed == {
        ("commits", "last_seq"),
        ("inbox", "filed_at"),
        ("sessions", "deleted_at"),
        ("turns", "number"),
    }
    assert {shape.collection for shape in SHAPES} <= set(COLLECTIONS)


def test_absorbed_signals_expire_and_nothing_else_does() -> None:
    expiring = [entry for entry in DEFINED["fieldOverrides"] if entry.get("ttl")]
    assert expiring == [{"collectionGroup": "inbox", "fieldPath": "expires_at", "ttl": True, "indexes": []}]


def test_no_index_asks_a_list_for_two_lists_at_once() -> None:
    """Firestore takes one array-contains, and orders only by what is compared or comes last."""
    for index in DEFINED["indexes"]:
        fields = index["fields"]
        assert len([field for field in fields if "arrayConfig" in field]) <= 1
        assert "order" in fields[-1]


def test_no_index_of_a_time_that_every_step_moves_grows_at_one_end_only() -> None:
    moving = [shape for shape in SHAPES if shape.order[0] in ("updated_at", "wake_at")]
    assert all("shard" in (*shape.equal, shape.among) for shape in moving)
    assert all("shard" in shape.equal for shape in SHAPES if shape.group)


def test_a_shape_asks_for_its_fields_and_no_others() -> None:
    shape = LISTS["status", True]
    values = {"tenant": "acme", "status": "running", "shard": [1, 2], "program": "desk"}
    asked = shape.question(values, bounds={"<": 1}, limit=5)
    equal = (("tenant", "==", "acme"), ("status", "==", "running"))
    assert asked.filters == (*equal, ("shard", "in", [1, 2]), ("updated_at", "<", 1))
    assert (asked.collection, asked.orders, asked.limit) == ("sessions", (("updated_at", "DESCENDING"),), 5)
    with pytest.raises(KeyError, match="tenant"):
        TOMBSTONES[True].question({})


def test_the_page_on_storage_marks_what_is_asked_for() -> None:
    page = (ROOT / "docs/storage.md").read_text()
    marked = {
        name: marks.split() for name, marks in re.findall(r"^\| `(\w+)` \|.*\| ?([LSRT ]*)\|$", page, re.MULTILINE)
    }
    asked = {name for shape in SHAPES for name in (*shape.equal, shape.among, shape.contains, shape.order[0]) if name}
    assert {name for name, marks in marked.items() if marks} == {*asked, "expires_at"}
    assert set(STANDING) <= set(marked)
