"""The refund demo once more, with all of the cloud on this machine: topics, pushes, Firestore, tasks, the API.

`make demo-cloud` plays it. A message is published; the function `advance` is pushed and moves the session step by step;
a subscriber follows its events; a person approves by the API, with a signed token; the function's process is killed
while the shop books the refund; another one finds out what happened. A line with a tick was checked just before it was
printed, and the exit code is 0 only if every check held. Everything is kept in build/demo-cloud.
"""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shop
from demo import AMOUNT, APPROVER, CUSTOMER, HERE, MESSAGE, ORDER, REASON, Failed, Page, interrupted, quoted, written
from refund_desk import app as app

if TYPE_CHECKING:
    from emulators.cloud import Cloud
    from onward.adapters.gcp.messages import SessionEvent

FOLDER = HERE.parents[1] / "build" / "demo-cloud"
shop.FILE = FOLDER / "shop.db"

SESSION, STRANGER = "refund-1042", "someone.else@shop.example"
PATIENCE = 40.0
"""Seconds that one thing may take before the demo gives up on it."""

SETTINGS = {"ONWARD_LEASE": "5"}
"""So that nobody has to wait for a minute and a half until a dead process's lease is over."""


class Demo:
    """The scenes, each on the same cloud."""

    def __init__(self, page: Page, cloud: Cloud) -> None:
        self.page, self.cloud = page, cloud
        self.events: list[SessionEvent] = []

    async def play(self) -> None:
        """The story. Raises Failed."""
        from onward.adapters.gcp.reader import EventReader, Subscription
        from onward.config import CloudSettings
        from onward.surfaces.http.caller import Caller
        from onward.wiring import cloud

        parts = cloud(CloudSettings.from_env(self.cloud.environment))
        self.sessions = Caller(parts, "demo")
        source = Subscription(self.cloud.subscription("onward-follow"), endpoint=self.cloud.pubsub.address, wait=2.0)
        self.reader = EventReader(source, position=self._position, fetch=self._fetch)
        try:
            await self.takes_up()
            await self.decides()
            await self.crashes()
            await self.settles()
            await self.sums_up()
        finally:
            await source.close()
            await parts.close()

    async def takes_up(self) -> None:
        self.page.title("1  A message is published")
        body = {"program": "refund-desk", "input": MESSAGE}
        said = {"version": 1, "session": SESSION, "kind": "start", "body": body}
        data = base64.b64encode(json.dumps(said).encode()).decode()
        topic = self.cloud.topic("onward-sessions")
        id = await asyncio.to_thread(self.cloud.pubsub.publish, topic, data)
        self.page.says(f"Message {id} starts session {SESSION}: {CUSTOMER} wants her money back.")
        asked = await self._until("approval_requested")
        self.page.says(f"A subscriber hears that {asked['tool']} waits for a person: {asked['rule']}.")
        shown = (await self._from_log("approval_requested"))["arguments"]
        self.page.more(f"What is asked, to the letter, is for those who may ask the API: {written('refund', shown)}")
        status, doc = await self._ask("GET", f"sessions/{SESSION}")
        self._check(
            "At rest it is documents: no process and no connection.", (status, doc["status"]) == (200, "waiting")
        )
        self._check("Nothing was paid: the shop's ledger is empty.", not shop.ledger())

    async def decides(self) -> None:
        self.page.title("2  A person decides, by the API")
        asked = next(event.body for event in self.events if event.kind == "approval_requested")
        assert asked is not None
        decision = {"call": asked["call"], "digest": asked["digest"], "verdict": "approved", "reason": REASON}
        path = f"sessions/{SESSION}/decisions"
        nobody, _ = await self._ask("POST", path, decision, who=None)
        self._check("Without a token nobody decides.", nobody == 401)
        status, _ = await self._ask("POST", path, decision)
        self._check(f"{APPROVER} has approved it: {quoted(REASON)}", status == 200)
        status, said = await self._ask("POST", path, decision, who=STRANGER)
        self._check(f"It counts once: {said['detail']}.", status == 409)

    async def crashes(self) -> None:
        self.page.title("3  A crash in the worst place")
        end = time.monotonic() + PATIENCE
        while not shop.ledger():
            if time.monotonic() > end:
                raise Failed("The shop was not asked to pay.")
            await asyncio.sleep(0.01)
        process = self.cloud.functions["advance"].kill()
        self.page.says(f"The shop has booked EUR {shop.ledger()[0].amount}, and takes a moment to confirm it.")
        self.page.says(f"kill -9 {process}: the process that asked never hears the answer.")
        head = await self.sessions.get(SESSION)
        last = [event async for event in self.sessions.events(SESSION, head.seq - 1)][-1]
        self._check("The log says that the refund started, and not how it ended.", last.kind == "call_started")

    async def settles(self) -> None:
        self.page.title("4  Another process goes on")
        await self._until("call_in_doubt")
        self.page.says("A timer of Cloud Tasks came back to it. Now the refund is in doubt, and the shop is asked.")
        done = await self._until("call_completed", after="call_in_doubt")
        settled = done["by"] == "reconcile" and len(shop.ledger()) == 1
        self._check("Settled by what really happened: no second payment, and nobody had to step in.", settled)
        await self._until("session_completed")
        self.page.says(f"The agent answers: {quoted((await self._from_log('session_completed'))['output'])}")

    async def sums_up(self) -> None:
        self.page.title("The steps, as the functions logged them")
        self.page.table([("function", "outcome", "epoch", "event", "ms", "appended"), *self._steps()])
        self.page.title("In the end")
        booked = [(line.order_id, line.amount) for line in shop.ledger()]
        self._check(f"One refund of EUR {AMOUNT}, though the process that paid it died.", booked == [(ORDER, AMOUNT)])
        seqs = [event.seq for event in self.events]
        self._check(f"The subscriber has all {len(seqs)} events, in order.", seqs == list(range(1, len(seqs) + 1)))
        last, head = await self.sessions.verify(SESSION, self.events[-1].hash)
        self._check(f"The log verifies, up to the hash that was published ({head[:12]}).", last == len(seqs))

    # --- small tools -------------------------------------------------------------------------------------------

    async def _until(self, kind: str, after: str | None = None) -> Mapping[str, Any]:
        """What the first event of this kind says, after one of another kind if need be, as a subscriber hears it."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            kinds = [event.kind for event in self.events]
            start = kinds.index(after) if after in kinds else 0
            if kind in kinds[start:] and (after is None or after in kinds):
                return self.events[kinds.index(kind, start)].body or {}
            async for event in self.reader.batch():
                self.events.append(event)
        logs = {name: function.said().splitlines()[-1] for name, function in self.cloud.functions.items()}
        raise Failed(f"There was no {kind} in time; the functions' last words: {json.dumps(logs)}")

    async def _from_log(self, kind: str) -> Mapping[str, Any]:
        """What the last event of this kind says, with what is private."""
        _, page = await self._ask("GET", f"sessions/{SESSION}/events")
        found: Mapping[str, Any] = [event["body"] for event in page["events"] if event["kind"] == kind][-1]
        return found

    async def _position(self, tenant: str, session: str) -> int:
        return len(self.events)

    async def _fetch(self, tenant: str, session: str, after: int) -> list[SessionEvent]:
        from onward.adapters.gcp.messages import session_event

        head = await self.sessions.get(session, tenant)
        return [session_event(head, event) async for event in self.sessions.events(session, after)]

    async def _ask(self, method: str, path: str, doc: Any = None, who: str | None = APPROVER) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {self.cloud.token(who)}"} if who else {}
        body = None if doc is None else json.dumps(doc).encode()
        request = urllib.request.Request(f"{self.cloud.functions['api'].url}v1/{path}", body, headers, method=method)
        return await asyncio.to_thread(_answered, request)

    def _steps(self) -> list[tuple[str, ...]]:
        found = [(name, line) for name, function in self.cloud.functions.items() for line in _lines(function.log)]
        found.sort(key=lambda one: str(one[1]["time"]))
        return [
            (name, *(str(line.get(field, "")) for field in ("outcome", "epoch", "seq", "ms")), _kinds(line))
            for name, line in found
            if line.get("action") == "step"
        ]

    def _check(self, claim: str, holds: bool) -> None:
        if not holds:
            raise Failed(f"This does not hold: {claim}")
        self.page.proven(claim)


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def _kinds(line: Mapping[str, Any]) -> str:
    return ", ".join(line.get("kinds", ()))


def _answered(request: urllib.request.Request) -> tuple[int, Any]:
    from emulators.cloud_sdk import OPENER

    try:
        with OPENER.open(request, timeout=PATIENCE) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, json.load(exc)


def main() -> int:
    """0: every check held. 1: one did not, or something is missing here. 130: interrupted."""
    from emulators import cloud_sdk
    from emulators.cloud import Cloud

    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, interrupted)
    page = Page(sys.stdout)
    page.title("Onward: a refund, an approval, and a crash, on all of the cloud", "Emulators and functions start.")
    shop.FILE.unlink(missing_ok=True)
    try:
        with Cloud(str(Path(__file__).resolve()), folder=FOLDER, settings=SETTINGS) as cloud:
            asyncio.run(Demo(page, cloud).play())
    except (Failed, cloud_sdk.Missing, cloud_sdk.Failed, OSError) as exc:
        page.wrong(str(exc))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
