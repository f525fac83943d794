"""The command that replays recorded sessions."""

from __future__ import annotations

import click

from onward.surfaces.options import Surroundings, storable, surrounded


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="ID|FILE...")
@click.option("--app", metavar="APP", help="The application.  [default: $ONWARD_APP, else app]")
@click.option("--effects", type=click.Choice(("recorded", "live-model")), default="recorded", show_default=True)
@click.option("--model", callback=storable, metavar="NAME", help="Have every agent ask this model, as onward run does.")
@surrounded
def replay(here: Surroundings, sources: tuple[str, ...], app: str | None, effects: str, model: str | None) -> int:
    """Have the programs of today decide what recorded sessions decided.

    A session is named by its id, or by its exported file; a directory stands for its *.jsonl, and a pattern for its
    files. Says `same`, or the first event that is decided differently, with what was recorded and what is decided now.
    No model is asked, no call is made, and a file needs no database.

    With --effects live-model sessions are run again instead, in a database of their own: models are asked, calls are
    answered from the record, and what came of it is compared with what happened.

    Exit codes: 0 all are the same; 1 not.
    """
    import asyncio

    from onward.surfaces import replaying
    from onward.surfaces.output import log_to_stderr
    from onward.surfaces.running import Plan

    log_to_stderr(False, told=frozenset({"step_failed"}))
    found = replaying.Sources.of(sources)
    access = here.access() if found.ids else None
    if effects == "recorded":
        programs = replaying.programs_in(app or here.settings.app, model)
        return asyncio.run(replaying.replay(access, found, programs, here.output))
    plan = Plan.load(app or here.settings.app, model, here.place)
    return asyncio.run(replaying.run_again(access, found, plan, here.output))
