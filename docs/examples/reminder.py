"""A conversation with a reminder: it rests between messages, sleeps for hours, and is woken by a message."""

from onward import Agent, App, Compaction, ScriptedModel, sleep, tool

SENT: list[str] = []  # stands for the phone


@tool(effect="idempotent")
def notify(text: str) -> str:
    """Show a notification on the phone."""
    SENT.append(text)
    return "shown"


script = ScriptedModel(
    [
        {"text": "Hello! What shall I remind you of?"},
        {"text": "I will.", "calls": [{"tool": "sleep", "arguments": {"wait": "2h"}}]},
        {"calls": [{"tool": "notify", "arguments": {"text": "Call Ann"}}]},
        {"text": "I have reminded you to call Ann. Anything else?"},
        {"text": "You are welcome."},
    ]
)
companion = Agent(
    "companion",
    model=script,
    instructions="You remind people. Sleep until it is time, then notify them.",
    tools=[sleep, notify],
    conversation=True,
    compaction=Compaction(at=100_000, keep=4),
    limits=None,
)
app = App(programs=[companion])
