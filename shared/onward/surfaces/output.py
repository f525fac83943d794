"""Where a command's answer goes: to a person, perhaps on a terminal, or to a program."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any, TextIO

from onward.config import Settings
from onward.surfaces.documents import ascii_only
from onward.surfaces.text import Paper

PIPE_WIDTH = 120


@dataclass(frozen=True, slots=True)
class Output:
    """`json` is for programs. `terminal` says that a person is there to be asked."""

    out: TextIO
    paper: Paper
    json: bool
    terminal: bool

    @classmethod
    def open(cls, json: bool, settings: Settings) -> Output:
        """Standard output. Where it is for programs, whatever tools print goes to standard error instead."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        out = sys.stdout
        if json:
            sys.stdout = sys.stderr
        tty = out.isatty()
        width = max(40, shutil.get_terminal_size((PIPE_WIDTH, 24)).columns) if tty else PIPE_WIDTH
        return cls(
            out, Paper(width, tty and settings.color), json, tty and sys.stdin is not None and sys.stdin.isatty()
        )

    def lines(self, lines: Iterable[str]) -> None:
        for text in lines:
            self.out.write(f"{text}\n")
        self.out.flush()

    def doc(self, doc: Any, indent: int | None = 2) -> None:
        separators = (",", ":") if indent is None else None
        text = json.dumps(doc, ensure_ascii=ascii_only(self.out), indent=indent, separators=separators, default=str)
        self.lines([text])


class _OneLine(logging.Formatter):
    """A record in one line, with what went wrong; the traceback only for who asked for it."""

    def __init__(self, verbose: bool) -> None:
        super().__init__("%(asctime)s  %(levelname)s %(message)s", "%H:%M:%S")
        self._verbose = verbose

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else getattr(record, "error", None)
        if error is None or (self._verbose and record.exc_info):
            return super().format(record)
        plain = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None})
        session = f" [session {record.session}]" if hasattr(record, "session") else ""
        return f"{super().format(plain)}: {error}{session}"


def log_to_stderr(verbose: bool, *, told: frozenset[str] = frozenset()) -> None:
    """Show the library's log on standard error, but for actions that are told elsewhere."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(verbose))
    if not verbose:
        handler.addFilter(lambda record: getattr(record, "action", "") not in told)
    log = logging.getLogger("onward")
    log.handlers = [handler]
    log.setLevel(logging.INFO if verbose else logging.WARNING)
    log.propagate = False
