"""What the environment says. Nothing else in the library reads it."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass, field


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


@dataclass(frozen=True, slots=True)
class GeminiSettings:
    """How Gemini is reached: by `api_key`, or with `vertex` through `project` and `location`, and where, unless at the
    service's own place. None leaves it to the client."""

    api_key: str | None = field(default=None, repr=False)
    vertex: bool = False
    project: str | None = None
    location: str | None = None
    base_url: str | None = None

    def completed(self, environ: Mapping[str, str] | None = None) -> GeminiSettings:
        """These, and from the environment what they leave open: GOOGLE_API_KEY, else GEMINI_API_KEY, and
        GOOGLE_GEMINI_BASE_URL; on Vertex AI, which GOOGLE_GENAI_USE_VERTEXAI chooses where no key is given,
        GOOGLE_CLOUD_PROJECT, GOOGLE_CLOUD_LOCATION and GOOGLE_VERTEX_BASE_URL."""
        env = os.environ if environ is None else environ
        chosen = env.get("GOOGLE_GENAI_USE_VERTEXAI", "").lower() in ("true", "1")
        if not (self.vertex or (chosen and not self.api_key)):
            key = (self.api_key or env.get("GOOGLE_API_KEY") or env.get("GEMINI_API_KEY") or "").strip()
            return GeminiSettings(key or None, base_url=self.base_url or env.get("GOOGLE_GEMINI_BASE_URL") or None)
        return GeminiSettings(
            api_key=self.api_key,
            vertex=True,
            project=self.project or env.get("GOOGLE_CLOUD_PROJECT") or None,
            location=self.location or env.get("GOOGLE_CLOUD_LOCATION") or None,
            base_url=self.base_url or env.get("GOOGLE_VERTEX_BASE_URL") or None,
        )


def secret_from_env(name: str, environ: Mapping[str, str] | None = None) -> str | None:
    """The secret that the environment variable of this name holds; None where there is none."""
    return (os.environ if environ is None else environ).get(name)


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "local"
