"""Writes the index definitions that the Firestore store needs, from the shapes of its queries."""

import json
from pathlib import Path

from onward.adapters.gcp.firestore_queries import index_definitions

FILE = Path(__file__).parent / "firestore.indexes.json"


def text() -> str:
    return json.dumps(index_definitions(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
