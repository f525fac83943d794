"""The commands for sessions as files."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import click

from onward.surfaces.options import Surroundings, storable, surrounded


@click.command("export")
@click.argument("id")
@click.option(
    "--output", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it there."
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--without-private", is_flag=True, help="Leave out all that people and models said.")
@click.option(
    "--erase",
    multiple=True,
    callback=lambda ctx, param, value: [storable(ctx, param, each) for each in value],
    metavar="KIND.FIELD",
    help="Leave out this private field of such events, as call_completed.result. May be repeated.",
)
@surrounded
def export(
    here: Surroundings, id: str, file: Path | None, force: bool, without_private: bool, erase: list[str]
) -> None:
    """Write a session as a file.

    Its whole log so far, with large values and files, as lines of JSON that show any edit: to standard output, or to
    FILE. It can be read with no database, imported elsewhere, and replayed. What is left out is erased in it, and it
    verifies all the same.
    """
    from onward.surfaces import porting

    wanted = porting.Wanted(id, file, force, not without_private, erase)
    here.use(lambda access: porting.export(access, wanted, here.output))


@click.command("import")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--id", "id", callback=storable, metavar="NEWID", help="Keep it under another id than it had.")
@surrounded
def import_(here: Surroundings, file: TextIO, id: str | None) -> None:
    """Keep a session's file as a recording.

    It is verified first, as a whole. It can be looked at, forked, compared, exported and deleted; nothing moves it, and
    nothing that it waited for goes on here. The same again is found done, or completed. FILE may be - for standard
    input.
    """
    from onward.surfaces import porting

    here.use(lambda access: porting.import_(access, file, id, here.place, here.output), create=True)
