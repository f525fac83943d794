"""`python -m emulators` ends all that it started: however it ends itself."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emulators.cloud_sdk import Failed
from emulators.functions import Function

if TYPE_CHECKING:
    from tests.cloud.world import World

ROOT = Path(__file__).parents[2]


def listens(port: int) -> bool:
    with socket.socket() as tried:
        tried.settimeout(1)
        return tried.connect_ex(("127.0.0.1", port)) == 0


def until_silent(ports: set[int]) -> None:
    end = time.monotonic() + 30
    while left := {port for port in ports if listens(port)}:
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.1)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_behind(world: World, tmp_path: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-m", "emulators", "--logs", str(tmp_path / "logs")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if "Ctrl-C" in line:
                break
        ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", "".join(said))}
        assert len(ports) >= 10
        assert all(map(listens, ports))
        os.kill(process.pid, how)
        try:
            code = process.wait(30)
        finally:
            process.kill()
    assert code == (0 if how is signal.SIGINT else -signal.SIGKILL)
    until_silent(ports)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path), "JAVA_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "emulators"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.match(r"Java is missing.*: install", done.stderr)
    assert len(done.stderr.splitlines()) == 1


def test_what_is_wrong_ends_the_start_of_a_function(world: World, tmp_path: Path) -> None:
    function = Function("advance", tmp_path / "advance.log")
    with pytest.raises(Failed, match=r"there is no file nowhere\.py"):
        function.start(world.cloud.environment | {"ONWARD_APP": "nowhere.py"})
    function.close()


async def test_the_lines_of_the_page_are_typed_as_they_stand(world: World) -> None:
    page = (ROOT / "docs/cloud.md").read_text()
    (lines,) = re.findall(r"^```sh\n(.*?)^```$", page.partition("Trying it")[2].partition("\n## ")[0], re.M | re.S)
    shell = ["bash", "-ec", f'curl() {{ command curl --fail-with-body "$@"; }}\n{lines}']
    told = world.cloud.environment | {"ONWARD_TOKEN": world.cloud.token("grace@shop.example")}
    done = await asyncio.to_thread(subprocess.run, shell, env=os.environ | told, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert '"id":"s-1"' in done.stdout.replace(" ", "")
    await world.until("s-1", "approval_requested")
