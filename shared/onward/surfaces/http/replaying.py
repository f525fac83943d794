"""The route that has the programs of the deployment decide a session again, and the form of its answer."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from onward.core.ids import check_id
from onward.surfaces.http.models import Answering
from onward.surfaces.http.service import Known
from onward.surfaces.http.sessions import Id

router = APIRouter(tags=["branches"])


class Decided(Answering):
    """What was recorded, or is decided now: the `kind` of an event with its fields, or `rests`, `asks_model`,
    `makes_call`, `raises`."""

    kind: str
    model_config = ConfigDict(extra="allow")


class Replayed(Answering):
    """What a replay came to. `line` says it in words."""

    verdict: Literal["same", "differs", "unclear"]
    line: str
    events: int | None = Field(default=None, description="How many events were gone through, where all is the same.")
    decisions: int | None = Field(default=None, description="How many decisions were made again.")
    seq: int | None = Field(default=None, description="The first event that is decided otherwise, or can't be told.")
    expected: Decided | None = None
    got: Decided | None = None
    goes_on: bool | None = Field(
        default=None, description="Whether a workflow leads on from the log's end all the same."
    )
    why_not: str | None = Field(default=None, description="Why it would be parked, where it does not.")
    erased: list[int] | None = Field(default=None, description="The events of which something was erased.")


@router.post("/sessions/{id}/replay", response_model=Replayed, response_model_exclude_unset=True)
async def replay_session(id: Id, asked: Known) -> Any:
    """Have the deployment's programs decide a session again: `same`, or the first event that is decided otherwise.

    Takes a viewer. No model is asked, no call is made, and nothing is written. 400 where the session's program is not
    of this deployment.
    """
    tenant = asked.tenant()
    verdict = await asked.caller.replay(check_id(id), tenant, app=asked.service.app)
    return {"line": verdict.line} | verdict.doc()
