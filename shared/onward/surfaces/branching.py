"""`onward fork`: making a branch, and running it on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onward.core import events as ev
from onward.core.events import Effects
from onward.core.head import Head
from onward.errors import BadInput
from onward.runtime import Runtime
from onward.runtime.access import Access
from onward.surfaces.attending import Seat, attend
from onward.surfaces.documents import session_doc
from onward.surfaces.interrupts import interrupts
from onward.surfaces.output import Output
from onward.surfaces.reports import facts_lines, verb_lines
from onward.surfaces.running import Plan
from onward.surfaces.telling_branches import EFFECTS, changes, left, origin_text
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
    said = await _forked(access, head)
    next = _next(head, wanted.session, app, place)
    if output.json:
        return output.doc(session_doc(head) | _branch_doc(said) | {"next": [verb.command for verb in next]})
    output.lines(_lines(head, said, output))
    output.lines(verb_lines(next, output.paper))


async def fork_and_run(wanted: Wanted, plan: Plan, output: Output) -> int:
    """Make the branch and follow it as it goes on here, until it rests. Answers the exit code."""
    await _check(wanted, plan)
    with interrupts() as stop:
        async with Runtime(plan.app, plan.place.db, only=wanted.branch, policy=Policy(handover=0)) as runtime:
            head = await wanted.made(runtime)
            if not output.json:
                output.lines([*_lines(head, await _forked(runtime, head), output), ""])
            seat = Seat.taken(plan.place, output, runtime.identity)
            code = await attend(stop, runtime, head, True, seat, plan.again(head.id))
            if not output.json:
                output.lines(["", *verb_lines([_compared(wanted.session, head.id, plan.place)], output.paper)])
            return code


async def _check(wanted: Wanted, plan: Plan) -> None:
    """Before anything is made: whether the branch can be run here. Raises NotFound, BadInput, Refused."""
    async with Runtime(db=plan.place.db, create=False) as runtime:
        plan.check_branch(await runtime.get(wanted.session), wanted.model)


async def _forked(access: Access, head: Head) -> ev.SessionForked:
    """What the branch began with."""
    async for event in access.events(head.id, after=1):
        if isinstance(event.body, ev.SessionForked):
            return event.body
        break
    raise BadInput(f"session {head.id} is no branch")


# --- saying so -------------------------------------------------------------------------------------------------


def _next(head: Head, parent: str, app: str, place: Place) -> list[Verb]:
    if place.project is None:
        runs = Verb(place.command("run", app, "--id", head.id), "let it go on here")
    else:
        runs = Verb(place.command("run", "--id", head.id), "follow it as it goes on there")
    return [runs, _compared(parent, head.id, place)]


def _compared(parent: str, branch: str, place: Place) -> Verb:
    return Verb(place.command("compare", parent, branch), "compare it with what happened")


def _branch_doc(body: ev.SessionForked) -> dict[str, Any]:
    return {
        "model": body.model,
        "instructions": body.instructions is not None,
        "edited": body.edited,
        "not_inherited": [each.model_dump(exclude_none=True) for each in body.not_inherited],
    }


def _lines(head: Head, body: ev.SessionForked, output: Output) -> Iterator[str]:
    effects = f"{head.effects}: {EFFECTS[head.effects]}" if head.effects else ""
    facts = [
        ("branch", output.paper.tint(head.id, "strong")),
        ("from", origin_text(head).removeprefix("branch of ")),
        ("changed", ", ".join(changes(body))),
        ("left", f"{', '.join(left(body.not_inherited))} (not inherited)" if body.not_inherited else ""),
        ("effects", effects),
    ]
    yield from facts_lines(facts, output.paper)
