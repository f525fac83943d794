"""S7, S8: signals; and what is overdue."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from onward.core.events import Actor
from onward.core.lease import TTL
from onward.errors import Refused
from onward.testing.contracts.story import Backend, Clock, Contents, append_of, begin, claimed, signal


@pytest.mark.asyncio
class InboxContract:
    """A session's inbox."""

    async def test_s7_a_signal_is_filed_at_the_stores_time(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        clock.advance(1.0009)
        filed = await backend.store.file(key, signal(content={"ä": [1.5, None, "\u2028"]}))
        expected = clock.now().replace(microsecond=clock.now().microsecond // 1000 * 1000)
        assert filed == replace(signal(content={"ä": [1.5, None, "\u2028"]}), filed_at=expected)
        inbox = await backend.store.pending(key)
        assert (inbox.signals, inbox.now, inbox.more) == ((filed,), expected, False)

    async def test_s7_the_same_again_is_the_same_signal(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        filed = await backend.store.file(key, signal())
        clock.advance(5)
        assert await backend.store.file(key, signal()) == filed
        assert (await backend.store.pending(key)).signals == (filed,)

    async def test_s7_the_same_id_with_other_content_is_refused(self, backend: Backend) -> None:
        key = await begin(backend.store)
        filed = await backend.store.file(key, signal())
        others = [
            signal(content="other"),
            signal(sender=Actor(kind="person", name="eve")),
            replace(signal(), kind="cancel"),
        ]
        for other in others:
            with pytest.raises(Refused) as refused:
                await backend.store.file(key, other)
            assert refused.value.code == "signal_reused"
        assert (await backend.store.pending(key)).signals == (filed,)

    async def test_s7_filed_at_once_by_many_it_is_one(self, backend: Backend) -> None:
        key = await begin(backend.store)
        answers = await asyncio.gather(*(backend.store.file(key, signal()) for _ in range(8)))
        assert len(set(map(repr, answers))) == 1
        assert len((await backend.store.pending(key)).signals) == 1

    async def test_s7_inboxes_are_apart_and_need_no_session(self, backend: Backend) -> None:
        key = await begin(backend.store)
        await backend.store.file(key, signal(content="one"))
        await backend.store.file("f" * 32, signal(content="two"))
        assert [s.body["content"] for s in (await backend.store.pending(key)).signals] == ["one"]
        assert [s.body["content"] for s in (await backend.store.pending("f" * 32)).signals] == ["two"]

    async def test_s7_signals_are_in_the_order_of_time_then_id(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store)
        for id in ("c", "a"):
            await backend.store.file(key, signal(id))
        clock.advance(1)
        for id in ("d", "b"):
            await backend.store.file(key, signal(id))
        inbox = await backend.store.pending(key, limit=3)
        assert ([s.id for s in inbox.signals], inbox.more) == (["a", "c", "b"], True)
        inbox = await backend.store.pending(key, limit=4)
        assert ([s.id for s in inbox.signals], inbox.more) == (["a", "c", "b", "d"], False)

    async def test_s8_absorbed_with_the_commit_they_became(self, backend: Backend) -> None:
        key = await begin(backend.store)
        for id in ("a", "b"):
            await backend.store.file(key, signal(id))
        lease = await claimed(backend.store, key)
        await backend.store.append(lease, append_of(lease, absorbed=("a",), inbox_read=True))
        assert [s.id for s in (await backend.store.pending(key)).signals] == ["b"]

    async def test_s8_absorbed_it_is_still_known(self, backend: Backend) -> None:
        key = await begin(backend.store)
        filed = await backend.store.file(key, signal())
        lease = await claimed(backend.store, key)
        await backend.store.append(lease, append_of(lease, absorbed=("s1",)))
        assert await backend.store.file(key, signal()) == filed
        with pytest.raises(Refused):
            await backend.store.file(key, signal(content="other"))
        assert (await backend.store.pending(key)).signals == ()

    async def test_s8_refused_it_is_no_longer_pending(self, backend: Backend) -> None:
        for id in ("a", "b"):
            await backend.store.file("f" * 32, signal(id))
        await backend.store.refuse("f" * 32, ["a"], "there is no such session")
        assert [s.id for s in (await backend.store.pending("f" * 32)).signals] == ["b"]

    @pytest.mark.parametrize("how", ["absorbed", "refused"])
    async def test_s8_its_body_is_forgotten_and_a_repeat_is_known(
        self, backend: Backend, contents: Contents, how: str
    ) -> None:
        key, said = await begin(backend.store), signal(content={"words": ["between us"]})
        filed = await backend.store.file(key, said)
        await backend.store.file(key, signal("s2", content="still to be read"))
        assert "between us" in await contents()
        if how == "absorbed":
            lease = await claimed(backend.store, key)
            await backend.store.append(lease, append_of(lease, absorbed=("s1",)))
        else:
            await backend.store.refuse(key, ["s1"], "there is no such session")
        held = await contents()
        assert ("between us" in held, "still to be read" in held) == (False, True)
        assert await backend.store.file(key, said) == filed
        with pytest.raises(Refused):
            await backend.store.file(key, signal())
        assert "between us" not in await contents()
        assert [left.id for left in (await backend.store.pending(key)).signals] == ["s2"]

    # --- overdue -------------------------------------------------------------------------------------------------

    async def test_overdue_is_what_somebody_should_have_looked_at(self, backend: Backend, clock: Clock) -> None:
        soon = clock.now() + timedelta(minutes=5)
        await begin(backend.store, "rests", status="waiting")
        await begin(backend.store, "later", status="waiting", wake_at=soon + timedelta(hours=1))
        due = await begin(backend.store, "due", status="waiting", wake_at=soon)
        running = await begin(backend.store, "running", wake_at=soon)
        called = await begin(backend.store, "called", status="waiting")
        await backend.store.file(called, signal())
        assert set(await backend.store.overdue()) == {called}
        clock.advance(300)
        assert set(await backend.store.overdue()) == {due, running, called}
        assert len(await backend.store.overdue(limit=2)) == 2

    async def test_overdue_leaves_out_what_is_held(self, backend: Backend, clock: Clock) -> None:
        key = await begin(backend.store, wake_at=clock.now())
        await backend.store.file(key, signal())
        lease = await claimed(backend.store, key)
        assert list(await backend.store.overdue()) == []
        clock.advance(TTL)
        assert list(await backend.store.overdue()) == [key]
        await backend.store.append(lease, append_of(lease, head={"wake_at": None}, absorbed=("s1",), release=True))
        assert list(await backend.store.overdue()) == []
