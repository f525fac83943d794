"""Scores of our own."""

from onward.core.turns import Trajectory


def names_the_order(run: Trajectory, recorded: Trajectory, case: str) -> bool:
    """Whether the answer says which order it is about."""
    order = str(recorded.turns[0].said[0].value).split()[0]
    return order in str(run.output)
