"""The system's Chromium, in which the console is tested."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "Chromium, which the console is tested in; get it: apt-get install chromium"
PATIENCE = 15_000
"""Milliseconds that anything may take on a page."""

WIDE = {"width": 1280, "height": 900}


def chromium() -> str | None:
    """Where it is."""
    named = os.environ.get("ONWARD_CHROMIUM")
    return next(filter(None, map(shutil.which, [named] if named else NAMES)), None)


def flags() -> list[str]:
    """Its sandbox refuses to be root's. What it does of its own accord is off: a test sees what a page asked for."""
    quiet = ["--disable-background-networking", "--disable-component-update", "--no-first-run", "--disable-sync"]
    return [*quiet, "--no-sandbox"] if os.geteuid() == 0 else quiet


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser, once there is one to start."""
    found = chromium()
    if found is None or importlib.util.find_spec("playwright") is None:
        pytest.skip(MISSING)
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=found, args=flags())
        yield started
        await started.close()


People = Callable[..., Awaitable["BrowserContext"]]


@pytest_asyncio.fixture(loop_scope="session")
async def people(browser: Browser) -> AsyncIterator[People]:
    """Makes a browser of one's own for each who asks: nothing is shared with others, and all is gone at the end. Takes
    what `new_context` of playwright takes."""
    made = []

    async def another(**more: Any) -> BrowserContext:
        context = await browser.new_context(**{"viewport": WIDE, "color_scheme": "light", "locale": "en-GB"} | more)
        context.set_default_timeout(PATIENCE)
        made.append(context)
        return context

    yield another
    for context in made:
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def context(people: People) -> BrowserContext:
    return await people()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> Page:
    return await context.new_page()
