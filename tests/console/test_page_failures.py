"""Pages while something is broken: what is said is true, nothing is hidden by what it has nothing to do with, and no
page is less safe for it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from onward.core.ids import session_key
from onward.errors import Permanent, StoreUnavailable
from onward.surfaces.console.page import HEADERS
from tests.console.house import House, house
from tests.console.visitor import Page

__all__ = ["house"]


def broken(house: House, monkeypatch: pytest.MonkeyPatch, name: str, id: str, exc: Exception) -> None:
    """What is asked of the store about this session fails from now on."""
    store: Any = house.api.service.parts.backend.store
    asked, key = getattr(store, name), session_key("default", id)

    async def fails(of: str, *given: Any, **named: Any) -> Any:
        if of == key:
            raise exc
        return await asked(of, *given, **named)

    monkeypatch.setattr(store, name, fails)


async def test_a_page_that_fails_is_as_safe_as_any_and_says_so_in_the_log(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await house.asking("b-1")
    broken(house, monkeypatch, "read", "b-1", ArithmeticError("nobody foresaw it"))
    page = await house.visitor().get("/sessions/b-1")
    assert (page.status, "the log says more" in page.text, "foresaw" in page.text) == (500, True, False)
    assert {name: page.headers.get(name.lower()) for name in HEADERS} == dict(HEADERS)
    noted = [record for record in caplog.records if record.exc_info and record.levelno == logging.ERROR]
    assert [type(record.exc_info[1]) for record in noted] == [ArithmeticError]  # type: ignore[index]


async def decided(house: House, monkeypatch: pytest.MonkeyPatch, exc: Exception) -> Page:
    """Two that are approved together, while one of them can't be."""
    await house.asking("b-1")
    await house.asking("b-2")
    grace = house.visitor()
    page = await grace.get("/approvals")
    picks = {box.attributes["name"]: box.attributes["value"] for box in page.root.all("input", data_key="x")}
    broken(house, monkeypatch, "file", "b-1", exc)
    return await grace.send(page, page.root.one("form", id="batch"), "approved", **picks)


async def test_what_is_wrong_with_one_session_hides_nothing_of_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await decided(house, monkeypatch, Permanent("its log is damaged"))
    assert "1 taken, 1 not" in told.text
    assert "b-1, call 6.0: not taken: its log is damaged" in told.text
    assert "b-2, call 6.0: taken" in told.text
    await house.rests("b-2", "completed")


async def test_what_nobody_knows_is_not_said_to_be_untaken(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    told = await decided(house, monkeypatch, StoreUnavailable("the store did not answer"))
    assert told.status == 503
    assert "1 taken, 0 not, 1 not known" in told.text
    assert "b-1, call 6.0: not known: send it again: the store did not answer" in told.text
