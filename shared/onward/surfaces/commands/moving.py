"""The commands by which people move sessions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from onward.surfaces.options import EXISTING, Surroundings, from_json, in_seconds, one_json, storable, surrounded


def _decided(here: Surroundings, name: str, *arguments: Any, **more: Any) -> None:
    """Do what the function of this name does, and say what became of it."""
    from onward.surfaces import deciding

    told = here.use(lambda runtime: getattr(deciding, name)(runtime, *arguments, **more))
    deciding.tell(told, here.place, here.app, here.output)


_CALL = click.option("--call", metavar="CALL", help="Which call, where the session has several.")
_REASON = click.option(
    "--reason", callback=storable, default="", metavar="WHY", help="Recorded, and told to the program."
)
_DIGEST = click.option("--digest", metavar="DIGEST", help="Of the call that was shown; its beginning will do.")
_RESULT = click.option("--result", callback=from_json, metavar="JSON", help="What the call came to.")


def _which(call: str | None, digest: str | None) -> Any:
    from onward.surfaces.deciding import Which

    return Which(call, digest)


# --- approvals -------------------------------------------------------------------------------------------------


@click.command()
@click.argument("id")
@_CALL
@_DIGEST
@click.option("--edit", callback=from_json, metavar="JSON", help="Change these arguments first, as '{\"amount\": 40}'.")
@click.option("--editor", is_flag=True, help="Change the arguments in $EDITOR first.")
@click.option("--all", "every", is_flag=True, help="Everything that the session asks you, in one go.")
@_REASON
@surrounded
def approve(
    here: Surroundings,
    id: str,
    call: str | None,
    digest: str | None,
    edit: Any,
    editor: bool,
    every: bool,
    reason: str,
) -> None:
    """Let a call happen that waits for a decision.

    ONWARD_IDENTITY is who decides; with --project, whom the identity token names. With --digest it is exactly the call
    that was shown, and none that came after it. Changed arguments are checked against the call's schema and by the
    program; where several must approve, one change starts the count anew.
    """
    if every:
        if call or digest or edit is not None or editor:
            raise click.UsageError("--all goes alone")
        return _approve_all(here, id, reason)
    _decided(here, "decide", id, _which(call, digest), "approved", reason, _change(edit, editor))


def _approve_all(here: Surroundings, id: str, reason: str) -> None:
    from onward.surfaces import deciding

    told = here.use(lambda runtime: deciding.approve_all(runtime, id, reason))
    deciding.tell_all(told, here.place, here.app, here.output)


def _change(edit: Any, editor: bool) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    """What makes the arguments to approve of those that were shown."""
    if edit is not None and editor:
        raise click.UsageError("say --edit or --editor")
    if edit is not None and not isinstance(edit, dict):
        raise click.UsageError("--edit takes a JSON object: '{\"amount\": 40}'")
    return _in_editor if editor else None if edit is None else lambda shown: {**shown, **edit}


def _in_editor(shown: dict[str, Any]) -> dict[str, Any]:
    import json

    text = click.edit(json.dumps(shown, indent=2, ensure_ascii=False), extension=".json")
    if text is None:
        raise click.UsageError("nothing was changed in the editor, and nothing approved")
    try:
        edited = json.loads(text)
    except ValueError as exc:
        raise click.UsageError(f"what the editor left is not JSON ({exc}), and nothing was approved") from exc
    if not isinstance(edited, dict):
        raise click.UsageError("what the editor left is no JSON object, and nothing was approved")
    return edited


@click.command()
@click.argument("id")
@_CALL
@_DIGEST
@_REASON
@surrounded
def reject(here: Surroundings, id: str, call: str | None, digest: str | None, reason: str) -> None:
    """Refuse a call that waits for a decision.

    ONWARD_IDENTITY is who decides, or whom the identity token names; the program is told the reason.
    """
    _decided(here, "decide", id, _which(call, digest), "rejected", reason)


@click.command()
@click.argument("id")
@_RESULT
@_CALL
@_DIGEST
@_REASON
@surrounded
def respond(here: Surroundings, id: str, result: Any, call: str | None, digest: str | None, reason: str) -> None:
    """Answer a call that waits for a decision yourself.

    It is not performed; the program is given the result.
    """
    if result is None:
        raise click.UsageError("--result says what the call came to")
    _decided(here, "respond", id, _which(call, digest), result, reason)


@click.command()
@click.argument("id")
@click.argument("to", callback=storable)
@_CALL
@_DIGEST
@_REASON
@surrounded
def delegate(here: Surroundings, id: str, to: str, call: str | None, digest: str | None, reason: str) -> None:
    """Pass a decision on.

    TO, an identity, is to decide instead of you.
    """
    _decided(here, "delegate", id, _which(call, digest), to, reason)


# --- calls -----------------------------------------------------------------------------------------------------


@click.command()
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


@click.command()
@click.argument("id")
@_RESULT
@_CALL
@_REASON
@surrounded
def skip(here: Surroundings, id: str, result: Any, call: str | None, reason: str) -> None:
    """Give a call a result, so that it need not be performed.

    For one that keeps failing, or that you did by hand.
    """
    _decided(here, "skip", id, call, result, reason)


# --- sessions --------------------------------------------------------------------------------------------------


@click.command()
@click.argument("id")
@click.argument("text", callback=storable, required=False)
@click.option(
    "--value",
    "values",
    multiple=True,
    callback=one_json,
    metavar="JSON",
    help="Another value than a text, as '{\"amount\": 40}'.",
)
@click.option("--file", "files", multiple=True, type=EXISTING, help="A file that goes with it; may be repeated.")
@click.option("--name", callback=storable, metavar="NAME", help="Which of the inputs that a workflow waits for it is.")
@click.option("--key", callback=storable, metavar="KEY", help="The same key again is the same input.")
@surrounded
def send(
    here: Surroundings,
    id: str,
    text: str | None,
    values: tuple[Any, ...],
    files: tuple[Path, ...],
    name: str | None,
    key: str | None,
) -> None:
    """Give a session an input: a text, files, or both.

    A workflow may wait for inputs by their names, and for a value of some form; of that say --value. A name alone says
    that something has happened.
    """
    from onward.surfaces.attached import attached

    if values and (text is not None or files):
        raise click.UsageError("--value goes without TEXT and --file")
    if not values and text is None and not files and name is None:
        raise click.UsageError("say TEXT, --value, --file or --name")
    _decided(here, "send", id, values[0] if values else attached(text, files), name, key)


@click.command()
@click.argument("id")
@_REASON
@surrounded
def pause(here: Surroundings, id: str, reason: str) -> None:
    """Start nothing new in a session.

    What is under way is finished; it goes on with resume.
    """
    _decided(here, "pause", id, reason)


@click.command()
@click.argument("id")
@_REASON
@surrounded
def resume(here: Surroundings, id: str, reason: str) -> None:
    """Set a paused session going."""
    _decided(here, "resume", id, reason)


@click.command()
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


@click.command()
@click.argument("id")
@click.option("--output", callback=from_json, metavar="JSON", help="What it came to; else its newest answer.")
@_REASON
@surrounded
def finish(here: Surroundings, id: str, output: Any, reason: str) -> None:
    """End a session as completed.

    Refused while something was begun whose outcome is not known.
    """
    _decided(here, "finish", id, output, reason)


@click.command()
@click.argument("id")
@_REASON
@surrounded
def cancel(here: Surroundings, id: str, reason: str) -> None:
    """End a session as cancelled.

    It ends once nothing that was begun is unsettled.
    """
    _decided(here, "cancel", id, reason)
