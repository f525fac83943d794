"""An emulated Gemini for each test, and the real client to ask it with; one emulated Pub/Sub for a module."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from emulators.cloud_sdk import Missing
from emulators.gemini import Emulator
from emulators.pubsub import PubSub
from onward import Gemini

PROJECTS = itertools.count(1)
SETTINGS = ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_CLOUD_PROJECT")


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's client, with nothing of this machine's own settings."""
    with contextlib.suppress(ModuleNotFoundError):
        if importlib.util.find_spec("google.genai"):
            for name in (*SETTINGS, "GOOGLE_CLOUD_LOCATION", "GOOGLE_APPLICATION_CREDENTIALS", "HTTP_PROXY"):
                monkeypatch.delenv(name, raising=False)
            return
    pytest.skip("google-genai is missing: pip install -e '.[gemini]'")


@pytest.fixture
def emulator(google: None) -> Iterator[Emulator]:
    """An emulator without a script; `play` gives it one."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
async def gemini(emulator: Emulator) -> AsyncIterator[Callable[..., Gemini]]:
    """Makes models that ask the emulator, and closes them."""
    made: list[Gemini] = []

    def make(name: str = "gemini-3-flash", **options: Any) -> Gemini:
        made.append(Gemini(name, **{"api_key": emulator.key, "base_url": emulator.url, **options}))
        return made[-1]

    yield make
    for model in made:
        await model.close()


@pytest.fixture(scope="module")
def pubsub() -> Iterator[PubSub]:
    with contextlib.suppress(ModuleNotFoundError):
        if importlib.util.find_spec("google.pubsub_v1"):
            try:
                emulator = PubSub()
            except Missing as exc:
                pytest.skip(str(exc))
            with emulator:
                yield emulator
            return
    pytest.skip("google-cloud-pubsub is missing: pip install -e '.[gcp]'")


@pytest.fixture
def project(pubsub: PubSub) -> str:
    """One of its own for each test, with a topic `sessions` and a topic `events`."""
    name = f"projects/project-{next(PROJECTS)}"
    for topic in ("sessions", "events"):
        pubsub.make_topic(f"{name}/topics/{topic}")
    return name
