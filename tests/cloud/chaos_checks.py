"""What must hold of every session, whatever went wrong: each check answers complaints, none if all is well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from onward.core.head import Head
from onward.core.ids import idempotency_key
from onward.core.log import Commit, verify
from onward.errors import CorruptLog

Heard = dict[int, set[tuple[str, str]]]
"""What subscribers heard of a session: by seq the kind of each event, and the hash that came with it."""

IRREVERSIBLE = frozenset({"pay", "remit", "gamble", "bet", "dawdle", "hurry", "linger", "refund"})


@dataclass(frozen=True)
class Left:
    """What a session left behind."""

    head: Head
    commits: list[Commit]
    events: list[Any]
    heard: Heard
    booked: list[dict[str, Any]]


def at_its_end(head: Head) -> bool:
    """It has ended, or nobody but a person can know what came of what it did."""
    asks = head.status == "needs_attention" or any(wait.kind == "operator" for wait in head.waits)
    return head.ended or (asks and head.program == "gamble-desk")


def complaints(left: Left) -> list[str]:
    """All that is wrong."""
    return [*_log(left), *_end(left), *_heard(left), *_effects(left)]


def _log(left: Left) -> list[str]:
    """G3: the log is whole, and is what the head says."""
    try:
        found = verify(left.commits, left.head.hash)
    except CorruptLog as exc:
        return [f"log: {exc}"]
    return [] if found == (left.head.seq, left.head.hash) else [f"log: ends at {found[0]}, not {left.head.seq}"]


def _end(left: Left) -> list[str]:
    """G5, G13: it came to its end and owes nothing; a person is asked only about what can't be known."""
    owed = [f"owed since event {left.head.owed}"] if left.head.owed else []
    if left.head.status == "completed":
        return owed
    asked = [event for event in left.events if event.kind == "call_reconciled" and event.body.answer == "unknown"]
    in_doubt = [event for event in left.events if event.kind == "call_in_doubt"]
    if (asked or in_doubt) and at_its_end(left.head):
        return owed
    return [*owed, f"end: {left.head.status} ({left.head.error or left.head.waits}), last {left.events[-1].kind}"]


def _heard(left: Left) -> list[str]:
    """R12, G4: subscribers heard every event at least once, and of none before it was committed."""
    kinds = {event.seq: event.kind for event in left.events}
    ends = {commit.hash: commit.last_seq for commit in left.commits}
    missed = sorted(kinds.keys() - left.heard.keys())
    told = [(seq, kind, hash) for seq, heard in left.heard.items() for kind, hash in heard]
    early = sorted({seq for seq, kind, hash in told if kinds.get(seq) != kind or ends.get(hash, 0) < seq})
    return [
        *([f"never published: {[(seq, kinds[seq]) for seq in missed]}"] if missed else []),
        *([f"published before it was committed: {early}"] if early else []),
    ]


def _effects(left: Left) -> list[str]:
    """G6: what can't be undone was done at most once, once if it is recorded as done, else it is in doubt."""
    done = Counter(entry["key"] for entry in left.booked if entry["what"] in IRREVERSIBLE)
    said = []
    for call, ends in _irreversible(left.events).items():
        times = done.pop(idempotency_key(left.head.id, call), 0)
        doubtful = ends[-1:] in (["call_in_doubt"], ["unknown"])
        if times > 1:
            said.append(f"call {call}: done {times} times")
        if times == 0 and "call_completed" in ends:
            said.append(f"call {call}: recorded as done, and never done")
        if times == 1 and "call_completed" not in ends and not doubtful:
            said.append(f"call {call}: done, and the log does not know: {ends}")
    return [*said, *(f"{key}: done, and never proposed" for key in done)]


def _irreversible(events: Iterable[Any]) -> dict[str, list[str]]:
    """What became of each call that can't be undone."""
    found: dict[str, list[str]] = {}
    for event in events:
        if event.kind == "calls_proposed":
            tools = {f"{event.seq}.{index}": proposal.tool for index, proposal in enumerate(event.body.calls)}
            found |= {call: [] for call, tool in tools.items() if tool in IRREVERSIBLE}
        elif getattr(event.body, "call", None) in found:
            found[event.body.call].append(getattr(event.body, "answer", event.kind))
    return found
