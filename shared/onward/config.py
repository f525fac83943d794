"""What the environment says. Nothing else in the library reads it."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """`identity` is who decides and operates on this machine; `app` and `db` are what commands use by default;
    `color` says that a terminal may be written to in colour."""

    identity: str
    app: str
    db: str
    color: bool = True

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """ONWARD_IDENTITY (else the login name), ONWARD_APP (else `app`), ONWARD_DB (else `onward.db`), NO_COLOR."""
        env = os.environ if environ is None else environ
        return cls(
            identity=env.get("ONWARD_IDENTITY") or _login(),
            app=env.get("ONWARD_APP") or "app",
            db=env.get("ONWARD_DB") or "onward.db",
            color=not env.get("NO_COLOR") and env.get("TERM") != "dumb",
        )


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "local"
