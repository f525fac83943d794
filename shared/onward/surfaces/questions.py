"""What a person is asked: exactly one call, and what is at stake (G8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from onward.core.events import ApprovalRequested, Operation
from onward.core.head import Head
from onward.core.ids import is_among
from onward.core.payload import Blob
from onward.core.state import OpenCall, State
from onward.runtime.access import Access
from onward.surfaces.operations import named, step_text
from onward.surfaces.text import Paper, cut, indented, laid_out, safe, shown, until

_STAKES: Mapping[str, str] = MappingProxyType(
    {
        "read": "changes nothing",
        "idempotent": "may be repeated without harm",
        "compensatable": "can be undone",
        "irreversible": "can't be undone",
    }
)
LONGEST = 8000
"""Characters of one argument that are shown; a person who sees less is told so."""


@dataclass(frozen=True, slots=True)
class Question:
    """An open approval. `undo` is the tool that could take the call back, where that is known. So many people are
    `needed`; `approvers` are those who may decide, or nobody in particular. `operation` is what a workflow knows the
    call by."""

    session: str
    call: str
    tool: str
    digest: str
    arguments: Any
    rule: str
    effect: str
    expires_at: datetime | None
    on_timeout: str
    undo: str | None = None
    needed: int = 1
    approved_by: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    operation: Operation | None = None

    @classmethod
    def from_request(cls, session: str, body: ApprovalRequested, operation: Operation | None = None) -> Question:
        return cls(
            session=session,
            call=body.call,
            tool=body.tool,
            digest=body.digest,
            arguments=body.arguments,
            rule=body.rule,
            effect=body.effect,
            expires_at=body.expires_at,
            on_timeout=body.on_timeout,
            undo=body.undo,
            needed=body.needed,
            approvers=tuple(body.approvers),
            operation=operation,
        )

    @classmethod
    def from_call(cls, session: str, call: OpenCall, arguments: Any) -> Question:
        return cls(
            session=session,
            call=call.id,
            tool=call.tool,
            digest=call.digest,
            arguments=arguments,
            rule=call.rule or "",
            effect=call.effect,
            expires_at=call.expires_at,
            on_timeout=call.on_timeout,
            needed=call.needed,
            approved_by=tuple(actor.name for actor in call.approved_by),
            approvers=call.approvers,
            operation=call.operation,
        )

    def for_person(self, name: str) -> bool:
        """Whether this person may decide it, and has not yet."""
        return not is_among(name, self.approved_by) and (not self.approvers or is_among(name, self.approvers))

    def passed_on(self, by: str, to: str) -> Question:
        """The question once this person has passed it on; one that is open to everybody stays so."""
        others = tuple(name for name in self.approvers if name not in (by, to))
        return replace(self, approvers=(*others, to)) if self.approvers else self

    @property
    def asks(self) -> bool:
        """Whether a workflow only asks: nothing is done when it is approved, but that it is."""
        return self.operation is not None and self.operation.kind == "approval"

    @property
    def title(self) -> str:
        """What is decided on: the call's name, or the question."""
        if self.asks:
            return safe(str(self._asked.get("question", self.tool)), True)
        return safe(named(self.tool, self.operation).name, True)

    @property
    def shown(self) -> Any:
        """What is to be looked at: the arguments, or what the workflow gives to look at beside a question."""
        return self._asked.get("evidence") if self.asks else self.arguments

    @property
    def _asked(self) -> Mapping[str, Any]:
        return self.arguments if isinstance(self.arguments, Mapping) else {}

    @property
    def text(self) -> str:
        """The call as one would write it, or the question."""
        if self.asks:
            return shown(self.title)
        return step_text(self.tool, self.operation.name if self.operation else self.tool, self.arguments)


async def questions(runtime: Access, head: Head) -> list[Question]:
    """The open approvals of a session, with the whole arguments."""
    return await questions_in(runtime, head, await runtime.state(head.id, head.tenant))


async def questions_in(runtime: Access, head: Head, state: State) -> list[Question]:
    """The open approvals of a session whose state is at hand, with the whole arguments."""
    asked = [call for call in state.calls.values() if call.status == "asked"]
    shown = [await runtime.value(head.id, call.arguments, head.tenant) for call in asked]
    return [Question.from_call(head.id, call, arguments) for call, arguments in zip(asked, shown, strict=True)]


def question_lines(question: Question, paper: Paper, now: datetime) -> list[str]:
    """The question, in full: the exact arguments first."""
    facts = [*_looked_at(question), *_stakes(question, now)]
    room = min(24, max((len(name) for name, _ in facts), default=0))
    first, *more = indented(question.title, paper.width, 2)
    lines = [f"  {paper.tint(first, 'strong')}", *(f"  {paper.tint(part, 'strong')}" for part in more)]
    lines[-1] += f"  {paper.tint(_which(question), 'dim')}"
    for name, text in facts:
        first, *rest = indented(text, paper.width, room + 6)
        lines += [f"    {paper.tint(f'{name:<{room}}', 'dim')}  {first}", *(f"{'':{room + 6}}{more}" for more in rest)]
    return lines


def _which(question: Question) -> str:
    """What names the call, besides its title."""
    name = named(question.tool, question.operation).name
    of = f"{name}, " if question.asks and name != question.tool else ""
    return f"{of}call {question.call}"


def _looked_at(question: Question) -> list[tuple[str, str]]:
    if not question.asks:
        return _arguments(question.arguments)
    return [] if question.shown is None else [("evidence", _long(question.shown))]


def _arguments(arguments: Any) -> list[tuple[str, str]]:
    if not isinstance(arguments, Mapping) or isinstance(arguments, Blob):
        return [("with", _long(arguments))]
    return [(shown(name, True)[1:-1], _long(value)) for name, value in arguments.items()]


def _long(value: Any) -> str:
    text = laid_out(value, exact=True)
    return (
        text if len(text) <= LONGEST else f"{cut(text, LONGEST)} NOT SHOWN WHOLE: {len(text):,} characters, see --json"
    )


def _stakes(question: Question, now: datetime) -> list[tuple[str, str]]:
    timeout = "denied" if question.on_timeout == "deny" else "approved"
    timeout = "the workflow goes on without an answer" if question.asks else timeout
    facts = [("rule", safe(question.rule, True)), ("effect", stakes_text(question.effect, question.undo))]
    facts = [] if question.asks else facts
    if question.needed > 1 or question.approvers:
        facts.append(("people", people_text(question.needed, question.approved_by, question.approvers)))
    return [*facts, ("expires", f"{until(question.expires_at, now)}, then {timeout}")] if question.expires_at else facts


def stakes_text(effect: str, undo: str | None) -> str:
    """The class of an effect, and what that means for who decides."""
    return f"{effect}: {_STAKES.get(effect, '')}{f', by {safe(undo, True)}' if undo else ''}"


def people_text(needed: int, approved_by: Sequence[str], approvers: Sequence[str]) -> str:
    """Who must approve, and who has."""
    names = f", {safe(', '.join(approved_by), True)}" if approved_by else ""
    has = f"{len(approved_by)} of {needed} approved{names}"
    return f"{has}; asked: {safe(', '.join(approvers), True)}" if approvers else has
