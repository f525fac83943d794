"""What people do while a session is played: what they send it, decide, and know of calls whose outcome is in doubt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, Union

from onward.core.durations import Span, seconds
from onward.core.events import Limits
from onward.core.outcomes import Done, NotDone
from onward.core.state import OpenCall
from onward.errors import BadInput

A = TypeVar("A")


# --- what is sent ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """An input: to the session that waits for one of this name, once it does; or with `after` so long after the start,
    to the session that is played, whether it waits for it or not. The content is anything that pydantic writes."""

    content: Any = None
    name: str | None = None
    after: Span | None = None

    def __post_init__(self) -> None:
        if self.after is not None:
            seconds(self.after, "Send.after")


@dataclass(frozen=True, slots=True)
class Cancel:
    """The session is cancelled, so long after its start."""

    after: Span
    reason: str = ""

    def __post_init__(self) -> None:
        seconds(self.after, "Cancel.after")


@dataclass(frozen=True, slots=True)
class Resume:
    """An operator sets a session going that needs attention, if need be under other limits."""

    limits: Limits | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """An operator gives the open call of this name a result, where a session needs attention, and lets it go on."""

    name: str
    result: Any = None


Signal = Send | Cancel | Resume | Skip


# --- what is decided -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Approve:
    """Yes; with other `arguments`, perform it with those. `by` is one of those who may decide, if it is left open, and
    `after` is how long after the question."""

    arguments: Mapping[str, Any] | None = None
    reason: str = ""
    by: str | None = None
    after: Span | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """No."""

    reason: str = ""
    by: str | None = None
    after: Span | None = None


@dataclass(frozen=True, slots=True)
class Respond:
    """No, and this is what it is taken to have come to."""

    result: Any
    reason: str = ""
    by: str | None = None
    after: Span | None = None


Answer = Approve | Reject | Respond
Outcome = Done[Any] | NotDone | Exception
"""What became of a call: it happened, with this result; it did not, and may be performed; or it failed for good."""


@dataclass(frozen=True, slots=True)
class Question:
    """A call that somebody is asked about. `name` is what a workflow knows it by, else its tool. Of an approval,
    `approvers` are those who may decide, if not everybody may; of a call in doubt, `error` is why it is."""

    session: str
    name: str
    tool: str
    arguments: Any
    approvers: tuple[str, ...] = ()
    error: str = ""
    names: tuple[str, ...] = field(default=(), repr=False)


def question_about(session: str, call: OpenCall) -> Question:
    """The question that an open call is."""
    names = names_of(call)
    path = call.operation.name if call.operation else call.tool
    error = call.error.message if call.error else ""
    return Question(session, path, call.tool, call.arguments, call.approvers, error, names)


def names_of(call: OpenCall) -> tuple[str, ...]:
    """What a script may call this call, the most exact first: its whole name, its own without those of the tasks that
    it stands in, that without a count, or its tool."""
    if call.operation is None:
        return (call.tool,)
    begin, path = "", call.operation.name
    if call.operation.kind == "undo":
        begin, path = "undo:", path.partition(":")[2]
    own = path.rpartition("/")[2]
    return call.operation.name, begin + own, begin + own.partition("#")[0], call.tool


# --- answers ---------------------------------------------------------------------------------------------------

Answers = Union[A, Sequence[A], Mapping[str, A | Sequence[A]], Callable[[Question], A | None], None]  # noqa: UP007
"""How questions are answered: each alike, one after the other, by name, or by a rule, which may answer None."""


class Answering(Generic[A]):
    """Gives each question its answer, once. Raises BadInput for one that is none of the `kinds`, naming the field."""

    def __init__(self, field: str, answers: Any, *kinds: type[Any]) -> None:
        self._field, self._kinds = field, kinds
        self._by_name = isinstance(answers, Mapping)
        given: Mapping[str, Any] = answers if self._by_name else {"": answers}
        self._answers = {name: _one_by_one(each) for name, each in given.items()}
        self._known: dict[Any, A | None] = {}

    def to(self, key: Any, question: Question) -> A | None:
        """The answer to this question: the same one whenever it is asked for under the same key."""
        if key not in self._known:
            self._known[key] = self._next(question)
        return self._known[key]

    def _next(self, question: Question) -> A | None:
        names = [name for name in question.names if name in self._answers] if self._by_name else [""]
        answer = next(self._answers[names[0]](question), None) if names else None
        if answer is not None and not isinstance(answer, self._kinds):
            kinds = ", ".join(kind.__name__ for kind in self._kinds)
            raise BadInput(f"{self._field}: {answer!r} is none of {kinds}")
        return answer


def _one_by_one(given: Any) -> Callable[[Question], Iterator[Any]]:
    if isinstance(given, Sequence):
        rest = iter(given)
        return lambda question: rest
    if callable(given):
        return lambda question: iter([given(question)])
    return lambda question: iter([given])
