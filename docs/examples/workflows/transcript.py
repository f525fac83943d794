"""Polling: a job goes on elsewhere for minutes, and is looked at every 30 seconds. In between nothing runs."""

from typing import Literal

from pydantic import BaseModel

from onward import App, Call, Context, tool, workflow

JOBS: dict[str, int] = {}  # stands for the service: how often it was asked about a job


class Job(BaseModel):
    id: str
    status: Literal["running", "done", "failed"]
    text: str = ""


@tool(effect="idempotent")
def submit(recording: str, *, call: Call) -> Job:
    """Start the job. The service takes one key for one job, however often it is asked."""
    JOBS.setdefault(call.idempotency_key, 0)
    return Job(id=call.idempotency_key, status="running")


@tool(effect="read")
def look(id: str) -> Job:
    """How the job stands."""
    JOBS[id] += 1
    return Job(id=id, status="running") if JOBS[id] < 4 else Job(id=id, status="done", text="Good morning.")


@workflow
async def transcribe(ctx: Context, recording: str) -> str:
    job = await ctx.step(submit, recording)
    job = await ctx.poll(look, job.id, until=lambda job: job.status != "running", every="30s", timeout="2h")
    if job.status == "failed":
        raise RuntimeError(f"{recording} could not be written down")
    return job.text


app = App(programs=[transcribe])
