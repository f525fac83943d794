"""Which runs of an earlier go are taken up again, and which stand."""

from __future__ import annotations

from datetime import datetime

from onward.core.head import Head
from onward.errors import NotFound
from onward.runtime import Runtime

STANDS = frozenset(
    {
        "answer_cut",
        "at_limit",
        "bad_answer",
        "compaction_failed",
        "limit_reached",
        "model_blocked",
        "output_invalid",
        "performed_twice",
        "prompt_too_long",
    }
)
"""What a program and its model came to themselves: asking again would be choosing among their answers. Whatever else
has stopped a run came from around it."""


async def taken_up(runtime: Runtime, id: str, began: datetime) -> bool:
    """Whether this session came to rest before this go `began`. One that was stopped by something else than itself goes
    on."""
    try:
        head = await runtime.get(id)
    except NotFound:
        return False
    if _may_go_on(head):
        await runtime.resume(id, "the suite is run again")
        return False
    return head.status not in ("running", "scheduled") and head.updated_at < began


def _may_go_on(head: Head) -> bool:
    parked = head.status == "needs_attention" and head.error is not None and head.error.code not in STANDS
    return parked or head.status == "paused"
