"""The archive that is deployed: unpacked, with its own requirements in an environment of its own, it does its work.

TERRAFORM_STANDIN names a command `check --plan FOLDER [arguments]` that plans without the real providers.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emulators.cloud_sdk import OPENER

if TYPE_CHECKING:
    from tests.cloud.world import World

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
PINS = ROOT / "functions" / "requirements.txt"
GRACE = "grace@shop.example"
MESSAGE = "My grinder from order A-1042 arrived broken. Can I have my money back?"


pytestmark = pytest.mark.timeout(300)  # installing waits for an index


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what two plans would upload."""
    check = os.environ.get("TERRAFORM_STANDIN")
    if not check:
        pytest.skip("TERRAFORM_STANDIN is not set; .ci/run sets it")
    if not shutil.which("terraform"):
        pytest.skip("terraform is missing: https://developer.hashicorp.com/terraform/install")
    folder = tmp_path_factory.mktemp("plans")
    told = {**os.environ, "TERRAFORM": str(HERE / "plan.sh"), "KEPT": str(folder)}
    plan = [check, "--plan", str(ROOT / "infra"), "-var", "project_id=my-project-1"]
    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(_run, plan, told), both.submit(_install, folder)]:
            done.result()
    return folder


def _install(folder: Path) -> None:
    """An environment with the pins and nothing else, for `folder/source`."""
    _run([sys.executable, "-m", "venv", str(folder / "venv")])
    pip = [str(_python(folder / "source")), "-m", "pip", "--disable-pip-version-check"]
    _run([*pip, "install", "--quiet", "--no-deps", "-r", str(PINS)])


@pytest.fixture(scope="module")
def unpacked(kept: Path) -> Path:
    """The folder that the functions are built from, beside the environment that they are built into."""
    source = kept / "source"
    with zipfile.ZipFile(kept / "first.zip") as archive:
        archive.extractall(source)
    assert (source / "requirements.txt").read_text() == PINS.read_text(), "what was installed is not what it asks for"
    return source


def _python(source: Path) -> Path:
    return source.parent / "venv" / "bin" / "python"


@pytest.fixture(scope="module")
def world(unpacked: Path) -> Iterator[Any]:
    """A deployment of it."""
    from emulators import cloud_sdk
    from emulators.cloud import Cloud
    from emulators.functions import Function
    from onward.config import CloudSettings
    from tests.cloud.world import ROLES, World

    def serve(name: str, log: Path) -> Function:
        return Function(name, log, source=unpacked / "main.py", python=str(_python(unpacked)))

    class Deployed(World):
        def __init__(self) -> None:
            told = {"ONWARD_LEASE": "4", "ONWARD_STEPS_PER_WAKE": "20", "ONWARD_ROLES": str(ROLES)}
            told |= {"TMPDIR": str(unpacked.parent), "PYTHONDONTWRITEBYTECODE": "1"}
            folder = unpacked.parent / "logs"
            self.cloud = Cloud("agents/refund_desk.py", folder=folder, settings=told, sweep_every=3600, serve=serve)
            self.settings = CloudSettings.from_env(self.cloud.environment)

    try:
        made = Deployed()
    except cloud_sdk.Missing as exc:
        pytest.skip(str(exc))
    yield made
    made.cloud.close()


def test_the_same_content_is_the_same_archive(kept: Path) -> None:
    assert (kept / "first.zip").read_bytes() == (kept / "second.zip").read_bytes()


def test_nothing_is_in_it_that_is_not_needed(unpacked: Path) -> None:
    names = {file.relative_to(unpacked).as_posix() for file in unpacked.rglob("*") if file.is_file()}
    assert {name.split("/")[0] for name in names} == {"main.py", "requirements.txt", "onward", "agents"}
    library = {f"onward/{name}" for name in _tracked("shared/onward") if not name.endswith(("py.typed", ".md"))}
    assert {name for name in names if name.startswith("onward/")} == library


def _tracked(folder: str) -> list[str]:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    found = subprocess.run(listed, cwd=ROOT / folder, check=True, capture_output=True, text=True)
    return [name for name in found.stdout.split("\0") if name and (ROOT / folder / name).exists()]


def test_its_requirements_are_complete(unpacked: Path) -> None:
    _run([str(_python(unpacked)), "-m", "pip", "--disable-pip-version-check", "check"])
    imports = "import click, jsonschema, pydantic, jinja2, fastapi, uvicorn, google.genai, google.cloud.tasks_v2"
    _run([str(_python(unpacked)), "-c", imports])


async def test_a_session_runs_to_its_end_by_a_message_the_api_and_a_timer(world: World, unpacked: Path) -> None:
    """The shop is asked for money by a process that dies before it hears; a timer finds out what happened."""
    await world.start("refund-1", "refund-desk", input=MESSAGE)
    await world.until("refund-1", "approval_requested")
    (wait,) = (await world.ask("GET", "sessions/refund-1"))[1]["waits"]
    decision = {"call": wait["call"], "digest": wait["digest"], "verdict": "approved"}
    assert (await world.ask("POST", "sessions/refund-1/decisions", decision))[0] == 200
    await _booked(unpacked.parent / "shop.db")
    world.cloud.functions["advance"].kill()
    kinds = [event.kind for event in await world.until("refund-1", "session_completed")]
    assert "call_in_doubt" in kinds
    assert any("call_in_doubt" in line["kinds"] for line in await world.logged("resume", outcome="moved"))
    assert await _booked(unpacked.parent / "shop.db") == 1
    await world.verified("refund-1")


async def _booked(ledger: Path) -> int:
    """Refunds that the shop has booked, once there is one."""
    end = time.monotonic() + 40
    while time.monotonic() < end:
        if ledger.exists() and (count := _count(ledger)):
            return count
        await asyncio.sleep(0.05)
    raise AssertionError("the shop was not asked to pay")


def _count(ledger: Path) -> int:
    db = sqlite3.connect(ledger, timeout=10)
    try:
        return int(db.execute("SELECT count(*) FROM ledger").fetchone()[0])
    except sqlite3.OperationalError:  # its tables are still being made
        return 0
    finally:
        db.close()


async def test_its_sweep_and_its_console_answer(world: World) -> None:
    assert (await world.post("sweep", b"{}"))[0] == 200
    assert (await world.ask("GET", "health"))[1]["ok"]
    request = urllib.request.Request(world.cloud.functions["api"].url)
    request.add_header("Authorization", f"Bearer {world.cloud.token(GRACE)}")
    page = await asyncio.to_thread(lambda: OPENER.open(request, timeout=40).read().decode())
    assert "refund-1" in page


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-5000:]}"
