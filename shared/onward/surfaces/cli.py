"""The command line: decode, call one function, encode. What takes time to import is imported where it is used."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from onward.runtime import Runtime
    from onward.surfaces.output import Output
    from onward.surfaces.verbs import Place

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_STATUSES = ("scheduled", "running", "waiting", "needs_attention", "paused", "completed", "failed", "cancelled")


class Text(click.ParamType):
    """Words that can be stored: any text that is valid UTF-8."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            value.encode()
        except UnicodeEncodeError:
            self.fail("it is not valid UTF-8", param, ctx)
        return value


class Span(click.ParamType):
    """A span of time such as 90s or 2h, in seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from onward.core.durations import seconds
        from onward.errors import BadInput

        try:
            return seconds(float(value) if value.replace(".", "", 1).isdigit() else value, "it")
        except BadInput as exc:
            self.fail(str(exc), param, ctx)


class Json(click.ParamType):
    """A JSON value."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        import json

        try:
            return json.loads(value)
        except ValueError as exc:
            self.fail(f"it is not JSON ({exc}); a text is written in quotes: '\"text\"'", param, ctx)


TEXT = Text()


class Surroundings:
    """What every command needs: where it works, and where its answer goes."""

    def __init__(self, db: str | None, as_json: bool) -> None:
        from onward.config import Settings
        from onward.surfaces.output import Output
        from onward.surfaces.verbs import DEFAULT_DB, Place

        self.settings = Settings.from_env()
        chosen = db or self.settings.db
        self.place: Place = Place(chosen, default=chosen == self.settings.db == DEFAULT_DB)
        self.output: Output = Output.open(as_json, self.settings)

    @property
    def app(self) -> str:
        """How to name the application in a command that is to be copied: it isn't known where none is loaded."""
        return self.settings.app if os.path.sep in self.settings.app or self.settings.app != "app" else "APP"

    def use(self, task: Callable[[Runtime], Coroutine[Any, Any, T]]) -> T:
        """Do something with the sessions that are there, without advancing any."""
        import asyncio

        from onward.runtime import Runtime

        async def main() -> T:
            async with Runtime(db=self.place.db, create=False) as runtime:
                return await task(runtime)

        return asyncio.run(main())


def surrounded(command: F) -> F:
    """Give a command --db and --json, and its surroundings as the first argument."""

    @click.option("--db", metavar="FILE", help="The database.  [default: $ONWARD_DB, else onward.db]")
    @click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")
    @wraps(command)
    def wrapped(db: str | None, as_json: bool, **values: Any) -> Any:
        return command(Surroundings(db, as_json), **values)

    return wrapped  # type: ignore[return-value]
