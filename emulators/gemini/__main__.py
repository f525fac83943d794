"""`python -m emulators.gemini --port 0 --script FILE`: prints its address, and serves until it is interrupted."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from emulators.gemini.script import ScriptError, read_script
from emulators.gemini.server import KEY, Emulator


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m emulators.gemini", description="Gemini by a script.")
    parser.add_argument("--port", type=int, default=0, help="0: one that is free")
    parser.add_argument("--script", type=Path, required=True, help='JSON: {"turns": [...]}')
    parser.add_argument("--key", default=KEY, help="the API key that is asked for")
    options = parser.parse_args()
    try:
        turns = read_script(options.script)
    except ScriptError as exc:
        print(exc, file=sys.stderr)
        return 2
    with Emulator(turns, key=options.key, port=options.port) as emulator:
        print(emulator.url, flush=True)
        try:
            emulator.wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
