"""The emulated service itself: it refuses what the service refuses, and streams."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulators.gemini import Emulator, ScriptError, read_script
from emulators.gemini.rules import refusal

ROOT = Path(__file__).parents[2]
USER = {"role": "user", "parts": [{"text": "hello"}]}
FIND: dict[str, Any] = {
    "functionCall": {"name": "find", "args": {}},
    "thoughtSignature": "skip_thought_signature_validator",
}
FOUND: dict[str, Any] = {"functionResponse": {"name": "find", "response": {}}}


@pytest.fixture
def alone() -> Iterator[Emulator]:
    """An emulator, and no client of Google's."""
    with Emulator() as emulator:
        yield emulator


def post(url: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and body. The key is sent unless other headers are given."""
    asked = urllib.request.Request(
        f"{url}", json.dumps(body or {"contents": [USER]}).encode(), headers or {"x-goog-api-key": "test-key"}
    )
    try:
        with urllib.request.urlopen(asked) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, json.loads(exc.read())


def contents(*turns: Any) -> list[dict[str, Any]]:
    """User and model in turns."""
    return [{"role": role, "parts": parts} for role, parts in zip(["user", "model"] * len(turns), turns, strict=False)]


HELLO = [{"text": "hello"}]
UNSIGNED = {"functionCall": FIND["functionCall"]}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"contents": []}, "contents is not specified"),
        ({"contents": [USER], "instructions": "x"}, 'Unknown name "instructions"'),
        ({"contents": [{"role": "tool", "parts": HELLO}]}, "valid role"),
        ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
        ({"contents": [{"role": "user", "parts": [{"text": ""}]}]}, "not empty"),
        ({"contents": [{"role": "user", "parts": [{"words": "x"}]}]}, 'Unknown name "words"'),
        ({"contents": [{"role": "user", "parts": [{"text": "x", **FIND}]}]}, "oneof"),
        (
            {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "a/b", "data": "x"}}]}]},
            "MIME type: a/b",
        ),
        ({"contents": contents(HELLO, HELLO)}, "end with a user role"),
        ({"contents": contents(HELLO, [FIND])}, "number of function response parts"),
        ({"contents": contents(HELLO, [FIND], HELLO)}, "number of function response parts"),
        ({"contents": contents(HELLO, [FIND, FIND], [FOUND])}, "number of function response parts"),
        ({"contents": contents([FOUND])}, "immediately after a function call turn"),
        ({"contents": contents(HELLO, HELLO, [FOUND])}, "immediately after a function call turn"),
        ({"contents": contents(HELLO, [FIND], [FOUND])[1:]}, "immediately after a user turn"),
        ({"contents": contents(HELLO, [UNSIGNED], [FOUND])}, "missing a thought_signature"),
        ({"contents": contents(HELLO, [UNSIGNED, FIND], [FOUND, FOUND])}, "missing a thought_signature"),
        ({"contents": contents(HELLO, [{**FIND, "thoughtSignature": "AAAA"}], [FOUND])}, "not valid"),
        ({"contents": [USER], "tools": [{"functionDeclarations": [{"name": "a b"}]}]}, "Invalid function name"),
    ],
)
def test_what_the_service_refuses(alone: Emulator, asked: Any, says: str) -> None:
    alone.play({"text": "never"})
    url = f"{alone.url}/v1/models/gemini-3-flash:generateContent"
    code, said = post(url, asked)
    assert (code, said["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert says in said["error"]["message"]


def test_what_it_takes() -> None:
    earlier = contents(HELLO, [UNSIGNED], [FOUND], HELLO, HELLO)
    assert refusal("gemini-3-flash", {"contents": earlier}) is None
    assert refusal("gemini-3-flash", {"contents": contents(HELLO, [FIND, UNSIGNED], [FOUND, FOUND])}) is None
    assert refusal("gemini-2.5-pro", {"contents": contents(HELLO, [UNSIGNED], [FOUND])}) is None


def test_older_models_have_no_shape_beside_tools() -> None:
    asked = {
        "contents": [USER],
        "tools": [{"functionDeclarations": [{"name": "find"}]}],
        "generationConfig": {"responseMimeType": "application/json"},
    }
    assert "is unsupported" in (refusal("gemini-2.5-pro", asked) or "")
    assert refusal("gemini-3-flash", asked) is None


def test_who_asks_what(alone: Emulator) -> None:
    url = f"{alone.url}/v1/models/gemini-3-flash:generateContent"
    vertex = f"{alone.url}/v1beta1/projects/p/locations/l/publishers/google/models/gemini-3-flash:generateContent"
    assert post(url, **{"x-other": "1"})[0] == 403
    assert post(url, **{"x-goog-api-key": "wrong"})[0] == 400
    assert post(vertex, Authorization="Bearer wrong")[0] == 401
    assert post(f"{alone.url}/v1/models/claude:generateContent")[0] == 404
    assert post(f"{alone.url}/v1/models/gemini-3-flash:embed")[0] == 404
    assert post(f"{alone.url}/v2")[0] == 404
    code, said = post(url)
    assert (code, "has 0 turns" in said["error"]["message"]) == (400, True)
    alone.play({"text": "Hi"}, {"text": "Ho"})
    assert post(url)[0] == 200
    assert post(vertex, Authorization="Bearer test-key")[0] == 200
    assert [request.status for request in alone.requests] == [403, 400, 401, 404, 404, 404, 400, 200, 200]


async def test_it_streams(emulator: Emulator, google: None) -> None:
    from google import genai
    from google.genai import types

    usage = {"prompt": 9, "candidates": 4}
    emulator.play(
        {"thought": "Greet.", "text": "Hello there", "usage": usage},
        {"text": "Let me see.", "calls": [{"name": "find", "id": "c1"}]},
        {"text": "Hello there", "cut": 60},
    )
    client = genai.Client(api_key=emulator.key, http_options=types.HttpOptions(base_url=emulator.url))

    async def stream() -> list[types.GenerateContentResponse]:
        asked = client.aio.models.generate_content_stream(model="gemini-3-flash", contents="hi")
        return [chunk async for chunk in await asked]

    chunks = await stream()
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert "".join(part.text for part in parts if not part.thought) == "Hello there"
    assert [bool(part.thought_signature) for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].text == ""
    assert [chunk.usage_metadata is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    called = (await stream())[-1].candidates[0]
    assert called.content.parts[0].function_call.id == "c1"
    assert called.content.parts[0].thought_signature
    with pytest.raises(Exception, match=r"peer closed|Failed to parse|incomplete"):
        await stream()
    await client.aio.aclose()
    client.close()


@pytest.mark.parametrize(
    ("turn", "says"),
    [
        ("hi", "turn: it is an object"),
        ({"txt": "hi"}, "turn.txt: there is no such field"),
        ({"text": 3}, "turn.text: 3 is of the wrong kind"),
        ({"calls": [{"tool": "find"}]}, r"turn.calls\[0\].tool: there is no such field"),
        ({"usage": {"tokens": 3}}, "turn.usage.tokens"),
        ({"error": {"message": "x"}}, "turn.error.code: it is missing"),
        ({"empty": "all"}, "turn.empty"),
    ],
)
def test_a_wrong_turn_is_refused_by_field(alone: Emulator, turn: Any, says: str) -> None:
    with pytest.raises(ScriptError, match=says):
        alone.play(turn)


def test_a_script_is_a_file(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    with pytest.raises(ScriptError, match=r"script\.json: .*No such file"):
        read_script(script)
    script.write_text('{"turns": [{"text": "Hi"}, {"txt": "Hi"}]}')
    with pytest.raises(ScriptError, match=r"script\.json: turns\[1\]\.txt"):
        read_script(script)


def test_it_is_a_command(tmp_path: Path) -> None:
    (tmp_path / "script.json").write_text('{"turns": [{"text": "Hi"}]}')
    command = [sys.executable, "-m", "emulators.gemini", "--port", "0", "--script", str(tmp_path / "script.json")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert '"Hi"' in post(f"{url}/v1/models/gemini-3-flash:generateContent")[1]
        finally:
            process.terminate()
    command[-1] = str(tmp_path / "none.json")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, "none.json" in done.stderr) == (2, True)
