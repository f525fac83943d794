"""Cloud Scheduler as a timer: posts to a URL every so often, with a token as the service's own jobs have.

    with Scheduler("sweep", URL, every=60.0, service_account="sweep@example.com", tokens=tokens) as job:
        job.run()                 # now, and wait for the answer

Or from a shell: `python -m emulators.scheduler --url http://127.0.0.1:8080/ --every 60` prints where the keys of its
tokens are.
"""

from __future__ import annotations

import argparse
import sys
import threading
from datetime import UTC, datetime

from emulators.posting import post
from emulators.tokens import Tokens

_LONGEST = 180.0
"""Seconds that a target may take, as in the service by default."""


class Scheduler:
    """One job, from its making until it is closed: first after `every` seconds. An attempt that fails is not repeated
    before the next is due, and one never starts before the one before has ended. `statuses` are what was answered,
    None where nothing was."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        every: float,
        service_account: str | None = None,
        audience: str | None = None,
        tokens: Tokens | None = None,
        body: bytes = b"",
    ) -> None:
        if service_account and tokens is None:
            raise ValueError("a service account needs tokens to sign with")
        self.statuses: list[int | None] = []
        self._name, self._url, self._every, self._body = name, url, every, body
        self._account, self._audience, self._tokens = service_account, audience or url, tokens
        self._turn = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def __enter__(self) -> Scheduler:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop; an attempt under way is waited for."""
        self._closed.set()
        self._thread.join()

    def wait(self) -> None:
        """Until it is closed, or a key interrupts."""
        self._closed.wait()

    def run(self) -> int | None:
        """Post now, and answer the status."""
        headers = {
            "Content-Type": "application/octet-stream",
            "User-Agent": "Google-Cloud-Scheduler",
            "X-CloudScheduler": "true",
            "X-CloudScheduler-JobName": self._name,
            "X-CloudScheduler-ScheduleTime": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        if self._account and self._tokens:
            headers["Authorization"] = f"Bearer {self._tokens.sign(self._account, self._audience)}"
        with self._turn:
            status = post(self._url, headers, self._body, _LONGEST)
            self.statuses.append(status)
            return status

    def _work(self) -> None:
        while not self._closed.wait(self._every):
            self.run()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m emulators.scheduler", description="Posts to a URL every so often.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--every", type=float, default=60.0, help="seconds")
    parser.add_argument("--service-account", default="scheduler@local.iam.gserviceaccount.com")
    parser.add_argument("--audience", help="of its tokens; by default the URL")
    parser.add_argument("--port", type=int, default=0, help="where the keys of its tokens are; 0: one that is free")
    options = parser.parse_args()
    with Tokens(port=options.port) as tokens:
        print(f"keys {tokens.url}", flush=True)
        account, audience = options.service_account, options.audience
        job = Scheduler(
            "job", options.url, every=options.every, service_account=account, audience=audience, tokens=tokens
        )
        with job:
            try:
                job.wait()
            except KeyboardInterrupt:
                return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
