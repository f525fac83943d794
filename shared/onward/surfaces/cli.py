"""The command line: decode, call one function, encode. What takes time to import is imported where it is used."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from errno import ENOSPC

import click

from onward.errors import OnwardError
from onward.surfaces.answers import BROKEN_PIPE, FAILED, INTERRUPTED, ReaderGone, document, exit_code, message
from onward.surfaces.commands import (
    advancing,
    branching,
    comparing,
    costing,
    evaluating,
    looking,
    moving,
    operating,
    porting,
    replaying,
)


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

    Sessions are in a file, or with --project in that project's deployment on Google Cloud.

    Exit codes: 0 done, or at rest; 1 the session failed, was cancelled or needs attention; 2 usage; 3 not found;
    4 refused.
    """


for _command in (
    advancing.run,
    advancing.worker,
    advancing.dev,
    looking.list_,
    looking.show,
    looking.events,
    looking.verify,
    looking.approvals,
    moving.approve,
    moving.reject,
    moving.respond,
    moving.delegate,
    moving.resolve,
    moving.skip,
    moving.send,
    moving.pause,
    moving.resume,
    moving.retry,
    moving.finish,
    moving.cancel,
    branching.fork,
    branching.branches,
    comparing.compare,
    porting.export,
    porting.import_,
    looking.effects,
    looking.usage,
    costing.cost,
    evaluating.evaluate,
    replaying.replay,
    looking.versions,
    looking.doctor,
    operating.off,
    operating.on,
    operating.restored,
    operating.delete,
    operating.erase,
    operating.completion,
):
    onward.add_command(_command)


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
    except OSError as exc:
        if exc.errno != ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what did not fit is not tried once more
        text = "what was to be written does not fit: no space is left"
        click.echo(document("no_space", text, FAILED) if as_json else f"onward: no_space: {text}", err=True)
        return FAILED


if __name__ == "__main__":
    main()
