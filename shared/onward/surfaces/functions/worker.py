"""One process of the functions: its application and parts, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import threading
from types import FrameType

from onward.adapters.gcp.identity import ASSERTION, PROXY, Identities, Issued
from onward.adapters.local.clock import SystemClock
from onward.config import CloudSettings
from onward.errors import BadInput
from onward.ports import Clock
from onward.programs.app import App, load_target
from onward.programs.resources import tools_of
from onward.surfaces.functions.incoming import Incoming
from onward.surfaces.functions.watch import time_parts, watched
from onward.wiring import Parts, cloud, local_model, remote_model

SETTLING = 10.0
"""Seconds kept for what follows an effect: its append, its events, the next wake."""


class Worker:
    """What requests share in one process. Made in the event loop that serves them, and never before."""

    def __init__(self, settings: CloudSettings, app: App) -> None:
        clock = SystemClock()
        reserve = _longest_effect(app) + SETTLING
        self.settings, self.app, self.clock = settings, app, clock
        self.parts: Parts = cloud(settings, app, reserve=reserve, watch=watched)
        time_parts(self.parts.engine, clock)
        self.incoming = Incoming(self.parts, app)
        self.identities = _identities(settings, clock)
        self.parts.renewer.start()
        _on_termination(self.parts)


def load(settings: CloudSettings) -> App:
    """The application that this deployment runs. Raises BadInput, also for an effect that a step has no time for.

    Its own models may be files; one that a branch asks for is named by whoever asked for the branch, and never is.
    """
    target = load_target(settings.app)
    _check_times(target.app, settings.budget)
    return target.app.resolved(lambda name: local_model(name, target.directory)).resolved(remote_model)


def _identities(settings: CloudSettings, clock: Clock) -> Identities:
    """Who callers are: by their own tokens, and by the proxy's word where its audience is known."""
    said, signed_by = settings.audiences, settings.issuers
    bearer = Issued(clock, "authorization", settings.certs_url, "RS256", said, signed_by)
    proxied = Issued(clock, ASSERTION, settings.iap_certs_url, "ES256", settings.iap_audiences, PROXY)
    return Identities(bearer, proxied if settings.iap_audiences else None)


def _longest_effect(app: App) -> float:
    models = [getattr(program, "model_timeout", 0.0) for program in app.programs.values()]
    return max([0.0, *models, *(tool.timeout for tool in tools_of(app.programs.values()))])


def _check_times(app: App, budget: float) -> None:
    """Every effect must fit into a step (R10)."""
    most = budget - SETTLING
    longest = {
        f"agent {name}: model_timeout": getattr(p, "model_timeout", 0.0) for (name, _), p in app.programs.items()
    }
    longest |= {f"tool {tool.name}: timeout": tool.timeout for tool in tools_of(app.programs.values())}
    for name, seconds in longest.items():
        if seconds >= most:
            raise BadInput(
                f"{name} is {seconds:g} s, and ONWARD_BUDGET {budget:g} s: a step has {most:g} s for its effects. Let "
                "what takes longer answer Pending, or raise the budget"
            )


def _on_termination(parts: Parts) -> None:
    """At SIGTERM nothing new is begun, and what may be interrupted lets go of its session (R5). Whoever was to hear of
    the signal before hears of it too."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(parts.performing.stop)
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, stop)
