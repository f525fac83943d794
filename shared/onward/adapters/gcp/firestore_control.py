"""Documents below `control/`: each is one for all processes, changed by whoever read it last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from onward.adapters.gcp.firestore_client import Clash, Client
from onward.adapters.gcp.firestore_wire import MISSING, Document, Version, Write
from onward.errors import StoreUnavailable

T = TypeVar("T")
Change = Callable[[Document | None], tuple[T, Sequence[Write]]]
"""What a change comes to, and what is written for it, given what is there; nothing, where it changes nothing."""

TRIES = 16
"""How often a change is made anew because another was made meanwhile."""


async def control(client: Client, path: str) -> Document | None:
    """The document at this path. Raises StoreUnavailable."""
    found = await client.get([path])
    return found.documents[0] if found.documents else None


async def changed(client: Client, path: str, change: Change[T], what: str) -> T:
    """Make a change of the document at this path. Raises StoreUnavailable, with `what` is done by too many at once."""
    for _ in range(TRIES):
        come_to, writes = change(await control(client, path))
        try:
            if writes:
                await client.commit(writes)
        except Clash:
            continue
        return come_to
    raise StoreUnavailable(f"{what} by too many at once")


def expected(there: Document | None) -> Version | bool:
    """What a write on it expects: that it is as it was read."""
    return there.version if there else MISSING
