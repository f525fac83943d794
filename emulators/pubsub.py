"""Google's own Pub/Sub emulator, from the Cloud SDK, with what tests and laptops need made in it.

    with PubSub() as pubsub:
        pubsub.make_topic("projects/p/topics/sessions")
        pubsub.make_subscription("projects/p/subscriptions/advance", "projects/p/topics/sessions", push=URL)

Or from a shell: `python -m emulators.pubsub --port 0 --topic sessions --push sessions=http://127.0.0.1:8080/`, then
PUBSUB_EMULATOR_HOST is what it prints.

It differs from the service: no more than two pushes of a subscription are under way at a time; filters are taken and
not applied; pushes carry no token, no ordering key and no count of attempts; a 202 is no acknowledgement.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.request
from typing import Any

from emulators.cloud_sdk import OPENER, QUICK, Failed, Missing, SdkEmulator, find_in_sdk, find_java, free_port

COMPONENT = "pubsub-emulator"
JAR = "platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"


class Topics:
    """The topics and subscriptions of the emulator at `address`."""

    def __init__(self, address: str) -> None:
        self.address = address

    def make_topic(self, name: str) -> None:
        """Make a topic, `projects/P/topics/T`."""
        self._call("PUT", name, {})

    def make_subscription(
        self,
        name: str,
        topic: str,
        *,
        push: str | None = None,
        ack_seconds: int = 10,
        dead_letters: str | None = None,
        attempts: int = 5,
    ) -> None:
        """Make a subscription, `projects/P/subscriptions/S`; with `push`, one that posts to this URL; with
        `dead_letters`, one that passes on to this topic what was not taken in so many attempts."""
        doc: dict[str, Any] = {"topic": topic, "ackDeadlineSeconds": ack_seconds}
        doc |= {"pushConfig": {"pushEndpoint": push}} if push else {}
        if dead_letters is not None:
            doc["deadLetterPolicy"] = {"deadLetterTopic": dead_letters, "maxDeliveryAttempts": attempts}
        self._call("PUT", name, doc)

    def drop(self, name: str) -> None:
        """Delete a topic or a subscription."""
        self._call("DELETE", name)

    def publish(self, topic: str, data: str, **attributes: str) -> str:
        """Publish one message, given as base64 text, and answer its id."""
        messages = [{"data": data, "attributes": attributes}]
        answer = self._call("POST", f"{topic}:publish", {"messages": messages})
        return str(answer["messageIds"][0])

    def _call(self, method: str, path: str, doc: Any = None) -> Any:
        body = None if doc is None else json.dumps(doc).encode()
        request = urllib.request.Request(f"http://{self.address}/v1/{path}", body, method=method)
        request.add_header("Content-Type", "application/json")
        with OPENER.open(request, timeout=30) as answer:
            return json.loads(answer.read() or b"{}")


class PubSub(SdkEmulator, Topics):
    """Listens on this machine at `address` from its making until it is closed; keeps all in memory.

    Raises Missing and Failed.
    """

    def __init__(self, *, port: int = 0, flags: tuple[str, ...] = QUICK) -> None:
        port = port or free_port()
        jar = find_in_sdk(JAR, COMPONENT)
        super().__init__(COMPONENT, [find_java(), *flags, "-jar", str(jar), "--host=127.0.0.1", f"--port={port}"], port)

    def __enter__(self) -> PubSub:
        return self


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m emulators.pubsub", description="Pub/Sub, from the Cloud SDK.")
    parser.add_argument("--port", type=int, default=0, help="0: one that is free")
    parser.add_argument("--project", default="local")
    parser.add_argument("--topic", action="append", default=[], help="a topic to make (may be given more than once)")
    parser.add_argument("--push", action="append", default=[], metavar="TOPIC=URL", help="post its messages there")
    options = parser.parse_args()
    try:
        with PubSub(port=options.port, flags=()) as pubsub:
            _make(pubsub, options.project, options.topic, options.push)
            print(pubsub.address, flush=True)
            pubsub.wait()
    except (Missing, Failed) as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _make(pubsub: PubSub, project: str, topics: list[str], pushes: list[str]) -> None:
    for topic in topics:
        pubsub.make_topic(f"projects/{project}/topics/{topic}")
    for number, push in enumerate(pushes, 1):
        topic, _, url = push.partition("=")
        name = f"projects/{project}/subscriptions/{topic}-push-{number}"
        pubsub.make_subscription(name, f"projects/{project}/topics/{topic}", push=url, ack_seconds=600)


if __name__ == "__main__":
    sys.exit(main())
