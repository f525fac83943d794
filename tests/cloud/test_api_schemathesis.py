"""What the description of the API allows and forbids is tried on it by Schemathesis: boundaries of every field, wrong
types, missing and unknown fields, wrong methods, no identity or a wrong one."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.http_client import openapi

ASKED = [
    *("--header", "Authorization: Bearer grace@shop.example"),
    *("--phases", "examples,coverage,fuzzing"),
    *("--max-examples", "10"),
    *("--seed", "1"),
    *("--exclude-checks", "positive_data_acceptance"),  # what fits the description may still name no session there is
    *("--warnings", "off"),
    "--continue-on-failure",
    "--no-color",
]


def _tool() -> str:
    found = os.environ.get("ONWARD_SCHEMATHESIS") or shutil.which("schemathesis")
    if not found:
        pytest.skip("Schemathesis is missing: pip install schemathesis, or name it in ONWARD_SCHEMATHESIS")
    return found


def _described(folder: Path) -> Path:
    """The description, but for what makes an answer wait."""
    document: dict[str, Any] = json.loads(json.dumps(openapi()))
    for operations in document["paths"].values():
        for operation in operations.values():
            said = operation.get("parameters", [])
            operation["parameters"] = [parameter for parameter in said if parameter["name"] != "wait"]
    file = folder / "openapi.json"
    file.write_text(json.dumps(document))
    return file


async def test_g15_the_api_is_as_it_is_described(tmp_path: Path) -> None:
    tool = _tool()
    from tests.cloud import servers

    async with servers.on_sqlite(tmp_path) as api:
        await api.asking("fuzzed")
        place = ["run", str(_described(tmp_path)), "--url", api.url]
        out = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            tool, *place, *ASKED, cwd=tmp_path, stdout=out, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
