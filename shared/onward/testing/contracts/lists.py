"""Lists of sessions: what each filter finds, in which order, page by page."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest

from onward.core.head import Wait, WaitKind
from onward.ports import RESTS, Query, cursor, every
from onward.testing.contracts.story import START, Backend, append_of, begin, claimed

MINUTE = timedelta(minutes=1)


async def found(backend: Backend, query: Query) -> str:
    """The ids that a query finds, one letter each."""
    return "".join(head.id for head in await backend.store.list(query))


@pytest.mark.asyncio
class ListContract:
    """The order and the filters of `list`."""

    async def test_list_is_newest_first_and_takes_every_filter(self, backend: Backend) -> None:
        approval = (Wait(kind="approval", call="2.0"), Wait(kind="timer"))
        wanted: dict[str, dict[str, Any]] = {
            "a": {"status": "running"},
            "b": {"status": "waiting", "waits": approval},
            "c": {"status": "waiting", "waits": (Wait(kind="input"),), "program": "other"},
            "d": {"status": "needs_attention", "waits": (Wait(kind="operator"),)},
            "e": {"status": "completed", "tenant": "globex"},
        }
        for age, (id, fields) in enumerate(wanted.items()):
            await begin(backend.store, id, updated_at=START + timedelta(minutes=age), **fields)

        async def ids(query: Query) -> str:
            return await found(backend, query)

        assert await ids(Query()) == "edcba"
        assert await ids(Query(limit=2)) == "ed"
        assert await ids(Query(tenant="acme")) == "dcba"
        assert await ids(Query(status=("waiting", "running"))) == "cba"
        assert await ids(Query(status=("waiting", "running", "waiting"))) == "cba"
        assert await ids(Query(status=("waiting",), program="other")) == "c"
        assert await ids(Query(wait="approval")) == "b"
        assert await ids(Query(wait="timer", status=("waiting",))) == "b"
        assert await ids(Query(wait="timer", status=("running",))) == ""
        assert await ids(Query(wait="input", tenant="acme", limit=1)) == "c"
        assert await ids(Query(wait="child")) == ""
        assert await ids(Query(oldest=True)) == "abcde"
        assert await ids(Query(oldest=True, limit=2)) == "ab"
        assert await ids(Query(oldest=True, status=("waiting", "needs_attention"), tenant="acme")) == "bcd"
        assert await ids(Query(oldest=True, wait="operator")) == "d"
        assert await ids(Query(oldest=True, program="other")) == "c"

    async def test_s15_census_counts_what_rests_by_what_it_waits_for(self, backend: Backend) -> None:
        nothing = dict.fromkeys((*get_args(WaitKind), *RESTS), 0)
        assert await backend.store.census() == nothing
        two = (Wait(kind="approval", call="2.0"), Wait(kind="approval", call="2.1"), Wait(kind="timer"))
        await begin(backend.store, "a", status="waiting", waits=two)
        await begin(backend.store, "b", status="waiting", waits=(Wait(kind="approval", call="2.0"),), tenant="globex")
        await begin(backend.store, "c", status="needs_attention", waits=(Wait(kind="operator"),))
        await begin(backend.store, "d", status="paused")
        await begin(backend.store, "e", status="running")
        await begin(backend.store, "f", status="completed")
        some = {"approval": 2, "timer": 1, "operator": 1, "needs_attention": 1, "paused": 1}
        assert await backend.store.census() == nothing | some

    async def test_list_follows_what_is_appended(self, backend: Backend) -> None:
        key = await begin(backend.store, "a")
        await begin(backend.store, "b", updated_at=START + timedelta(minutes=1))
        lease = await claimed(backend.store, key)
        later = {"status": "waiting", "waits": (Wait(kind="input"),), "updated_at": START + timedelta(minutes=2)}
        await backend.store.append(lease, append_of(lease, head=later, release=True))
        assert [head.id for head in await backend.store.list(Query())] == ["a", "b"]
        assert [head.id for head in await backend.store.list(Query(wait="input"))] == ["a"]
        assert [head.id for head in await backend.store.list(Query(status=("running",)))] == ["b"]
        lease = await claimed(backend.store, key, "alice:2")
        on = {"status": "running", "waits": (), "updated_at": START + timedelta(minutes=3)}
        await backend.store.append(lease, append_of(lease, "on", head=on))
        assert [head.id for head in await backend.store.list(Query(wait="input"))] == []
        assert [head.id for head in await backend.store.list(Query(status=("running",)))] == ["a", "b"]

    async def test_list_takes_version_labels_and_parent(self, backend: Backend) -> None:
        wanted: dict[str, dict[str, Any]] = {
            "a": {"labels": (("team", "blue"), ("vip", True), ("rank", 7))},
            "b": {"labels": (("team", 'it\'s "blue"\n'), ("rank", 70)), "version": "2"},
            "c": {"parent": "a", "status": "waiting"},
            "d": {"parent": "a", "tenant": "globex", "version": "2"},
            "e": {"labels": (("team", "true"), ("vip", False))},
        }
        for age, (id, fields) in enumerate(wanted.items()):
            await begin(backend.store, id, updated_at=START + age * MINUTE, **fields)
        questions = {
            "db": Query(version="2"),
            "a": Query(labels=(("team", "blue"),)),
            "b": Query(labels=(("team", 'it\'s "blue"\n'),), version="2"),
            "e": Query(labels=(("vip", "false"), ("team", "true"))),
            "dc": Query(parent="a"),
            "c": Query(parent="a", status=("waiting",)),
            "d": Query(parent="a", tenant="globex"),
        }
        assert {ids: await found(backend, query) for ids, query in questions.items()} == {ids: ids for ids in questions}
        assert await found(backend, Query(labels=(("vip", "true"), ("rank", "7")))) == "a"
        assert await found(backend, Query(labels=(("vip", "true"), ("rank", "70")))) == ""
        assert await found(backend, Query(labels=(("vip", "1"),))) == ""
        assert await found(backend, Query(parent="c")) == ""

    async def test_list_takes_a_family_which_its_root_is_not_of(self, backend: Backend) -> None:
        wanted: dict[str, dict[str, Any]] = {
            "a": {},
            "b": {"family": "a", "status": "waiting"},
            "c": {"family": "a", "tenant": "globex"},
            "d": {"family": "a", "parent": "b"},
            "e": {"family": "other"},
        }
        for age, (id, fields) in enumerate(wanted.items()):
            await begin(backend.store, id, updated_at=START + age * MINUTE, **fields)
        questions = {
            "dcb": Query(family="a"),
            "db": Query(family="a", tenant="acme"),
            "b": Query(family="a", status=("waiting",)),
            "d": Query(family="a", parent="b"),
            "": Query(family="b"),
        }
        assert {ids: await found(backend, query) for ids, query in questions.items()} == {ids: ids for ids in questions}
        assert await found(backend, Query(family="a", oldest=True)) == "bcd"
        assert await found(backend, Query(family="a", limit=2)) == "dc"
        assert [head.family for head in await backend.store.list(Query(family="other"))] == ["other"]

    async def test_list_asks_what_a_session_is_labelled_now(self, backend: Backend) -> None:
        key = await begin(backend.store, "a", labels=(("team", "blue"),), version="1")
        lease = await claimed(backend.store, key)
        now = {"labels": (("team", "red"),), "version": "2"}
        await backend.store.append(lease, append_of(lease, head=now))
        assert await found(backend, Query(labels=(("team", "red"),), version="2")) == "a"
        assert await found(backend, Query(labels=(("team", "blue"),))) == await found(backend, Query(version="1")) == ""

    async def test_list_takes_times(self, backend: Backend) -> None:
        for age, id in enumerate("abcd"):
            moved = START + age * MINUTE
            await begin(backend.store, id, created_at=START - age * MINUTE, updated_at=moved, status="waiting")
        second, third = START + MINUTE, START + 2 * MINUTE
        assert await found(backend, Query(updated_before=third)) == "ba"
        assert await found(backend, Query(updated_since=second)) == "dcb"
        assert await found(backend, Query(updated_since=second, updated_before=third)) == "b"
        assert await found(backend, Query(created_before=START - MINUTE)) == "dc"
        assert await found(backend, Query(created_since=START - MINUTE, status=("waiting",))) == "ba"

    async def test_list_goes_on_behind_a_cursor_wherever_several_moved_at_once(self, backend: Backend) -> None:
        for number in range(9):
            status = ("waiting", "running", "completed")[number % 3]
            waits = (Wait(kind="input"),) if status == "waiting" else ()
            await begin(
                backend.store, f"s{number}", updated_at=START + number // 5 * MINUTE, status=status, waits=waits
            )
        asked = (Query(), Query(status=("waiting", "running")), Query(wait="input"))
        for query in (*asked, *(replace(query, oldest=True) for query in asked)):
            whole = list(await backend.store.list(query))
            assert whole == sorted(whole, key=cursor, reverse=not query.oldest)
            assert [head async for head in every(backend.store, query, page=2)] == whole
            for at, head in enumerate(whole):
                assert list(await backend.store.list(replace(query, after=cursor(head)))) == whole[at + 1 :]

    async def test_list_by_page_meets_what_moves_meanwhile_at_most_once(self, backend: Backend) -> None:
        keys = [await begin(backend.store, id, updated_at=START + age * MINUTE) for age, id in enumerate("abcd")]
        (first, second) = await backend.store.list(Query(limit=2))
        lease = await claimed(backend.store, keys[0])
        await backend.store.append(lease, append_of(lease, head={"updated_at": START + 9 * MINUTE}))
        assert first.id + second.id + await found(backend, Query(after=cursor(second))) == "dcb"
        (first, second) = await backend.store.list(Query(limit=2, oldest=True))
        lease = await claimed(backend.store, keys[3], "alice:2")
        await backend.store.append(lease, append_of(lease, head={"updated_at": START + 10 * MINUTE}))
        behind = Query(after=cursor(second), oldest=True)
        assert (first.id + second.id, await found(backend, behind)) == ("bc", "ad")
