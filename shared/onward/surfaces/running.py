"""`onward run` and `onward worker`: advancing sessions until they rest, or until asked to stop."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onward.core.events import Event
from onward.core.head import Head
from onward.core.ids import check_id
from onward.errors import BadInput, NotFound, Refused
from onward.programs.app import App, load_target
from onward.runtime import Runtime
from onward.surfaces.attending import Seat, attend
from onward.surfaces.documents import session_doc
from onward.surfaces.interrupts import Interrupts, interrupts
from onward.surfaces.output import Output
from onward.surfaces.reports import status_text
from onward.surfaces.text import moment
from onward.surfaces.verbs import Place
from onward.surfaces.written import taken
from onward.wiring import Policy, local_model


@dataclass(frozen=True, slots=True)
class Plan:
    """An application, loaded, its models resolved; `source` and `model` are as they were written."""

    app: App
    program: str | None
    source: str
    model: str | None
    place: Place
    directory: Path = Path()
    """Where the application's own files are."""

    @classmethod
    def load(cls, source: str, model: str | None, place: Place) -> Plan:
        """Raises BadInput for an application or a model that can't be had."""
        target = load_target(source)
        if model is None:
            app = target.app.resolved(lambda name: local_model(name, target.directory))
        else:
            found = local_model(model, Path.cwd())
            if found is None:
                raise BadInput(f"--model: no model is called {model!r}: write gemini-... or scripted:FILE")
            app = target.app.with_model(found)
        return cls(app, target.program, source, model, place, target.directory)

    def again(self, id: str) -> str:
        """The command that takes the session up again."""
        more = ("--model", self.model) if self.model else ()
        return self.place.command("run", self.source, "--id", id, more=more)

    def check(self, head: Head | None, id: str | None, input: Any) -> None:
        """Before anything is changed: whether this can be started, or rejoined. Raises BadInput, Refused."""
        if head is None:
            check_id(id or "new")
            program: Any = self.app.choose(self.program)
            if input is None:
                _check_bare(program)
        else:
            program = self._for(head)
        if head is None or not head.ended:
            _reachable(program)

    def taken(self, head: Head | None, written: Any) -> Any:
        """What is written, as the program of this session, or of a new one, takes it. Raises BadInput."""
        if written is None:
            return None
        return taken(self.app.choose(self.program) if head is None else self._for(head), written)

    def check_branch(self, parent: Head, model: str | None, version: str | None = None) -> None:
        """Before anything is changed: whether a branch of this session, with this model and version of its own, can be
        run here. Raises BadInput, Refused."""
        program = self._for(parent)
        if version is not None and self.app.program(parent.program, version) is None:
            raise BadInput(f"--version: {self.source} has no version {version!r} of program {parent.program!r}")
        if model is not None and local_model(model, self.directory) is None:
            raise BadInput(f"--model: no model is called {model!r}: write gemini-... or scripted:FILE")
        if model is None:
            _reachable(program)

    def _for(self, head: Head) -> Any:
        """The program of a session that is there."""
        if self.program not in (None, head.program):
            raise Refused(
                f"session {head.id} exists", "exists", f"it runs program {head.program!r}, not {self.program!r}"
            )
        newest = self.app.newest(head.program)
        if newest is None:
            raise BadInput(
                f"session {head.id} runs program {head.program!r}, and {self.source} has {', '.join(self.app.names)}"
            )
        return self.app.program(head.program, head.version) or newest


def _check_bare(program: Any) -> None:
    """Whether a session can be started without an input."""
    missing = "INPUT is missing: a new session starts with one"
    if not hasattr(program, "check_start") and not getattr(program, "conversation", False):
        raise BadInput(f"{missing}, but for a conversation")
    try:
        getattr(program, "check_start", lambda input: None)(None)
    except BadInput as exc:
        raise BadInput(f"{missing}, and {program.name} takes one") from exc


def _reachable(program: Any) -> None:
    if hasattr(program, "reachable_model"):
        program.reachable_model()


# --- run -------------------------------------------------------------------------------------------------------


async def run(plan: Plan, input: Any, id: str | None, output: Output) -> int:
    """Start or rejoin a session, and follow it until it rests. Answers the exit code."""
    there = await _existing(plan.place.db, id)
    plan.check(there, id, input)
    input = plan.taken(there, input)
    id = id or secrets.token_hex(6)
    with interrupts() as stop:
        async with Runtime(plan.app, plan.place.db, only=id, policy=Policy(handover=0)) as runtime:
            head = await _begin(runtime, plan, there, id, input)
            seat = Seat.taken(plan.place, output, runtime.identity)
            return await attend(stop, runtime, head, there is None, seat, plan.again(id))


async def _existing(db: str, id: str | None) -> Head | None:
    """The session of this id, if there is one; nothing is made by looking."""
    if id is None or not Path(db).exists():
        return None
    async with Runtime(db=db, create=False) as runtime:
        try:
            return await runtime.get(id)
        except NotFound:
            return None


async def _begin(runtime: Runtime, plan: Plan, there: Head | None, id: str, input: Any) -> Head:
    if there is not None and input is None:
        return await runtime.rejoin(id)
    return await runtime.start(there.program if there else plan.program, input, id=id)


# --- worker ----------------------------------------------------------------------------------------------------


async def work(plan: Plan, output: Output) -> int:
    """Advance whatever is due until asked to stop."""
    check_whole(plan)
    log = WorkLog(output)
    with interrupts() as stop:
        async with Runtime(plan.app, plan.place.db, observe=log.moved) as runtime:
            programs = ", ".join(f"{name} {version}" for name, version in plan.app.programs)
            log.says("working", f"{programs}, on {plan.place.db}; Ctrl-C stops it")
            await until_asked(stop, runtime)
            log.says("stopping", "nothing new is begun")
            await runtime.stop()
    log.says("stopped", f"{log.commits:,} commits")
    return 0


def check_whole(plan: Plan) -> None:
    """Before a worker begins: whether it runs all of the application, and can. Raises BadInput."""
    if plan.program is not None:
        raise BadInput(f"{plan.source}: {plan.program!r} is a program; a worker runs the whole application")
    for program in plan.app.programs.values():
        _reachable(program)


async def until_asked(stop: Interrupts, runtime: Runtime) -> None:
    """Return when asked to stop. Raises what kept this process from working."""
    working, asked = asyncio.create_task(runtime.working()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        working.cancel()
        asked.cancel()


class WorkLog:
    """A worker's own account: sessions that come to rest here, one line each."""

    def __init__(self, output: Output) -> None:
        self.commits = 0
        self._output = output

    def says(self, what: str, text: str, **more: Any) -> None:
        self._write({"worker": what, "commits": self.commits} | more, f"{what}: {text}")

    def _write(self, doc: Any, text: str) -> None:
        with suppress(BrokenPipeError):  # sessions go on, though nobody reads
            if self._output.json:
                self._output.doc(doc, indent=None)
            else:
                self._output.lines([text])

    def moved(self, head: Head, events: Sequence[Event]) -> None:
        self.commits += 1
        if head.status == "running":
            return
        at = moment(head.updated_at, head.updated_at)
        text = f"{at}  {head.id}  {head.program} {head.version}  {status_text(head)}"
        self._write(session_doc(head), text)
