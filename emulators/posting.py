"""One HTTP request, as services make them to those who registered a URL: nothing is followed, nothing repeated."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from urllib.parse import urlsplit


def post(url: str, headers: Mapping[str, str], body: bytes, timeout: float, method: str = "POST") -> int | None:
    """The status of the answer; None where there was none within `timeout` seconds."""
    split = urlsplit(url)
    kind = http.client.HTTPSConnection if split.scheme == "https" else http.client.HTTPConnection
    connection = kind(split.netloc, timeout=timeout)
    try:
        path = f"{split.path or '/'}{'?' if split.query else ''}{split.query}"
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
