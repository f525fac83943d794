"""One cloud for all of these tests, or a word on what is missing here."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PLAYED = "test_the_demo"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    for package in ("google.cloud.firestore_v1", "google.pubsub_v1", "google.cloud.tasks_v2", "google.cloud.storage"):
        if not _installed(package):
            pytest.skip(f"{package} is missing: pip install -e '.[gcp]'")
    from emulators import cloud_sdk
    from tests.cloud.world import World

    try:
        made = World(tmp_path_factory.mktemp("cloud"))
    except cloud_sdk.Missing as exc:
        pytest.skip(str(exc))
    yield made
    made.cloud.close()
    made.hooks.close()


@pytest.fixture(params=["sqlite", "functions"])
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    """The API, as it is served on this machine and as it is on the cloud."""
    if not _installed("fastapi"):
        pytest.skip("fastapi is missing: pip install -e '.[api]'")
    from tests.cloud import servers

    if request.param == "functions":
        made = servers.under_the_framework(request.getfixturevalue("world"))
        yield made
        await made.drop()
    else:
        async with servers.on_sqlite(tmp_path) as made:
            yield made


def _installed(package: str) -> bool:
    with contextlib.suppress(ModuleNotFoundError):
        return importlib.util.find_spec(package) is not None
    return False


@pytest.fixture(scope="session", autouse=True)
def demo(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[str] | None]:
    """The demo, played meanwhile where its test was chosen: it waits more than it works."""
    if not any(item.name == PLAYED for item in request.session.items):
        yield None
        return
    agents = tmp_path_factory.mktemp("demo") / "functions" / "agents"
    shutil.copytree(ROOT / "functions" / "agents", agents)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}"}
    command = [sys.executable, str(agents / "demo_cloud.py")]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as play:
        yield play
        play.kill()
