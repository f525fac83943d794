"""What each function is granted, derived from what it was seen to ask for: `infra/permissions.json`.

python -m tests.infra.permissions      plays on the emulators (which need Java), and writes the file anew
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulators.cloud import Cloud

FILE = Path(__file__).parents[2] / "infra" / "permissions.json"
RESOURCES = ("database", "bucket", "sessions_topic", "events_topic", "queue", "caller")
"""What permissions are granted on; `caller` is the account in whose name tasks are delivered."""

Given = dict[str, dict[str, list[str]]]
"""Permissions by function and resource."""

# As Google documents them: for Firestore under "Required permissions for API methods" (RunAggregationQuery is left out
# there; it is a query), for Cloud Storage under "IAM permissions for JSON methods". A new object takes `create` alone;
# one in the place of another would take `delete` too.
NEEDS: Mapping[str, tuple[str, ...]] = {
    "Firestore.BatchGetDocuments": ("datastore.entities.get",),
    "Firestore.RunQuery": ("datastore.entities.get", "datastore.entities.list"),
    "Firestore.RunAggregationQuery": ("datastore.entities.get", "datastore.entities.list"),
    "Firestore.Commit create": ("datastore.entities.create",),
    "Firestore.Commit update": ("datastore.entities.update",),
    "Firestore.Commit create or update": ("datastore.entities.create", "datastore.entities.update"),
    "Firestore.BatchWrite delete": ("datastore.entities.delete",),
    "Storage.get": ("storage.objects.get",),
    "Storage.list": ("storage.objects.list",),
    "Storage.insert new": ("storage.objects.create",),
    "Storage.insert part": ("storage.objects.create",),
    "Storage.delete": ("storage.objects.delete",),
    "Publisher.Publish": ("pubsub.topics.publish",),
    "CloudTasks.CreateTask": ("cloudtasks.tasks.create",),
    "CloudTasks.CreateTask as": ("iam.serviceAccounts.actAs",),
}


class Unknown(Exception):
    """A call that is in no table, or on nothing that there is."""


def derived(recorded: Mapping[str, Iterable[tuple[str, str]]], resources: Mapping[str, str]) -> Given:
    """What these calls need; `resources` says what is meant by each name. Raises Unknown."""
    return {function: _of(function, calls, resources) for function, calls in recorded.items()}


def _of(function: str, calls: Iterable[tuple[str, str]], resources: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {resource: set() for resource in RESOURCES}
    for call, name in calls:
        if call not in NEEDS:
            raise Unknown(f"{function} calls {call}: say in permissions.py which permissions Google wants for it")
        if name not in resources:
            raise Unknown(f"{function} calls {call} on {name}, which is none of: {', '.join(resources)}")
        found[resources[name]] |= set(NEEDS[call])
    return {resource: sorted(permissions) for resource, permissions in found.items()}


def resources_of(cloud: Cloud) -> dict[str, str]:
    from emulators.cloud import ACCOUNT, BUCKET, EVENTS, SESSIONS

    return {
        f"projects/{cloud.project}/databases/(default)": "database",
        BUCKET: "bucket",
        cloud.topic(SESSIONS): "sessions_topic",
        cloud.topic(EVENTS): "events_topic",
        cloud.queue: "queue",
        ACCOUNT: "caller",
    }


def text(given: Given) -> str:
    """The file: a line for each resource."""
    functions = [f'  "{name}": {{\n{_lines(of)}\n  }}' for name, of in given.items()]
    return "{\n" + ",\n".join(functions) + "\n}\n"


def _lines(of: Mapping[str, list[str]]) -> str:
    return ",\n".join(f'    "{resource}": {json.dumps(permissions)}' for resource, permissions in of.items())


def main() -> None:
    from tests.infra.play import Recorded, play

    with tempfile.TemporaryDirectory() as folder:
        world = Recorded(Path(folder))
        try:
            asyncio.run(play(world))
            FILE.write_text(text(derived(world.recorded(), resources_of(world.cloud))))
        finally:
            world.cloud.close()


if __name__ == "__main__":
    main()
