"""What a deployment must be told, and what it loads at its start."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from onward.config import CloudSettings, OperatorSettings
from onward.errors import BadInput

ROOT = Path(__file__).parents[2]

GOOD = {
    "GOOGLE_CLOUD_PROJECT": "my-project",
    "ONWARD_DATABASE": "onward",
    "ONWARD_BUCKET": "my-project-onward",
    "ONWARD_SESSIONS_TOPIC": "onward-sessions",
    "ONWARD_EVENTS_TOPIC": "onward-events",
    "ONWARD_LOCATION": "europe-west1",
    "ONWARD_QUEUE": "onward-timers",
    "ONWARD_RESUME_URL": "https://resume-abc.a.run.app",
    "ONWARD_SERVICE_ACCOUNT": "onward@my-project.iam.gserviceaccount.com",
    "ONWARD_AUDIENCE": "https://api-abc.a.run.app, https://console.example.com",
    "ONWARD_SECRET": "0123456789abcdef0123456789abcdef",
    "ONWARD_APP": "functions/agents/refund_desk.py",
}


USUAL = {
    "ONWARD_DATABASE": ("database", "onward"),
    "ONWARD_BUCKET": ("bucket", "my-project-onward"),
    "ONWARD_SESSIONS_TOPIC": ("sessions_topic", "onward-sessions"),
    "ONWARD_EVENTS_TOPIC": ("events_topic", "onward-events"),
    "ONWARD_QUEUE": ("queue", "onward-timers"),
}
"""What has a name that goes without saying, for the functions and for operators alike."""


def test_settings_are_read() -> None:
    settings = CloudSettings.from_env(GOOD | {"ONWARD_STEPS_PER_WAKE": "8", "ONWARD_BUDGET": "100"})
    assert settings.audiences == ("https://api-abc.a.run.app", "https://console.example.com")
    assert settings.queue_path == "projects/my-project/locations/europe-west1/queues/onward-timers"
    assert (settings.sessions_topic_path, settings.events_topic_path) == (
        "projects/my-project/topics/onward-sessions",
        "projects/my-project/topics/onward-events",
    )
    assert (settings.steps_per_wake, settings.budget, settings.timeout, settings.lease) == (8, 100.0, 570.0, 90.0)
    assert settings.firestore_emulator is None


def test_the_account_that_calls_is_the_deployments_own() -> None:
    calls = GOOD["ONWARD_SERVICE_ACCOUNT"]
    assert CloudSettings.from_env(GOOD).own_accounts == (calls,)
    told = {"ONWARD_OWN_ACCOUNTS": f"sweep@my-project.iam, {calls}"}
    assert CloudSettings.from_env(GOOD | told).own_accounts == (calls, "sweep@my-project.iam")
    with pytest.raises(BadInput, match="ONWARD_OWN_ACCOUNTS is wrong: 'sweep'"):
        CloudSettings.from_env(GOOD | {"ONWARD_OWN_ACCOUNTS": "sweep"})


@pytest.mark.parametrize("name", USUAL)
def test_what_goes_without_saying_need_not_be_said(name: str) -> None:
    field, usual = USUAL[name]
    for environ in ({**GOOD, name: " "}, {other: value for other, value in GOOD.items() if other != name}):
        assert getattr(CloudSettings.from_env(environ), field) == usual
    assert getattr(CloudSettings.from_env({**GOOD, name: "another-name"}), field) == "another-name"


@pytest.mark.parametrize("name", [name for name in GOOD if name not in USUAL])
def test_g15_what_is_missing_is_named_with_an_example(name: str) -> None:
    for environ in ({**GOOD, name: " "}, {other: value for other, value in GOOD.items() if other != name}):
        with pytest.raises(BadInput, match=rf"^{name} is missing: .+, such as ."):
            CloudSettings.from_env(environ)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOOGLE_CLOUD_PROJECT", "My Project"),
        ("ONWARD_DATABASE", "-"),
        ("ONWARD_BUCKET", "gs://mine"),
        ("ONWARD_SESSIONS_TOPIC", "projects/p/topics/t"),
        ("ONWARD_QUEUE", "q"),
        ("ONWARD_LOCATION", "Europe 1"),
        ("ONWARD_RESUME_URL", "resume.run.app"),
        ("ONWARD_SERVICE_ACCOUNT", "onward"),
        ("ONWARD_SECRET", "short"),
        ("ONWARD_STEPS_PER_WAKE", "many"),
        ("ONWARD_BUDGET", "0"),
        ("ONWARD_LEASE", "nan"),
    ],
)
def test_g15_what_is_wrong_is_named_with_an_example(name: str, value: str) -> None:
    with pytest.raises(BadInput, match=rf"^{name} is wrong.*; it is .+, such as .") as caught:
        CloudSettings.from_env({**GOOD, name: value})
    assert name == "ONWARD_SECRET" or value in str(caught.value)


def test_an_operator_needs_no_more_than_a_project() -> None:
    settings = OperatorSettings.from_env("my-project", {})
    assert (settings.project, settings.api_url, settings.token, settings.lease) == ("my-project", None, None, 90.0)
    for field, usual in USUAL.values():
        assert getattr(settings, field, usual) == usual
    known = CloudSettings.from_env(GOOD)
    assert (settings.database, settings.bucket, settings.sessions_topic_path) == (
        known.database,
        known.bucket,
        known.sessions_topic_path,
    )


@pytest.mark.parametrize("project", ["", " ", "My Project", "p", "my-project/x"])
def test_g15_a_project_that_can_be_none_is_refused(project: str) -> None:
    with pytest.raises(BadInput, match=r"^project: '.*' is no project's id"):
        OperatorSettings.from_env(project, {})


@pytest.mark.parametrize(
    "url", ["http://api.example.com", "api-abc.run.app", "http://localhost.evil.example", "ftp://x"]
)
def test_a_token_is_sent_to_no_address_where_others_could_read_it(url: str) -> None:
    with pytest.raises(BadInput, match=r"^ONWARD_API_URL is wrong: .+, such as https://"):
        OperatorSettings.from_env("my-project", {"ONWARD_API_URL": url})


@pytest.mark.parametrize("url", ["https://api-abc.a.run.app", "http://127.0.0.1:8080/", "http://localhost:80/api"])
def test_the_address_of_the_api_is_read(url: str) -> None:
    environ = {"ONWARD_API_URL": f" {url} ", "ONWARD_TOKEN": "secret.token.value", "ONWARD_DATABASE": "(default)"}
    settings = OperatorSettings.from_env("my-project", environ)
    assert (settings.api_url, settings.token, settings.database) == (url, "secret.token.value", "(default)")
    assert "secret" not in repr(settings)


HOSTS = ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "STORAGE_EMULATOR_HOST")


@pytest.mark.parametrize("given", [HOSTS[:1], HOSTS[1:], HOSTS[::2]])
def test_g15_the_emulators_are_given_all_or_none(given: tuple[str, ...]) -> None:
    """What is left out would be the real service: nobody means that."""
    (missing, *_) = [name for name in HOSTS if name not in given]
    for read in (
        lambda env: OperatorSettings.from_env("my-project", env),
        lambda env: CloudSettings.from_env(GOOD | env),
    ):
        with pytest.raises(BadInput, match=rf"^{missing} is missing: .*{given[0]}.* names an emulator"):
            read(dict.fromkeys(given, "127.0.0.1:1"))
    settings = OperatorSettings.from_env("my-project", dict.fromkeys(HOSTS, "127.0.0.1:1"))
    assert {settings.firestore_emulator, settings.pubsub_emulator, settings.storage_emulator} == {"127.0.0.1:1"}


def test_times_are_in_order() -> None:
    for wrong in ({"ONWARD_BUDGET": "570"}, {"ONWARD_ACK_DEADLINE": "500"}, {"ONWARD_TIMEOUT": "30"}):
        with pytest.raises(BadInput, match="each must be longer than the one before"):
            CloudSettings.from_env(GOOD | wrong)


def test_no_secret_is_shown() -> None:
    assert GOOD["ONWARD_SECRET"] not in repr(CloudSettings.from_env(GOOD))
    with pytest.raises(BadInput) as caught:
        CloudSettings.from_env(GOOD | {"ONWARD_SECRET": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_an_effect_that_a_step_has_no_time_for_is_refused_at_the_start(tmp_path: Path) -> None:
    from onward.surfaces.functions.worker import load

    settings = CloudSettings.from_env(GOOD | {"ONWARD_APP": str(ROOT / GOOD["ONWARD_APP"]), "ONWARD_BUDGET": "100"})
    with pytest.raises(BadInput, match=r"^agent refund-desk: model_timeout is 120 s, and ONWARD_BUDGET 100 s"):
        load(settings)


# --- what is loaded ----------------------------------------------------------------------------------------------

LOADED_OF_GOOGLE = {
    "onward.adapters.gcp",
    "onward.adapters.gcp.gemini",
    "onward.adapters.gcp.identity",
    "onward.adapters.gcp.messages",
    "onward.adapters.gcp.messages_envelopes",
    "onward.adapters.gcp.trace",
}
"""What of the adapters to Google is loaded before the first request: nothing that needs a package of Google's."""


def test_what_advance_loads_at_import() -> None:
    if importlib.util.find_spec("functions_framework") is None:
        pytest.skip("functions-framework is missing: pip install -e '.[dev]'")
    code = (
        "import sys, threading; sys.path.insert(0, 'functions'); import main; "
        "print(sorted(sys.modules)); print(threading.active_count())"
    )
    environment = dict(os.environ) | GOOD | {"PYTHONPATH": str(ROOT / "shared")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    modules, threads = done.stdout.splitlines()
    loaded = set(ast.literal_eval(modules))
    assert {name for name in loaded if name.startswith("onward.adapters.gcp")} == LOADED_OF_GOOGLE
    frameworks = {name for name in loaded if name.startswith("google.cloud.functions")} | {"google", "google.cloud"}
    assert not {name for name in loaded if name.partition(".")[0] in ("google", "grpc", "requests")} - frameworks
    assert not {"onward.adapters.local.sqlite", "onward.testing"} & loaded
    assert not {"fastapi", "uvicorn"} & loaded
    assert {name for name in loaded if name.startswith("onward.surfaces.http")} == {
        "onward.surfaces.http",
        "onward.surfaces.http.roles",
    }
    assert threads == "1"
