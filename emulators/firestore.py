"""Google's own Firestore emulator, from the Cloud SDK: started in a moment, and gone with whoever started it.

python -m emulators.firestore --port 8085
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from emulators.cloud_sdk import QUICK, Failed, Missing, SdkEmulator, find_in_sdk, find_java, free_port

COMPONENT = "cloud-firestore-emulator"
JAR = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"


def find_jar(environment: Mapping[str, str] = os.environ) -> Path:
    """The emulator's jar. Raises Missing."""
    return find_in_sdk(JAR, COMPONENT, environment, called="Firestore emulator")


class FirestoreEmulator(SdkEmulator):
    """Listens on this machine at `address` from its making until it is closed; keeps all in memory.

    Raises Missing and Failed.
    """

    def __init__(self, port: int = 0, flags: tuple[str, ...] = QUICK) -> None:
        port = port or free_port()
        listens = ("start", "--host=127.0.0.1", f"--port={port}")
        command = [find_java(), "-Duser.language=en", *flags, "-cp", str(find_jar()), MAIN, *listens]
        super().__init__("Firestore emulator", command, port)

    def __enter__(self) -> FirestoreEmulator:
        return self


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the Firestore emulator until Ctrl-C.")
    parser.add_argument("--port", type=int, default=8085)
    asked = parser.parse_args()
    try:
        with FirestoreEmulator(asked.port, flags=()) as emulator:
            print(f"FIRESTORE_EMULATOR_HOST={emulator.address}", flush=True)
            emulator.wait()
    except (Missing, Failed) as exc:
        sys.exit(str(exc))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
