"""Laws of the small pure parts: retry, durations, leases, limits, ids."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.core.canonical import canonical, digest
from onward.core.durations import seconds
from onward.core.ids import completion_token, session_key, signal_id
from onward.core.lease import TTL, Busy, Free, Later, LeaseFields, judge
from onward.core.retry import Retry, stall_delay
from onward.core.state import Entry, changed
from onward.errors import BadInput
from tests.property.strategies import values


@given(st.integers(1, 20), st.floats(0.01, 60), st.floats(1, 10), st.floats(60, 3600))
def test_retry_delays_grow_to_their_longest_and_end(attempts: int, first: float, factor: float, longest: float) -> None:
    retry = Retry(attempts, first, factor, longest)
    delays = [retry.delay(attempt) for attempt in range(1, attempts + 2)]
    assert delays[attempts - 1] is None
    assert delays[attempts] is None
    waits = [delay for delay in delays if delay is not None]
    assert len(waits) == attempts - 1
    assert waits == sorted(waits)
    assert all(0 < wait <= longest for wait in waits)


def test_g13_attempts_that_die_wait_from_the_first_and_longer_each_time() -> None:
    delays = [stall_delay(stalls) for stalls in range(8)]
    assert delays[0] == 0
    assert delays[1] > 0
    assert delays == sorted(delays)


@given(st.integers(1, 10**8))
def test_durations_in_words_and_numbers_agree(count: int) -> None:
    assert seconds(f"{count}s") == count == seconds(count) == seconds(timedelta(seconds=count))
    assert seconds(f"{count}m") == 60 * count


@pytest.mark.parametrize("wrong", ["", "5", "5 parsecs", "-5s", 0, -1, True, float("nan"), float("inf"), "1h30", None])
def test_g15_a_wrong_duration_names_its_field(wrong: object) -> None:
    with pytest.raises(BadInput, match="timeout"):
        seconds(wrong, "timeout")  # type: ignore[arg-type]


@given(values)
def test_canonical_text_does_not_depend_on_the_order_of_keys(value: object) -> None:
    pair = {"a": value, "b": 1}
    assert canonical(pair) == canonical(dict(reversed(pair.items())))
    assert digest(pair) == digest(dict(reversed(pair.items())))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), object(), {1, 2}])
def test_g15_what_json_cannot_hold_is_refused(wrong: object) -> None:
    with pytest.raises(BadInput):
        canonical({"value": wrong})


@given(st.text(), st.text(), st.text(), st.text())
def test_ids_do_not_run_together(a: str, b: str, c: str, d: str) -> None:
    if (a, b) != (c, d):
        assert signal_id(a, "input", b) != signal_id(c, "input", d)
    assert completion_token(b"one", "key", "1.0", 1) != completion_token(b"two", "key", "1.0", 1)
    assert completion_token(b"one", "key", "1.0", 1) != completion_token(b"one", "key", "1.0", 2)


def test_a_tenant_can_not_name_another_tenants_session() -> None:
    assert session_key("a", "b") != session_key("ab", "")
    assert session_key("a", "b") == session_key("a", "b")


fields = st.builds(
    LeaseFields,
    epoch=st.integers(0, 50),
    held=st.booleans(),
    age=st.floats(0, 10 * TTL),
    settled=st.integers(0, 50),
    mark=st.none() | st.tuples(st.integers(0, 50), st.integers(0, 50)),
    seq=st.integers(0, 50),
    format=st.integers(1, 2),
    dead=st.booleans(),
).filter(lambda lease: lease.settled <= lease.epoch)


@given(fields)
def test_g2_a_lease_is_given_only_above_every_epoch_and_never_while_one_lives(lease: LeaseFields) -> None:
    verdict = judge(lease, TTL, reads=1)
    if isinstance(verdict, Free):
        assert verdict.epoch == lease.epoch + 1
        assert not lease.held or lease.dead or lease.age >= TTL
        assert verdict.stalls == lease.epoch - lease.settled
    elif isinstance(verdict, Busy):
        assert lease.held
        assert verdict.wait > TTL - lease.age
        assert verdict.marked == (lease.mark == (lease.epoch, lease.seq))
    else:
        assert isinstance(verdict, Later)
        assert verdict.wait > 0
    assert lease.format == 1 or isinstance(verdict, Later)


@pytest.mark.parametrize("name", sorted(Entry.found_once - {"fetched"}))
def test_a_changed_entry_finds_out_anew_what_was_found_out_of_the_first(name: str) -> None:
    entry = Entry(kind="result", seq=3, value="a", tool="t")
    getattr(entry, name)
    large = {"$file": {"media_type": "text/plain", "digest": "0" * 64}}
    assert getattr(changed(entry, value=large), name) == getattr(
        Entry(kind="result", seq=3, value=large, tool="t"), name
    )
    assert name not in vars(changed(entry, seq=4))


def test_what_was_fetched_for_an_entry_is_not_a_changed_ones() -> None:
    entry = Entry(kind="result", seq=3, value={"lies": "elsewhere"}, tool="t")
    vars(entry)["fetched"] = "the value itself"
    assert (entry.known, changed(entry, value="another").known) == ("the value itself", "another")
