"""Logging in a workflow's body: once, and not again whenever the body is run again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onward.programs.running import Run

_LOGGER = logging.getLogger("onward.workflow")


class _Once(logging.LoggerAdapter[logging.Logger]):
    def __init__(self, run: Run) -> None:
        super().__init__(_LOGGER, {"session": run.state.session})
        self._run = run

    def isEnabledFor(self, level: int) -> bool:
        return self._run.speaks and super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        own: Mapping[str, object] = self.extra or {}
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **own}
        return msg, kwargs


def logger_of(run: Run) -> logging.LoggerAdapter[logging.Logger]:
    """The logger of a run."""
    return _Once(run)
