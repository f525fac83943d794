"""Words in a log by which it is found out what became of something that a workflow asked for."""

from __future__ import annotations

ASKED = 16
"""Hexadecimal digits of a digest by which a workflow finds out that it asks for something else: they are kept for each
thing that it ever asked for."""

LEFT = "left"
"""The code of a call that a workflow does not want any more."""

TAKEN = "event"
"""What the result of a wait for an input has: the event of the input that was taken for it."""

BLOCKED = "blocked"
"""The code of a call that a branch does not make."""

NONDETERMINISTIC = "nondeterministic"
"""The code of a session whose workflow asks for something else than its log has."""
