"""`onward dev`: a worker and the API of its sessions, in one process on this machine."""

from __future__ import annotations

import asyncio
import webbrowser
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from socket import socket

from onward.runtime import Runtime
from onward.surfaces.http.door import LOOPBACK, Who
from onward.surfaces.http.roles import EVERYBODY, Roles
from onward.surfaces.http.service import Service
from onward.surfaces.http.serving import address, listening, served
from onward.surfaces.interrupts import interrupts
from onward.surfaces.output import Output
from onward.surfaces.running import Plan, WorkLog, check_whole, until_asked
from onward.surfaces.site import make

START = "/"
"""What a browser is shown first."""


async def develop(plan: Plan, port: int, browser: bool, roles: str | None, output: Output) -> int:
    """Advance whatever is due, and serve the API, until asked to stop. Raises BadInput."""
    check_whole(plan)
    table, log = EVERYBODY if roles is None else Roles.read(roles), WorkLog(output)
    with listening(port) as at, interrupts() as stop:
        async with Runtime(plan.app, plan.place.db, observe=log.moved, console=address(at)) as runtime:
            async with _served(plan, runtime, table, at) as url:
                log.says("serving", f"{url}, as {runtime.identity}, on {plan.place.db}; Ctrl-C stops it", url=url)
                if browser:
                    asyncio.get_running_loop().run_in_executor(None, webbrowser.open, f"{url}{START}")
                await until_asked(stop, runtime)
                log.says("stopping", "nothing new is begun")
            await runtime.stop()
    log.says("stopped", f"{log.commits:,} commits")
    return 0


def _served(plan: Plan, runtime: Runtime, roles: Roles, at: socket) -> AbstractAsyncContextManager[str]:
    service = Service(runtime.parts, plan.app, roles)
    runtime.parts.performing.listen(service.hub.hear)
    return served(make(service, _always(runtime.identity), hosts=LOOPBACK), service, at)


def _always(identity: str) -> Who:
    """On one's own machine there is but one who asks."""

    async def who(headers: Mapping[str, str]) -> str:
        return identity

    return who
