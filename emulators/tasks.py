"""Cloud Tasks in memory, over gRPC and with the message types of the service's own client.

    with Tasks() as tasks:
        tasks.make_queue(QUEUE)
        ...                       # a client whose channel goes to tasks.address
        tasks.advance(86400)      # a day later

Or from a shell: `python -m emulators.tasks --port 0 --queue projects/P/locations/L/queues/Q` prints where it is, and
where the keys of its tokens are. `POST /advance?seconds=86400` there moves its clock.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
from google.cloud import tasks_v2 as api

from emulators.posting import post
from emulators.tasks_queues import Entry, Queues, Refusal
from emulators.tokens import Tokens

_SERVICE = "google.cloud.tasks.v2.CloudTasks"
_LONGEST = 600.0
"""Seconds that a target may take, unless its task says otherwise."""


@dataclass(slots=True)
class Fault:
    """The next `times` calls of this method, such as CreateTask, fail with this status: before anything is done, or
    with `after` once it is done, so that only the answer is lost."""

    method: str
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    after: bool = False
    times: int = 1


class Tasks:
    """Listens on this machine at `address` from its making until it is closed, and delivers what is due.

    `calls` are the names of the methods that were called; `tokens` signs what it delivers.
    """

    def __init__(self, *, port: int = 0, keys_port: int = 0) -> None:
        self.calls: list[str] = []
        self.faults: list[Fault] = []
        self._ahead = 0.0
        self._queues = Queues(self.now)
        self._changed = threading.Condition()
        self._closed = False
        self.tokens = Tokens(port=keys_port, commands={"/advance": lambda query: self.advance(float(query["seconds"]))})
        self._posters = ThreadPoolExecutor(64, thread_name_prefix="tasks-post")
        self._server = grpc.server(ThreadPoolExecutor(8, thread_name_prefix="tasks-rpc"))
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, self._handlers()),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port(f'127.0.0.1:{port}')}"
        self._server.start()
        self._dispatcher = threading.Thread(target=self._dispatch, daemon=True)
        self._dispatcher.start()

    def __enter__(self) -> Tasks:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop. What is being delivered is waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._dispatcher.join()
        self._server.stop(None).wait()
        self._posters.shutdown()
        self.tokens.close()

    def wait(self) -> None:
        self._server.wait_for_termination()

    # --- for tests ---------------------------------------------------------------------------------------------

    def now(self) -> float:
        """The service's time, in seconds since 1970."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> float:
        """Let time pass; answers what it is now. Tokens are signed for the real time."""
        with self._changed:
            self._ahead += seconds
            self._changed.notify_all()
        return self.now()

    def make_queue(self, name: str, min_backoff: float = 0.1, max_backoff: float = 3600.0, attempts: int = 100) -> None:
        config = api.RetryConfig(
            min_backoff=timedelta(seconds=min_backoff),
            max_backoff=timedelta(seconds=max_backoff),
            max_attempts=attempts,
        )
        with self._changed:
            self._queues.make_queue(api.Queue(name=name, retry_config=config))

    def waiting(self, queue: str) -> list[api.Task]:
        """What is in a queue."""
        with self._changed:
            return [api.Task(entry.task) for entry in self._queues.of(queue)]

    # --- calls -------------------------------------------------------------------------------------------------

    def _handlers(self) -> dict[str, Any]:
        queues, states = self._queues, api.Queue.State
        answers: dict[str, tuple[Any, Callable[[Any], Any]]] = {
            "CreateQueue": (api.CreateQueueRequest, lambda asked: queues.make_queue(asked.queue)),
            "GetQueue": (api.GetQueueRequest, lambda asked: queues.queue(asked.name)),
            "DeleteQueue": (api.DeleteQueueRequest, lambda asked: queues.drop_queue(asked.name)),
            "PurgeQueue": (api.PurgeQueueRequest, lambda asked: queues.purge(asked.name)),
            "PauseQueue": (api.PauseQueueRequest, lambda asked: queues.set_state(asked.name, states.PAUSED)),
            "ResumeQueue": (
                api.ResumeQueueRequest,
                lambda asked: queues.set_state(asked.name, states.RUNNING),
            ),
            "CreateTask": (api.CreateTaskRequest, lambda asked: queues.create(asked.parent, asked.task)),
            "GetTask": (api.GetTaskRequest, lambda asked: queues.get(asked.name).task),
            "ListTasks": (api.ListTasksRequest, self._list),
            "DeleteTask": (api.DeleteTaskRequest, lambda asked: queues.delete(asked.name)),
            "RunTask": (api.RunTaskRequest, lambda asked: queues.run(asked.name)),
        }
        return {name: self._handler(name, asked, answer) for name, (asked, answer) in answers.items()}

    def _handler(self, method: str, asked: Any, answer: Callable[[Any], Any]) -> Any:
        def call(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return self._answer(method, request, answer)
            except Refusal as refusal:
                context.abort(refusal.code, str(refusal))

        return grpc.unary_unary_rpc_method_handler(
            call, request_deserializer=asked.deserialize, response_serializer=lambda found: found
        )

    def _answer(self, method: str, request: Any, answer: Callable[[Any], Any]) -> bytes:
        with self._changed:
            self.calls.append(method)
            fault = next((fault for fault in self.faults if fault.method == method and fault.times), None)
            if fault is not None:
                fault.times -= 1
            if fault is None or fault.after:
                found = answer(request)
                self._changed.notify_all()
            if fault is not None:
                raise Refusal(fault.code, "by a fault")
            return _bytes(found)

    def _list(self, asked: api.ListTasksRequest) -> api.ListTasksResponse:
        tasks = [entry.task for entry in self._queues.of(asked.parent) if entry.task.name > asked.page_token]
        size = asked.page_size or 1000
        more = tasks[size - 1].name if len(tasks) > size else ""
        return api.ListTasksResponse(tasks=tasks[:size], next_page_token=more)

    # --- delivery ----------------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        with self._changed:
            while not self._closed:
                for entry in self._queues.take_due():
                    self._posters.submit(self._deliver, entry)
                due = self._queues.next_due()
                self._changed.wait(None if due is None else min(max(due - self.now(), 0.0), 3600.0))

    def _deliver(self, entry: Entry) -> None:
        request, longest = entry.task.http_request, entry.task.dispatch_deadline
        headers = self._headers(entry)
        timeout = longest.total_seconds() if longest else _LONGEST
        status = post(request.url, headers, request.body, timeout, request.http_method.name)
        with self._changed:
            self._queues.attempted(entry, status)
            self._changed.notify_all()

    def _headers(self, entry: Entry) -> Mapping[str, str]:
        task, request = entry.task, entry.task.http_request
        queue, _, name = task.name.rpartition("/tasks/")
        headers = {"Content-Type": "application/octet-stream"} | dict(request.headers)
        headers |= {
            "User-Agent": "Google-Cloud-Tasks",
            "X-CloudTasks-QueueName": queue.rpartition("/")[2],
            "X-CloudTasks-TaskName": name,
            "X-CloudTasks-TaskRetryCount": str(task.dispatch_count - 1),
            "X-CloudTasks-TaskExecutionCount": str(task.response_count),
            "X-CloudTasks-TaskETA": f"{task.schedule_time.timestamp():.6f}",
        }
        if entry.last_status is not None:
            headers["X-CloudTasks-TaskPreviousResponse"] = str(entry.last_status)
        if account := request.oidc_token.service_account_email:
            audience = request.oidc_token.audience or request.url
            headers["Authorization"] = f"Bearer {self.tokens.sign(account, audience)}"
        return headers


def _bytes(found: Any) -> bytes:
    if found is None:
        return b""
    serialized: bytes = type(found).serialize(found)
    return serialized


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m emulators.tasks", description="Cloud Tasks in memory.")
    parser.add_argument("--port", type=int, default=0, help="0: one that is free")
    parser.add_argument("--keys-port", type=int, default=0, help="where the keys of its tokens are")
    parser.add_argument("--queue", action="append", default=[], help="a queue to make (may be given more than once)")
    options = parser.parse_args()
    with Tasks(port=options.port, keys_port=options.keys_port) as tasks:
        for queue in options.queue:
            tasks.make_queue(queue)
        print(f"{tasks.address}\nkeys {tasks.tokens.url}", flush=True)
        try:
            tasks.wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
