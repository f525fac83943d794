"""Working on a deployment: reaching it, and `onward run` on it, where the functions move the session."""

from __future__ import annotations

import re
import secrets
from typing import Any

from onward.config import OperatorSettings
from onward.core.head import Head
from onward.core.ids import check_id
from onward.errors import BadInput, NotFound, UsageError
from onward.runtime.deployed import Deployed
from onward.surfaces.attending import Seat, attend
from onward.surfaces.interrupts import interrupts
from onward.surfaces.output import Output
from onward.surfaces.verbs import Place
from onward.surfaces.written import as_json


def deployment(project: str) -> Deployed:
    """The sessions of this project's deployment. Raises BadInput, which names the setting."""
    return Deployed(OperatorSettings.from_env(project))


def program_of(app: str) -> str:
    """The program that APP names. Raises BadInput where it names only a file or a module."""
    source, _, program = app.rpartition(":")
    if program and not (source == "" and re.search(r"\.py$|/", program)):
        return program
    raise BadInput(f"APP: {app!r} names no program; a deployment runs its own application: write PROGRAM")


async def run(place: Place, program: str | None, input: Any, said: bool, id: str | None, output: Output) -> int:
    """Start a session there, or take up one that is there, and follow it until it rests. An input of None is one if it
    was `said`. Answers the exit code."""
    with interrupts() as stop:
        async with deployment(place.project or "") as sessions:
            head, new = await _begun(sessions, program, input, said, id)
            seat = Seat.taken(place, output, await _person(sessions) if output.terminal else None)
            return await attend(stop, sessions, head, new, seat, place.command("run", "--id", head.id))


async def _begun(sessions: Deployed, program: str | None, input: Any, said: bool, id: str | None) -> tuple[Head, bool]:
    """The session, and whether it is new. Without an input only one that is there can be meant."""
    if input is None and id is not None and (there := await _there(sessions, id)):
        _check(there, program)
        return await sessions.rejoin(id), False
    if program is None:
        raise BadInput("APP is missing: the name of a program that the deployment has")
    if input is None and not said:
        raise BadInput("INPUT is missing: a new session starts with one; of a workflow without one say --value null")
    return await _started(sessions, program, input, check_id(id) if id else secrets.token_hex(6))


async def _started(sessions: Deployed, program: str, input: Any, id: str) -> tuple[Head, bool]:
    """Start it with a text where the program takes one, else with the JSON that it is. What the deployment refuses has
    changed nothing there."""
    try:
        return await sessions.start(program, input, id=id)
    except BadInput as exc:
        return await sessions.start(program, as_json(input, exc), id=id)


async def _there(sessions: Deployed, id: str) -> Head | None:
    try:
        return await sessions.get(id)
    except NotFound:
        return None


def _check(head: Head, program: str | None) -> None:
    if program not in (None, head.program):
        raise BadInput(f"APP: session {head.id} runs program {head.program!r}, not {program!r}")


async def _person(sessions: Deployed) -> str | None:
    """Who is at the terminal and can decide, if that is known."""
    try:
        return await sessions.decider()
    except UsageError:
        return None
