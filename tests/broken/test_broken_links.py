"""The tests of approval links, and of what comes from outside with a token, fail where those are broken (G8, G15)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from onward.core.links import Link, read
from onward.engine.gateway import Gateway
from onward.surfaces.http import files, links, serving
from onward.surfaces.http.roles import Rights
from tests.cloud import http_client, servers
from tests.cloud import test_api_links as of_links
from tests.cloud import test_api_operating as operating
from tests.cloud.servers import Api

Test = Callable[[Api], Awaitable[None]]


def g8_a_link_is_believed_whoever_made_it(secret: bytes, token: str) -> Link:
    said = token.split(".")[1]
    *named, at, decided = json.loads(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)))
    return Link(*named, datetime.fromisoformat(at), decided)


def a_link_never_expires(secret: bytes, token: str) -> Link:
    link = read(secret, token)
    return replace(link, expires=link.expires.replace(year=9999))


def g8_a_link_opens_for_everybody(service: Any, rights: Rights, token: str) -> Link:
    return read(service.parts.backend.secret, token)


async def g8_a_link_is_never_used_up(*given: Any) -> None:
    return None


def g8_any_token_completes_a_call(self: Gateway, key: str, call: str, token: str) -> int:
    return 1


VARIANTS: list[tuple[Test, Any, str, Any]] = [
    (of_links.test_a_link_is_none_once_it_was_changed_or_is_over, links, "read", g8_a_link_is_believed_whoever_made_it),
    (of_links.test_a_link_is_none_once_it_was_changed_or_is_over, links, "read", a_link_never_expires),
    (of_links.test_g8_a_link_grants_nothing, links, "_link", g8_a_link_opens_for_everybody),
    (
        of_links.test_a_link_that_was_passed_on_is_used_up_and_a_new_one_is_not,
        links,
        "_used",
        g8_a_link_is_never_used_up,
    ),
    (
        operating.test_a_call_is_completed_from_outside_by_its_token_alone,
        Gateway,
        "_attempt",
        g8_any_token_completes_a_call,
    ),
    (operating.test_who_may_turn_a_switch, Rights, "check_everywhere", lambda self, role: None),
    (operating.test_g3_a_private_field_is_erased_with_its_file, files, "MEDIA", "text/html"),
]


@pytest.mark.parametrize(("test", "on", "name", "wrong"), VARIANTS)
async def test_a_wrong_variant_is_found_out(test: Test, on: Any, name: str, wrong: Any, tmp_path: Path) -> None:
    with patch.object(http_client, "PATIENCE", 1.0), patch.object(serving, "ENDS_IN", 1), patch.object(on, name, wrong):
        async with servers.on_sqlite(tmp_path) as api:
            with pytest.raises((AssertionError, KeyError)):
                await asyncio.wait_for(test(api), 10)
