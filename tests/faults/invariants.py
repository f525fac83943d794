"""What must hold of every run, whatever happened to it: the checks that the matrix and the broken variants share.

Each takes what a run left behind (`Run`) and answers complaints: none, if all is well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from onward.core.canonical import canonical
from onward.core.head import Head
from onward.core.log import Commit, verify
from onward.errors import CorruptLog
from tests.faults.desk import TOOLS
from tests.ledger import Entry

RECOVERY = frozenset({"attempts_lost", "call_in_doubt", "call_reconciled", "step_failed", "signal_kept"})
"""Kinds of events that say how a fault was dealt with, and not what the session came to."""

_VOLATILE = frozenset(
    {
        "attempt",
        "not_after",
        "retry_at",
        "due_at",
        "expires_at",
        "poll_at",
        "polls",
        "by",
        "signal",
        "deadline",
        "not_before",
        "remind_at",
        "up_to",
        "session",
        "parent",
        "origin",
        "record",
        "not_inherited",
    }
)
_NAMED_ACTORS = frozenset({"session_started", "input_received", "approval_decided", "closing_began"})
_STEPS = frozenset({"pay", "give_back", "charge", "credit", "credit_at_last", "notify", "hold", "release"})
"""Irreversible steps of workflows."""

_IRREVERSIBLE = _STEPS | frozenset(tool.name for tool in TOOLS if tool.effect in ("irreversible", "compensatable"))


@dataclass(frozen=True)
class Run:
    """What a run left behind."""

    head: Head
    commits: Sequence[Commit]
    events: Sequence[Any]
    published: frozenset[int] | None
    """None where readers read the log itself."""
    ledger: Sequence[Entry] = ()
    early: Sequence[int] = ()
    needless: Sequence[str] = ()
    calls: Sequence[str] = ()
    others: Mapping[str, Run] = field(default_factory=dict)
    """What was left of its children, by their number, and of other sessions, by their id."""

    @cached_property
    def counted(self) -> Counter[str]:
        """How often each irreversible effect was had."""
        return Counter(
            canonical([what, details.get("arguments")]) for what, details in self.ledger if what in _IRREVERSIBLE
        )

    @cached_property
    def keys(self) -> Counter[str]:
        """Under how many keys each effect was had."""
        found = {
            (canonical([what, details.get("arguments")]), details["key"])
            for what, details in self.ledger
            if what != "model"
        }
        return Counter(what for what, _ in found)

    @cached_property
    def _lines(self) -> dict[frozenset[str], list[str]]:
        return {}

    def lines(self, ignore: Iterable[str]) -> list[str]:
        """The log, normalised."""
        skip = frozenset(ignore)
        if skip not in self._lines:
            self._lines[skip] = normalised(self.events, skip)
        return self._lines[skip]


def differences(run: Run, calm: Run, ignore: Iterable[str] = (), lossy: bool = False) -> list[str]:
    """Everything in which a disturbed run differs from the undisturbed one in a way it must not. Where the queue loses
    messages (`lossy`), subscribers may miss something until the session moves again."""
    return [
        *log_is_whole(run),
        *ends_alike(run, calm),
        *logs_alike(run, calm, ignore),
        *children_alike(run, calm, ignore, lossy),
        *nothing_owed(run),
        *effects_alike(run, calm),
        *keys_alike(run, calm),
        *nothing_asked_again(run),
        *nothing_published_early(run),
        *([] if lossy else everything_published(run)),
    ]


def log_is_whole(run: Run) -> list[str]:
    """G3: contiguous, chained, and as the head says; gone for good where the session was deleted."""
    if run.head.status == "deleted":
        return [f"log: {len(run.commits)} commits of a deleted session"] if run.commits else []
    try:
        found = verify(run.commits, run.head.hash)
    except CorruptLog as exc:
        return [f"log: {exc}"]
    return [] if found == (run.head.seq, run.head.hash) else [f"log: ends at {found}, the head says {run.head.seq}"]


def ends_alike(run: Run, calm: Run) -> list[str]:
    """G5, G13: it ends, and as it would have."""
    if run.head.status != calm.head.status:
        return [f"end: {run.head.status} ({run.head.error}), undisturbed {calm.head.status}"]
    return []


def logs_alike(run: Run, calm: Run, ignore: Iterable[str] = ()) -> list[str]:
    """G1, G6, G7: the same happened, leaving out how it was recovered."""
    ours, theirs = run.lines(ignore), calm.lines(ignore)
    if ours == theirs:
        return []
    gone = [line for line in theirs if line not in ours]
    new = [line for line in ours if line not in theirs]
    return [f"log: differs; missing {gone}; new {new}" if gone or new else f"log: another order: {ours}"]


def children_alike(run: Run, calm: Run, ignore: Iterable[str] = (), lossy: bool = False) -> list[str]:
    """G5: each child was started once, ended as it would have, and its log is whole."""
    if run.others.keys() != calm.others.keys():
        return [f"children: {sorted(run.others)}, undisturbed {sorted(calm.others)}"]
    ignored = list(ignore)
    return [
        f"{id}: {complaint}"
        for id, child in run.others.items()
        for complaint in differences(child, calm.others[id], ignored, lossy)
    ]


def nothing_owed(run: Run) -> list[str]:
    """G5: every duty to another session is paid, and the head knows it."""
    return [f"owed since event {run.head.owed}"] if run.head.owed else []


def effects_alike(run: Run, calm: Run) -> list[str]:
    """G6: an irreversible effect is in the ledger exactly as often as in the undisturbed run."""
    ours, theirs = run.counted, calm.counted
    return [
        f"ledger: {what} {ours[what]} times, undisturbed {theirs[what]}"
        for what in ours | theirs
        if ours[what] != theirs[what]
    ]


def keys_alike(run: Run, calm: Run) -> list[str]:
    """G6: an effect that was done again was done under the same key."""
    ours, theirs = run.keys, calm.keys
    return [
        f"ledger: {what} under {ours[what]} keys, undisturbed {theirs[what]}"
        for what in ours | theirs
        if ours[what] != theirs[what]
    ]


def nothing_asked_again(run: Run) -> list[str]:
    """G7: what was recorded is never asked for again."""
    return [f"asked again, though recorded: {what}" for what in run.needless]


def nothing_published_early(run: Run) -> list[str]:
    """G4: nothing is published before it is committed."""
    return [f"published before it was committed: event {seq}" for seq in run.early]


def everything_published(run: Run) -> list[str]:
    """R12: subscribers got every committed event."""
    if run.published is None:
        return []
    return [f"never published: event {seq}" for seq in range(1, run.head.seq + 1) if seq not in run.published]


# --- what is compared ------------------------------------------------------------------------------------------


def normalised(events: Sequence[Any], ignore: Iterable[str] = ()) -> list[str]:
    """The log without times, attempts, ids and recoveries; calls of one turn stand in the order of their proposal, and
    that the session is closing after them. A workflow's calls stand in the order of their names: which of two branches
    is a step ahead of the other means nothing."""
    if any(getattr(event.body, "operations", None) for event in events):
        return _by_name(events, RECOVERY | frozenset(ignore))
    names: dict[str, tuple[int, int]] = {}
    lines: list[tuple[tuple[int, ...], str]] = []
    section, seen = 0, set()
    skip = RECOVERY | frozenset(ignore)
    for event in events:
        if event.kind == "calls_proposed":
            names |= {f"{event.seq}.{index}": (len(names), index) for index in range(len(event.body.calls))}
        if event.kind in skip or _is_repeat(event, seen) or _is_retry(event):
            continue
        call = getattr(event.body, "call", None)
        alone = not call and event.kind != "closing_began"
        order = names.get(call, (0, 0)) if call else (len(names), 0)
        section += alone
        lines.append(((section, *order), _line(event, order)))
        section += alone
    return [line for _, line in sorted(lines, key=lambda pair: pair[0])]


def _by_name(events: Sequence[Any], skip: frozenset[str]) -> list[str]:
    """What became of each of a workflow's calls, and before that, in their order, all events that are of none."""
    lines: list[tuple[tuple[int, str], str]] = []
    names: dict[str, tuple[int, str]] = {}
    generation, seen = 0, set[Any]()
    for event in events:
        generation += event.kind == "session_continued"
        if event.kind == "calls_proposed":
            operations = [(generation, operation.name) for operation in event.body.operations]
            names |= {f"{event.seq}.{index}": name for index, name in enumerate(operations)}
            lines += zip(operations, _proposals(event.body), strict=True)
        elif not (event.kind in skip or _is_repeat(event, seen) or _is_retry(event) or _is_of_no_call(event)):
            name = names.get(getattr(event.body, "call", None) or "", (generation, ""))
            lines.append((name, _line(event, name)))
    return [f"{name} {line}" for name, line in sorted(lines, key=lambda pair: pair[0])]


def _is_of_no_call(event: Any) -> bool:
    """Whether a child has ended that nobody waits for; its id is of its place in the log."""
    return event.kind == "signal_refused" and event.body.signal_kind == "child"


def _proposals(body: Any) -> list[str]:
    """A line for each call. Until when it waits is a time."""
    calls = [(call.model_dump(mode="json"), op.signal) for call, op in zip(body.calls, body.operations, strict=True)]
    return [canonical(["proposed", call, signal]) for call, signal in calls]


def _is_repeat(event: Any, seen: set[Any]) -> bool:
    body = event.body
    if event.kind in ("call_started", "call_pending"):
        mark = (event.kind, body.call)
    elif event.kind == "field_erased":
        mark = (event.kind, body.seq, body.field)
    else:
        return False
    if mark in seen:
        return True
    seen.add(mark)
    return False


def _is_retry(event: Any) -> bool:
    body = event.body
    if event.kind in ("call_failed", "model_failed"):
        return body.retry_at is not None or event.kind == "model_failed"
    if event.kind == "timer_fired":
        return not body.timer.startswith(("user:", "start"))
    return event.kind == "signal_refused" and body.signal_kind in ("outcome", "resume", "decision")


def _line(event: Any, order: tuple[int, Any]) -> str:
    fields = {name: value for name, value in event.body.model_dump(mode="json").items() if name not in _VOLATILE}
    if "call" in fields:
        fields["call"] = order
    if event.kind == "call_failed" and event.body.error.code == "tool_error":
        fields["error"] = "whatever the tool raised"
    if event.kind == "session_forked":
        fields["base"] = sorted(map(_taken_over, fields["base"]["transcript"]))
    if event.kind == "session_cancelled" or event.kind == "closing_began":
        fields.pop("signal", None)
    if event.kind == "call_completed":
        fields["result"] = _without_ids(event.body)
    if event.kind == "session_continued":
        fields["kept"] = len(fields["kept"])
    if event.kind in _NAMED_ACTORS:
        fields["actor"] = event.actor.name
    return canonical(fields)


def _without_ids(body: Any) -> Any:
    """A result, without the event of the input that was taken, or the id of the session that was started."""
    named = isinstance(body.result, dict) and body.result.keys() in ({"event"}, {"session"})
    return list(body.result) if named else body.model_dump(mode="json")["result"]


def _taken_over(entry: dict[str, Any]) -> str:
    """What a branch goes on from; results of one turn stand in the order in which they came, which differs."""
    value = entry["value"]
    large = value["$blob"]["size"] if isinstance(value, dict) and "$blob" in value else None
    return canonical([entry["kind"], large or value])
