"""The tests of webhooks find what is wrong: each fails on a variant that breaks what it is about (G5)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest

from onward.adapters import posting
from onward.adapters.local.memory import MemoryBackend, MemoryQueue
from onward.adapters.posting import PublicPost
from onward.core import webhooks
from onward.core.head import Head
from onward.engine import telling
from onward.engine.duties import Duties
from onward.engine.hold import Hold
from onward.engine.listeners import Webhooks
from onward.engine.outbox import Outbox
from onward.engine.telling import Teller
from onward.testing.runner import AutoClock
from tests.emulator.sink import Sink
from tests.unit import test_posting, test_telling

numbers = itertools.count()
pay, addresses = Duties.pay, PublicPost._addresses


async def drops_debts_of_the_dead(self: Outbox, hold: Hold) -> None:
    hold.owed = 0


async def pays_for_its_own_webhooks_alone(self: Duties, head: Head, events: Any) -> None:
    own = self._gateway._creator._appender._webhooks
    await pay(self, replace(head, listeners=own.listeners(replace(head, listeners=()), head.program, "1")), events)


def knows_its_own_webhooks_alone(self: Webhooks, head: Head, program: str, version: str) -> Any:
    return tuple(hook.listener() for hook in self._hooks.values())


async def is_done_before_it_was_tried(self: MemoryQueue, limit: int = 1) -> Any:
    taken = [errand for due, errand in self._errands.values() if due <= self._clock.now()][:limit]
    for errand in taken:
        await self.done_errand(errand)
    return taken


async def takes_any_answer_for_a_yes(self: Teller, head: Any, errand: Any, status: int) -> None:
    return None


async def asks_what_was_decided(self: Teller, head: Head, seq: int, body: Any) -> Any:
    return {"call": body.call}


def signs_the_body_alone(secret: str, id: str, timestamp: int, body: bytes) -> str:
    return webhooks.signature(secret, "", 0, body)


async def follows_redirects(self: PublicPost, parts: Any, request: bytes, private: bool) -> int:
    reader, writer = await self._connect(parts, await self._addresses(parts, private))
    writer.write(request)
    answer = (await reader.read()).decode()
    writer.close()
    to = urlsplit(answer.partition("Location: ")[2].partition("\r\n")[0])
    if to.hostname:
        return await self._exchange(to, posting._request(to, {}, b""), private)
    return int(answer.split()[1])


async def connects_to_the_name(self: PublicPost, parts: Any, addresses: Sequence[str]) -> Any:
    host, port = posting._place(parts)
    return await asyncio.open_connection(host, port)


async def looks_at_the_first_address(self: PublicPost, parts: Any, private: bool) -> Any:
    found = await self._resolve(*posting._place(parts))
    if not private and not posting.is_public(found[0]):
        return await addresses(self, parts, private)
    return found


def trusts_what_python_says(address: str) -> bool:
    return posting.ip_address(address).is_global


async def in_memory(test: Callable[..., Any], world: bool) -> None:
    clock = AutoClock()
    with Sink() as sink:
        await (test(sink, (clock, MemoryBackend(clock))) if world else test(sink))


died = test_telling.test_g5_what_is_owed_when_a_process_dies_after_the_append_is_told_all_the_same
again = test_telling.test_g5_what_is_not_taken_comes_again_under_the_same_id
under_way = test_telling.test_g5_what_is_on_its_way_when_a_process_dies_comes_once_more_under_the_same_id
every = test_telling.test_g5_every_occasion_is_told_signed_and_in_order
strangers = test_telling.test_g5_what_another_application_writes_is_owed_too
older = test_telling.test_g5_a_release_without_the_webhook_pays_what_one_with_it_owes


async def settled(sink: Sink) -> None:
    await test_telling.test_a_question_that_was_decided_is_not_asked_any_more(sink, "rejected")


TOLD: list[tuple[Any, bool, Any, str, Any]] = [
    (died, True, Outbox, "pay_rest", drops_debts_of_the_dead),
    (older, False, Duties, "pay", pays_for_its_own_webhooks_alone),
    (strangers, False, Webhooks, "listeners", knows_its_own_webhooks_alone),
    (under_way, True, MemoryQueue, "take_errands", is_done_before_it_was_tried),
    (again, True, Teller, "_answered", takes_any_answer_for_a_yes),
    (again, True, telling, "message_id", lambda *_: f"msg_{next(numbers)}"),
    (every, True, telling, "signature", signs_the_body_alone),
    (settled, False, Teller, "_question", asks_what_was_decided),
]


@pytest.mark.parametrize(("test", "world", "where", "name", "variant"), TOLD)
async def test_variant_of_telling_is_found_out(test: Any, world: bool, where: Any, name: str, variant: Any) -> None:
    await in_memory(test, world)
    with patch.object(where, name, variant), pytest.raises((AssertionError, pytest.fail.Exception)):
        await in_memory(test, world)


async def redirects() -> None:
    await test_posting.test_a_redirect_is_an_answer_and_is_not_followed()


async def rebinding() -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        await test_posting.test_where_it_goes_is_what_was_checked_and_not_what_the_name_says_next(monkeypatch)


async def one_of_two() -> None:
    await test_posting.test_one_private_address_is_enough_to_go_to_none(["8.8.8.8", "10.0.0.1"])


async def translated() -> None:
    for address in test_posting.PRIVATE:
        if ":" in address:
            test_posting.test_no_address_of_a_private_place_is_public(address)


POSTED: list[tuple[Any, Any, str, Any]] = [
    (redirects, PublicPost, "_exchange", follows_redirects),
    (rebinding, PublicPost, "_connect", connects_to_the_name),
    (one_of_two, PublicPost, "_addresses", looks_at_the_first_address),
    (translated, test_posting, "is_public", trusts_what_python_says),
]


@pytest.mark.parametrize(("test", "where", "name", "variant"), POSTED)
async def test_variant_of_posting_is_found_out(test: Any, where: Any, name: str, variant: Any) -> None:
    await test()
    with patch.object(where, name, variant), pytest.raises((AssertionError, pytest.fail.Exception)):
        await test()
