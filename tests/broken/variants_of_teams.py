"""More small wrong variants: of what is between sessions and people. See `tests.broken.variants`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from onward.core import absorb, folding
from onward.core import events as ev
from onward.core.duties import StartChild
from onward.core.events import Event
from onward.core.files import stash
from onward.core.head import Head
from onward.core.state import OpenCall, State, changed
from onward.engine.duties import Duties
from onward.engine.files import Files
from onward.engine.hold import Hold
from onward.engine.outbox import Outbox
from onward.engine.switches import Switchboard
from onward.errors import Permanent, UsageError
from tests.broken.variants import VARIANTS, Wrong, wrong

# --- G5: duties to other sessions --------------------------------------------------------------------------------


class LeavesDebts(Outbox):
    """Pays what it appended itself, and nothing that another process left."""

    async def pay_rest(self, hold: Hold) -> None:
        hold.owed = 0


class ForgetsDebtsInDeath(Outbox):
    """Takes a session that has ended for one that owes nothing."""

    async def pay_rest(self, hold: Hold) -> None:
        if not hold.lease.head.ended:
            await super().pay_rest(hold)


class StartsUnderNewNames(Duties):
    """Gives a child another name each time it pays for its start."""

    names = itertools.count()

    async def _start(self, head: Head, duty: StartChild) -> None:
        name = f"{duty.started.session}-{next(self.names)}"
        await super()._start(head, StartChild(changed(duty.started, session=name)))


class DropsWhatItCanNotPay(Duties):
    """Takes a duty that can't be paid for one that is."""

    async def _start_or_say_why_not(self, head: Head, duty: StartChild) -> None:
        with suppress(UsageError, Permanent):
            await self._start(head, duty)


class TellsNobody(Duties):
    """Pays for starts and cancels, and tells no parent."""

    async def pay(self, head: Head, events: Sequence[Event]) -> None:
        await super().pay(replace(head, parent=None), events)


wrong("debts of the dead", "g5_a_duty_is_paid_after_any_crash", onward__wiring__Outbox=LeavesDebts)
wrong("no debts after the end", "g5_who_has_ended_still_pays", onward__wiring__Outbox=ForgetsDebtsInDeath)
wrong("child with a new name", "g5_a_duty_paid_twice_is_paid_once", onward__wiring__Duties=StartsUnderNewNames)
wrong("parent that hears nothing", "g5_a_duty_is_paid_after_any_crash", onward__wiring__Duties=TellsNobody)
wrong("duty dropped in silence", "g5_a_duty_that_can_not_be_paid_is_told", onward__wiring__Duties=DropsWhatItCanNotPay)


# --- G10, G13: what an operator holds back -----------------------------------------------------------------------


class SeesNoSwitch(Switchboard):
    """Looks at no switch before it performs."""

    async def off_for(self, state: State) -> tuple[()]:
        return ()


wrong("switch that nobody looks at", "g10_what_is_switched_off_rests_and_does_nothing",
      onward__wiring__Switchboard=SeesNoSwitch)  # fmt: skip


def looks_nowhere(state: State, call: OpenCall, last: Any) -> None:
    """Nothing waits for a look."""


class StartsChildrenAnew(Duties):
    """Takes what a child did before a restore for known."""

    async def _start(self, head: Head, duty: Any) -> None:
        await super()._start(replace(head, incarnation=0), duty)


wrong("restore that nobody minds", "g6_what_a_restore_has_forgotten_is_not_performed_again",
      onward__engine__admission__look_first=looks_nowhere)  # fmt: skip
wrong("child that was never there", "g6_a_child_is_as_old_as_who_started_it",
      onward__wiring__Duties=StartsChildrenAnew)  # fmt: skip

right_pause = folding.STEPS[ev.SessionPaused]


def pauses_for_the_switch(state: State, event: Event, body: ev.SessionPaused) -> State:
    """Takes a pause while a switch is off for the switch's own."""
    return right_pause(state, event, changed(body, switch=body.switch or state.switch))


VARIANTS["switch that lifts a person's pause"] = Wrong(
    "switch that lifts a person's pause",
    "g13_a_switch_lifts_no_persons_pause",
    {"onward.core.fold.STEPS": {**folding.STEPS, ev.SessionPaused: pauses_for_the_switch}},
)


# --- G6: what was started is never forgotten ---------------------------------------------------------------------


def pushes_everything_aside(state: State) -> list[ev.Body]:
    """Whatever is open."""
    return absorb.dropped(state, ev.Failure(code="interrupted", message="an input came"))


def skips_anything(state: State, signal: Any, body: Any) -> list[ev.Body]:
    """Whatever call is named."""
    return [ev.CallCompleted(call=body.call, attempt=1, result=body.result)]


def settled(call: OpenCall) -> bool:
    """Whatever was started."""
    return False


wrong(
    "input that pushes everything aside",
    "g6_an_input_does_not_push_aside_what_was_started",
    onward__core__absorb___interrupted=pushes_everything_aside,
)
wrong(
    "finish over what was started",
    "g6_nothing_is_finished_or_skipped_over_what_was_started",
    onward__core__state__OpenCall__unsettled=property(settled),
)
VARIANTS["skip over what was started"] = Wrong(
    "skip over what was started",
    "g6_nothing_is_finished_or_skipped_over_what_was_started",
    {"onward.core.absorb._TAKES": {**absorb._TAKES, "skip": skips_anything}},
)


# --- G8: edits -----------------------------------------------------------------------------------------------------


def performs_what_was_shown(state: State, event: Event, body: ev.CallEdited) -> State:
    """Checks a person's arguments, and performs the others."""
    return right_edit(state, event, changed(body, arguments=state.calls[body.call].arguments))


right_edit = folding.STEPS[ev.CallEdited]
right_decision = folding.STEPS[ev.ApprovalDecided]


def takes_as_typed(state: State, event: Event, body: ev.ApprovalDecided) -> State:
    """Takes a person's arguments as they are."""
    state = right_decision(state, event, changed(body, arguments=None))
    return state if body.arguments is None else folding.update_keeping(state, body.call, arguments=body.arguments)


STEPS = {
    "edit that nobody checks": ("g8_an_edit_is_validated_again", {ev.ApprovalDecided: takes_as_typed}),
    "edit that is not performed": ("g8_what_is_performed_is_what_was_edited", {ev.CallEdited: performs_what_was_shown}),
}
for name, (check, steps) in STEPS.items():
    VARIANTS[name] = Wrong(name, check, {"onward.core.fold.STEPS": {**folding.STEPS, **steps}})


# --- G4: files -----------------------------------------------------------------------------------------------------


class KeepsNoBytes(Files):
    """Writes down that there was a file."""

    async def keep(self, key: str, value: Any) -> Any:
        return stash(value, {})


wrong("file without its bytes", "g4_a_files_bytes_are_there_once_it_is_recorded", onward__wiring__Files=KeepsNoBytes)
