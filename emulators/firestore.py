"""Google's own Firestore emulator, from the Cloud SDK: started in a moment, and gone with whoever started it.

python -m emulators.firestore --port 8085
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

JAR = Path("platform/cloud-firestore-emulator/cloud-firestore-emulator.jar")
MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m")
"""For runs of a few minutes. Long ones are quicker without."""

STARTS_IN, STOPS_IN = 60.0, 20.0
"""Seconds, on a machine that has much else to do."""

GET_SDK = (
    "the Firestore emulator is missing: install the Google Cloud CLI with its component cloud-firestore-emulator "
    "(gcloud components install cloud-firestore-emulator, or the package google-cloud-cli-firestore-emulator), "
    "or set CLOUDSDK_ROOT to where it is"
)
GET_JAVA = "Java is missing, which the Firestore emulator needs: install a runtime, version 17 or newer"

_GUARD = 'exec 3<&0 </dev/null; "$@" 3<&- & it=$!; (read -r _ <&3; kill $it) & wait $it'
"""Runs a command until it ends or the pipe on its input does: however its parent ends, the command ends too."""


class Missing(Exception):
    """What is not here; the message says how to get it."""


class Failed(Exception):
    """The emulator did not start; the message has the end of what it said."""


def find_jar(environment: Mapping[str, str] = os.environ) -> Path:
    """The emulator's jar, below CLOUDSDK_ROOT or beside `gcloud`. Raises Missing."""
    gcloud = shutil.which("gcloud", path=environment.get("PATH"))
    set_root = environment.get("CLOUDSDK_ROOT")
    roots = [Path(set_root)] if set_root else list(Path(gcloud).resolve().parents) if gcloud else []
    for root in roots:
        if (root / JAR).is_file():
            return root / JAR
    raise Missing(GET_SDK)


def find_java(environment: Mapping[str, str] = os.environ) -> str:
    """The `java` of JAVA_HOME or of the path. Raises Missing."""
    home = environment.get("JAVA_HOME")
    path = f"{home}/bin" if home else environment.get("PATH")
    java = shutil.which("java", path=path)
    if java is None:
        raise Missing(GET_JAVA)
    return java


class FirestoreEmulator:
    """Listens on this machine at `host` (`127.0.0.1:PORT`) from its making until it is closed; keeps all in memory.

    Raises Missing, and Failed.
    """

    def __init__(self, port: int = 0, flags: tuple[str, ...] = QUICK) -> None:
        port = port or _free_port()
        self.host = f"127.0.0.1:{port}"
        listens = ("start", "--host=127.0.0.1", f"--port={port}")
        command = [find_java(), "-Duser.language=en", *flags, "-cp", str(find_jar()), MAIN, *listens]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", *command],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> FirestoreEmulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop it, and wait until it is gone."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(STOPS_IN)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()

    def wait(self) -> None:
        """Return when it has ended by itself."""
        self._process.wait()

    def _wait_until_it_answers(self) -> None:
        end = time.monotonic() + STARTS_IN
        while not _answers(self.host):
            if self._process.poll() is not None or time.monotonic() > end:
                raise Failed(f"the Firestore emulator did not start: {self._said()}")
            time.sleep(0.02)

    def _said(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-1000:].strip() or "it said nothing"


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port


def _answers(host: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{host}/", timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the Firestore emulator until Ctrl-C.")
    parser.add_argument("--port", type=int, default=8085)
    asked = parser.parse_args()
    try:
        with FirestoreEmulator(asked.port, flags=()) as emulator:
            print(f"FIRESTORE_EMULATOR_HOST={emulator.host}", flush=True)
            emulator.wait()
    except (Missing, Failed) as exc:
        sys.exit(str(exc))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
