"""Where a command works: on a file, or on the deployment of a project."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from onward.errors import BadInput, UsageError
from onward.surfaces.deployed import program_of
from onward.surfaces.options import Surroundings
from onward.surfaces.verbs import Place
from tests.e2e.command import DONE, Desk, Here

EMULATORS = ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "STORAGE_EMULATOR_HOST")


def place(db: str | None = None, project: str | None = None) -> Place:
    return Surroundings(db, project, as_json=False).place


@pytest.mark.parametrize(
    ("environ", "said", "name", "shown"),
    [
        ({}, {}, "onward.db", []),
        ({}, {"db": "my.db"}, "my.db", ["--db", "my.db"]),
        ({"ONWARD_DB": "my.db"}, {}, "my.db", ["--db", "my.db"]),
        ({}, {"project": "my-project"}, "project my-project", ["--project", "my-project"]),
        ({"ONWARD_PROJECT": "my-project"}, {}, "project my-project", ["--project", "my-project"]),
        ({"ONWARD_PROJECT": " "}, {}, "onward.db", []),
        ({"ONWARD_PROJECT": "other"}, {"project": "my-project"}, "project my-project", ["--project", "my-project"]),
        ({"ONWARD_PROJECT": "my-project"}, {"db": "onward.db"}, "onward.db", ["--db", "onward.db"]),
        ({"ONWARD_PROJECT": "my-project", "ONWARD_DB": "my.db"}, {}, "project my-project", ["--project", "my-project"]),
        ({"ONWARD_DB": "my.db"}, {"project": "my-project"}, "project my-project", ["--project", "my-project"]),
        ({"GOOGLE_CLOUD_PROJECT": "my-project"}, {}, "onward.db", []),
    ],
)
def test_a_place_is_chosen_and_its_commands_find_it_again(
    environ: dict[str, str],
    said: dict[str, str],
    name: str,
    shown: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("ONWARD_DB", "ONWARD_PROJECT", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    chosen = place(**said)
    assert chosen.name == name
    words = chosen.command("send", "s1", more=("TEXT",)).split()
    assert words == ["onward", "send", "s1", *shown, "TEXT"]
    options = {word[2:]: value for word, value in zip(shown[::2], shown[1::2], strict=True)}
    assert place(**options) == chosen


def test_g15_two_places_at_once_and_none_are_refused(here: Here) -> None:
    both = here("list", "--db", "my.db", "--project", "my-project")
    assert (both.code, "--db and --project are two places" in both.err) == (2, True)
    for nowhere in ("", "My Project"):
        answer = here("list", "--project", nowhere)
        assert (answer.code, answer.out) == (2, "")
        assert "is no project's id, such as my-project" in answer.err
    as_json = here("list", "--project", "", "--json")
    assert (as_json.code, '"code": "bad_input"' in as_json.err) == (2, True)


def test_what_makes_no_sense_on_a_deployment_is_refused_and_says_why(
    desk: Desk, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONWARD_PROJECT", "my-project")
    worker = here("worker", "desk.py")
    assert (worker.code, "the functions of project my-project move its sessions" in worker.err) == (2, True)
    model = here("run", "desk", "Hi", "--model", "scripted:turns.json")
    assert (model.code, "--model is for programs that run here" in model.err) == (2, True)
    file = here("run", "desk.py", "Hi")
    assert (file.code, "'desk.py' names no program" in file.err) == (2, True)


def test_a_file_is_still_found_where_the_environment_names_a_project(desk: Desk) -> None:
    desk.write(DONE)
    there = {"ONWARD_PROJECT": "my-project"}
    ran = desk.run("run", "desk.py:desk", "Hi", "--id", "s1", "--db", "onward.db", env=there)
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "It is on its way.")
    assert desk.run("list", "--json").doc[0]["id"] == "s1"


@pytest.mark.parametrize(
    ("app", "program"), [("desk", "desk"), ("desk.py:desk", "desk"), ("package.module:desk", "desk"), (":desk", "desk")]
)
def test_a_program_of_the_deployment_is_named_alone_or_as_for_a_file(app: str, program: str) -> None:
    assert program_of(app) == program


@pytest.mark.parametrize("app", ["desk.py", "agents/desk", "desk.py:", ""])
def test_g15_a_file_alone_names_no_program(app: str) -> None:
    with pytest.raises(BadInput, match=r"^APP: .+ names no program"):
        program_of(app)


# --- what is needed ----------------------------------------------------------------------------------------------


def test_a_command_on_a_file_loads_nothing_of_google(desk: Desk) -> None:
    desk.write(DONE)
    assert desk.run("run", "desk.py:desk", "Hi", "--id", "s1").code == 0
    code = (
        "import sys; before = set(sys.modules); from onward.surfaces.cli import _answer\n"
        "codes = _answer(['show', 's1'], False), _answer(['doctor'], False); assert codes == (0, 0), codes\n"
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=desk.path, env=desk.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "onward.adapters.local.sqlite" in loaded
    assert not {name for name in loaded if name.partition(".")[0] in ("google", "grpc", "requests")}
    assert not loaded & {"onward.adapters.gcp", "onward.runtime.deployed", "onward.surfaces.deployed"}


def test_packages_that_are_missing_are_named_with_the_way_to_get_them(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> object:
        if name.startswith("google."):
            raise ModuleNotFoundError("No module named 'google'")
        return real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    answer = here("list", "--project", "my-project")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "onward: usage: google-cloud-firestore is missing: pip install 'onward[gcp]'\n"


async def test_who_knows_no_secret_accepts_no_token_of_completion(tmp_path: Path) -> None:
    pytest.importorskip("google.cloud.firestore_v1")
    from onward.config import OperatorSettings
    from onward.runtime.deployed import Deployed

    settings = OperatorSettings.from_env("my-project", dict.fromkeys(EMULATORS, "127.0.0.1:1"))
    async with Deployed(settings, "ann") as sessions, Deployed(settings, "ann") as others:
        assert sessions.parts.backend.secret != others.parts.backend.secret
        with pytest.raises(UsageError, match="it is sent to the deployment's topic"):
            await sessions.complete("s1", "3.0", "token")
        with pytest.raises(UsageError, match="timers are armed by the functions"):
            await sessions.parts.backend.queue.arm("key", sessions.parts.clock.now())
