"""Which sessions there are when everything goes wrong, and where the process of each is to die."""

from __future__ import annotations

from typing import NamedTuple


class Part(NamedTuple):
    """What one session runs, and the `nth` time of passing which `point` ends its process; "" for none."""

    program: str
    point: str = ""
    nth: int = 0


INSTANCES = ("advance", "advance-2", "resume")
"""Those that move sessions."""

GAMBLERS = 2
"""Sessions that do what can't be undone and what nobody can be asked about later."""

IN_A_STEP = ("claim:after", "append:before", "append:after", "feed:before", "feed:after", "wake:before", "wake:after")


def _parts() -> dict[str, Part]:
    chains = [Part("chain-desk", point, nth) for point in IN_A_STEP for nth in (1, 3)]
    chains += [Part("chain-desk", point, nth) for point in ("pay:before", "pay:after") for nth in (1, 2)]
    chains += [Part("chain-desk", "create:after", 1)]
    timers = [Part("timer-desk", point, 1) for point in ("arm:before", "arm:after")]
    leaders = [Part("leader", point, nth) for point, nth in (("append:after", 2), ("feed:after", 3), ("pay:after", 1))]
    people = [Part("gamble-desk", "gamble:after", 1)] * GAMBLERS
    people += [Part("refund-desk", point, 2) for point in ("", "append:before", "append:after", "feed:after")]
    calm = [Part("chain-desk")] * 10 + [Part("timer-desk")] * 6 + [Part("leader")]
    all = [*chains, *timers, *leaders, *people, *calm]
    return {f"c{number:02}-{part.program}": part for number, part in enumerate(all)}


PARTS = _parts()
"""Every session of the great test by its id."""

LATE = {f"t{number}-timer-desk": Part("timer-desk", "arm:late", 1) for number in range(3)}
"""Sessions whose timers fire before the wait is written down."""

WRONG = {
    "w-forgets": Part("chain-desk", "append:after", 3),
    "w-repeats": Part("chain-desk", "pay:after", 1),
    "w-early": Part("chain-desk", "append:before", 3),
    "x-lost": Part("chain-desk"),
}
"""The same for functions that are wrong on purpose."""
