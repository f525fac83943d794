"""What the functions log: one JSON object in a line, with the fields of one table."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TextIO

from onward.adapters.gcp.trace import trace_id

TRACE = "logging.googleapis.com/trace"

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "severity": "`INFO`, `WARNING` or `ERROR`",
        "time": "when, in UTC",
        "message": "a few words for people",
        "action": "what was done: `step`, `parked`, `refused`, `dead_letter`, `healed`, `standing`, `webhook_told`,"
        " or what went wrong",
        "outcome": "of a step: `moved`, `looked`, `busy`, `later`, `absent`, `lost`, `stopped` or `failed`",
        "tenant": "the session's",
        "session": "its id",
        "key": "its storage key",
        "program": "what it runs",
        "version": "of the program",
        "seq": "its last event",
        "epoch": "of the lease that the step had",
        "kinds": "of the events that the step appended",
        "tokens": "that the session spent in the step",
        "ms": "how long the step took",
        "claim_ms": "of that, claiming",
        "load_ms": "of that, loading",
        "decide_ms": "of that, deciding",
        "perform_ms": "of that, performing effects",
        "append_ms": "of that, appending",
        "publish_ms": "of that, publishing events, paying duties and sending wakes and timers",
        "attempt": "which delivery of the message, or which attempt at the step or the errand, it was",
        "webhook": "by its name: which one was, or was not, told of event `seq`",
        "failures": "how often it failed so far",
        "message_id": "of the message, or the task's name",
        "subscription": "that the message came by",
        "count": "how many messages this process has refused",
        "census": "of a sweep: how many sessions wait for what, and how many need attention, are paused or scheduled",
        "attention_s": "of a sweep: seconds since the first of those that need attention moved",
        "code": "of the error: stable",
        "error": "what went wrong",
        TRACE: "the trace that it belongs to",
    }
)
"""Every field that a line can have, and what it says."""

_ALWAYS = ("severity", "time", "message")


class JsonLines(logging.Formatter):
    """Writes a record in one line; of what is attached to it, only fields of the table. Traces are of the project."""

    def __init__(self, project: str) -> None:
        super().__init__()
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = dict(zip(_ALWAYS, (_severity(record), at, message), strict=True))
        trace = trace_id()
        line |= {TRACE: f"projects/{self._project}/traces/{trace}"} if trace else {}
        attached = {name: value for name, value in vars(record).items() if name in FIELDS and name not in _ALWAYS}
        return json.dumps(line | {name: value for name, value in attached.items() if value is not None}, default=str)


def _severity(record: logging.LogRecord) -> str:
    return "WARNING" if record.levelno == logging.WARNING else "ERROR" if record.levelno > logging.WARNING else "INFO"


def log_to(project: str, out: TextIO | None = None) -> None:
    """From now on everything of Onward is logged so, by default to this process's own output."""
    handler = logging.StreamHandler(out or sys.__stdout__)
    handler.setFormatter(JsonLines(project))
    logger = logging.getLogger("onward")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
