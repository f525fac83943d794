"""The commands that only look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from onward.surfaces.options import STATUSES, Surroundings, in_seconds, labels, storable, surrounded

if TYPE_CHECKING:
    from onward.ports import Query
    from onward.runtime.access import Access


@click.command("list")
@click.option("--status", "statuses", multiple=True, type=click.Choice(STATUSES), help="Only these; may be repeated.")
@click.option("--program", callback=storable, metavar="NAME", help="Only sessions of this program.")
@click.option("--version", callback=storable, metavar="VERSION", help="Only those that run this version.")
@click.option("--tenant", callback=storable, metavar="NAME", help="Only those of this tenant.")
@click.option("--label", "labelled", multiple=True, callback=labels, metavar="NAME=VALUE", help="Only so labelled.")
@click.option("--older", callback=in_seconds, metavar="SPAN", help="Only those that last moved so long ago, as 2d.")
@click.option("--newer", callback=in_seconds, metavar="SPAN", help="Only those that moved since.")
@click.option("--children-of", "parent", callback=storable, metavar="ID", help="Only those that this session started.")
@click.option("--attention", is_flag=True, help="Those that need attention, oldest first, and what moves them.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
@surrounded
def list_(here: Surroundings, attention: bool, **asked: Any) -> None:
    """List sessions, the newest first."""
    from onward.surfaces import looking

    if attention:
        here.use(lambda runtime: looking.attention(runtime, _query(runtime, **asked), here.place, here.output))
    else:
        here.use(lambda runtime: looking.sessions(runtime, _query(runtime, **asked), here.output))


def _query(
    runtime: Access,
    statuses: Sequence[Any] = (),
    labelled: Sequence[tuple[str, str]] = (),
    older: float | None = None,
    newer: float | None = None,
    **asked: Any,
) -> Query:
    """What the options ask for."""
    from onward.ports import Query

    return Query(
        status=tuple(statuses),
        labels=tuple(labelled),
        updated_before=_ago(runtime, older),
        updated_since=_ago(runtime, newer),
        **asked,
    )


def _ago(runtime: Access, seconds: float | None) -> datetime | None:
    from datetime import timedelta

    return None if seconds is None else runtime.parts.clock.now() - timedelta(seconds=seconds)


@click.command()
@click.argument("id")
@click.option("--at", type=click.IntRange(min=1), metavar="N", help="As it was after event N.")
@surrounded
def show(here: Surroundings, id: str, at: int | None) -> None:
    """Show one session.

    What it waits for and what moves it, what it spent, what happened last; of a call whose outcome is not known, all
    that helps to find it out.
    """
    from onward.surfaces import looking, past

    if at is None:
        here.use(lambda runtime: looking.show(runtime, id, here.place, here.output))
    else:
        here.use(lambda runtime: past.show_at(runtime, id, at, here.output))


@click.command()
@click.argument("id")
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="N", help="Only events after this one.")
@click.option("--follow", is_flag=True, help="Go on with those to come, until the session has ended.")
@surrounded
def events(here: Surroundings, id: str, after: int, follow: bool) -> None:
    """Print a session's log.

    One event in each line; with --json whole.
    """
    from onward.surfaces import looking

    here.use(lambda runtime: looking.events(runtime, id, after, follow, here.output))


@click.command()
@click.argument("id")
@click.option("--head", metavar="HASH", help="A hash of this log that was kept elsewhere: shows a tail cut off.")
@surrounded
def verify(here: Surroundings, id: str, head: str | None) -> None:
    """Check that a log was not changed.

    Prints its head hash. Kept elsewhere and given as --head, that shows a tail cut off or a log written anew.
    """
    from onward.surfaces import looking

    here.use(lambda runtime: looking.verify(runtime, id, head, here.output))


@click.command()
@surrounded
def approvals(here: Surroundings) -> None:
    """List what waits for a decision.

    The oldest first, with the exact arguments and the commands that decide.
    """
    from onward.surfaces import looking

    here.use(lambda runtime: looking.approvals(runtime, here.place, here.output))


_SINCE = click.option("--since", callback=in_seconds, metavar="SPAN", help="Only what moved since so long ago, as 7d.")


@click.command()
@click.argument("id", required=False)
@click.option("--tool", callback=storable, metavar="NAME", help="Only calls of this tool.")
@click.option("--program", callback=storable, metavar="NAME", help="Only sessions of this program.")
@click.option("--all", "reads", is_flag=True, help="Calls that only read, too.")
@_SINCE
@surrounded
def effects(
    here: Surroundings, id: str | None, tool: str | None, program: str | None, reads: bool, since: float | None
) -> None:
    """List what was done to the world.

    Of one session or of all: each call with its key, who let it happen, and what came of it.
    """
    from onward.surfaces import effects

    here.use(
        lambda runtime: effects.effects(
            runtime, id, _query(runtime, program=program), tool, _ago(runtime, since), reads, here.output
        )
    )


@click.command()
@click.option("--by", type=click.Choice(["program", "tenant", "session"]), default="program", show_default=True)
@_SINCE
@surrounded
def usage(here: Surroundings, by: Any, since: float | None) -> None:
    """Add up what sessions have used.

    Model turns, calls and tokens, and attempts that were lost; deleted sessions count too. With --by session the tokens
    of one that started others include theirs, and it is said how many that are; every sum counts a token once.
    """
    from onward.surfaces import effects

    here.use(lambda runtime: effects.usage(runtime, by, _ago(runtime, since), here.output))


@click.command()
@click.argument("app", required=False)
@click.option("--program", callback=storable, metavar="NAME", help="Only versions of this program.")
@surrounded
def versions(here: Surroundings, app: str | None, program: str | None) -> None:
    """List which versions sessions still run.

    How many that have not ended, in which status, and the oldest; those that stopped because their version was not
    there, and what moves them. With APP, whether it has each version: what it has and no session needs can go.
    """
    from onward.surfaces import versions

    programs = None
    if app is not None:
        from onward.programs.app import load_target

        programs = load_target(app).app
    here.use(lambda runtime: versions.versions(runtime, programs, app or "", program, here.place, here.output))


@click.command()
@click.argument("app", required=False)
@surrounded
def doctor(here: Surroundings, app: str | None) -> int:
    """Look whether all is well.

    The file and who works on it, or the deployment; what is overdue, what needs attention, what is switched off; with
    APP, whether it has the versions that sessions run. Exit code 1 where something is to be done.
    """
    from onward.surfaces import doctor
    from onward.surfaces.answers import FAILED

    programs = None
    if app is not None:
        from onward.programs.app import load_target

        programs = load_target(app).app
    well = here.use(lambda runtime: doctor.doctor(runtime, programs, app or here.app, here.place, here.output))
    return 0 if well else FAILED
