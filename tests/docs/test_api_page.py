"""What the page on the API shows is typed into a shell, against a server of this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onward.surfaces.http.roles import Roles
from tests.docs.test_docs import FENCE, ROOT

PAGE = ROOT / "docs/howto/api.md"
SERVE = [sys.executable, "-c", "from onward.surfaces.cli import main; main()", "dev"]
SERVE += [str(ROOT / "docs/examples/library.py"), "--no-browser", "--port", "0", "--json"]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT / "shared"), "ONWARD_IDENTITY": "ann", "ONWARD_ROLES": ""}
    with subprocess.Popen(SERVE, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"{json.loads(process.stdout.readline())['url']}/v1"
        process.terminate()


def typed(block: str, **env: str) -> str:
    """What a shell says to it, if all went well."""
    text = f'set -e\ncurl() {{ command curl --fail-with-body --max-time 20 "$@"; echo; }}\n{block}'
    done = subprocess.run(["bash", "-c", text], env=os.environ | env, capture_output=True, text=True)
    assert done.returncode == 0, (block, done.stdout, done.stderr)
    return done.stdout


def asked(api: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{api}/approvals") as answer:
        found: dict[str, Any] = json.load(answer)["approvals"][0]
    return found


def until(api: str, kind: str) -> None:
    for after in range(100):
        with urllib.request.urlopen(f"{api}/sessions/visit-1/events?after={after}&wait=20") as answer:
            if any(event["kind"] == kind for event in json.load(answer)["events"]):
                return


def test_every_line_of_the_page_works(api: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is missing: apt install curl")
    blocks = [match[2] for match in FENCE.finditer(PAGE.read_text()) if match[1] == "sh"]
    starts, decides, links, by_link, again, forks, live, operates = blocks
    assert '"new":true' in typed(starts, API=api)
    until(api, "approval_requested")
    question = asked(api)
    link = json.loads(typed(links, API=api, CALL=question["call"]))
    token = link["path"].removeprefix("/link/")
    opened, refused = by_link.splitlines()
    assert question["digest"] in typed(opened, API=api, TOKEN=token)
    said = typed(decides, API=api, CALL=question["call"], DIGEST=question["digest"])
    assert '"approval_decided"' in said
    with pytest.raises(AssertionError, match="refused: approved by ann"):
        typed(refused, API=api, TOKEN=token)
    until(api, "session_completed")
    assert '"new":true' in typed(again, API=api)
    assert '"new":false' in typed(again, API=api)
    made, family = map(json.loads, typed(forks, API=api).splitlines())
    assert (made["new"], made["origin"]["seq"], made["effects"]) == (True, 2, "live-model")
    assert [each["id"] for each in family["sessions"]] == ["visit-1", "visit-1-brief"]
    followed = typed(live, API=api)
    assert followed.rstrip().splitlines()[-3:-1] == ["event: end", "id: end"]
    assert "id: 3\n" in followed
    assert "id: 2\n" not in followed
    told = [json.loads(line) for line in typed(operates, API=api).splitlines()]
    assert [told[0]["off"], told[1]["off"][0]["scope"], told[2]["off"]] == [True, "program:librarian", False]
    assert (told[3]["ok"], told[4]["status"]) == (True, "deleted")


def test_the_table_of_roles_that_the_page_shows_is_one() -> None:
    text = (ROOT / "docs/howto/identity.md").read_text()
    (table,) = [match[2] for match in FENCE.finditer(text) if match[1] == "toml"]
    roles = Roles.of(tomllib.loads(table))
    assert roles.rights("ann@example.com").roles("default") == {"viewer", "operator", "approver"}
