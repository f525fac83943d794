"""Onward: agents and workflows as durable sessions that move by steps and cost nothing while they wait.

Every public name is loaded when it is first used: `import onward` itself costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onward.adapters.gcp.gemini import Gemini
    from onward.adapters.local.scripted import ScriptedModel
    from onward.core.bounds import Breaker
    from onward.core.events import Limits
    from onward.core.files import File
    from onward.core.outcomes import Call, Done, NotDone, NotPerformed, Pending, TryAgain, Unknown
    from onward.core.retry import Retry
    from onward.core.webhooks import Webhook
    from onward.errors import BadInput, ChildFailed, NotFound, OnwardError, Refused, StepFailed
    from onward.programs.agent import Agent
    from onward.programs.app import App
    from onward.programs.approvals import Approval
    from onward.programs.cautions import WorkflowCaution
    from onward.programs.compaction import Compaction
    from onward.programs.context import Context
    from onward.programs.injection import Injected, Secret
    from onward.programs.replies import Decision, Settled
    from onward.programs.routing import Route, Turn
    from onward.programs.timers import sleep
    from onward.programs.tools import tool
    from onward.programs.workflow import workflow
    from onward.runtime import Runtime, run

__all__ = [
    "Agent",
    "App",
    "Approval",
    "BadInput",
    "Breaker",
    "Call",
    "ChildFailed",
    "Compaction",
    "Context",
    "Decision",
    "Done",
    "File",
    "Gemini",
    "Injected",
    "Limits",
    "NotDone",
    "NotFound",
    "NotPerformed",
    "OnwardError",
    "Pending",
    "Refused",
    "Retry",
    "Route",
    "Runtime",
    "ScriptedModel",
    "Secret",
    "Settled",
    "StepFailed",
    "TryAgain",
    "Turn",
    "Unknown",
    "Webhook",
    "WorkflowCaution",
    "run",
    "sleep",
    "tool",
    "workflow",
]

_HOME = {
    "Agent": "onward.programs.agent",
    "App": "onward.programs.app",
    "Approval": "onward.programs.approvals",
    "BadInput": "onward.errors",
    "Breaker": "onward.core.bounds",
    "Call": "onward.core.outcomes",
    "ChildFailed": "onward.errors",
    "Compaction": "onward.programs.compaction",
    "Context": "onward.programs.context",
    "Decision": "onward.programs.replies",
    "Done": "onward.core.outcomes",
    "File": "onward.core.files",
    "Gemini": "onward.adapters.gcp.gemini",
    "Injected": "onward.programs.injection",
    "Limits": "onward.core.events",
    "NotDone": "onward.core.outcomes",
    "NotFound": "onward.errors",
    "NotPerformed": "onward.core.outcomes",
    "OnwardError": "onward.errors",
    "Pending": "onward.core.outcomes",
    "Refused": "onward.errors",
    "Retry": "onward.core.retry",
    "Route": "onward.programs.routing",
    "Runtime": "onward.runtime",
    "ScriptedModel": "onward.adapters.local.scripted",
    "Secret": "onward.programs.injection",
    "Settled": "onward.programs.replies",
    "StepFailed": "onward.errors",
    "TryAgain": "onward.core.outcomes",
    "Turn": "onward.programs.routing",
    "Unknown": "onward.core.outcomes",
    "Webhook": "onward.core.webhooks",
    "WorkflowCaution": "onward.programs.cautions",
    "run": "onward.runtime",
    "sleep": "onward.programs.timers",
    "tool": "onward.programs.tools",
    "workflow": "onward.programs.workflow",
}

if not TYPE_CHECKING:  # a type checker would take any name for a public one

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module 'onward' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
