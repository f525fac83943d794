"""Everything that a deployment needs, on this machine: emulators, stand-ins, and the four functions.

    with Cloud(app="functions/agents/refund_desk.py") as cloud:
        cloud.environment         # what a process of Onward's needs to be told
        cloud.token("grace@shop.example")

Messages are pushed, timers are delivered by tasks, a job sweeps, and what was given up is a dead letter, as in
production. Everything is kept in memory.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from emulators.firestore import FirestoreEmulator
from emulators.functions import NAMES, Function
from emulators.gemini import Emulator as Gemini
from emulators.pubsub import PubSub, Topics
from emulators.scheduler import Scheduler
from emulators.storage import Storage
from emulators.tasks import Tasks
from emulators.tokens import Tokens

LOCATION, BUCKET, QUEUE = "local", "onward", "onward-timers"
SESSIONS, EVENTS, DEAD_LETTERS = "onward-sessions", "onward-events", "onward-dead-letters"
ADVANCE, FOLLOW = "onward-advance", "onward-follow"
ACCOUNT, AUDIENCE = "onward@local.iam.gserviceaccount.com", "onward-api"
OTHER_ACCOUNT = "onward-sweep@local.iam.gserviceaccount.com"
PROXY_AUDIENCE = "/projects/1/locations/local/services/api"
ACK_SECONDS = 600


class Listens(Protocol):
    address: str


class Google(Protocol):
    """Google's own emulators, started somehow."""

    @property
    def firestore(self) -> Listens: ...

    @property
    def pubsub(self) -> Topics: ...

    def close(self) -> None:
        """Stop both, and wait until they are gone."""


class CloudSdk:
    """Those of the Cloud SDK. Raises Missing and Failed."""

    def __init__(self) -> None:
        """Both at the same time, since each takes a second or two."""
        makers: tuple[Callable[[], FirestoreEmulator], Callable[[], PubSub]] = (FirestoreEmulator, PubSub)
        with ThreadPoolExecutor(2) as starting:
            firestore, pubsub = starting.submit(makers[0]), starting.submit(makers[1])
        with ExitStack() as opened:
            for made in (firestore, pubsub):
                if made.exception() is None:
                    opened.enter_context(made.result())
            self.firestore, self.pubsub = firestore.result(), pubsub.result()
            self._open = opened.pop_all()

    def close(self) -> None:
        self._open.close()


class Cloud:
    """All of it, from its making until it is closed. `settings` are put over those that the functions get; what they
    log goes to `NAME.log` in `folder`. `google` starts Firestore and Pub/Sub: those of the Cloud SDK if not given;
    `serve` makes a function of its name and its log.
    Raises Missing and Failed (of `emulators.cloud_sdk`).
    """

    def __init__(
        self,
        app: str,
        *,
        project: str = "local-project",
        folder: Path | None = None,
        settings: Mapping[str, str] | None = None,
        sweep_every: float = 60.0,
        google: Callable[[], Google] = CloudSdk,
        serve: Callable[[str, Path], Function] = Function,
    ) -> None:
        self.project = project
        self._open = ExitStack()
        try:
            self._start_google(google)
            self._start_services()
            logs = self._folder(folder)
            self.functions = {name: serve(name, logs / f"{name}.log") for name in NAMES}
            self.environment = self._environment(app) | dict(settings or {})
            self._furnish()
            self._start_functions()
            self.job = self._open.enter_context(self._scheduler(sweep_every))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Cloud:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything, the last first, and wait until it is gone."""
        self._open.close()

    def token(self, email: str) -> str:
        """An identity token of this person, as the API takes it."""
        return self.tokens.sign(email, AUDIENCE)

    def topic(self, name: str) -> str:
        return f"projects/{self.project}/topics/{name}"

    def subscription(self, name: str) -> str:
        return f"projects/{self.project}/subscriptions/{name}"

    @property
    def queue(self) -> str:
        return f"projects/{self.project}/locations/{LOCATION}/queues/{QUEUE}"

    # --- making ------------------------------------------------------------------------------------------------

    def _start_google(self, google: Callable[[], Google]) -> None:
        started = google()
        self._open.callback(started.close)
        self.firestore, self.pubsub = started.firestore, started.pubsub

    def _start_services(self) -> None:
        self.storage, self.tasks = self._open.enter_context(Storage()), self._open.enter_context(Tasks())
        self.gemini = self._open.enter_context(Gemini())
        self.tokens = self._open.enter_context(Tokens(commands={"/token": lambda asked: self.token(asked["email"])}))

    def _folder(self, given: Path | None) -> Path:
        if given is None:
            return Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="onward-")))
        given.mkdir(parents=True, exist_ok=True)
        for old in given.glob("*.log"):
            old.unlink()
        return given

    def _environment(self, app: str) -> dict[str, str]:
        return {
            "GOOGLE_CLOUD_PROJECT": self.project,
            "ONWARD_PROJECT": self.project,
            "ONWARD_API_URL": self.functions["api"].url.rstrip("/"),
            "ONWARD_CONSOLE_URL": self.functions["api"].url.rstrip("/"),
            "ONWARD_APP": app,
            "ONWARD_DATABASE": "(default)",
            "ONWARD_BUCKET": BUCKET,
            "ONWARD_SESSIONS_TOPIC": SESSIONS,
            "ONWARD_EVENTS_TOPIC": EVENTS,
            "ONWARD_LOCATION": LOCATION,
            "ONWARD_QUEUE": QUEUE,
            "ONWARD_RESUME_URL": self.functions["resume"].url,
            "ONWARD_SERVICE_ACCOUNT": ACCOUNT,
            "ONWARD_OWN_ACCOUNTS": OTHER_ACCOUNT,
            "ONWARD_AUDIENCE": AUDIENCE,
            "ONWARD_CERTS_URL": f"{self.tokens.url}/certs",
            "ONWARD_IAP_AUDIENCE": PROXY_AUDIENCE,
            "ONWARD_IAP_CERTS_URL": f"{self.tokens.url}/iap",
            "ONWARD_SECRET": secrets.token_hex(32),
            "ONWARD_ROLES": str(Path(__file__).with_name("roles.toml")),
            "FIRESTORE_EMULATOR_HOST": self.firestore.address,
            "PUBSUB_EMULATOR_HOST": self.pubsub.address,
            "STORAGE_EMULATOR_HOST": self.storage.url,
            "CLOUD_TASKS_EMULATOR_HOST": self.tasks.address,
            "GEMINI_API_KEY": self.gemini.key,
            "GOOGLE_GEMINI_BASE_URL": self.gemini.url,
        }

    def _furnish(self) -> None:
        """Topics, subscriptions, bucket and queue, as infrastructure makes them."""
        for name in (SESSIONS, EVENTS, DEAD_LETTERS):
            self.pubsub.make_topic(self.topic(name))
        advance, dead = self.functions["advance"].url, self.topic(DEAD_LETTERS)
        make, names = self.pubsub.make_subscription, self.subscription
        make(names(ADVANCE), self.topic(SESSIONS), push=advance, ack_seconds=ACK_SECONDS, dead_letters=dead)
        make(names(DEAD_LETTERS), dead, push=advance, ack_seconds=ACK_SECONDS)
        make(names(FOLLOW), self.topic(EVENTS), ack_seconds=60)
        self.storage.make_bucket(BUCKET)
        self.tasks.make_queue(self.queue)

    def _start_functions(self) -> None:
        for function in self.functions.values():
            self._open.callback(function.close)
        with ThreadPoolExecutor(len(NAMES)) as starting:
            list(starting.map(lambda function: function.start(self.environment), self.functions.values()))

    def _scheduler(self, every: float) -> Scheduler:
        url = self.functions["sweep"].url
        return Scheduler("onward-sweep", url, every=every, service_account=ACCOUNT, tokens=self.tokens)
