"""What an operator can do about a session that nothing else moves: each with what it will do, and doing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from onward.core.canonical import digest
from onward.core.head import ASLEEP, Head, Wait
from onward.errors import BadInput
from onward.surfaces.console.deciding import given, key_of
from onward.surfaces.console.moves import DONE, moved, raised, standing
from onward.surfaces.console.page import Form, Visit, wanted
from onward.surfaces.http.moving import check_may_skip, outcome_of
from onward.surfaces.operations import name_of
from onward.surfaces.text import safe
from onward.surfaces.verbs import limit_reached

Do = Literal["done", "not_done", "failed", "skip", "retry", "resume", "finish", "cancel"]
OF_CALLS = ("done", "not_done", "failed", "skip")
OF_SESSIONS = ("retry", "resume", "finish", "cancel")

TOLD: Mapping[str, str] = MappingProxyType(
    {
        **DONE,
        "done": "Recorded: it happened.",
        "not_done": "Recorded: it did not happen. It may be performed again.",
        "failed": "Recorded: it failed.",
        "skip": "Skipped: the program is given your value.",
    }
)
"""What is said afterwards, by the code in the page's address."""

_OPEN = ("timer", "approval", "external", "child")
"""What calls wait for that can be given a value instead."""


@dataclass(frozen=True, slots=True)
class Repair:
    """One thing to do. `asks` is the field that goes with it, `text` what stands there, `more` what is sent besides."""

    do: Do
    title: str
    does: str
    call: str = ""
    asks: str = ""
    label: str = ""
    text: str = ""
    more: tuple[tuple[str, str], ...] = ()
    danger: bool = False

    @property
    def short(self) -> bool:
        """Whether a line is enough for what is asked."""
        return self.do == "retry"


def key(head: Head, repair: Repair) -> str:
    """The same until the session has moved: so long a form that is sent again is the same form."""
    return digest([head.key, head.seq, repair.do, repair.call])[:16]


# --- what there is to do ---------------------------------------------------------------------------------------


def repairs(visit: Visit, head: Head) -> list[Repair]:
    """What this visitor can do about a session now."""
    if head.ended or not visit.may("operator", head.tenant):
        return []
    doubted = [wait for wait in head.waits if wait.kind == "operator" and wait.call]
    settling = [repair for wait in doubted for repair in _settling(wait)]
    ending = _ending(head) if settling or head.status in ("needs_attention", "paused") else ()
    return [*settling, *_going(head), *_skipping(visit, head), *ending]


def _settling(wait: Wait) -> Iterator[Repair]:
    """What became of a call in doubt."""
    tool, call = safe(name_of(wait.tool or "", wait.name or None), True), wait.call or ""
    yield Repair(
        "done",
        f"{tool} happened",
        "It is recorded as done, with this result, which the program is given. It is not performed again.",
        call,
        "result",
        "What it came to",
    )
    yield Repair(
        "not_done",
        f"{tool} did not happen",
        "It may be performed again, with the same idempotency key, and without asking you once more.",
        call,
    )
    yield Repair(
        "failed",
        f"{tool} failed for good",
        "It is recorded as failed and not tried again; the program is told so, and your reason.",
        call,
    )


def _going(head: Head) -> Iterator[Repair]:
    """What sets a session going."""
    if head.status == "paused" and not head.switch:
        yield Repair("resume", "Resume", "It goes on where it stands.")
    if head.status == "needs_attention" and not _is_erased(head):
        yield _retry(head)


def _is_erased(head: Head) -> bool:
    """Whether what it would have to go by is there no more, however often it is tried."""
    return head.error is not None and head.error.code in ("input_erased", "result_erased")


_AGAIN: Mapping[str, str] = MappingProxyType(
    {
        "nondeterministic": "It goes on once the code asks for what the log has, and is parked again until then.",
        "undo_failed": "What it did is taken back once more: remove the cause first.",
        "result_unreadable": "It goes on once the code reads what was recorded, and is parked again until then.",
        "input_unreadable": "It goes on once the code reads what it was given, and is parked again until then.",
        "waits_for_nothing": "It goes on once its code does, and is parked again until then.",
    }
)
"""What trying again does, by the code of the reason why a workflow stands."""


def _retry(head: Head) -> Repair:
    name = limit_reached(head)
    if name is None:
        code = head.error.code if head.error else ""
        does = _AGAIN.get(code, "What failed is tried once more: remove the cause first.")
        return Repair("retry", "Try again", does)
    was = f"{getattr(head.limits, name):.15g}"
    does = f"It goes on under this limit on all that it has spent and will spend; it was {was}."
    limits, before = raised(head), standing(head)
    kept = [(other, text) for other, text in limits.items() if other != name]
    more = (*kept, *((f"was_{other}", text) for other, text in before.items()))
    label = f"Limit of {name}{', in seconds' if name == 'time' else ''}"
    return Repair("retry", "Go on under a higher limit", does, "", name, label, limits[name], more)


def _skipping(visit: Visit, head: Head) -> Iterator[Repair]:
    """Values for calls that are open. What a person is asked about takes one who may decide it."""
    for wait in head.waits if head.status == "needs_attention" else ():
        if wait.call and wait.kind in _OPEN and (wait.kind != "approval" or visit.may("approver", head.tenant)):
            yield _skip(wait, wait.call)


def _skip(wait: Wait, call: str) -> Repair:
    name = safe(name_of(wait.tool or "it", wait.name or None), True)
    if wait.name.partition(":")[0].partition("#")[0] == "undo":
        does = "It is dealt with by hand, and not taken back any more. Then try again, so that the rest is."
        return Repair("skip", f"Pass by {name} (call {call})", does, call)
    if wait.note == ASLEEP:
        return Repair("skip", f"Wait no longer for {name} (call {call})", "Its time is over at once.", call)
    does = "It is not performed, nor tried again; the program is given this as its result."
    return Repair("skip", f"Skip {name} (call {call})", does, call, "result", "Its result")


def _ending(head: Head) -> Iterator[Repair]:
    unknown = any(wait.kind == "operator" and wait.call for wait in head.waits)
    if not unknown:
        does = "It ends as completed, with this output, or else its newest answer. What it waits for is dropped."
        yield Repair("finish", "Finish", does, "", "output", "Output", danger=True)
    if head.error is not None and head.error.code == "undo_failed":
        return  # it is on its way to its end, or would have to take back the same
    begun = ", once what it has begun is settled" if unknown else ""
    yield Repair("cancel", "Cancel", f"It ends as cancelled{begun}. What it waits for is dropped.", danger=True)


# --- doing it --------------------------------------------------------------------------------------------------


async def repair(visit: Visit, session: str, form: Form) -> str:
    """Do what a form says, as an operator, and answer the code of what is said then. Raises UsageError."""
    do = wanted(form, "do")
    if do in OF_SESSIONS:
        return await moved(visit, form, session, do)
    if do not in OF_CALLS:
        raise BadInput(f"do: it is one of {', '.join((*OF_CALLS, *OF_SESSIONS))}")
    asked, tenant = visit.asked, visit.asked.tenant("operator")
    body = _body(do, form)
    if do == "skip":
        await check_may_skip(asked, await asked.caller.get(session, tenant), body["call"])
    kind = "skip" if do == "skip" else "outcome"
    outcome = await asked.caller.tell(session, kind, body, key_of(form, session, do, body), tenant)
    return do if outcome.decided else "accepted"


def _body(do: str, form: Form) -> dict[str, Any]:
    said = {"call": wanted(form, "call"), "reason": form.get("reason", "")}
    result = {"result": given(form, "result")} if do in ("done", "skip") else {}
    return said | result if do == "skip" else outcome_of(said | result | {"status": do})
