"""Names that a workflow gives: they are what its log is matched by, so they are stable and plain."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from onward.errors import BadInput

_OURS = ("patch:", "undo:")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")


def checked_name(name: Any, what: str) -> str:
    """The name, if it may be one. Raises BadInput."""
    if isinstance(name, str) and name.startswith(_OURS):
        raise BadInput(
            f"{what}: {name!r} is no name: what begins with {' or '.join(_OURS)} is a patch's mark or an undo"
        )
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(f"{what}: {name!r} is no name: 1 to 64 letters, digits and _.:-, beginning with a letter")
    return name


def step_name(function: Callable[..., Any], name: str | None) -> str:
    """What a step is called: as it says, or as its function. Raises BadInput for a function without a name."""
    if name is not None:
        return checked_name(name, "step")
    if isinstance(function, functools.partial):
        return step_name(function.func, None)
    if not callable(function):
        raise BadInput(f"step: {function!r} is no function: write ctx.step(function, argument, ...)")
    own = getattr(function, "name", None) or getattr(function, "__name__", "")
    if own == "<lambda>" or not isinstance(own, str) or not _NAME.fullmatch(own):
        raise BadInput(f"step: {own or function!r} has no name to be known by: give name=")
    return own
