"""The commands for branches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from onward.surfaces.options import EXISTING, Surroundings, from_json, storable, surrounded

EFFECTS = ("recorded", "live-model", "blocked", "live")


def _edits(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[int, Any]:
    """Values of events, written as SEQ=JSON."""
    edits = dict[int, Any]()
    for text in value:
        seq, equals, json = text.partition("=")
        if not equals or not (seq.isascii() and seq.isdigit()):
            raise click.BadParameter("write SEQ=JSON, as 4='\"another text\"'")
        if int(seq) in edits:
            raise click.BadParameter(f"event {int(seq)} is there twice")
        edits[int(seq)] = from_json(ctx, param, json)
    return edits


@click.command()
@click.argument("id")
@click.option(
    "--at",
    type=click.IntRange(min=1),
    metavar="N",
    help="After event N.  [default: the last edited, or the newest]",
)
@click.option("--model", callback=storable, metavar="NAME", help="Ask this model instead.")
@click.option("--instructions", "file", type=EXISTING, help="A file with what its models are told instead.")
@click.option("--version", callback=storable, metavar="VERSION", help="Begin on this version of the program instead.")
@click.option("--input", callback=storable, metavar="TEXT", help="What it is told first.")
@click.option(
    "--edit",
    "edits",
    multiple=True,
    callback=_edits,
    metavar="SEQ=JSON",
    help="Have another value of event SEQ: an input, an answer, a result. May be repeated.",
)
@click.option("--effects", type=click.Choice(EFFECTS), default="recorded", show_default=True)
@click.option("--id", "branch", metavar="NEWID", help="Name the branch; the same again is the same branch.")
@click.option("--app", metavar="APP", help="Run it on here, with this application.")
@surrounded
def fork(here: Surroundings, id: str, file: Path | None, app: str | None, branch: str | None, **asked: Any) -> int:
    """Branch off a session.

    The branch goes on from where the session was after event N, with a log of its own; the session is not touched.
    Nothing that was open there goes with it.

    \b
    --effects says what becomes of its calls:
      recorded    answered from the session's record, and so are its models where they are asked the same;
                  what has no answer there is blocked
      live-model  the same, but models are always asked
      blocked     no call is made
      live        calls are made, and a person is asked before those that can't be repeated
    """
    import secrets

    from onward.surfaces import branching

    told = branching.instructions_in(file) if file else None
    wanted = branching.Wanted(session=id, branch=branch or secrets.token_hex(6), instructions=told, **asked)
    if app is not None:
        return _run(here, wanted, app)
    here.use(lambda access: branching.fork(access, wanted, here.app, here.place, here.output))
    return 0


def _run(here: Surroundings, wanted: Any, app: str) -> int:
    import asyncio

    from onward.surfaces import branching
    from onward.surfaces.output import log_to_stderr
    from onward.surfaces.running import Plan

    if here.place.project is not None:
        raise click.UsageError(f"--app is for sessions of a file; {here.place.name} runs its own application")
    log_to_stderr(False, told=frozenset({"step_failed"}))
    plan = Plan.load(app, None, here.place)
    return asyncio.run(branching.fork_and_run(wanted, plan, here.output))


@click.command()
@click.argument("id")
@surrounded
def branches(here: Surroundings, id: str) -> None:
    """Show the branches of a session.

    The whole family as a tree, from any of its members: where each left its parent, what becomes of its effects, how it
    stands, and what it has of its own. A session that was deleted is shown as gone as long as others come from it.
    """
    from onward.surfaces import branching

    here.use(lambda access: branching.branches(access, id, here.output))
