"""One cloud for all of these tests, or a word on what is missing here."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    for package in ("google.cloud.firestore_v1", "google.pubsub_v1", "google.cloud.tasks_v2", "google.cloud.storage"):
        if not _installed(package):
            pytest.skip(f"{package} is missing: pip install -e '.[gcp]'")
    from emulators import cloud_sdk, firestore
    from tests.cloud.world import World

    try:
        made = World(tmp_path_factory.mktemp("cloud"))
    except (cloud_sdk.Missing, firestore.Missing) as exc:
        pytest.skip(str(exc))
    yield made
    made.cloud.close()


def _installed(package: str) -> bool:
    with contextlib.suppress(ModuleNotFoundError):
        return importlib.util.find_spec(package) is not None
    return False
