"""What the commands have in common: the kinds of values they take, and their surroundings."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from onward.surfaces.answers import ReaderGone

if TYPE_CHECKING:
    from onward.runtime import Runtime
    from onward.surfaces.output import Output
    from onward.surfaces.verbs import Place

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


STATUSES = (
    "scheduled", "running", "waiting", "needs_attention", "paused", "completed", "failed", "cancelled", "deleted"
)  # fmt: skip


EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


def storable(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A text that is valid UTF-8, as what is stored must be."""
    try:
        (value or "").encode()
    except UnicodeEncodeError as exc:
        raise click.BadParameter("it is not valid UTF-8") from exc
    return value


def in_seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A span of time such as 90s or 2h, in seconds."""
    if value is None:
        return None
    from onward.core.durations import seconds
    from onward.errors import BadInput

    try:
        return seconds(f"{value}s" if value.isdigit() else value, "it")
    except BadInput as exc:
        raise click.BadParameter(f"{value!r} is no span of time; write 90s, 30m or 2h") from exc


def labels(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> list[tuple[str, str]]:
    """Pairs written as NAME=VALUE."""
    pairs = [text.partition("=") for text in value]
    if not all(name and equals for name, equals, _ in pairs):
        raise click.BadParameter("write NAME=VALUE")
    return [(name, text) for name, _, text in pairs]


def from_json(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """A JSON value."""
    if value is None:
        return None
    import json

    try:
        storable(ctx, param, value)
        return json.loads(value)
    except ValueError as exc:
        raise click.BadParameter(f"it is not JSON ({exc}); a text is written in quotes: '\"text\"'") from exc


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
        return self.settings.app if self.settings.app != "app" else "APP"

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
        try:
            return command(Surroundings(db, as_json), **values)
        except BrokenPipeError as exc:
            raise ReaderGone from exc

    return wrapped  # type: ignore[return-value]
