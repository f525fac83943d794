"""A session's record: what its calls came to and its models answered, for branches of it to be answered from (G14).

A call is found by its tool and arguments, an answer of a model by what the model was shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from onward.core import events as ev
from onward.core.canonical import digest, sha256
from onward.core.events import Event
from onward.core.fold import evolve
from onward.core.ids import call_id
from onward.core.payload import Erased
from onward.core.state import Entry, State

Told = ev.ModelAnswered | ev.TranscriptCompacted


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to, by event `seq`; `source` names session and call. `arguments` are those that a person gave
    instead, and `digest` is theirs."""

    seq: int
    source: str
    value: Any
    failed: bool
    arguments: Any = None
    digest: str = ""


@dataclass(slots=True)
class Record:
    """What is known of one session's effects, as far as its log was read."""

    session: str
    state: State = field(default_factory=State.model_construct)
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    """By the digest of tool and arguments, in the order in which the calls were proposed."""
    answers: dict[str, tuple[int, Told]] = field(default_factory=dict)
    """By the prompt's digest."""
    _digests: dict[str, list[str]] = field(default_factory=dict)

    def take(self, event: Event, answers_after: int) -> None:
        """Take in the next event, with every value in it. Of models only what they said after `answers_after`."""
        if isinstance(event.body, ev.ModelAnswered | ev.TranscriptCompacted) and event.seq > answers_after:
            self._answered(event.seq, event.body)
        if isinstance(event.body, ev.CallsProposed):
            self._digests |= {call_id(event.seq, at): [call.digest] for at, call in enumerate(event.body.calls)}
        if isinstance(event.body, ev.CallEdited) and event.body.error is None:
            self._digests[event.body.call].append(event.body.digest)
        before, self.state = self.state, evolve(self.state, event)
        if not isinstance(event.body, ev.CallsProposed | ev.ProgramChanged) and before.closing is None:
            self._settled(event.seq)

    def _answered(self, seq: int, body: Told) -> None:
        if isinstance(body, ev.ModelAnswered):
            self.answers.setdefault(prompt(self.state.transcript), (seq, body))
        elif body.model is not None:
            shown = [entry for entry in self.state.transcript if entry.kind == "summary" or entry.seq <= body.up_to]
            self.answers.setdefault(prompt(shown, summary=True), (seq, body))

    def _settled(self, seq: int) -> None:
        for entry in reversed(self.state.transcript):
            if entry.kind == "input":  # those that waited for this result stand behind it
                continue
            if entry.seq != seq:
                return
            if entry.kind == "result" and entry.call in self._digests and not isinstance(entry.value, Erased):
                self._keep(entry, entry.call)

    def _keep(self, entry: Entry, call: str) -> None:
        digests = self._digests[call]
        source = f"{self.session}/{call}"
        found = Outcome(entry.seq, source, entry.value, entry.failed, entry.arguments, digests[-1])
        for each in digests:
            same = self.outcomes.setdefault(each, [])
            same.append(found)
            same.sort(key=_proposed)


def _proposed(outcome: Outcome) -> tuple[int, ...]:
    return tuple(int(part) for part in outcome.source.rpartition("/")[2].split("."))


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A session that a branch comes from, as far as the branch goes back to it: it left after event `at`."""

    record: Record
    at: int


def find(line: Sequence[Ancestor], call: str, used: Sequence[str], repeatable: bool) -> Outcome | None:
    """What a call of this digest comes to in a branch, which has `used` some outcomes already; the nearest ancestor
    comes first. What was done once is an answer once; what may be repeated is one as often as it is asked for."""
    after = [found for each in line for found in each.record.outcomes.get(call, ()) if found.seq > each.at]
    unused = next((outcome for outcome in after if outcome.source not in used), None)
    if unused is not None or not repeatable:
        return unused
    before = [found for each in line for found in each.record.outcomes.get(call, ()) if found.seq <= each.at]
    return next(reversed(after or before), None)


def find_answer(line: Sequence[Ancestor], shown: str, model: str) -> tuple[str, Told] | None:
    """What this model answered to a prompt of this digest after the branch left, and where that is recorded."""
    for each in line:
        seq, body = each.record.answers.get(shown, (0, None))
        if body is not None and seq > each.at and body.model == model and _is_whole(body):
            return f"{each.record.session}/{seq}", body
    return None


def _is_whole(body: Told) -> bool:
    return not any(isinstance(getattr(body, name), Erased) for name in body.private)


def prompt(transcript: Sequence[Entry], summary: bool = False) -> str:
    """The digest of what a model is shown: the same for a session and for a branch of it, though their events have
    other numbers, and results of one turn may have come in another order."""
    return sha256("\n".join(["summary" if summary else "turn", *_lines(transcript)]))


def _lines(transcript: Sequence[Entry]) -> Iterator[str]:
    results: list[str] = []
    for entry in transcript:
        line = digest([entry.kind, entry.value, entry.tool, entry.arguments, entry.failed, entry.calls])
        if entry.kind == "result":
            results.append(line)
            continue
        yield from sorted(results)
        results = []
        yield line
    yield from sorted(results)
