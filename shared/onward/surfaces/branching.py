"""`onward fork` and `onward branches`: making a branch, running it on, and the family that it is in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onward.core.events import Effects
from onward.core.head import Head
from onward.errors import BadInput, NotFound
from onward.runtime import Runtime
from onward.runtime.access import Access
from onward.runtime.branching import Beginning
from onward.surfaces.attending import Seat, attend
from onward.surfaces.documents import session_doc
from onward.surfaces.families import Member, family
from onward.surfaces.interrupts import interrupts
from onward.surfaces.output import Output
from onward.surfaces.reports import facts_lines, status_text, verb_lines
from onward.surfaces.running import Plan
from onward.surfaces.telling_branches import EFFECTS, changes, left, origin_text
from onward.surfaces.text import safe, table
from onward.surfaces.verbs import Place, Verb
from onward.wiring import Policy


@dataclass(frozen=True, slots=True)
class Wanted:
    """The branch that somebody wants of session `session`: as `Branching.fork` has it."""

    session: str
    branch: str
    at: int | None
    effects: Effects
    model: str | None
    instructions: str | None
    version: str | None
    input: Any
    edits: Mapping[int, Any]

    async def made(self, access: Access) -> Head:
        """Raises NotFound, BadInput and Refused."""
        return await access.fork(
            self.session,
            at=self.at,
            branch=self.branch,
            effects=self.effects,
            model=self.model,
            instructions=self.instructions,
            version=self.version,
            input=self.input,
            edits=self.edits,
        )


def instructions_in(file: Path) -> str:
    """The instructions that a file holds. Raises BadInput."""
    try:
        text = file.read_bytes().decode().strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise BadInput(f"--instructions: {file} can't be read as text: {exc}") from exc
    if not text:
        raise BadInput(f"--instructions: {file} is empty")
    return text


# --- making one ------------------------------------------------------------------------------------------------


async def fork(access: Access, wanted: Wanted, app: str, place: Place, output: Output) -> None:
    """Make the branch, and say what it is and how it goes on."""
    head = await wanted.made(access)
    began = await _began(access, head)
    next = _next(head, wanted.session, app, place)
    if output.json:
        return output.doc(session_doc(head) | _own_doc(began) | {"next": [verb.command for verb in next]})
    output.lines(_lines(head, began, output))
    output.lines(verb_lines(next, output.paper))


async def fork_and_run(wanted: Wanted, plan: Plan, output: Output) -> int:
    """Make the branch and follow it as it goes on here, until it rests. Answers the exit code."""
    await _check(wanted, plan)
    with interrupts() as stop:
        async with Runtime(plan.app, plan.place.db, only=wanted.branch, policy=Policy(handover=0)) as runtime:
            head = await wanted.made(runtime)
            if not output.json:
                output.lines([*_lines(head, await _began(runtime, head), output), ""])
            seat = Seat.taken(plan.place, output, runtime.identity)
            code = await attend(stop, runtime, head, True, seat, plan.again(head.id))
            if not output.json:
                output.lines(["", *verb_lines([_compared(wanted.session, head.id, plan.place)], output.paper)])
            return code


async def _check(wanted: Wanted, plan: Plan) -> None:
    """Before anything is made: whether the branch can be run here. Raises NotFound, BadInput, Refused."""
    async with Runtime(db=plan.place.db, create=False) as runtime:
        plan.check_branch(await runtime.get(wanted.session), wanted.model, wanted.version)


async def _began(access: Access, head: Head) -> Beginning:
    """What the branch began with. Raises NotFound for one that was deleted at once."""
    began = await access.beginning(head.id)
    if began is None:
        raise NotFound(f"session {head.id} is no branch any more")
    return began


# --- saying so -------------------------------------------------------------------------------------------------


def _next(head: Head, parent: str, app: str, place: Place) -> list[Verb]:
    if place.project is None:
        runs = Verb(place.command("run", app, "--id", head.id), "let it go on here")
    else:
        runs = Verb(place.command("run", "--id", head.id), "follow it as it goes on there")
    return [runs, _compared(parent, head.id, place)]


def _compared(parent: str, branch: str, place: Place) -> Verb:
    return Verb(place.command("compare", parent, branch), "compare it with what happened")


def _own_doc(began: Beginning) -> dict[str, Any]:
    forked = began.forked
    return {
        "model": forked.model,
        "instructions": forked.instructions is not None,
        "edited": forked.edited,
        "told": began.told,
        "not_inherited": [each.model_dump(exclude_none=True) for each in forked.not_inherited],
    }


def _lines(head: Head, began: Beginning, output: Output) -> Iterator[str]:
    effects = f"{head.effects}: {EFFECTS[head.effects]}" if head.effects else ""
    stays = left(began.forked.not_inherited)
    facts = [
        ("branch", output.paper.tint(head.id, "strong")),
        ("from", origin_text(head).removeprefix("branch of ")),
        ("changed", ", ".join(changes(began.forked, began.told))),
        ("left", f"{', '.join(stays)} (not inherited)" if stays else ""),
        ("effects", effects),
    ]
    yield from facts_lines(facts, output.paper)


# --- the family ------------------------------------------------------------------------------------------------


async def branches(access: Access, id: str, output: Output) -> None:
    """The family of a session, as a tree."""
    members = await family(access, id)
    if output.json:
        return output.doc([_member_doc(member) for member in members])
    rows = [_row(member, member.id == id) for member in members]
    output.lines(table(("SESSION", "AT", "EFFECTS", "STATUS", ""), rows, output.paper))
    if len(members) == 1:
        output.lines(["It has no branches; onward fork makes one."])


def _row(member: Member, asked: bool) -> tuple[str, ...]:
    head = member.head
    name = f"{member.lines}{safe(member.id)}{' *' if asked else ''}"
    if head is None:
        return (name, "", "", "gone", "")
    at = str(head.origin.seq) if head.origin else ""
    changed = f"changed: {', '.join(member.own.changed)}" if member.own.changed else ""
    status = "gone: deleted" if head.status == "deleted" else status_text(head)
    return (name, at, head.effects or "", status, changed)


def _member_doc(member: Member) -> dict[str, Any]:
    known = session_doc(member.head) if member.head else {"id": member.id, "status": "deleted"}
    stays = [each.model_dump(exclude_none=True) for each in member.own.left]
    return known | {"depth": member.depth, "changed": list(member.own.changed), "not_inherited": stays}
