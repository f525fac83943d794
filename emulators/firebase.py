"""Google's emulators of Firestore and Pub/Sub, started by the Firebase CLI: both by one command.

    with Firebase() as firebase:
        firebase.firestore.address, firebase.pubsub.address

The CLI needs Java 21 or newer: that of FIREBASE_JAVA_HOME, where other programs need an older one. At its first start
it downloads the emulators, unless the Cloud SDK has them. By hand, at the ports of `firebase.json`:

    firebase emulators:start --config emulators/firebase.json --only firestore,pubsub --project demo-onward
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from emulators import firestore, pubsub
from emulators.cloud_sdk import (
    QUICK,
    STARTS_IN,
    STOPS_IN,
    Missing,
    SdkEmulator,
    answers,
    find_in_sdk,
    find_java,
    free_port,
)

CONFIG = Path(__file__).with_name("firebase.json")
PROJECT = "demo-onward"
"""With such a name the CLI asks no service about it. The emulators take every project."""

OLDEST = 21
DOWNLOADS_IN = 600.0

_GUARDED = 'exec 3<&0 </dev/null; "$@" 3<&- & child=$!; (read -r _ <&3; kill -9 0) & wait $child'
"""The CLI isn't asked to end: one that is waits for Pub/Sub's end, and if that takes long kills whatever on the
machine looks like it."""

_JAVA = """#!/bin/sh
exec 4<>{held} 3<{held} 4>&-
trap 'kill -9 $child' INT TERM
{java} "$@" 3<&- & child=$!
(read -r _ <&3; kill -9 $child) >/dev/null 2>&1 & guard=$!
wait $child; code=$?
kill $guard
exit $code
"""
"""What the CLI runs as `java`, which ends with the pipe: the CLI gives each emulator a session of its own, which would
outlive it. Opened for writing, too, for a moment: else it would wait for a writer that is dead."""


class Firebase(SdkEmulator):
    """Both listen on this machine from its making until it is closed, and keep all in memory; `address` is
    Firestore's. Raises Missing and Failed.
    """

    guard = _GUARDED

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        cli, java = find_cli(environment), find_java_21(environment)
        self._folder = tempfile.TemporaryDirectory(prefix="firebase-")
        folder = Path(self._folder.name)
        os.mkfifo(folder / "held")
        self._held: int | None = os.open(folder / "held", os.O_RDWR)
        ports, given = _furnish(folder, java), _given(folder, environment)
        self.starts_in = STARTS_IN if len(given) == 2 else DOWNLOADS_IN
        self.pubsub = pubsub.Topics(f"127.0.0.1:{ports['pubsub']}")
        command = [cli, "emulators:start", "--only", "firestore,pubsub", "--project", PROJECT]
        settings = dict(environment) | _settings(folder, environment) | given
        super().__init__("Firebase CLI", command, ports["firestore"], cwd=folder, env=settings)

    def __enter__(self) -> Firebase:
        return self

    @property
    def firestore(self) -> Firebase:
        return self

    def await_answers(self) -> None:
        self.await_answer(self.address)
        self.await_answer(self.pubsub.address)

    def close(self) -> None:
        """Stop both, and wait until they are gone."""
        super().close()
        if self._held is not None:
            os.close(self._held)
            self._held = None
        end = time.monotonic() + STOPS_IN
        while (answers(self.address) or answers(self.pubsub.address)) and time.monotonic() < end:
            time.sleep(0.02)
        self._folder.cleanup()


def find_cli(environment: Mapping[str, str] = os.environ) -> str:
    """The Firebase CLI of the path. Raises Missing."""
    cli = shutil.which("firebase", path=environment.get("PATH"))
    if cli is None:
        raise Missing("the Firebase CLI is missing: npm install -g firebase-tools")
    return cli


def find_java_21(environment: Mapping[str, str] = os.environ) -> str:
    """The `java` of FIREBASE_JAVA_HOME, else the one that everything gets, if it is new enough. Raises Missing."""
    home = environment.get("FIREBASE_JAVA_HOME")
    with suppress(Missing):
        java = find_java({**environment, "JAVA_HOME": home} if home else environment)
        if _version(java) >= OLDEST:
            return java
    raise Missing(
        f"Java {OLDEST} is missing, or a newer one, which the Firebase CLI needs: install a runtime, and set "
        "FIREBASE_JAVA_HOME to where it is, unless it is the Java of JAVA_HOME or the path"
    )


def _version(java: str) -> int:
    """Of this Java; 0 of what is none."""
    done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=STARTS_IN, check=False)
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found[1]) if found else 0


# --- the folder of a run: its ports, its Java, what it is given, what it writes -------------------------------------


def _furnish(folder: Path, java: str) -> dict[str, int]:
    """Configuration and Java, and the ports by their names."""
    own = shlex.join([java, *QUICK, "-XX:-UsePerfData", f"-Djava.io.tmpdir={folder}"])
    (folder / "bin").mkdir()
    _write_script(folder / "bin" / "java", _JAVA.format(java=own, held=shlex.quote(str(folder / "held"))))
    ports = {name: free_port() for name in ("firestore", "pubsub", "hub", "logging")}
    config = json.loads(CONFIG.read_text())
    for name, port in ports.items():
        config["emulators"][name] = {"host": "127.0.0.1", "port": port}
    config["emulators"]["firestore"]["websocketPort"] = free_port()
    (folder / CONFIG.name).write_text(json.dumps(config))
    return ports


def _settings(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """It finds that Java, keeps its notes in the folder, and looks for no news."""
    path = f"{folder / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}"
    kept = dict.fromkeys(("TMPDIR", "XDG_CONFIG_HOME"), str(folder))
    return {"PATH": path, "JAVA_HOME": str(folder), "CI": "1", "NO_UPDATE_NOTIFIER": "1"} | kept


def _given(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """What the Cloud SDK has of the emulators, in the forms that the CLI takes."""
    given = {}
    with suppress(Missing):
        jar = firestore.find_jar(environment)
        given["FIRESTORE_EMULATOR_BINARY_PATH"] = str(_startable(jar, folder / "firestore.jar"))
    with suppress(Missing):
        jar = find_in_sdk(pubsub.JAR, pubsub.COMPONENT, environment)
        script = _write_script(folder / "pubsub", f'#!/bin/sh\nexec java -jar {shlex.quote(str(jar))} "$@"\n')
        given["PUBSUB_EMULATOR_BINARY_PATH"] = str(script)
    return given


def _startable(jar: Path, made: Path) -> Path:
    """A jar that says which class of the other one is to be started: that of the SDK doesn't, and the CLI can't."""
    beside = made.with_name(f"sdk-{made.name}")
    beside.symlink_to(jar)
    lines = ["Manifest-Version: 1.0", f"Main-Class: {firestore.MAIN}", f"Class-Path: {beside.name}"]
    folded = [f"{line[:70]}\r\n {line[70:]}" if len(line) > 70 else line for line in lines]
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("META-INF/MANIFEST.MF", "\r\n".join([*folded, "", ""]))
    return made


def _write_script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path
