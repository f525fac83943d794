"""A server that speaks as Gemini does and answers by a script.

    with Emulator([{"text": "Hello"}]) as gemini:
        ...                       # ask gemini.url
    gemini.requests               # what was asked

Or from a shell: `python -m emulators.gemini --port 0 --script FILE`.
"""

from emulators.gemini.script import ScriptError, Turn, read_script
from emulators.gemini.server import Emulator, Request

__all__ = ["Emulator", "Request", "ScriptError", "Turn", "read_script"]
