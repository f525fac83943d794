"""The commands that operate."""

from __future__ import annotations

import click

from onward.surfaces.options import Surroundings, storable, surrounded

_REASON = click.option("--reason", callback=storable, default="", metavar="WHY", help="Recorded.")


@click.command()
@click.argument("scope", required=False, callback=storable)
@_REASON
@surrounded
def off(here: Surroundings, scope: str | None, reason: str) -> None:
    """Hold back whatever a program, a tenant or everybody would do.

    SCOPE is all, program:NAME or tenant:NAME. Within ten seconds no process starts anything new of it; what is under
    way is finished, and the sessions rest. Without SCOPE: what is off, and the last turns.
    """
    from onward.surfaces import operating

    if scope is None:
        here.use(lambda runtime: operating.switches(runtime, here.output))
    else:
        here.use(lambda runtime: operating.turn(runtime, scope, reason, True, here.place, here.output))


@click.command()
@click.argument("scope", callback=storable)
@_REASON
@surrounded
def on(here: Surroundings, scope: str, reason: str) -> None:
    """Let go on what was switched off.

    SCOPE is all, program:NAME or tenant:NAME.
    """
    from onward.surfaces import operating

    here.use(lambda runtime: operating.turn(runtime, scope, reason, False, here.place, here.output))


@click.command()
@_REASON
@surrounded
def restored(here: Surroundings, reason: str) -> None:
    """Say that the database was restored from a backup.

    It has forgotten what was done since the backup was taken. Within ten seconds every session that is in it needs a
    look before it starts anything that can't simply be done again; new sessions don't. Run it once for each restore,
    before the first worker or function reaches the database: each time asks for one more look at every session.
    """
    from onward.surfaces import operating

    here.use(lambda runtime: operating.restored(runtime, reason, here.place, here.output))


@click.command()
@click.argument("id")
@click.option("--yes", is_flag=True, help="Don't ask.")
@_REASON
@surrounded
def delete(here: Surroundings, id: str, yes: bool, reason: str) -> None:
    """Delete a session that has ended, for good.

    Its log, inbox, files and snapshots go. A tombstone stays, so that its id never starts again.
    """
    from onward.surfaces import operating

    text = here.use(lambda runtime: operating.to_delete(runtime, id))
    if not operating.confirmed(yes, here.output, text):
        raise click.Abort
    operating.tell_deleted(here.use(lambda runtime: operating.delete(runtime, id, reason)), here.output)


@click.command()
@click.argument("id")
@click.argument("seq", type=click.IntRange(min=1))
@click.argument("field", callback=storable)
@_REASON
@surrounded
def erase(here: Surroundings, id: str, seq: int, field: str, reason: str) -> None:
    """Erase a private field of an event for good.

    SEQ is the event's number, FIELD such as input, arguments, result. The log still verifies, visibly erased.
    """
    from onward.surfaces import operating

    here.use(lambda runtime: operating.erase(runtime, id, seq, field, reason, here.output))


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete onward's commands.

    For bash: onward completion bash >> ~/.bashrc
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(context.find_root().command, {}, "onward", "_ONWARD_COMPLETE").source())
