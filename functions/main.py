"""What is deployed: four functions in one source. Each translates an HTTP request and answer, and nothing else.

`advance` takes pushes of the topic of sessions, `resume` tasks of the queue of timers, `sweep` requests of the
scheduler, and `api` those of people and services. What is wrong with the settings is said at once; nothing is reached
before the first request.
"""

from __future__ import annotations

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

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
    return _response(await functions.api(await _request(request)))


async def _request(request: Request) -> answers.Request:
    headers, query = dict(request.headers), dict(request.query_params)
    return answers.Request(headers, await request.body(), request.method, request.url.path, query)


def _response(answer: answers.Answer) -> Response:
    return Response(answer.body, answer.status, media_type="application/json" if answer.body else None)
