"""Which webhooks a session's events are owed to (R13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onward.core.head import Head
from onward.core.state import is_detached
from onward.core.webhooks import Listener, Webhook
from onward.engine.deciding import Registry


class Webhooks:
    """The webhooks of one process's application: none, where it has none.

    A head names those that its session's events are owed to; a branch that is not live owes nobody anything. Only a
    process that has the session's program can say which these are; every other one leaves what the head says, so that
    nothing is owed less because of who happens to append it, or to pay.
    """

    def __init__(self, programs: Registry | None) -> None:
        self._programs = programs
        declared: Sequence[Webhook] = getattr(programs, "webhooks", ())
        self._hooks: Mapping[str, Webhook] = {hook.name: hook for hook in declared}
        self._by_program: dict[str, tuple[Listener, ...]] = {}

    def get(self, name: str) -> Webhook | None:
        """The webhook of this name, if this process's application has it."""
        return self._hooks.get(name)

    def listeners(self, head: Head, program: str, version: str) -> tuple[Listener, ...]:
        """Whom an event of this session is owed to while it runs this program."""
        if not (self._hooks or head.listeners) or is_detached(head.effects):
            return ()
        if self._programs is None or self._programs.program(program, version) is None:
            return head.listeners
        return self._by_program.get(program) or self._find(program)

    def _find(self, program: str) -> tuple[Listener, ...]:
        found = tuple(hook.listener() for hook in self._hooks.values() if hook.hears_of(program))
        self._by_program[program] = found
        return found
