"""Starting a session on the page of sessions: with a text or any JSON, or by a form of what a workflow takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onward.errors import BadInput
from onward.programs.app import App
from onward.surfaces.console.page import Form, value
from onward.surfaces.console.schema_form import MISSING, Field, drawn
from onward.surfaces.console.schema_read import Errors, again, complaints, read
from onward.surfaces.written import taken

ROOT = ("input",)


@dataclass(frozen=True, slots=True)
class Starting:
    """A form by which a session of a program is started, as it was filled in so far."""

    program: str
    field: Field


def forms(app: App) -> list[str]:
    """The programs of which a session can be started by such a form."""
    return [name for name in app.names if _field(app, name) is not None]


def starting(app: App, program: str | None, form: Form) -> Starting | None:
    """The form for a program, if it has one."""
    field = _field(app, program) if program else None
    if field is None or program is None:
        return None
    return Starting(program, again(field, form, _read(app, program, field, form)[1]) if _filled(form) else field)


def input_of(app: App, program: str, form: Form) -> Any:
    """What a filled in form says. Raises BadInput, which names the field."""
    if not _filled(form):
        return taken(app.choose(program), value(form, "input"))
    field = _field(app, program)
    if field is None:
        raise BadInput(f"program: {program} takes no form")
    content, errors = _read(app, program, field, form)
    for place, error in errors.items():
        raise BadInput(f"{place.removeprefix('value/').replace('/', '.')}: {error}")
    return content


def _filled(form: Form) -> bool:
    """Whether it is one of fields."""
    return any(name.startswith(("value/", "how/")) for name in form)


def _field(app: App, program: str) -> Field | None:
    """What is asked for, where that is more than a text or any JSON."""
    schema = _schema(app, program)
    if not isinstance(schema, Mapping):
        return None
    field = drawn(schema, MISSING, ROOT)
    return None if field.kind in ("json", "text", "long") else field


def _schema(app: App, program: str) -> Any:
    return getattr(app.newest(program), "input_schema", None)


def _read(app: App, program: str, field: Field, form: Form) -> tuple[Any, Errors]:
    content, errors = read(field, form)
    return content, errors or complaints(_schema(app, program), field, content)
