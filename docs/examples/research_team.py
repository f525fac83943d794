"""A research team: a lead asks two researchers at once, each in a session of its own, and writes the report."""

from onward import Agent, App, Limits, ScriptedModel, tool

LIBRARY = {"heat pumps": "They move heat instead of making it.", "insulation": "It keeps the heat where it is."}


@tool(effect="read")
def read_up(subject: str) -> str:
    """What the library has on a subject."""
    return LIBRARY.get(subject, "nothing")


def researcher(name: str, subject: str) -> Agent:
    script = ScriptedModel(
        [
            {"calls": [{"tool": "read_up", "arguments": {"subject": subject}}]},
            {"text": f"{subject.capitalize()}: {LIBRARY[subject]}"},
        ]
    )
    return Agent(name, model=script, description=f"Knows all about {subject}.", tools=[read_up])


lead = Agent(
    "lead",
    model=ScriptedModel(
        [
            {
                "calls": [
                    {"tool": "heating", "arguments": {"input": "How do heat pumps work?"}},
                    {"tool": "walls", "arguments": {"input": "What does insulation do?"}},
                ]
            },
            {"text": "Insulate first, then move heat with a pump."},
        ]
    ),
    instructions="Ask your researchers, then write a short report.",
    tools=[
        researcher("heating", "heat pumps").as_tool(limits=Limits(tokens=20_000)),
        researcher("walls", "insulation").as_tool(limits=Limits(tokens=20_000)),
    ],
)
app = App(programs=[lead])
