"""One browser for all of these tests, a fresh profile for each, and a shop for each file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_asyncio import is_async_test

from tests.console.chromium import browser, context, page, people
from tests.console.site import Site

__all__ = ["browser", "context", "page", "people"]
BROWSER = "test_browser_"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser lives in the event loop that it was started in; the other tests have loops of their own."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name.startswith(BROWSER) and is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("shop"))
    site.start()
    yield site
    site.stop()
