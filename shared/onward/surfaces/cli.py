"""The command line: decode, call one function, encode. What takes time to import is imported where it is used."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import click

from onward.errors import OnwardError
from onward.surfaces.answers import BROKEN_PIPE, INTERRUPTED, ReaderGone, document, exit_code, message
from onward.surfaces.options import STATUSES, Surroundings, from_json, in_seconds, storable, surrounded


class InOrder(click.Group):
    """Commands are listed as they are written here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def _version(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    if not asked or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"onward {version('onward')}")
    except PackageNotFoundError:
        click.echo("onward, not installed")
    ctx.exit()


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def onward() -> None:
    """Run agents as durable sessions.

    APP is a Python file or module with an application: FILE.py, package.module, or either with :PROGRAM.

    Exit codes: 0 done, or at rest; 1 the session failed, was cancelled or needs attention; 2 usage; 3 not found;
    4 refused.
    """


# --- advancing -------------------------------------------------------------------------------------------------


@onward.command()
@click.argument("app", required=False)
@click.argument("input", required=False, callback=storable)
@click.option("--id", metavar="ID", help="Name the session; the same id again takes it up where it is.")
@click.option("--model", metavar="scripted:FILE", help="Have every agent ask this model.")
@click.option("-v", "--verbose", is_flag=True, help="Show the log, with tracebacks.")
@surrounded
def run(
    here: Surroundings, app: str | None, input: str | None, id: str | None, model: str | None, verbose: bool
) -> int:
    """Start a session and follow it.

    It is followed until it rests or has ended; with the --id of one that is there, that one is taken up again.

    INPUT is what its program is given; - reads it from standard input. A session that was started before needs none.
    On a terminal you are asked about approvals. Ctrl-C leaves the session at rest, and says how to take it up again.
    """
    import asyncio

    from onward.surfaces import running
    from onward.surfaces.output import log_to_stderr

    log_to_stderr(verbose, told=frozenset({"step_failed"}))
    text = _stdin() if input == "-" else input
    plan = running.Plan.load(app or here.settings.app, model, here.place)
    return asyncio.run(running.run(plan, text, id, here.output))


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as exc:
        raise click.UsageError("INPUT: what standard input says is not valid UTF-8.") from exc


@onward.command()
@click.argument("app", required=False)
@click.option("--model", metavar="scripted:FILE", help="Have every agent ask this model.")
@click.option("-v", "--verbose", is_flag=True, help="Show the log, with tracebacks.")
@surrounded
def worker(here: Surroundings, app: str | None, model: str | None, verbose: bool) -> int:
    """Advance whatever is due.

    A worker goes on until Ctrl-C or SIGTERM. Several may share one database.
    """
    import asyncio

    from onward.surfaces import running
    from onward.surfaces.output import log_to_stderr

    log_to_stderr(verbose)
    plan = running.Plan.load(app or here.settings.app, model, here.place)
    return asyncio.run(running.work(plan, here.output))


# --- looking ---------------------------------------------------------------------------------------------------


@onward.command("list")
@click.option("--status", "statuses", multiple=True, type=click.Choice(STATUSES), help="Only these; may be repeated.")
@click.option("--attention", is_flag=True, help="Those that need attention, oldest first, and what moves them.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
@surrounded
def list_(here: Surroundings, statuses: Sequence[str], attention: bool, limit: int) -> None:
    """List sessions, the newest first."""
    from onward.surfaces import looking

    if attention:
        here.use(lambda runtime: looking.attention(runtime, here.place, here.output))
    else:
        here.use(lambda runtime: looking.sessions(runtime, statuses, limit, here.output))


@onward.command()
@click.argument("id")
@surrounded
def show(here: Surroundings, id: str) -> None:
    """Show one session.

    What it waits for and what moves it, what it spent, what happened last.
    """
    from onward.surfaces import looking

    here.use(lambda runtime: looking.show(runtime, id, here.place, here.output))


@onward.command()
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


@onward.command()
@click.argument("id")
@click.option("--head", metavar="HASH", help="A hash of this log that was kept elsewhere: shows a tail cut off.")
@surrounded
def verify(here: Surroundings, id: str, head: str | None) -> None:
    """Check that a log was not changed.

    Prints its head hash. Kept elsewhere and given as --head, that shows a tail cut off or a log written anew.
    """
    from onward.surfaces import looking

    here.use(lambda runtime: looking.verify(runtime, id, head, here.output))


@onward.command()
@surrounded
def approvals(here: Surroundings) -> None:
    """List what waits for a decision.

    The oldest first, with the exact arguments and the commands that decide.
    """
    from onward.surfaces import looking

    here.use(lambda runtime: looking.approvals(runtime, here.place, here.output))


# --- deciding --------------------------------------------------------------------------------------------------


def _decided(here: Surroundings, name: str, *arguments: Any) -> None:
    """Do what the function of this name does, and say what became of it."""
    from onward.surfaces import deciding

    told = here.use(lambda runtime: getattr(deciding, name)(runtime, *arguments))
    deciding.tell(told, here.place, here.app, here.output)


_CALL = click.option("--call", metavar="CALL", help="Which call, where the session has several.")
_REASON = click.option(
    "--reason", callback=storable, default="", metavar="WHY", help="Recorded, and told to the program."
)
_DIGEST = click.option("--digest", metavar="DIGEST", help="Of the call that was shown; its beginning will do.")


@onward.command()
@click.argument("id")
@_CALL
@_DIGEST
@_REASON
@surrounded
def approve(here: Surroundings, id: str, call: str | None, digest: str | None, reason: str) -> None:
    """Let a call happen that waits for a decision.

    ONWARD_IDENTITY is who decides. With --digest it is exactly the call that was shown, and none that came after it.
    """
    _decided(here, "decide", id, "approved", call, digest, reason)


@onward.command()
@click.argument("id")
@_CALL
@_DIGEST
@_REASON
@surrounded
def reject(here: Surroundings, id: str, call: str | None, digest: str | None, reason: str) -> None:
    """Refuse a call that waits for a decision.

    ONWARD_IDENTITY is who decides; the program is told the reason.
    """
    _decided(here, "decide", id, "rejected", call, digest, reason)


@onward.command()
@click.argument("id")
@click.option("--done", is_flag=True, help="It happened.")
@click.option("--not-done", is_flag=True, help="It did not happen, and may be performed again.")
@click.option("--failed", is_flag=True, help="It did not happen, and is not tried again.")
@click.option("--result", callback=from_json, metavar="JSON", help="With --done: what the call came to.")
@_CALL
@_REASON
@surrounded
def resolve(here: Surroundings, id: str, result: Any, call: str | None, reason: str, **said: bool) -> None:
    """Say what became of a call in doubt.

    Or of one that goes on outside.
    """
    chosen = [name for name, is_set in said.items() if is_set]
    if len(chosen) != 1:
        raise click.UsageError("say one of --done, --not-done, --failed")
    if result is not None and chosen != ["done"]:
        raise click.UsageError("--result goes with --done")
    _decided(here, "resolve", id, chosen[0], call, result, reason)


@onward.command()
@click.argument("id")
@click.argument("text", callback=storable)
@click.option("--key", callback=storable, metavar="KEY", help="The same key again is the same input.")
@surrounded
def send(here: Surroundings, id: str, text: str, key: str | None) -> None:
    """Give a session an input."""
    _decided(here, "send", id, text, key)


@onward.command()
@click.argument("id")
@_REASON
@surrounded
def cancel(here: Surroundings, id: str, reason: str) -> None:
    """End a session as cancelled.

    It ends once nothing that was begun is unsettled.
    """
    _decided(here, "cancel", id, reason)


@onward.command()
@click.argument("id")
@click.option("--turns", type=click.IntRange(min=1), help="Model turns it may take in all.")
@click.option("--calls", type=click.IntRange(min=0), help="Calls it may make in all.")
@click.option("--tokens", type=click.IntRange(min=1), help="Tokens it may use in all.")
@click.option("--time", callback=in_seconds, metavar="SPAN", help="How long it may take in all, such as 90m.")
@_REASON
@surrounded
def retry(here: Surroundings, id: str, reason: str, **limits: Any) -> None:
    """Set a session going that needs attention.

    Where a limit was reached, give a higher one.
    """
    _decided(here, "retry", id, {name: value for name, value in limits.items() if value is not None}, reason)


# --- the end ---------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process."""
    from onward.surfaces.interrupts import leave

    words = list(sys.argv[1:] if arguments is None else arguments)
    leave(_answer(words, as_json="--json" in words))


def _answer(words: list[str], as_json: bool) -> int:
    """The exit code; what went wrong is on standard error, in a line."""
    try:
        with redirect_stdout(sys.stdout):  # what a command changes about it is over with the command
            return onward.main(words, prog_name="onward", standalone_mode=False) or 0
    except OnwardError as exc:
        stands = getattr(exc, "stands", "")
        text = document(exc.code, str(exc), exit_code(exc), stands) if as_json else f"onward: {message(exc)}"
        click.echo(text, err=True)
        return exit_code(exc)
    except click.ClickException as exc:
        if as_json:
            click.echo(document("usage", exc.format_message(), exc.exit_code), err=True)
        else:
            exc.show()
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except ReaderGone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return BROKEN_PIPE


if __name__ == "__main__":
    main()
