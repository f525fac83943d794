"""How a session is followed: as a timeline for people, or as JSON lines for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol, TextIO

from onward.core.events import Event
from onward.core.head import Head
from onward.surfaces.documents import ascii_only, event_doc, line, session_doc
from onward.surfaces.questions import Question
from onward.surfaces.reports import question_block, rest_lines
from onward.surfaces.telling import Note
from onward.surfaces.text import Paper, in_full, indented, preview
from onward.surfaces.timeline import Telling
from onward.surfaces.verbs import Place, verbs

LABEL = 11
INDENT = 10 + LABEL
LINES = 8
MOST = 800
"""How much of a long text a timeline shows."""


class View(Protocol):
    """Somebody who follows a session. `whole` says that large values are to be fetched for it."""

    whole: bool

    def opened(self, head: Head, new: bool) -> None: ...
    def skipped(self, count: int) -> None: ...
    def event(self, event: Event) -> None: ...
    def note(self, text: str) -> None: ...
    def asks(self, asked: Sequence[Question], now: datetime) -> None: ...
    def rests(self, head: Head, asked: Sequence[Question], again: str, now: datetime) -> None: ...
    def ended(self, head: Head, output: Any) -> None: ...
    def left(self, head: Head, again: str) -> None: ...


@dataclass(slots=True)
class Screen:
    """Writes whole lines; a question that stands at the end of the screen is put again below them."""

    out: TextIO
    paper: Paper
    _open: str = ""

    def line(self, text: str = "") -> None:
        self.out.write(f"\n{text}\n{self._open}" if self._open else f"{text}\n")
        self.out.flush()

    def ask(self, prompt: str) -> None:
        self._open = prompt
        self.out.write(prompt)
        self.out.flush()

    def answered(self, typed: bool = True) -> None:
        """The question is over. What was typed has ended its line; else that is done here."""
        if self._open and not typed:
            self.out.write("\n")
            self.out.flush()
        self._open = ""


@dataclass(slots=True)
class Timeline:
    """For people: calm, in the order of what happens, with long texts cut."""

    screen: Screen
    place: Place
    telling: Telling = field(default_factory=Telling)
    day: date | None = None
    whole = False

    @property
    def paper(self) -> Paper:
        return self.screen.paper

    def opened(self, head: Head, new: bool) -> None:
        since = "" if new else f", {head.status} since event {head.seq}"
        facts = f"{head.program} {head.version}, {self.place.name}{since}"
        self.screen.line(f"{self.paper.tint(f'session {head.id}', 'strong')}  {self.paper.tint(facts, 'dim')}")

    def event(self, event: Event) -> None:
        note = self.telling.note(event)
        if note.quiet:
            return
        local = event.at.astimezone()
        if self.day not in (None, local.date()):
            self.screen.line(self.paper.tint(f"{local:%A, %d %B %Y}", "dim"))
        self.day = local.date()
        for text in entry(f"{local:%H:%M:%S}", note, self.paper):
            self.screen.line(text)

    def skipped(self, count: int) -> None:
        self.screen.line(self.paper.tint(f"{'':{INDENT}}… {count:,} earlier events", "dim"))

    def note(self, text: str) -> None:
        for part in indented(text, self.paper.width, INDENT):
            self.screen.line(self.paper.tint(f"{'':{INDENT}}{part}", "dim"))

    def asks(self, asked: Sequence[Question], now: datetime) -> None:
        self.screen.line()
        for text in question_block(asked, self.place, self.paper, now):
            self.screen.line(text)
        self.screen.line()

    def rests(self, head: Head, asked: Sequence[Question], again: str, now: datetime) -> None:
        self.screen.line()
        for text in rest_lines(head, asked, self.place, self.paper, now):
            self.screen.line(text)
        self.screen.line(self._goes_on("Then it" if verbs(head, self.place) else "It"))
        self.screen.line(f"  {self.paper.tint(again, 'strong')}")

    def _goes_on(self, subject: str) -> str:
        if self.place.project is None:
            return f"{subject} goes on with:"
        return f"{subject} goes on by itself; follow it again with:"

    def ended(self, head: Head, output: Any) -> None:
        if head.status == "completed":
            self.screen.line()
            self.screen.line(in_full(output))

    def left(self, head: Head, again: str) -> None:
        if not head.ended:
            here = self.place.project is None
            does = "rests. Take it up" if here else "goes on without you. Follow it"
            self.screen.line(f"Session {head.id} {does} again with:")
            self.screen.line(f"  {self.paper.tint(again, 'strong')}")


def entry(time: str, note: Note, paper: Paper) -> list[str]:
    """One event as lines of a timeline."""
    text = preview(note.text, LINES, MOST)
    first, *more = indented(text, paper.width, INDENT)
    label = paper.tint(f"{note.label:<{LABEL}}", note.tone)
    lines = [f"{paper.tint(time, 'dim')}  {label}{first}".rstrip(), *(f"{'':{INDENT}}{part}" for part in more)]
    for below in note.below:
        shown = preview(below, LINES, MOST)
        lines += [paper.tint(f"{'':{INDENT}}{part}", "dim") for part in indented(shown, paper.width, INDENT)]
    return lines


@dataclass(slots=True)
class JsonLines:
    """For programs: the session as it is found, its events, and the session as it is left, a document in each line.

    What has a `kind` is an event; what has a `status` is the session.
    """

    out: TextIO
    place: Place
    whole = True

    def _write(self, doc: dict[str, Any]) -> None:
        self.out.write(f"{line(doc, ascii_only(self.out))}\n")
        self.out.flush()

    def opened(self, head: Head, new: bool) -> None:
        self._write(session_doc(head) | {"new": new})

    def skipped(self, count: int) -> None:
        """Programs get everything."""

    def event(self, event: Event) -> None:
        self._write(event_doc(event))

    def note(self, text: str) -> None:
        """Programs read the events."""

    def asks(self, asked: Sequence[Question], now: datetime) -> None:
        """Programs read the events."""

    def rests(self, head: Head, asked: Sequence[Question], again: str, now: datetime) -> None:
        self._write(session_doc(head) | {"next": [verb.command for verb in verbs(head, self.place)], "again": again})

    def ended(self, head: Head, output: Any) -> None:
        self._write(session_doc(head) | {"output": output})

    def left(self, head: Head, again: str) -> None:
        self._write(session_doc(head) | {"again": again})
