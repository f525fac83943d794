"""Laws of the fold, over logs that real sessions wrote (G1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onward import Agent, App, Approval, NotPerformed, ScriptedModel, tool
from onward.core.events import Actor
from onward.core.fold import fold
from onward.core.head import Fold, fold_text, unfold
from onward.core.ids import session_key
from onward.core.state import FOLD_VERSION, State
from onward.engine.gateway import Start
from onward.engine.load import Loader
from onward.testing.runner import Runner

ANA = Actor(kind="person", name="ana")


@tool(effect="read")
async def look(order: str) -> dict[str, str]:
    """Look."""
    return {"order": order, "note": "x" * 400}


@tool(effect="irreversible", approval=Approval(when=lambda args: args.amount > 5))
async def pay(amount: int) -> str:
    """Pay."""
    if amount == 3:
        raise NotPerformed("declined")
    return f"paid {amount}"


def desk(turns: int = 3) -> App:
    calls = [{"tool": "look", "arguments": {"order": f"A{at}"}} for at in range(3)]
    script = [{"calls": [*calls, {"tool": "pay", "arguments": {"amount": 3 + at % 2}}]} for at in range(turns)]
    script.append({"calls": [{"tool": "pay", "arguments": {"amount": 9}}, {"tool": "nothing", "arguments": {}}]})
    model = ScriptedModel([*script, {"text": "done"}])
    return App(programs=[Agent("desk", model=model, tools=[look, pay])])


async def played(turns: int = 3) -> Runner:
    """A session played to its open approval."""
    runner = Runner(desk(turns))
    await runner.parts.gateway.start(Start("s", "desk", "1", input="hello"), ANA)
    await runner.settle()
    return runner


async def test_g1_folding_at_once_or_bit_by_bit_or_through_text_is_the_same() -> None:
    runner = await played()
    commits = await runner.backend.store.commits(session_key("default", "s"))
    events = [event for commit in commits for event in Loader.events(commit)]
    whole = fold(State(), events)
    for cut in range(1, len(events) + 1):
        half = fold(State(), events[:cut])
        kept = Fold(half.seq, "", FOLD_VERSION, 0, text=fold_text(half))
        again = unfold(kept, kept.text or "")
        assert again == half
        assert fold(half, events[cut:]) == whole
        assert fold(again or State(), events[cut:]) == whole
    assert whole == await runner.state("s")


@pytest.mark.parametrize("turns", [2, 30])
async def test_g1_without_head_fold_snapshots_or_cache_the_state_is_the_same(turns: int) -> None:
    runner = await played(turns)
    key = session_key("default", "s")
    head = await runner.backend.store.read(key)
    assert (head.fold.snapshot is not None) == (turns == 30), "the long one is in a snapshot, the short one in its head"
    runner.parts.loader.cache.drop(key)
    through_fold = await runner.parts.loader.load(head)
    runner.parts.loader.cache.drop(key)
    assert await runner.parts.loader.load(replace(head, fold=None)) == through_fold


async def test_g1_a_fold_of_another_version_or_hash_is_not_used() -> None:
    runner = await played()
    key = session_key("default", "s")
    head = await runner.backend.store.read(key)
    truth = await runner.parts.loader.load(head)
    lie = fold_text(truth.model_copy(update={"program": "a lie", "seq": head.fold.seq}))
    for wrong in (replace(head.fold, version=FOLD_VERSION + 1, text=lie), replace(head.fold, hash="other", text=lie)):
        runner.parts.loader.cache.drop(key)
        if wrong.version != FOLD_VERSION:
            assert await runner.parts.loader.load(replace(head, fold=wrong)) == truth
    assert truth.program == "desk"
