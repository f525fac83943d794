"""A session of a workflow or an agent, played to its end in virtual time: people and effects are what a test says.

```text
def test_who_is_approved_is_welcomed() -> None:
    run = play(onboarding, User(id="7"), signals=[Send("Ann", name="name")], approvals=Approve(), steps={mail: "sent"})
    assert run.output == "welcome, Ann"
    assert run.elapsed == timedelta(days=1)
```

Everything happens in memory, and nothing outside is reached but by steps that nothing stands in for.
"""

from onward.testing.plays.playing import Options, play, play_async
from onward.testing.plays.script import Approve, Cancel, Question, Reject, Respond, Resume, Send, Skip
from onward.testing.plays.standins import Performed
from onward.testing.plays.world import Played

__all__ = [
    "Approve",
    "Cancel",
    "Options",
    "Performed",
    "Played",
    "Question",
    "Reject",
    "Respond",
    "Resume",
    "Send",
    "Skip",
    "play",
    "play_async",
]
