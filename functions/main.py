"""What is deployed: four functions in one source. Each translates an HTTP request and answer, and nothing else.

`advance` takes pushes of the topic of sessions, `resume` tasks of the queue of timers, `sweep` requests of the
scheduler, and `api` those of people and services. What is wrong with the settings is said at once; nothing is reached
before the first request.
"""

from __future__ import annotations

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from onward.surfaces.functions import Functions, answers

functions = Functions.from_env()


@functions_framework.aio.http
async def advance(request: Request) -> Response:
    return _response(await functions.advance(await _request(request)))


@functions_framework.aio.http
async def resume(request: Request) -> Response:
    return _response(await functions.resume(await _request(request)))


@functions_framework.aio.http
async def sweep(request: Request) -> Response:
    return _response(await functions.sweep(await _request(request)))


@functions_framework.aio.http
async def api(request: Request) -> Response:
    return HandedOver()


class HandedOver(Response):
    """The answer that another application gives: it gets the request as it came, and sends as it likes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await functions.api(scope, receive, send)


async def _request(request: Request) -> answers.Request:
    return answers.Request(dict(request.headers), await request.body())


def _response(answer: answers.Answer) -> Response:
    return Response(answer.body, answer.status, media_type="application/json" if answer.body else None)
