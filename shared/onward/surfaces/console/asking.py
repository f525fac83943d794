"""What a person is asked, with all that helps to decide it: exactly the call, what the log says around it, and what
became of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from onward.core import events as ev
from onward.core.canonical import digest
from onward.core.events import Event
from onward.core.head import Head
from onward.core.payload import Blob
from onward.core.state import Entry, State
from onward.errors import NotFound, UsageError
from onward.programs.tools import Tool
from onward.surfaces.console.page import address, part
from onward.surfaces.http.caller import Caller
from onward.surfaces.http.moving import check_may_decide
from onward.surfaces.http.service import Asked
from onward.surfaces.questions import Question, questions_in
from onward.surfaces.telling import Note
from onward.surfaces.text import said
from onward.surfaces.timeline import Telling

PAGE = 200
"""Commits that are read at once."""

RESULTS = 5
"""Results of earlier calls that are shown."""

_ENDS = (ev.ClosingBegan, ev.SessionCancelled, ev.SessionFailed, ev.SessionCompleted, ev.SessionContinued)
_DECIDES = (ev.ApprovalDecided, ev.ApprovalExpired)
_SETTLES = (ev.CallCompleted, ev.CallRefused, *_ENDS)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the session's log says around a call: what was said last, what the model wrote, what was found out."""

    said: Entry | None
    reasoning: str
    answer: int | None
    results: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Told:
    """An event of a call, in words."""

    event: Event
    note: Note


@dataclass(frozen=True, slots=True)
class Card:
    """One approval, open or not. `seq` is the event that asked; `no` says why this visitor may not decide it, `does`
    what the tool is said to do, by the program as it is here."""

    head: Head
    question: Question
    seq: int
    schema: Any
    open: bool
    no: str
    evidence: Evidence
    does: str = ""
    story: Sequence[Told] = ()

    @property
    def id(self) -> str:
        """Names it in a page."""
        return f"{self.head.key}-{self.question.call}"

    @property
    def href(self) -> str:
        """The page of its own."""
        return approval_address(self.head.tenant, self.head.id, self.question.call)

    @property
    def pick(self) -> str:
        """Names exactly this question in a form."""
        return f"{self.head.tenant} {self.head.id} {self.question.call} {self.question.digest}"

    @property
    def key(self) -> str:
        """The same until the session has moved: so long a form that is sent again is the same form."""
        return digest([self.pick, self.head.seq])[:16]

    @property
    def stands(self) -> Told | None:
        """What was decided, by whomever or whatever; without a decision, what came in its place."""
        decided = [told for told in self.story if isinstance(told.event.body, _DECIDES)]
        instead = [told for told in self.story if isinstance(told.event.body, _SETTLES)]
        return next(iter((*decided[-1:], *instead[:1])), None)


def approval_address(tenant: str, session: str, call: str, **query: str | int | None) -> str:
    """Where one approval has its page."""
    return address(f"/approvals/{part(session)}/{part(call)}", tenant=tenant, **query)


async def open_cards(asked: Asked, head: Head, call: str | None = None) -> list[Card]:
    """Everything that a session of the tenant that is asked about asks, as its head has it; or what it asks about one
    call."""
    state = await asked.caller.parts.loader.fold(head)
    found = [each for each in await questions_in(asked.caller, head, state) if call in (None, each.call)]
    if not found:
        return []
    first = min(int(question.call.partition(".")[0]) for question in found)
    requests = await _requests(asked.caller, head, first)
    return [await _card(asked, head, question, requests, state) for question in found]


async def _card(asked: Asked, head: Head, question: Question, requests: Mapping[Any, Event], state: State) -> Card:
    event = requests.get((question.call, question.digest))
    body = event.body if event is not None else None
    known = body if isinstance(body, ev.ApprovalRequested) else None
    return Card(
        head,
        replace(question, undo=known.undo if known else None),
        event.seq if event else int(question.call.partition(".")[0]),
        known.input_schema if known else None,
        True,
        await _why_not(asked, head, question),
        await _evidence(asked.caller, head, state, question.call),
        _does(asked, head, question.tool),
    )


def _does(asked: Asked, head: Head, tool: str) -> str:
    program = asked.service.app.program(head.program, head.version)
    known = getattr(program, "tools", {}).get(tool)
    return known.spec.description if isinstance(known, Tool) else ""


async def _requests(caller: Caller, head: Head, first: int) -> dict[tuple[str, str], Event]:
    """What was asked from this event on, by call and digest."""
    found = {}
    async for event in _since(caller, head, first):
        if isinstance(event.body, ev.ApprovalRequested):
            found[event.body.call, event.body.digest] = event
    return found


async def _since(caller: Caller, head: Head, first: int) -> AsyncIterator[Event]:
    """The log from this event on, as far as the head knows it."""
    after = first - 1
    while after < head.seq:
        commits = await caller.parts.backend.store.commits(head.key, after=after, limit=PAGE)
        for commit in commits:
            for event in caller.parts.loader.events(commit):
                if event.seq > after:
                    yield event
        if len(commits) < PAGE:
            return
        after = commits[-1].last_seq


async def _why_not(asked: Asked, head: Head, question: Question) -> str:
    """Why this visitor may not decide it; nothing, if they may. Whether they asked for it themselves is looked into
    when they do decide: that takes reading all of the log."""
    try:
        asked.tenant("approver")
        await check_may_decide(asked, head, question.call, "rejected", question.tool)
    except UsageError as exc:
        return str(exc)
    return ""


# --- evidence --------------------------------------------------------------------------------------------------


async def _evidence(caller: Caller, head: Head, state: State, call: str) -> Evidence:
    """What stands in the state; what a summary has replaced there is in the log."""
    proposed = int(call.partition(".")[0])
    before = [entry for entry in state.transcript if entry.seq < proposed]
    inputs = [entry for entry in (*before, *state.queued) if entry.kind == "input"]
    answers = [entry for entry in before if entry.kind == "answer"]
    results = [entry for entry in before if entry.kind == "result" and entry.tool != "patch"][-RESULTS:]
    text = await _reasoning(caller, head, answers[-1]) if answers else ""
    spoken = await _whole(caller, head, inputs[-1]) if inputs else None
    return Evidence(spoken, text, answers[-1].seq if answers else None, results)


async def _whole(caller: Caller, head: Head, entry: Entry) -> Entry:
    if not isinstance(entry.value, Blob):
        return entry
    return entry.model_copy(update={"value": await caller.value(head.id, entry.value, head.tenant)})


async def _reasoning(caller: Caller, head: Head, answer: Entry) -> str:
    """What the model wrote beside the calls that it asked for."""
    value = (await _whole(caller, head, answer)).value
    return said(value.get("text") or "") if isinstance(value, Mapping) else said(value)


# --- one, open or not ------------------------------------------------------------------------------------------


async def one_card(asked: Asked, session: str, call: str) -> Card:
    """One approval, with what became of it. Raises NotFound where nobody was ever asked about such a call."""
    head = await asked.caller.logged(session, asked.tenant())
    events = [event async for event in _since(asked.caller, head, _proposed(call))]
    story = _story(events, call)
    requests = [told.event for told in story if isinstance(told.event.body, ev.ApprovalRequested)]
    if not requests:
        raise NotFound(f"session {head.id} asked nobody about a call {call[:60]}")
    found = next(iter(await open_cards(asked, head, call)), None)
    if found is not None:
        return replace(found, story=story)
    return await _closed(asked, head, requests[-1], story, _operation(events, call))


def _operation(events: Sequence[Event], call: str) -> ev.Operation | None:
    """What a workflow knows a call by, which was proposed in the first of these events."""
    body, index = events[0].body, int(call.partition(".")[2])
    named = body.operations if isinstance(body, ev.CallsProposed) else []
    return named[index] if index < len(named) else None


def _proposed(call: str) -> int:
    """The event that proposed a call. Raises NotFound."""
    seq, _, index = call.partition(".")
    if not (seq.isdecimal() and index.isdecimal() and len(call) < 24) or int(seq) < 1:
        raise NotFound(f"there is no call {call[:60]}")
    return int(seq)


def _story(events: Sequence[Event], call: str) -> list[Told]:
    """What the log says of a call, and of the session's end."""
    telling = Telling()
    for event in events:
        if isinstance(event.body, ev.CallsProposed):
            telling.note(event)
    about = [event for event in events if getattr(event.body, "call", None) == call or isinstance(event.body, _ENDS)]
    return [Told(event, telling.note(event)) for event in about]


async def _closed(
    asked: Asked, head: Head, request: Event, story: Sequence[Told], operation: ev.Operation | None
) -> Card:
    body = request.body
    assert isinstance(body, ev.ApprovalRequested)
    question = Question.from_request(head.id, body, operation)
    arguments = await asked.caller.value(head.id, question.arguments, head.tenant)
    state = await asked.caller.parts.loader.fold(head)
    evidence = await _evidence(asked.caller, head, state, body.call)
    shown, does = replace(question, arguments=arguments), _does(asked, head, body.tool)
    return Card(head, shown, request.seq, None, False, "it is not open", evidence, does, story)
