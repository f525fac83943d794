"""The command that compares sessions."""

from __future__ import annotations

import click

from onward.surfaces.options import Surroundings, storable, surrounded


@click.command()
@click.argument("a", callback=storable)
@click.argument("b", callback=storable)
@click.option("--all", "every", is_flag=True, help="Show turns that are alike, too.")
@surrounded
def compare(here: Surroundings, a: str, b: str, every: bool) -> int:
    """Say what session B did otherwise than A.

    Each is the id of a session, or a file that one was exported to. Turns are aligned, also behind one that only one of
    them has; what differs is calls and their arguments, approvals, results, answers, and the end. Tokens, cost and time
    are shown, and make no difference. Exit codes: 0 the same; 1 different.
    """
    import asyncio

    from onward.surfaces import comparing

    if comparing.both_files(a, b):
        found = asyncio.run(comparing.compared(None, a, b))
    else:
        found = here.use(lambda access: comparing.compared(access, a, b))
    comparing.tell(found, every, here.output)
    return 0 if found.same else 1
