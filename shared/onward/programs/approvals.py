"""When a person is asked before a call is performed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from onward.core.bounds import whole
from onward.core.durations import Span, seconds
from onward.errors import BadInput


@dataclass(frozen=True, slots=True)
class Approval:
    """A person decides before the call is performed, wherever `when` says so.

    `when` is True for every call, or a function of the validated arguments (`lambda args: args.amount > 50`). It must
    be pure; where it raises, or gives no answer, a person is asked. Nobody having decided within `timeout`, the call
    is denied, or approved if `on_timeout` says so. `rule` is what the person reads about why they are asked.

    So many `people` must approve, and any one can reject. `by` are the identities that may decide; None asks anybody
    who may decide at all. They are reminded `remind` before the approval expires. With `allow_unverified` a decision
    counts also from somebody who only says who they are, such as a message to the sessions' topic.
    """

    when: Callable[[Any], bool] | bool = True
    timeout: Span = "24h"
    on_timeout: Literal["deny", "approve"] = "deny"
    rule: str = ""
    people: int = 1
    by: Sequence[str] | None = None
    remind: Span | None = None
    allow_unverified: bool = False

    def __post_init__(self) -> None:
        seconds(self.timeout, "Approval.timeout")
        if self.on_timeout not in ("deny", "approve"):
            raise BadInput(f"Approval.on_timeout: {self.on_timeout!r} is neither 'deny' nor 'approve'")
        if not isinstance(self.when, bool) and not callable(self.when):
            raise BadInput("Approval.when: give True, or a function of the arguments that answers True or False")
        if inspect.iscoroutinefunction(self.when):
            raise BadInput("Approval.when: a rule is pure, so it has nothing to await: make it a plain function")
        self._check_people()
        self._check_remind()

    def _check_people(self) -> None:
        if self.allow_unverified and (self.by is not None or self.people > 1):
            raise BadInput("Approval.allow_unverified: who is asked by name, or beside others, must be known")
        names = [] if self.by is None else [self.by] if isinstance(self.by, str) else list(self.by)
        if isinstance(self.by, str) or not all(isinstance(name, str) and name for name in names):
            raise BadInput(f"Approval.by: {self.by!r} is no list of identities, such as ['ann@example.com']")
        if self.by is not None and not names:
            raise BadInput("Approval.by: nobody may decide; name somebody, or leave it out")
        if len(set(names)) < len(names):
            raise BadInput("Approval.by: somebody is named twice")
        whole(self.people, "Approval.people:")
        if self.by is not None and self.people > len(names):
            raise BadInput(f"Approval.people: {self.people} must approve, and Approval.by names {len(names)}")
        if self.people > 1 and self.on_timeout == "approve":
            raise BadInput(f"Approval.on_timeout: {self.people} people must approve, and a timeout is nobody")

    def _check_remind(self) -> None:
        if self.remind is None:
            return
        if seconds(self.remind, "Approval.remind") >= seconds(self.timeout, "Approval.timeout"):
            raise BadInput(
                f"Approval.remind: {self.remind!r} before the end is no later than the start; less than timeout"
            )

    def reminded_at(self, expires_at: datetime) -> datetime | None:
        """When the people are reminded of an approval that expires then."""
        if self.remind is None:
            return None
        return expires_at - timedelta(seconds=seconds(self.remind, "Approval.remind"))

    @property
    def lifetime(self) -> timedelta:
        """How long a person has."""
        return timedelta(seconds=seconds(self.timeout, "Approval.timeout"))

    def asks(self, arguments: Any) -> str | None:
        """The rule by which a person is asked about a call with these typed arguments, or None.

        Never raises, and says nothing of the arguments: a rule's text is no private field.
        """
        if isinstance(self.when, bool):
            return self._text("every call of this tool") if self.when else None
        try:
            answer = self.when(arguments)
            asked = None if answer is None else bool(answer)
        except Exception as exc:
            return f"{self._text(self._condition)} (the rule failed with {type(exc).__name__}, so a person is asked)"
        if asked is None:
            return f"{self._text(self._condition)} (the rule gave no answer, so a person is asked)"
        return self._text(self._condition) if asked else None

    @property
    def _condition(self) -> str:
        name = getattr(self.when, "__name__", "")
        return name.replace("_", " ").strip() if name.isidentifier() else "this tool's approval rule"

    def _text(self, otherwise: str) -> str:
        return self.rule or otherwise


def checked_approval(name: str, approval: Any) -> Approval | None:
    """What a tool's author gave as its approval. Raises BadInput."""
    if approval is not None and not isinstance(approval, Approval):
        raise BadInput(f"tool {name}: approval must be an Approval, such as approval=Approval()")
    return approval
