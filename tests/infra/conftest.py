"""The emulators, or a word on what is missing here."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """A deployment whose functions have worked, with what they asked for; and the API, with what it was asked."""
    for package in ("google.cloud.firestore_v1", "google.cloud.storage", "fastapi"):
        if not _installed(package):
            pytest.skip(f"{package} is missing: pip install -e '.[dev]'")
    from emulators import cloud_sdk
    from tests.infra.play import Recorded, play

    try:
        world = Recorded(tmp_path_factory.mktemp("recorded"))
    except cloud_sdk.Missing as exc:
        pytest.skip(str(exc))
    try:
        yield world, asyncio.run(play(world))
    finally:
        world.cloud.close()


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False
