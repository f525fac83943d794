"""`python -m emulators`: everything that a deployment needs, on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from emulators import cloud_sdk
from emulators.cloud import AUDIENCE, FOLLOW, SESSIONS, Cloud, CloudSdk
from emulators.firebase import Firebase

APP = "functions/agents/refund_desk.py"
FOLDER = Path("build/emulators")
GOOGLE = {"sdk": CloudSdk, "firebase": Firebase}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m emulators", description="All of Onward's cloud on this machine.")
    parser.add_argument("--app", default=APP, help=f"what the functions run (default {APP})")
    parser.add_argument("--project", default="local-project")
    parser.add_argument("--logs", type=Path, default=FOLDER, help=f"where the functions log to (default {FOLDER})")
    starts = "what starts Firestore and Pub/Sub: the Cloud SDK (default) or the Firebase CLI"
    parser.add_argument("--with", dest="google", choices=GOOGLE, default="sdk", help=starts)
    options = parser.parse_args()
    for ends in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a shell's background job would ignore the first
        signal.signal(ends, _interrupt)
    try:
        google = GOOGLE[options.google]
        with Cloud(options.app, project=options.project, folder=options.logs, google=google) as cloud:
            print(_words(cloud, options.logs), flush=True)
            _until_interrupted()
    except (cloud_sdk.Missing, cloud_sdk.Failed) as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _until_interrupted() -> None:
    """A signal that another thread was given is noticed between two naps."""
    while True:
        time.sleep(0.2)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _words(cloud: Cloud, logs: Path) -> str:
    exports = [f"export {name}='{value}'" for name, value in cloud.environment.items()]
    urls = [f"# {name:8} {function.url}" for name, function in cloud.functions.items()]
    more = [
        f"# topic {SESSIONS} moves sessions; subscription {FOLLOW} has their events; logs are in {logs}",
        f"# who decides, for an hour, as a token for the API (audience {AUDIENCE}) says it:",
        f"export ONWARD_TOKEN=\"$(curl -sX POST '{cloud.tokens.url}/token?email=you@example.com' | tr -d '\\\"')\"",
        "# Ctrl-C ends it all",
    ]
    return "\n".join([*exports, *urls, *more])


if __name__ == "__main__":
    sys.exit(main())
