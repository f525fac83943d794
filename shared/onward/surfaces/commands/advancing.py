"""The commands that advance sessions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from onward.surfaces.options import EXISTING, Surroundings, one_json, storable, surrounded


@click.command()
@click.argument("app", required=False)
@click.argument("input", required=False, callback=storable)
@click.option("--value", "values", multiple=True, callback=one_json, metavar="JSON", help="Another INPUT than a text.")
@click.option("--file", "files", multiple=True, type=EXISTING, help="A file that goes with the input.")
@click.option("--id", metavar="ID", help="Name the session; the same id again takes it up where it is.")
@click.option("--model", metavar="scripted:FILE", help="Have every agent ask this model.")
@click.option("-v", "--verbose", is_flag=True, help="Show the log, with tracebacks.")
@surrounded
def run(
    here: Surroundings,
    app: str | None,
    input: str | None,
    values: tuple[Any, ...],
    files: tuple[Path, ...],
    id: str | None,
    model: str | None,
    verbose: bool,
) -> int:
    """Start a session and follow it.

    It is followed until it rests or has ended; with the --id of one that is there, that one is taken up again.

    INPUT is what its program is given: a text, or for a workflow that takes something else the JSON of it; - reads it
    from standard input. A session that was started before needs none. On a terminal you are asked about approvals.
    Ctrl-C leaves the session at rest, and says how to take it up again.

    With --project the deployment starts and moves it, and APP is the name of one of its programs, with or without what
    stands before the colon. Ctrl-C then only ends the following.
    """
    import asyncio

    from onward.surfaces import running
    from onward.surfaces.attached import attached
    from onward.surfaces.output import log_to_stderr

    log_to_stderr(verbose, told=frozenset({"step_failed"}))
    if values and (input is not None or files):
        raise click.UsageError("--value goes without INPUT and --file")
    given = values[0] if values else attached(_stdin() if input == "-" else input, files)
    if here.place.project is not None:
        return _run_there(here, app, given, bool(values), id, model)
    plan = running.Plan.load(app or here.settings.app, model, here.place)
    return asyncio.run(running.run(plan, given, id, here.output))


def _run_there(here: Surroundings, app: str | None, input: Any, said: bool, id: str | None, model: str | None) -> int:
    import asyncio

    from onward.surfaces import deployed

    if model is not None:
        raise click.UsageError("--model is for programs that run here; a deployment's ask the models they name")
    program = deployed.program_of(app) if app else None
    return asyncio.run(deployed.run(here.place, program, input, said, id, here.output))


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as exc:
        raise click.UsageError("INPUT: what standard input says is not valid UTF-8.") from exc


@click.command()
@click.argument("app", required=False)
@click.option("--port", type=click.IntRange(0, 65535), default=8600, show_default=True, help="Where; 0 for any.")
@click.option("--no-browser", is_flag=True, help="Open no browser.")
@click.option("--model", metavar="scripted:FILE", help="Have every agent ask this model.")
@click.option("-v", "--verbose", is_flag=True, help="Show the log, with tracebacks.")
@surrounded
def dev(here: Surroundings, app: str | None, port: int, no_browser: bool, model: str | None, verbose: bool) -> int:
    """Advance whatever is due, and serve the API.

    A worker and the API of its sessions in one process, for this machine alone, until Ctrl-C or SIGTERM. Who asks is
    ONWARD_IDENTITY, and may do everything unless ONWARD_ROLES names a table.
    """
    import asyncio

    if here.place.project is not None:
        raise click.UsageError(f"{here.place.name} has an API of its own; this one is for a file: --db FILE")
    from onward.surfaces.output import log_to_stderr
    from onward.surfaces.running import Plan

    _check_served()
    from onward.surfaces import developing

    log_to_stderr(verbose)
    plan = Plan.load(app or here.settings.app, model, here.place)
    return asyncio.run(developing.develop(plan, port, not no_browser, here.settings.roles, here.output))


def _check_served() -> None:
    from importlib.util import find_spec

    for name in ("fastapi", "uvicorn"):
        if find_spec(name) is None:
            raise click.UsageError(f"{name} is missing: pip install 'onward[api]'")


@click.command()
@click.argument("app", required=False)
@click.option("--model", metavar="scripted:FILE", help="Have every agent ask this model.")
@click.option("-v", "--verbose", is_flag=True, help="Show the log, with tracebacks.")
@surrounded
def worker(here: Surroundings, app: str | None, model: str | None, verbose: bool) -> int:
    """Advance whatever is due.

    A worker goes on until Ctrl-C or SIGTERM. Several may share one database.
    """
    import asyncio

    if here.place.project is not None:
        raise click.UsageError(
            f"the functions of {here.place.name} move its sessions; a worker moves those of a file: --db FILE"
        )
    from onward.surfaces import running
    from onward.surfaces.output import log_to_stderr

    log_to_stderr(verbose)
    plan = running.Plan.load(app or here.settings.app, model, here.place)
    return asyncio.run(running.work(plan, here.output))
