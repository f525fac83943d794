"""More small wrong variants: of branches. See `tests.broken.variants`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from onward.core import record
from onward.core.branch import Parting, part
from onward.core.draft import Draft
from onward.core.events import Effects, SessionStarted
from onward.core.head import Head
from onward.core.ids import idempotency_key, session_key
from onward.core.signals import Signal
from onward.core.state import State
from onward.engine import fork
from onward.engine.fork import Fork, Forker
from onward.engine.records import Records
from tests.broken.variants import wrong
from tests.faults.world import ANN


def recalls_nothing(state: State, program: Any) -> None:
    """Makes a branch's calls as any session's."""


def has_its_parents_keys(session: str, call: str) -> str:
    """Takes a branch for its parent."""
    return idempotency_key("s1", call)


def asks_nobody(state: State, effect: str) -> bool:
    """Does again what can't be undone."""
    return False


def answers_as_often_as_asked(line: Any, call: str, used: Sequence[str], repeatable: bool, *name: Any) -> Any:
    """Takes a recorded outcome for one of every such call."""
    return found(line, call, (), True, *name)


found = record.find


class AsksEveryModelAgain(Records):
    """Looks for calls only."""

    async def answer(self, key: str, state: State, effect: Any) -> None:
        return None


class TellsTheParent(Forker):
    """Leaves word with the parent that it was branched."""

    async def _create(self, fork: Fork, draft: Draft, there: Head | None) -> tuple[Head, bool]:
        letter = Signal(fork.id, "input", {"content": "you were branched"}, ANN)
        await self._store.file(session_key(fork.tenant, fork.session), letter)
        return await super()._create(fork, draft, there)


class LeavesLargeValuesBehind(Forker):
    """Refers to values that its parent has."""

    async def _bring(self, source: str, key: str, made: Any) -> None:
        pass


class BringsThemAfterwards(Forker):
    """Makes the branch first, and copies then what it refers to."""

    async def fork(self, fork: Fork, actor: Any) -> tuple[Head, bool]:
        bring, self._bring = self._bring, LeavesLargeValuesBehind._bring.__get__(self)  # type: ignore[method-assign]
        head, new = await super().fork(fork, actor)
        parent = await self._parent(fork)
        self._bring = bring  # type: ignore[method-assign]
        if new:
            await self._bring(parent.key, head.key, await self._made(fork, parent, actor))
        return head, new


def takes_its_deadline_along(made: Fork, state: State, *more: Any) -> SessionStarted:
    """Ends a branch when its parent would have ended."""
    return right_start(made, state, *more).model_copy(update={"deadline": state.timers.get("deadline")})


right_start = fork._started


def keeps_calls_open(state: State, effects: Effects) -> Parting:
    """Takes a live branch's open calls along."""
    return replace(part(state, "recorded"), not_inherited=()) if effects == "live" else part(state, effects)


def is_attached(effects: Effects | None) -> bool:
    """Takes every branch for a session like any other."""
    return False


wrong("branch that performs", "g14_a_branch_performs_nothing_that_its_parent_did",
      onward__core__decide___recalls=recalls_nothing)  # fmt: skip
wrong("branch that asks every model again", "g14_no_model_is_asked_what_it_answered_already",
      onward__wiring__Records=AsksEveryModelAgain)  # fmt: skip
wrong("branch with its parent's keys", "g14_a_live_branch_has_its_own_keys",
      onward__engine__perform__idempotency_key=has_its_parents_keys)  # fmt: skip
wrong("live branch that asks nobody", "g14_a_live_branch_asks_first",
      onward__core__decide__must_ask=asks_nobody, onward__programs__proposals__must_ask=asks_nobody)  # fmt: skip
wrong("live branch that leaves it to its agent to ask", "g14_a_live_branch_asks_first",
      onward__core__decide__must_ask=asks_nobody)  # fmt: skip
wrong("outcome that is told twice", "g14_what_was_done_once_is_an_answer_once",
      onward__core__record__find=answers_as_often_as_asked)  # fmt: skip
wrong("parent that is written to", "g14_nothing_is_written_to_a_parent", onward__wiring__Forker=TellsTheParent)
wrong("base without its blobs", "g14_a_branch_needs_its_parent_no_more",
      onward__wiring__Forker=LeavesLargeValuesBehind)  # fmt: skip
wrong("branch that is there before it is whole", "g14_a_branch_is_there_whole_or_not_at_all",
      onward__wiring__Forker=BringsThemAfterwards)  # fmt: skip
wrong("branch with its parent's timers", "g14_no_timer_goes_along",
      onward__engine__fork___started=takes_its_deadline_along)  # fmt: skip
wrong("branch that inherits what is open", "g14_nothing_open_goes_along", onward__engine__fork__part=keeps_calls_open)
wrong("branch that tells webhooks", "g14_a_detached_branch_tells_nobody",
      onward__engine__listeners__is_detached=is_attached)  # fmt: skip
