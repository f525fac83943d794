"""Putting the parts together. Only this module names adapters, and they are imported where they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from onward.adapters.local.entropy import SystemEntropy
from onward.adapters.local.worker import Deliveries, Errands
from onward.core.events import ApprovalRequested
from onward.core.given import EmptySupply, Supply
from onward.core.head import Head
from onward.core.incarnation import Restores
from onward.core.lease import TTL
from onward.core.links import Link, link_path
from onward.engine.admission import Admission
from onward.engine.advance import Engine
from onward.engine.append import Appender, Entropy
from onward.engine.creating import Creator
from onward.engine.deciding import Decider, Registry
from onward.engine.delete import Deleter
from onward.engine.duties import Duties
from onward.engine.erase import Eraser
from onward.engine.files import Files
from onward.engine.fork import Forker
from onward.engine.gateway import Gateway
from onward.engine.hold import Renewer
from onward.engine.late import LateOutcomes
from onward.engine.listeners import Webhooks
from onward.engine.load import Cache, Loader
from onward.engine.outbox import Outbox
from onward.engine.perform import Performing
from onward.engine.porting import Exporter, Importer
from onward.engine.records import Records
from onward.engine.seen import Seen
from onward.engine.switches import Switchboard
from onward.engine.telling import Links, Teller
from onward.errors import BadInput, UsageError
from onward.ports import (
    Blobs,
    Clock,
    Diagnosis,
    Feed,
    Incarnations,
    Model,
    Ports,
    Post,
    SessionStore,
    Sweeps,
    Switches,
    Timers,
    Wakes,
)

if TYPE_CHECKING:
    from onward.config import CloudSettings, OperatorSettings


class Sending(Wakes, Timers, Protocol):
    """How wakes go out, now or later."""


@runtime_checkable
class Queue(Sending, Deliveries, Errands, Protocol):
    """An embedded queue: what a worker of this process takes its wakes and errands from."""


class Backend(Protocol):
    """One place where sessions live."""

    @property
    def store(self) -> SessionStore: ...
    @property
    def blobs(self) -> Blobs: ...
    @property
    def queue(self) -> Sending: ...
    @property
    def switches(self) -> Switches: ...
    @property
    def incarnations(self) -> Incarnations: ...
    @property
    def sweeps(self) -> Sweeps: ...
    @property
    def feed(self) -> Feed: ...
    @property
    def secret(self) -> bytes: ...
    async def wait_for(self, key: str, test: Callable[[Head], bool], timeout: float) -> Head | None: ...
    async def wait_for_commit(self, key: str, after_seq: int, timeout: float) -> bool: ...
    async def diagnose(self) -> Diagnosis: ...
    async def close(self) -> None: ...


class Api(Protocol):
    """A deployment's API, asked in the name of a person who is known by a token."""

    async def person(self) -> str: ...
    async def ask(self, method: str, path: str, document: Mapping[str, Any]) -> Mapping[str, Any]: ...


Watch = Callable[[SessionStore], SessionStore]


@dataclass(frozen=True, slots=True)
class Policy:
    """How an engine behaves. `handover` is how long, in seconds, a version that is not known here is left to others;
    `budget` the most seconds a step may take, of which nothing is begun in the last `reserve`. `console` is the URL
    where people decide, for what webhooks are told."""

    steps_per_wake: int = 1
    handover: float = 900.0
    budget: float = 3600.0
    reserve: float = 0.0
    ttl: float = TTL
    cache: int = 1000
    console: str | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """An engine at work on a backend, and the way in."""

    backend: Backend
    clock: Clock
    engine: Engine
    gateway: Gateway
    forker: Forker
    exporter: Exporter
    importer: Importer
    loader: Loader
    appender: Appender
    renewer: Renewer
    performing: Performing
    eraser: Eraser
    deleter: Deleter
    switchboard: Switchboard
    restores: Seen[Restores]
    supply: Supply
    teller: Teller

    @property
    def queue(self) -> Queue:
        """Where this process takes its wakes from. Raises UsageError where they are pushed to it instead."""
        if not isinstance(self.backend.queue, Queue):
            raise UsageError("wakes are pushed to the functions here; there is no queue to take them from")
        return self.backend.queue

    async def close(self) -> None:
        """Finish what may not be interrupted, close resources, stop renewing, then leave the backend."""
        await self.performing.close()
        await self.supply.close()
        self.renewer.close()
        await self.backend.close()


def assemble(
    backend: Backend,
    clock: Clock,
    programs: Registry | None = None,
    *,
    policy: Policy | None = None,
    process: str | None = None,
    entropy: Entropy | None = None,
    post: Post | None = None,
) -> Parts:
    """The parts of one process on this backend. `process` names it among all processes that ever were; `post` is how
    webhooks are reached."""
    policy, entropy = policy or Policy(), entropy or SystemEntropy()
    process = process or entropy(8).hex()
    loader = Loader(backend.store, backend.blobs, Cache(policy.cache))
    webhooks = Webhooks(programs)
    appender = Appender(backend.store, backend.blobs, loader, clock, entropy, webhooks)
    late, files = LateOutcomes(backend.store, backend.queue, clock), Files(backend.blobs)
    supply, restores = _supply(programs), Seen(backend.incarnations.read, clock)
    records = Records(backend.store, backend.blobs, loader)
    performing = Performing(loader, files, backend.secret, late.file, Admission(clock, supply, restores), records)

    def owners() -> str:
        return f"{process}:{entropy(6).hex()}"

    renewer = Renewer(backend.store, clock, policy.ttl, policy.budget, policy.reserve)
    switchboard = Switchboard(backend.switches, clock)
    ports = Ports(backend.store, backend.queue, backend.queue, backend.feed, clock)
    creator = Creator(ports, loader, appender)
    gateway = Gateway(ports, loader, creator, files, restores, backend.secret)
    forker = Forker(ports, backend.blobs, loader, creator, files, restores)
    duties = Duties(gateway, backend.store, loader, files, backend.queue, clock)
    links = approval_links(policy.console, backend.secret)
    teller = Teller(backend.store, backend.queue, clock, loader, supply, post or _post(), webhooks, links)
    engine = Engine(
        ports,
        loader=loader,
        decider=Decider(programs, policy.handover),
        performing=performing,
        appender=appender,
        renewer=renewer,
        late=late,
        outbox=Outbox(backend.feed, backend.store, loader, duties),
        switchboard=switchboard,
        owners=owners,
        steps_per_wake=policy.steps_per_wake,
    )
    eraser = Eraser(backend.store, backend.blobs, files, loader, appender, renewer, backend.queue, owners)
    deleter = Deleter(backend.store, backend.blobs, loader.cache, owners)
    return Parts(
        backend,
        clock,
        engine,
        gateway,
        forker,
        Exporter(backend.store, backend.blobs, loader, clock),
        Importer(backend.store, backend.blobs, appender),
        loader,
        appender,
        renewer,
        performing,
        eraser,
        deleter,
        switchboard,
        restores,
        supply,
        teller,
    )


def approval_links(console: str | None, secret: bytes) -> Links:
    """Where an approval is decided on, in the console at this URL."""

    def link(head: Head, asked: ApprovalRequested, decided: int) -> str | None:
        named = Link(head.tenant, head.id, asked.call, asked.digest, asked.expires_at, decided)
        return console and console.rstrip("/") + link_path(secret, named)

    return link


def _post() -> Post:
    from onward.adapters.posting import PublicPost

    return PublicPost()


def _supply(programs: Registry | None) -> Supply:
    """What an application gives its tools; a registry of another kind gives nothing."""
    make: Callable[[], Supply] = getattr(programs, "supply", EmptySupply)
    return make()


def embedded(
    path: str | Path, programs: Registry | None = None, *, policy: Policy | None = None, create: bool = True
) -> Parts:
    """The parts of one process on one SQLite file."""
    from onward.adapters.local.clock import SystemClock
    from onward.adapters.local.sqlite import SqliteBackend

    policy, clock = policy or Policy(), SystemClock()
    backend = SqliteBackend.open(Path(path), clock, ttl=policy.ttl, create=create)
    return assemble(backend, clock, programs, policy=policy, process=backend.process)


def cloud(
    settings: CloudSettings, programs: Registry | None = None, *, reserve: float = 0.0, watch: Watch | None = None
) -> Parts:
    """The parts of one process on Google Cloud; nothing is reached before it is needed. No step begins anything in the
    last `reserve` seconds of its time. `watch` puts something between the engine and the store."""
    from onward.adapters.gcp.backend import CloudBackend
    from onward.adapters.local.clock import SystemClock

    steps, clock = settings.steps_per_wake, SystemClock()
    policy = Policy(
        steps_per_wake=steps,
        budget=settings.budget,
        reserve=reserve,
        ttl=settings.lease,
        console=settings.console_url,
    )
    return assemble(CloudBackend(settings, clock, watch), clock, programs, policy=policy)


def operated(settings: OperatorSettings) -> Parts:
    """The parts of a process that looks at the sessions of a deployment and tells them something, and moves none.
    Raises UsageError where Google's packages are missing."""
    _check_installed()
    from onward.adapters.gcp.backend import CloudBackend
    from onward.adapters.local.clock import SystemClock

    clock = SystemClock()
    return assemble(CloudBackend(settings, clock), clock, policy=Policy(ttl=settings.lease))


def _check_installed() -> None:
    from importlib.util import find_spec

    for package, module in _NEEDED.items():
        try:
            there = find_spec(module) is not None
        except ModuleNotFoundError:
            there = False
        if not there:
            raise UsageError(f"{package} is missing: pip install 'onward[gcp]'")


_NEEDED = {
    "google-cloud-firestore": "google.cloud.firestore_v1",
    "google-cloud-pubsub": "google.pubsub_v1",
    "google-cloud-storage": "google.cloud.storage",
}


def api(settings: OperatorSettings) -> Api:
    """The API of a deployment. Raises BadInput where nobody says where it is."""
    if settings.api_url is None:
        raise BadInput(
            "ONWARD_API_URL is missing: the URL of the api function, by which people start sessions and decide, such "
            "as https://api-abc.run.app"
        )
    from onward.adapters.gcp.api import PersonalApi
    from onward.adapters.local.clock import SystemClock

    return PersonalApi(settings.api_url, settings.token, settings.place, SystemClock())


def local_model(text: str, directory: Path) -> Model | None:
    """The model that a name such as `gemini-3-flash` or `scripted:FILE` means on this machine, FILE as seen from the
    directory; None for a name of another kind. Raises BadInput for a script that can't be read."""
    from onward.adapters.gcp import gemini
    from onward.adapters.local import scripted

    return scripted.resolve_model(text, directory) or gemini.resolve_model(text)


def remote_model(text: str) -> Model | None:
    """The same for a name that means no file: what somebody asks for from elsewhere opens none here."""
    from onward.adapters.gcp import gemini

    return gemini.resolve_model(text)
