"""Pages by tenant: everybody has theirs, whatever their tenants are called, and nobody another's."""

from __future__ import annotations

import pytest

from tests.console.house import House, house

__all__ = ["house"]
TINA, VERA = "tina@firm.example", "vera@firm.example"
"""Of the tenants acme and beta; and of the default one alone."""

LISTS = ("/", "/?mine=1", "/approvals?for=all", "/attention", "/effects", "/health")


@pytest.mark.parametrize("path", LISTS)
async def test_who_has_several_tenants_and_none_by_default_has_every_page(house: House, path: str) -> None:
    assert (await house.visitor(TINA).get(path)).status == 200


async def test_of_another_tenant_nobody_is_told_anything_by_any_page(house: House) -> None:
    asked = await house.asking("t-1", tenant="acme")
    made = {"call": asked.rpartition("/")[2].partition("?")[0]}
    link = (await house.api.ask("POST", "sessions/t-1/links?tenant=acme", made)).doc["path"]
    below = [f"/sessions/t-1{more}" for more in ("", "/rows", "/state", "/events/1")]
    vera = house.visitor(VERA)
    for path in (asked, link, *(f"{each}?tenant=acme" for each in (*LISTS, *below) if "?" not in each)):
        page = await vera.get(path)
        if page.status == 404:
            assert "there is no tenant acme" in page.text, path
        else:  # this page is of no tenant alone
            assert (path, "t-1" in page.html) == ("/health?tenant=acme", False)
    for path in (*LISTS, *below):
        assert "Maria Keller" not in (await vera.get(path)).html
