"""What the environment says. Nothing else in the library reads it."""

from __future__ import annotations

import getpass
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from onward.errors import BadInput


@dataclass(frozen=True, slots=True)
class Settings:
    """`identity` is who decides and operates on this machine; `app` and `db` are what commands use by default; with
    `project` they work on that project's deployment instead of the file; `color` says that a terminal may be written to
    in colour. `roles` is the table of who may do what in an API that is served here; None lets `identity` do all.
    `console_url` is where people decide, for what webhooks are told."""

    identity: str
    app: str
    db: str
    project: str | None = None
    color: bool = True
    roles: str | None = None
    console_url: str | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """ONWARD_IDENTITY (else the login name), ONWARD_APP (else `app`), ONWARD_DB (else `onward.db`), ONWARD_PROJECT,
        ONWARD_ROLES, ONWARD_CONSOLE_URL, NO_COLOR. Raises BadInput for a URL that is none."""
        env = os.environ if environ is None else environ
        return cls(
            identity=env.get("ONWARD_IDENTITY") or _login(),
            app=env.get("ONWARD_APP") or "app",
            db=env.get("ONWARD_DB") or "onward.db",
            project=env.get("ONWARD_PROJECT", "").strip() or None,
            color=not env.get("NO_COLOR") and env.get("TERM") != "dumb",
            roles=env.get("ONWARD_ROLES", "").strip() or None,
            console_url=_Checked(env).url("ONWARD_CONSOLE_URL"),
        )


PLACE = "onward-deployment"
"""The header by which one who asks an API says whose sessions are meant: `PROJECT/DATABASE`."""


@dataclass(frozen=True, slots=True)
class GeminiSettings:
    """How Gemini is reached: by `api_key`, or with `vertex` through `project` and `location`, and where, unless at the
    service's own place. None leaves it to the client."""

    api_key: str | None = field(default=None, repr=False)
    vertex: bool = False
    project: str | None = None
    location: str | None = None
    base_url: str | None = None

    def completed(self, environ: Mapping[str, str] | None = None) -> GeminiSettings:
        """These, and from the environment what they leave open: GOOGLE_API_KEY, else GEMINI_API_KEY, and
        GOOGLE_GEMINI_BASE_URL; on Vertex AI, which GOOGLE_GENAI_USE_VERTEXAI chooses where no key is given,
        GOOGLE_CLOUD_PROJECT, GOOGLE_CLOUD_LOCATION and GOOGLE_VERTEX_BASE_URL."""
        env = os.environ if environ is None else environ
        chosen = env.get("GOOGLE_GENAI_USE_VERTEXAI", "").lower() in ("true", "1")
        if not (self.vertex or (chosen and not self.api_key)):
            key = (self.api_key or env.get("GOOGLE_API_KEY") or env.get("GEMINI_API_KEY") or "").strip()
            return GeminiSettings(key or None, base_url=self.base_url or env.get("GOOGLE_GEMINI_BASE_URL") or None)
        return GeminiSettings(
            api_key=self.api_key,
            vertex=True,
            project=self.project or env.get("GOOGLE_CLOUD_PROJECT") or None,
            location=self.location or env.get("GOOGLE_CLOUD_LOCATION") or None,
            base_url=self.base_url or env.get("GOOGLE_VERTEX_BASE_URL") or None,
        )


@dataclass(frozen=True, kw_only=True)
class CloudPlace:
    """Where a deployment on Google Cloud keeps its sessions: what everybody must know who looks at them.

    `lease` is how many seconds a lease lasts. The last four are for emulators: where they are.
    """

    project: str
    database: str
    bucket: str
    sessions_topic: str
    events_topic: str
    lease: float = 90.0
    firestore_emulator: str | None = None
    pubsub_emulator: str | None = None
    storage_emulator: str | None = None
    tasks_emulator: str | None = None

    @staticmethod
    def _told(env: _Checked, project: str) -> dict[str, Any]:
        """These fields; the names are those that a deployment gives by default."""
        env.all_or_none("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "STORAGE_EMULATOR_HOST")
        return {
            "project": project,
            "database": env.get("ONWARD_DATABASE", _DATABASE, "the Firestore database", "onward", needed=False),
            "bucket": env.get(
                "ONWARD_BUCKET", _BUCKET, "the bucket for large values", f"{project}-onward", needed=False
            ),
            "sessions_topic": env.get(
                "ONWARD_SESSIONS_TOPIC", _NAME, "the topic that moves sessions", "onward-sessions", needed=False
            ),
            "events_topic": env.get(
                "ONWARD_EVENTS_TOPIC", _NAME, "the topic of committed events", "onward-events", needed=False
            ),
            "lease": env.number("ONWARD_LEASE", CloudPlace.lease, "seconds that a lease lasts"),
            "firestore_emulator": env.given("FIRESTORE_EMULATOR_HOST"),
            "pubsub_emulator": env.given("PUBSUB_EMULATOR_HOST"),
            "storage_emulator": env.given("STORAGE_EMULATOR_HOST"),
            "tasks_emulator": env.given("CLOUD_TASKS_EMULATOR_HOST"),
        }

    @property
    def place(self) -> str:
        """Where the sessions are, in a word."""
        return f"{self.project}/{self.database}"

    @property
    def sessions_topic_path(self) -> str:
        return f"projects/{self.project}/topics/{self.sessions_topic}"

    @property
    def events_topic_path(self) -> str:
        return f"projects/{self.project}/topics/{self.events_topic}"


@dataclass(frozen=True, kw_only=True)
class OperatorSettings(CloudPlace):
    """What commands are told that work on a deployment, each from the variable of its name (`from_env`).

    `api_url` is where its API is, through which people decide, and `token` the identity token that says who does; None
    for what `gcloud` says.
    """

    api_url: str | None = None
    token: str | None = field(default=None, repr=False)

    @classmethod
    def from_env(cls, project: str, environ: Mapping[str, str] | None = None) -> OperatorSettings:
        """The settings for this project. What is not given has the name that a deployment gives it by default. Raises
        BadInput, which names the variable, what it is and an example."""
        env = _Checked(os.environ if environ is None else environ)
        url = env.given("ONWARD_API_URL") and env.get("ONWARD_API_URL", _SAFE_URL, "the URL of the api function", _API)
        return cls(api_url=url, token=env.given("ONWARD_TOKEN"), **cls._told(env, _checked(project)))


@dataclass(frozen=True, kw_only=True)
class CloudSettings(CloudPlace):
    """What the functions of a deployment are told, each from the variable of its name (`from_env`).

    Times are in seconds: a step may take `budget`, a request `timeout`, a message `ack_deadline` until it comes again;
    each must be longer than the one before. `certs_url` is where the keys are that callers' tokens are verified by,
    `issuers` and `audiences` whom a token must come from and be meant for. `iap_audiences` are those of Identity-Aware
    Proxy where the API stands behind it, and `iap_certs_url` has its keys. `roles` is the table of who may do what;
    without one the API lets nobody do anything. `console_url` is where people decide, for what webhooks are told.
    `own_accounts` are the deployment's, which decide nothing; `service_account` is always one of them.
    """

    location: str
    queue: str
    resume_url: str
    service_account: str
    audiences: tuple[str, ...]
    secret: bytes = field(repr=False)
    app: str
    steps_per_wake: int = 1
    budget: float = 540.0
    timeout: float = 570.0
    ack_deadline: float = 600.0
    issuers: tuple[str, ...] = ("https://accounts.google.com", "accounts.google.com")
    certs_url: str = "https://www.googleapis.com/oauth2/v1/certs"
    iap_audiences: tuple[str, ...] = ()
    iap_certs_url: str = "https://www.gstatic.com/iap/verify/public_key"
    roles: str | None = None
    console_url: str | None = None
    own_accounts: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> CloudSettings:
        """The settings of this process; lists are separated by commas. Raises BadInput, which names the variable, what
        it is and an example."""
        env = _Checked(os.environ if environ is None else environ)
        project = env.get("GOOGLE_CLOUD_PROJECT", _PROJECT, "the project", "my-project")
        settings = cls(
            **cls._told(env, project),
            location=env.get("ONWARD_LOCATION", _LOCATION, "the location of the queue", "europe-west1"),
            queue=env.get("ONWARD_QUEUE", _NAME, "the Cloud Tasks queue of timers", "onward-timers", needed=False),
            resume_url=env.get("ONWARD_RESUME_URL", _URL, "the URL of the resume function", "https://resume.run.app"),
            service_account=env.get("ONWARD_SERVICE_ACCOUNT", _EMAIL, "the functions' own account", _ACCOUNT),
            audiences=_list(env.get("ONWARD_AUDIENCE", _TEXT, "whom callers' tokens are meant for", _API)),
            secret=env.get(
                "ONWARD_SECRET", _SECRET, "32 random characters or more", "$(openssl rand -hex 32)"
            ).encode(),
            app=env.get("ONWARD_APP", _TEXT, "the application", "refund_desk.py"),
            steps_per_wake=int(env.number("ONWARD_STEPS_PER_WAKE", cls.steps_per_wake, "steps that one wake moves")),
            budget=env.number("ONWARD_BUDGET", cls.budget, "seconds that a step may take"),
            timeout=env.number("ONWARD_TIMEOUT", cls.timeout, "seconds that a request may take"),
            ack_deadline=env.number("ONWARD_ACK_DEADLINE", cls.ack_deadline, "seconds until a message comes again"),
            issuers=_list(env.given("ONWARD_ISSUERS") or ",".join(cls.issuers)),
            certs_url=env.given("ONWARD_CERTS_URL") or cls.certs_url,
            iap_audiences=_list(env.given("ONWARD_IAP_AUDIENCE") or ""),
            iap_certs_url=env.given("ONWARD_IAP_CERTS_URL") or cls.iap_certs_url,
            roles=env.given("ONWARD_ROLES"),
            console_url=env.url("ONWARD_CONSOLE_URL"),
            own_accounts=env.emails("ONWARD_OWN_ACCOUNTS", "accounts of the deployment's own"),
        )
        return settings._in_order()._with_own()

    def _with_own(self) -> CloudSettings:
        own = dict.fromkeys((self.service_account, *self.own_accounts))
        return replace(self, own_accounts=tuple(own))

    def _in_order(self) -> CloudSettings:
        """A step must end before its request does, and that before its message comes again (R10)."""
        if not self.budget < self.timeout < self.ack_deadline:
            raise BadInput(
                f"ONWARD_BUDGET, ONWARD_TIMEOUT and ONWARD_ACK_DEADLINE are {self.budget:g}, {self.timeout:g} and "
                f"{self.ack_deadline:g} seconds; each must be longer than the one before, such as 540, 570 and 600"
            )
        return self

    @property
    def queue_path(self) -> str:
        return f"projects/{self.project}/locations/{self.location}/queues/{self.queue}"


_PROJECT, _DATABASE = r"[a-z][a-z0-9-]{4,28}[a-z0-9]", r"\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]"
_BUCKET, _NAME = r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}"
_LOCATION, _URL = r"[a-z]+[a-z0-9-]*", r"https?://[^\s/]+(/\S*)?"
_SAFE_URL = r"(https://[A-Za-z0-9.-]+(:\d+)?|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?)(/\S*)?"
_EMAIL, _TEXT, _SECRET = r"[^@\s]+@[^@\s]+", r"\S.*", r"\S{32,}"
_ACCOUNT, _API = "onward@my-project.iam.gserviceaccount.com", "https://api-abc.run.app"
_CONSOLE = "https://console.example.com"


@dataclass(frozen=True, slots=True)
class _Checked:
    """The environment, with words for what is missing or wrong in it. What is secret is never shown."""

    environ: Mapping[str, str]

    def given(self, name: str) -> str | None:
        return self.environ.get(name, "").strip() or None

    def get(self, name: str, form: str, what: str, example: str, *, needed: bool = True) -> str:
        """The variable's value. Where it is not needed, the example is what goes without saying."""
        value = self.given(name) or (None if needed else example)
        if value is None:
            raise BadInput(f"{name} is missing: {what}, such as {example}")
        if not re.fullmatch(form, value):
            shown = "" if form is _SECRET else f": {value[:60]!r}"
            raise BadInput(f"{name} is wrong{shown}; it is {what}, such as {example}")
        return value

    def url(self, name: str) -> str | None:
        """The URL that the variable holds, if it holds anything."""
        return self.given(name) and self.get(name, _SAFE_URL, "the URL of the console", _CONSOLE)

    def emails(self, name: str, what: str) -> tuple[str, ...]:
        """A list of addresses, perhaps empty."""
        found = _list(self.given(name) or "")
        for each in found:
            if not re.fullmatch(_EMAIL, each):
                raise BadInput(f"{name} is wrong: {each[:60]!r}; it is {what}, separated by commas, such as {_ACCOUNT}")
        return found

    def all_or_none(self, *hosts: str) -> None:
        """What is left out of these emulators would be the real service: nobody means that."""
        missing = [name for name in hosts if self.given(name) is None]
        if 0 < len(missing) < len(hosts):
            there = " and ".join(name for name in hosts if name not in missing)
            raise BadInput(f"{missing[0]} is missing: {there} names an emulator, and this would be the real service")

    def number(self, name: str, default: float, what: str) -> float:
        try:
            value = float(self.given(name) or default)
        except ValueError:
            value = math.nan
        if not 1 <= value <= 3600:
            raise BadInput(f"{name} is wrong: {self.given(name)!r}; it is {what}, from 1 to 3600, such as {default:g}")
        return value


def _checked(project: str) -> str:
    if not re.fullmatch(_PROJECT, project):
        raise BadInput(f"project: {project[:60]!r} is no project's id, such as my-project")
    return project


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def secret_from_env(name: str, environ: Mapping[str, str] | None = None) -> str | None:
    """The secret that the environment variable of this name holds; None where there is none."""
    return (os.environ if environ is None else environ).get(name)


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "local"
