"""A session's record: what its calls came to and its models answered, for branches of it to be answered from (G14).

A call is found by its tool and arguments, an answer of a model by what the model was shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from onward.core import events as ev
from onward.core.canonical import sha256
from onward.core.events import Event, Operation
from onward.core.fold import evolve
from onward.core.ids import call_id
from onward.core.inputs import input_in
from onward.core.payload import Erased
from onward.core.state import TOO_LONG, Entry, OpenCall, State
from onward.core.words import LEFT

Told = ev.ModelAnswered | ev.TranscriptCompacted | ev.ModelFailed
"""What a model came to: an answer, a summary, or that it can't take a prompt of this length."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to, by event `seq` of session `session`. `source` names session and call that it first came
    from, which is another session's where this one had it from a record too. `arguments` are those that a person gave
    instead, and `digest` is theirs; `proposed` is where the call was proposed."""

    seq: int
    session: str
    source: str
    value: Any
    failed: bool
    arguments: Any = None
    digest: str = ""
    proposed: tuple[int, int] = (0, 0)
    name: str = ""
    """What a workflow knows the call by (`known_by`)."""
    at: datetime | None = None


def known_by(generation: int, operation: Operation) -> str:
    """What one call of a workflow, and no other of it, has: its name since it last started afresh."""
    return f"{generation}/{operation.name}"


@dataclass(slots=True)
class Record:
    """What is known of one session's effects, as far as its log was read."""

    session: str
    state: State = field(default_factory=State.model_construct)
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    """By the digest of tool and arguments, in the order in which the calls were proposed."""
    answers: dict[str, list[tuple[int, Told]]] = field(default_factory=dict)
    """By the prompt's digest, in the order of their events."""
    asked: set[tuple[str, str]] = field(default_factory=set)
    """What a workflow asked for, by what it knows it by and the digest, whatever came of it."""
    _digests: dict[str, list[str]] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _prompts: Prompts = field(default_factory=lambda: Prompts())

    def take(self, event: Event) -> None:
        """Take in the next event, with every value in it."""
        if isinstance(event.body, ev.ModelAnswered | ev.TranscriptCompacted | ev.ModelFailed):
            self._answered(event.seq, event.body)
        if isinstance(event.body, ev.CallsProposed):
            self._proposed(event.seq, event.body)
        if isinstance(event.body, ev.CallEdited) and event.body.error is None:
            self._digests[event.body.call].append(event.body.digest)
        before, self.state = self.state, evolve(self.state, event)
        if not isinstance(event.body, ev.ProgramChanged) and before.closing is None:
            self._settled(event)

    def _proposed(self, seq: int, body: ev.CallsProposed) -> None:
        ids = [call_id(seq, at) for at in range(len(body.calls))]
        self._digests |= {id: [call.digest] for id, call in zip(ids, body.calls, strict=True)}
        for id, call, operation in zip(ids, body.calls, body.operations, strict=False):
            self._names[id] = known_by(self.state.generation, operation)
            self.asked.add((self._names[id], call.digest))

    def _answered(self, seq: int, body: Told) -> None:
        if isinstance(body, ev.TranscriptCompacted):
            shown = [entry for entry in self.state.transcript if entry.kind == "summary" or entry.seq <= body.up_to]
            named = prompt(shown, summary=True) if body.model is not None else None
        else:
            wanted = isinstance(body, ev.ModelAnswered) or (body.left and body.error.code == TOO_LONG)
            named = self._prompts.of(self.state.transcript) if wanted else None
        if named is not None:
            self.answers.setdefault(named, []).append((seq, body))

    def _settled(self, event: Event) -> None:
        source = getattr(event.body, "record", None)
        for entry in reversed(self.state.transcript):
            if entry.kind == "input":  # those that waited for this result stand behind it
                continue
            if entry.seq != event.seq:
                return
            if entry.kind != "result" or entry.call not in self._digests or isinstance(entry.value, Erased):
                continue
            if _was_left(entry):
                continue
            if not isinstance(event.body, ev.CallsProposed) or _gave_way(entry):
                self._keep(entry, entry.call, source or f"{self.session}/{entry.call}")

    def _keep(self, entry: Entry, call: str, source: str) -> None:
        digests = self._digests[call]
        fields: dict[str, Any] = {"arguments": entry.arguments, "digest": digests[-1], "proposed": _place(call)}
        fields |= {"name": self._names.get(call, ""), "at": entry.at}
        found = Outcome(entry.seq, self.session, source, entry.value, entry.failed, **fields)
        for each in dict.fromkeys(digests):
            same = self.outcomes.setdefault(each, [])
            same.append(found)
            same.sort(key=lambda outcome: outcome.proposed)


def _was_left(entry: Entry) -> bool:
    """Whether a workflow did not want it any more, or took an input for it: a branch finds that out by itself."""
    value = entry.value if isinstance(entry.value, dict) and entry.failed else {}
    return input_in(entry) is not None or (entry.name is not None and value.get("code") == LEFT)


def _gave_way(entry: Entry) -> bool:
    """Whether it was refused as it was proposed, because of an input that came: a branch refuses for all other reasons
    by itself."""
    return isinstance(entry.value, dict) and entry.value.get("code") == "interrupted"


def _place(call: str) -> tuple[int, int]:
    seq, _, index = call.partition(".")
    return int(seq), int(index)


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A session that a branch comes from, as far as the branch goes back to it: it left after event `at`."""

    record: Record
    at: int


def outcome_of(line: Sequence[Ancestor], state: State, call: OpenCall, used: Sequence[str]) -> Outcome | None:
    """What an open call of a branch, which has `used` some outcomes already, comes to. A workflow's call that one of
    its ancestors has is that one, and comes to nothing where it was left there."""
    if call.operation is None:
        return find(line, call.digest, used, call.repeatable)
    name = known_by(state.generation, call.operation)
    if call.waits or any((name, call.digest) in each.record.asked for each in line):
        return find(line, call.digest, used, False, name)
    return find(line, call.digest, used, call.repeatable)


def find(
    line: Sequence[Ancestor], call: str, used: Sequence[str], repeatable: bool, name: str | None = None
) -> Outcome | None:
    """What a call of this digest, and this name if it has one, comes to; the nearest ancestor comes first. What was
    done once is an answer once; what may be repeated is one as often as it is asked for."""
    after = [found for each in line for found in each.record.outcomes.get(call, ()) if found.seq > each.at]
    after = [found for found in after if name in (None, found.name)]
    unused = next((outcome for outcome in after if outcome.source not in used), None)
    if unused is not None or not repeatable:
        return unused
    before = [found for each in line for found in each.record.outcomes.get(call, ()) if found.seq <= each.at]
    return next(reversed(after or before), None)


def find_answer(line: Sequence[Ancestor], shown: str) -> tuple[str, Told] | None:
    """What came of a prompt of this digest after the branch left, and where that is recorded: an answer, whichever
    model gave it, or else that the prompt is too long."""
    found = [
        (f"{each.record.session}/{seq}", body)
        for each in line
        for seq, body in each.record.answers.get(shown, ())
        if seq > each.at and _is_whole(body)
    ]
    answered = (pair for pair in found if not isinstance(pair[1], ev.ModelFailed))
    return next(answered, found[0] if found else None)


def _is_whole(body: Told) -> bool:
    return not any(isinstance(getattr(body, name), Erased) for name in body.private)


# --- prompts -------------------------------------------------------------------------------------------------------

Line = Callable[[Entry], str]
"""An entry's `line`, found wherever its values lie."""


def _line_of(entry: Entry) -> str:
    return entry.line


def prompt(transcript: Sequence[Entry], summary: bool = False, line: Line = _line_of) -> str:
    """The digest of what a model is shown: the same for a session and for a branch of it, though their events have
    other numbers, and results of one turn may have come in another order."""
    return Prompts("summary" if summary else "turn").of(transcript, line)


class Prompts:
    """Digests of prompts of one session, each made from the one before where it only grew."""

    def __init__(self, what: str = "turn") -> None:
        self._what = what
        self._closed: tuple[Entry, ...] = ()
        self._digest = what

    def of(self, transcript: Sequence[Entry], line: Line = _line_of) -> str:
        """The digest of this one."""
        closed = len(self._closed)
        if not (closed <= len(transcript) and all(map(_same, self._closed, transcript))):
            self._closed, self._digest, closed = (), self._what, 0
        results = list[str]()
        for at in range(closed, len(transcript)):
            if transcript[at].kind == "result":
                results.append(line(transcript[at]))
                continue
            self._digest = _chained(self._digest, [*sorted(results), line(transcript[at])])
            results, closed = [], at + 1
        self._closed = tuple(transcript[:closed])
        return _chained(self._digest, sorted(results))


def _same(one: Entry, other: Entry) -> bool:
    return one is other


def _chained(digest: str, lines: list[str]) -> str:
    for line in lines:
        digest = sha256(f"{digest}\n{line}")
    return digest
