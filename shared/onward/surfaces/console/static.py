"""The console's own files: its style, its scripts and its icon."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response

from onward.core.canonical import sha256
from onward.errors import NotFound

_MEDIA: Mapping[str, str] = MappingProxyType(
    {
        "approvals.js": "text/javascript",
        "console.css": "text/css",
        "console.js": "text/javascript",
        "live.js": "text/javascript",
        "icon.svg": "image/svg+xml",
    }
)
_TEXTS: Mapping[str, str] = MappingProxyType(
    {name: (files(__package__) / "static" / name).read_text("utf-8") for name in _MEDIA}
)
_VERSIONS: Mapping[str, str] = MappingProxyType({name: sha256(text)[:12] for name, text in _TEXTS.items()})


def address(name: str) -> str:
    """Where a file is: another place for other content, so that browsers may keep it."""
    return f"/static/{name}?v={_VERSIONS[name]}"


async def give(request: Request) -> Response:
    """One file. Raises NotFound."""
    name = request.path_params["name"]
    if name not in _TEXTS:
        raise NotFound(f"there is no file {name[:100]}")
    current = request.query_params.get("v") == _VERSIONS[name]
    headers = {
        "Cache-Control": "private, max-age=31536000, immutable" if current else "no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(_TEXTS[name], headers=headers, media_type=_MEDIA[name])
