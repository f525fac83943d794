"""An application for replays: its programs decide, and of its models there are only the names."""

from __future__ import annotations

from typing import Any

from onward.core.program import Programs
from onward.core.replaying import NamedModel
from onward.errors import BadInput
from onward.programs.app import App

SCRIPTED = "scripted:"


def programs_of(app: Any, model: str | None = None) -> Programs:
    """The programs of an application, ready for a replay: no key and no script is needed for a model that is named.

    `model` is asked for everything instead, as `onward run --model` has it. Raises BadInput for what is no App.
    """
    if not isinstance(app, App):
        raise BadInput("a session is replayed where its application is: give the runtime an App")
    named = app.resolved(_named) if model is None else app.with_model(_named(model))
    return named.programs


def _named(name: str) -> NamedModel:
    """What stands for a model under the name that it has in a log: every script has the same."""
    return NamedModel(SCRIPTED.removesuffix(":") if name.startswith(SCRIPTED) else name)
