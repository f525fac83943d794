"""A cloud in which everything goes wrong: how it is made to, and what is seen of what comes of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
from google.cloud.tasks_v2 import CloudTasksClient
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from emulators.cloud import ADVANCE, DEAD_LETTERS, EVENTS, FOLLOW, SESSIONS, Cloud
from emulators.functions import NAMES, Function
from onward.adapters.gcp.messages import parse_event
from onward.adapters.gcp.reader import Subscription
from onward.config import CloudSettings
from onward.core.head import Head
from onward.core.ids import session_key
from onward.ports import Query
from tests.cloud.chaos_checks import Heard, Left, at_its_end, complaints
from tests.cloud.chaos_plan import INSTANCES, Part
from tests.cloud.chaos_ways import State, Way
from tests.cloud.world import World

DESK = Path(__file__).with_name("chaos_desk.py")

AHEAD = 420
"""Seconds by which the clock of the second instance of `advance` is wrong."""

WRONG = "onward-wrong"
"""The topic of functions that are wrong on purpose."""

ACK_SECONDS = 10
"""The least that Pub/Sub takes: what is slower comes again while it is still worked on."""

PATIENCE = 100.0
DEAD_LETTER_WAIT = timedelta(minutes=9)
"""A timer as far ahead as this is for a message that was given up: ten minutes, less what has passed of them."""


class Rough(Cloud):
    """A cloud with two instances of `advance`, one of which has a wrong clock and makes several steps at a time; with
    deadlines for acknowledgements that slow steps miss; and with ways to its services that can be cut."""

    def _start_services(self) -> None:
        super()._start_services()
        self.ways = {"pubsub": self._way(self.pubsub.address), "tasks": self._way(self.tasks.address)}
        self.ways |= {name: self._way(self.firestore.address) for name in INSTANCES}

    def _way(self, *targets: str) -> Way:
        return self._open.enter_context(Way(*targets))

    def _environment(self, app: str) -> dict[str, str]:
        pubsub, tasks = self.ways["pubsub"].address, self.ways["tasks"].address
        return super()._environment(app) | {"PUBSUB_EMULATOR_HOST": pubsub, "CLOUD_TASKS_EMULATOR_HOST": tasks}

    def _environment_of(self, name: str) -> dict[str, str]:
        """Each instance has its own way to Firestore."""
        way = {"FIRESTORE_EMULATOR_HOST": self.ways[name].address} if name in self.ways else {}
        other = {"CLOCK_OFFSET": str(AHEAD), "ONWARD_STEPS_PER_WAKE": "5"} if name == "advance-2" else {}
        return self.environment | way | other | {"INSTANCE": name}

    def _furnish(self) -> None:
        first = self.functions["advance"]
        second = self.functions["advance-2"] = Function("advance", first.log.with_name("advance-2.log"))
        self.front = self._way(*(urlsplit(one.url).netloc for one in (first, second)))
        for name in (SESSIONS, EVENTS, DEAD_LETTERS):
            self.pubsub.make_topic(self.topic(name))
        make, dead, push = self.pubsub.make_subscription, self.topic(DEAD_LETTERS), f"http://{self.front.address}/"
        make(self.subscription(ADVANCE), self.topic(SESSIONS), push=push, ack_seconds=ACK_SECONDS, dead_letters=dead)
        make(self.subscription(DEAD_LETTERS), dead, push=push, ack_seconds=ACK_SECONDS)
        make(self.subscription(FOLLOW), self.topic(EVENTS), ack_seconds=60)
        self.storage.make_bucket("onward")
        self.tasks.make_queue(self.queue)

    def _start_functions(self) -> None:
        self.start({name: self._environment_of(name) for name in (*NAMES, "advance-2")})

    def add_wrong(self) -> None:
        """Two functions more, of the same cloud, that are wrong on purpose."""
        names = {"wrong-advance": "advance", "wrong-resume": "resume"}
        folder = self.functions["advance"].log.parent
        self.functions |= {name: Function(target, folder / f"{name}.log") for name, target in names.items()}
        push, resume = (self.functions[name].url for name in names)
        self.pubsub.make_topic(self.topic(WRONG))
        self.pubsub.make_subscription(self.subscription(WRONG), self.topic(WRONG), push=push, ack_seconds=ACK_SECONDS)
        wrong = {"WRONG": "1", "ONWARD_LEASE": "1", "ONWARD_SESSIONS_TOPIC": WRONG, "ONWARD_RESUME_URL": resume}
        self.start({name: self.environment | wrong | {"INSTANCE": name} for name in names})

    def start(self, environments: Mapping[str, Mapping[str, str]]) -> None:
        """Start these functions, each with its settings."""
        for name, environment in environments.items():
            self._open.callback(self.functions[name].close)
            self.functions[name].start(environment)


class Chaos(World):
    """The cloud in which everything goes wrong, what its tools did, and what its subscribers heard."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ledger, self.deaths = folder, folder / "ledger", folder / "deaths"
        self.deaths.mkdir()
        settings = {
            "LEDGER": str(self.ledger),
            "DEATHS": str(self.deaths),
            "ONWARD_LEASE": "4",
            "ONWARD_BUDGET": "540",
        }
        self.cloud: Rough = Rough(str(DESK), folder=folder, settings=settings, sweep_every=3600)
        direct = {"PUBSUB_EMULATOR_HOST": self.cloud.pubsub.address}
        self.settings = CloudSettings.from_env(self.cloud.environment | direct)
        self.heard: dict[str, Heard] = {}

    async def start_wrong(self, sessions: Mapping[str, Part]) -> None:
        """Start these in functions that are wrong on purpose, which have a topic of their own."""
        await asyncio.to_thread(self.cloud.add_wrong)
        topic = self.cloud.topic(WRONG)
        for id, part in sessions.items():
            doc = {"version": 1, "session": id, "kind": "start", "body": {"program": part.program, "input": "Hello"}}
            data = base64.b64encode(json.dumps(doc).encode()).decode()
            await asyncio.to_thread(self.cloud.pubsub.publish, topic, data)

    # --- what goes wrong -------------------------------------------------------------------------------------------

    async def start_all(self, programs: Mapping[str, str]) -> None:
        """Start these sessions, and wait until they are under way."""
        for id, program in programs.items():
            await self.start(id, program)
        await asyncio.sleep(0.3)

    async def weather(self, states: Iterable[tuple[State, float]], *names: str) -> None:
        """Let these ways be in one state after another, each for so many seconds, and then open."""
        for state, seconds in (*states, ("open", 0)):
            for name in names:
                self.cloud.ways[name].set(state)
            await asyncio.sleep(seconds)

    async def kill_at_random(self, lot: random.Random, seconds: float) -> int:
        """Kill instances now and then for so long; how many."""
        killed, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(lot.uniform(0.4, 1.2))
            killed += await self.kill(lot.choice(INSTANCES))
        return killed

    async def kill(self, name: str) -> bool:
        """Whether there was something to kill: it may just be starting."""
        with contextlib.suppress(ValueError, ProcessLookupError):
            await asyncio.to_thread(self.cloud.functions[name].kill)
            return True
        return False

    def passed(self, session: str, part: Part) -> bool:
        """Whether it came by the point where its process was to die."""
        passed = self.deaths / session_key("default", session)
        return passed.exists() and passed.stat().st_size >= part.nth

    async def fire(self, test: Callable[[Any], bool]) -> int:
        """Let timers fire now, however early; how many."""
        tasks = [task for task in self.cloud.tasks.waiting(self.cloud.queue) if test(task)]
        with grpc.insecure_channel(self.cloud.tasks.address) as channel:
            client = CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
            for task in tasks:
                with contextlib.suppress(Exception):  # it has fired meanwhile
                    await asyncio.to_thread(client.run_task, name=task.name)
        return len(tasks)

    async def shorten_dead_letters(self) -> int:
        """The ten minutes until a session is looked at whose message was given up, made short; how many."""
        return await self.fire(lambda task: task.schedule_time - datetime.now(UTC) > DEAD_LETTER_WAIT)

    def refused(self) -> int:
        """How many messages were asked for again, as nothing more could be written or published."""
        return sum(len(self.lines(name, action="again")) for name in INSTANCES)

    async def decide(self, session: str, says: Mapping[str, str]) -> list[int]:
        """These people decide at once on what a session asks, once it does; the statuses of the answers."""
        wait = await self._approval(session)
        decision = {"call": wait["call"], "digest": wait["digest"], "reason": "So I say."}
        path, asked = (
            f"sessions/{session}/decisions",
            [(who, decision | {"verdict": what}) for who, what in says.items()],
        )
        return [status for status, _ in await asyncio.gather(*(self.ask("POST", path, doc, who) for who, doc in asked))]

    async def _approval(self, session: str) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            _, doc = await self.ask("GET", f"sessions/{session}")
            for wait in doc.get("waits", ()):
                if wait["kind"] == "approval":
                    return dict(wait)
            await asyncio.sleep(0.5)
        raise AssertionError(f"{session} asks for nothing\n{self.said()}")

    # --- what comes of it ------------------------------------------------------------------------------------------

    async def heads(self, prefix: str) -> dict[str, Head]:
        async with self.sessions() as sessions:
            found = await sessions.parts.backend.store.list(Query(limit=1000))
        return {head.id: head for head in found if head.id.startswith(prefix)}

    async def settled(self, prefix: str, expected: Iterable[str], patience: float = PATIENCE) -> dict[str, Head]:
        """The sessions of this prefix, once all have ended or wait for a person; as they are when patience ends."""
        wanted, end = set(expected), time.monotonic() + patience
        while True:
            heads = await self.heads(prefix)
            if (wanted <= heads.keys() and all(map(at_its_end, heads.values()))) or time.monotonic() > end:
                return heads
            await self.shorten_dead_letters()
            await asyncio.sleep(0.5)

    async def listen(self, heads: Mapping[str, Head], patience: float) -> None:
        """Take what was published, until all of these sessions' events were heard or patience ends."""
        address, end = self.cloud.pubsub.address, time.monotonic() + patience
        source = Subscription(self.cloud.subscription(FOLLOW), endpoint=address, most=1000, wait=1.0, patience=5.0)
        while any(len(self.heard.get(id, ())) < head.seq for id, head in heads.items()) and time.monotonic() < end:
            delivered = await source.pull()
            for one in delivered:
                event = parse_event(one.message)
                heard = self.heard.setdefault(event.session, {})
                heard.setdefault(event.seq, set()).add((event.kind, event.hash))
            if delivered:
                await source.acknowledge([one.receipt for one in delivered])
        await source.close()

    async def left_by(self, heads: Mapping[str, Head], patience: float) -> list[Left]:
        await self.listen(heads, patience)
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        booked = [json.loads(line) for line in lines]
        async with self.sessions() as sessions:
            store, loader = sessions.parts.backend.store, sessions.parts.loader
            logs = {id: list(await store.commits(head.key)) for id, head in heads.items()}
            return [
                Left(
                    head,
                    logs[id],
                    [event for commit in logs[id] for event in loader.events(commit)],
                    self.heard.get(id, {}),
                    [entry for entry in booked if entry["session"] == id],
                )
                for id, head in heads.items()
            ]

    async def complaints(self, heads: Mapping[str, Head], patience: float = 10.0) -> dict[str, list[str]]:
        """What is wrong with each of these sessions, for whose messages it listens so long; nothing if all is well."""
        found = {left.head.id: complaints(left) for left in await self.left_by(heads, patience)}
        return {id: said for id, said in found.items() if said}
