"""What the commands have in common: the kinds of values they take, and their surroundings."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from onward.surfaces.answers import ReaderGone

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from onward.config import Settings
    from onward.runtime.access import Access
    from onward.surfaces.output import Output
    from onward.surfaces.verbs import Place

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


STATUSES = (
    "scheduled", "running", "waiting", "needs_attention", "paused", "completed", "failed", "cancelled", "imported",
    "deleted",
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


def one_json(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[Any, ...]:
    """One JSON value, which may be null, or none."""
    if len(value) > 1:
        raise click.BadParameter("it is there twice")
    return tuple(from_json(ctx, param, text) for text in value)


class Surroundings:
    """What every command needs: where it works, and where its answer goes."""

    def __init__(self, db: str | None, project: str | None, as_json: bool) -> None:
        from onward.config import Settings
        from onward.surfaces.output import Output

        if db and project is not None:
            raise click.UsageError("--db and --project are two places: say one.")
        self.settings = Settings.from_env()
        self.place: Place = _place(db, project, self.settings)
        self.output: Output = Output.open(as_json, self.settings)

    @property
    def app(self) -> str:
        """How to name the application in a command that is to be copied: it isn't known where none is loaded."""
        return self.settings.app if self.settings.app != "app" else "APP"

    def use(self, task: Callable[[Access], Coroutine[Any, Any, T]], create: bool = False) -> T:
        """Do something with the sessions that are there, without advancing any. With `create` a database is made where
        there is none."""
        import asyncio

        async def main() -> T:
            async with self.access(create) as access:
                return await task(access)

        return asyncio.run(main())

    def access(self, create: bool = False) -> AbstractAsyncContextManager[Access]:
        """The way to the sessions that are there."""
        if self.place.project is not None:
            from onward.surfaces.deployed import deployment

            return deployment(self.place.project)
        from onward.runtime import Runtime

        return Runtime(db=self.place.db, create=create)


def _place(db: str | None, project: str | None, settings: Settings) -> Place:
    """What is said in the command goes before the environment, and there a project before a file."""
    from onward.surfaces.verbs import DEFAULT_DB, Place

    chosen = db or settings.db
    if project is None and not db:
        project = settings.project
    bare = project is None and settings.project is None and chosen == settings.db == DEFAULT_DB
    return Place(chosen, default=bare, project=project)


def surrounded(command: F) -> F:
    """Give a command --db, --project and --json, and its surroundings as the first argument."""

    @click.option("--db", metavar="FILE", help="The database.  [default: $ONWARD_DB, else onward.db]")
    @click.option(
        "--project", metavar="PROJECT", help="Work on this project's deployment instead.  [default: $ONWARD_PROJECT]"
    )
    @click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")
    @wraps(command)
    def wrapped(db: str | None, project: str | None, as_json: bool, **values: Any) -> Any:
        try:
            return command(Surroundings(db, project, as_json), **values)
        except BrokenPipeError as exc:
            raise ReaderGone from exc

    return wrapped  # type: ignore[return-value]
