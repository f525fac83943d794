"""The library's log, for tests that run a command in their own process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def log_as_before() -> Iterator[None]:
    """Whatever a command sets up for its log is over with the test."""
    log = logging.getLogger("onward")
    before = (log.handlers, log.level, log.propagate)
    try:
        yield
    finally:
        log.handlers, log.level, log.propagate = before
