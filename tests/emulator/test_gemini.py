"""The real client of Google's against an emulated service: every answer, every failure."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulators.gemini import Emulator
from onward import Gemini
from onward.core.events import Usage
from onward.core.model import ModelAnswer, ModelCall, ModelRequest, ToolSpec
from onward.core.state import Entry
from onward.errors import (
    BadAnswer,
    BadInput,
    ModelBlocked,
    ModelRefused,
    ModelUnavailable,
    PromptTooLong,
    RateLimited,
)

Make = Callable[..., Gemini]
FIND = ToolSpec("find", "Find an order.", {"type": "object", "properties": {"id": {"type": "string"}}})
NOW = ToolSpec("now", "Say what time it is.", {"type": "object", "properties": {}})
HELLO = Entry(kind="input", seq=1, value="hello")
SHAPE = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}


def request(*transcript: Entry, model: str = "gemini-3-flash", **options: Any) -> ModelRequest:
    fields: dict[str, Any] = {"instructions": "Be brief.", "tools": (FIND, NOW), "max_output_tokens": 100, **options}
    return ModelRequest(model=model, transcript=transcript or (HELLO,), **fields)


def entry(answer: ModelAnswer, seq: int, model: str = "gemini-3-flash") -> Entry:
    """An answer as the log keeps it: through JSON."""
    calls = [{"name": call.name, "arguments": call.arguments} for call in answer.calls]
    value = {"text": answer.text, "calls": calls}
    kept = Entry(kind="answer", seq=seq, value=value, content=answer.content, model=model)
    return Entry.model_validate_json(kept.model_dump_json())


def result(value: Any, seq: int, call: str, **fields: Any) -> Entry:
    return Entry(kind="result", seq=seq, value=value, call=call, tool="find", **fields)


async def failure(model: Gemini, asked: ModelRequest | None = None) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller looks at its type
        await model.answer(asked or request())
    return caught.value


# --- answers ---------------------------------------------------------------------------------------------------


async def test_an_answer_in_words(emulator: Emulator, gemini: Make) -> None:
    emulator.play(
        {
            "thought": "Greet.",
            "text": "Hello there",
            "usage": {"prompt": 50, "cached": 30, "candidates": 3, "thoughts": 8, "tool_use": 2},
        }
    )
    answer = await gemini().answer(request())
    assert (answer.text, answer.calls, answer.finish) == ("Hello there", (), "stop")
    assert answer.usage == Usage(input_tokens=52, output_tokens=3, cached_tokens=30, thinking_tokens=8)
    assert answer.content["parts"][0] == {"text": "Greet.", "thought": True}
    (asked,) = emulator.requests
    assert asked.path == "/v1/models/gemini-3-flash:generateContent"
    assert asked.body["contents"] == [{"role": "user", "parts": [{"text": "hello"}]}]
    assert asked.body["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert asked.body["generationConfig"] == {"maxOutputTokens": 100}
    assert asked.body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "find", "description": "Find an order.", "parametersJsonSchema": FIND.parameters},
                {"name": "now", "description": "Say what time it is."},
            ]
        }
    ]


async def test_calls_with_and_without_ids_and_arguments(emulator: Emulator, gemini: Make) -> None:
    emulator.play(
        {"text": "Let me see.", "calls": [{"name": "find", "args": {"id": "o1"}, "id": "x7"}, {"name": "now"}]}
    )
    answer = await gemini().answer(request())
    assert answer.text == "Let me see."
    assert answer.calls == (ModelCall("find", {"id": "o1"}), ModelCall("now", {}))
    assert json.loads(json.dumps(answer.content)) == answer.content


async def test_a_call_of_a_function_that_is_not_there_is_handed_on(emulator: Emulator, gemini: Make) -> None:
    emulator.play({"calls": [{"name": "fnd", "args": {"id": 1}}]})
    assert (await gemini().answer(request())).calls == (ModelCall("fnd", {"id": 1}),)


async def test_the_history_goes_back_unchanged_and_its_results_behind_it(emulator: Emulator, gemini: Make) -> None:
    emulator.play(
        {"thought": "Both.", "calls": [{"name": "find", "args": {"id": "o1"}, "id": "x7"}, {"name": "now"}]},
        {"text": "Done."},
    )
    model = gemini()
    first = await model.answer(request())
    late = Entry(kind="input", seq=4, value="hurry")
    history = (HELLO, entry(first, 2), late, result({"code": "no", "message": "n"}, 6, "3.1", failed=True))
    await model.answer(request(*history, result([1], 5, "3.0", arguments={"id": "o2"})))
    said, called, responses, hurry = emulator.requests[1].body["contents"]
    assert said["parts"] == [{"text": "hello"}]
    assert called["parts"][0] == {"text": "Both.", "thought": True}
    assert base64.urlsafe_b64decode(called["parts"][1]["thoughtSignature"])
    assert "thoughtSignature" not in called["parts"][2]
    assert [part["functionResponse"] for part in responses["parts"]] == [
        {
            "name": "find",
            "id": "x7",
            "response": {
                "output": [1],
                "note": "A person changed the arguments. The call was made with arguments_used.",
                "arguments_used": {"id": "o2"},
            },
        },
        {"name": "now", "response": {"error": {"code": "no", "message": "n"}}},
    ]
    assert hurry["parts"] == [{"text": "hurry"}]


async def test_a_history_that_lost_its_signature_is_refused(emulator: Emulator, gemini: Make) -> None:
    emulator.play({"calls": [{"name": "now"}]}, {"text": "never"})
    model = gemini()
    answer = await model.answer(request())
    assert answer.content["parts"][0].pop("thought_signature")
    exc = await failure(model, request(HELLO, entry(answer, 2), result(1, 4, "3.0")))
    assert isinstance(exc, ModelRefused)
    assert "missing a thought_signature" in str(exc)


async def test_a_signature_on_another_call_is_refused(emulator: Emulator, gemini: Make) -> None:
    emulator.play({"calls": [{"name": "find", "args": {"id": "o1"}}]}, {"text": "never"})
    model = gemini()
    answer = await model.answer(request())
    answer.content["parts"][0]["function_call"]["args"]["id"] = "o2"
    exc = await failure(model, request(HELLO, entry(answer, 2), result(1, 4, "3.0")))
    assert "signature is not valid" in str(exc)


@pytest.mark.parametrize("other", ["gemini-2.5-pro", "gemini-3-flash", "scripted"])
async def test_another_models_history_is_taken(emulator: Emulator, gemini: Make, other: str) -> None:
    emulator.play({"calls": [{"name": "find", "args": {"id": "o1"}}, {"name": "now"}]}, {"text": "Done."})
    asked = other if other != "scripted" else "gemini-3-flash"
    answer = await gemini(asked).answer(request(model=asked))
    history = (HELLO, entry(answer, 2, model=other), result(1, 4, "3.0"), result(2, 5, "3.1"))
    assert (await gemini("gemini-3-pro").answer(request(*history, model="gemini-3-pro"))).text == "Done."
    first, second = emulator.requests[1].body["contents"][1]["parts"]
    assert base64.b64decode(first["thoughtSignature"]) == b"skip_thought_signature_validator"
    assert "thoughtSignature" not in second


async def test_older_models_sign_nothing_and_are_shown_no_sentinel(emulator: Emulator, gemini: Make) -> None:
    emulator.play({"text": "Done."})
    answer = ModelAnswer(calls=(ModelCall("now", {}),))
    history = (HELLO, entry(answer, 2, model="scripted"), result(1, 4, "3.0"))
    await gemini("gemini-2.5-flash").answer(request(*history, model="gemini-2.5-flash"))
    assert emulator.requests[0].body["contents"][1]["parts"] == [{"functionCall": {"name": "now", "args": {}}}]


async def test_files_in_inputs_and_results(emulator: Emulator, gemini: Make) -> None:
    emulator.play({"calls": [{"name": "now"}]}, {"text": "Done."}, {"text": "Done."})
    picture = {"$file": {"media_type": "image/png", "name": "a.png", "data": base64.b64encode(b"png").decode()}}
    sent = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(b"png").decode()}}
    model = gemini()
    shown = Entry(kind="input", seq=1, value=["What is this?", picture])
    answer = await model.answer(request(shown))
    assert emulator.requests[0].body["contents"][0]["parts"] == [
        {"text": "What is this?"},
        {"text": "File a.png:"},
        sent,
    ]
    history = (shown, entry(answer, 2), result({"scan": picture}, 4, "3.0"))
    await model.answer(request(*history))
    (part,) = emulator.requests[1].body["contents"][2]["parts"]
    assert part["functionResponse"]["parts"] == [sent]
    described = {"file": "a.png", "media_type": "image/png", "size": 3}
    assert part["functionResponse"]["response"] == {"output": {"scan": described}}
    await gemini("gemini-2.5-pro").answer(request(*history, model="gemini-2.5-pro"))
    _, _, responses, beside = emulator.requests[2].body["contents"]
    assert [set(part["functionResponse"]) for part in responses["parts"]] == [{"name", "response"}]
    assert beside["parts"] == [{"text": "Files that now gave:"}, {"text": "File a.png:"}, sent]


@pytest.mark.parametrize(("thinking", "says"), [("low", {"thinkingLevel": "LOW"}), (0, {"thinkingBudget": 0})])
async def test_how_much_it_thinks(emulator: Emulator, gemini: Make, thinking: Any, says: dict[str, Any]) -> None:
    emulator.play({"text": "Hi"})
    await gemini(thinking=thinking).answer(request())
    assert emulator.requests[0].body["generationConfig"]["thinkingConfig"] == says


@pytest.mark.parametrize(
    ("model", "tools", "in_words"),
    [("gemini-3-flash", (FIND,), False), ("gemini-2.5-flash", (), False), ("gemini-2.5-flash", (FIND,), True)],
)
async def test_an_answer_of_a_shape(
    emulator: Emulator, gemini: Make, model: str, tools: tuple[ToolSpec, ...], in_words: bool
) -> None:
    emulator.play({"text": '{"total": 3}'})
    await gemini(model).answer(request(model=model, tools=tools, output_schema=SHAPE))
    asked = emulator.requests[0].body
    config, (instructions,) = asked["generationConfig"], asked["systemInstruction"]["parts"]
    assert config.get("responseJsonSchema") == (None if in_words else SHAPE)
    assert config.get("responseMimeType") == (None if in_words else "application/json")
    assert (json.dumps(SHAPE) in instructions["text"]) is in_words


# --- answers that are none -------------------------------------------------------------------------------------


async def test_an_answer_that_was_cut_says_so(emulator: Emulator, gemini: Make) -> None:
    emulator.play({"text": "Once upon", "finish": "MAX_TOKENS"})
    answer = await gemini().answer(request())
    assert (answer.text, answer.finish) == ("Once upon", "length")


BAD: list[dict[str, Any]] = [
    {"calls": [{"name": "now"}], "finish": "MAX_TOKENS"},
    {"thought": "Hm.", "finish": "MAX_TOKENS"},
    {"empty": "parts", "finish": "MALFORMED_FUNCTION_CALL"},
    {"text": "x", "finish": "UNEXPECTED_TOOL_CALL"},
    {"text": "x", "finish": "MALFORMED_RESPONSE"},
    {"text": "x", "finish": "OTHER"},
    {"empty": "candidates"},
    {"empty": "parts"},
    {"thought": "Only thinking."},
    {"calls": [{"args": {"id": "o1"}}]},
]


@pytest.mark.parametrize("turn", BAD, ids=lambda turn: "-".join(str(turn.get(key, "")) for key in ("empty", "finish")))
async def test_a_bad_answer_says_what_it_cost(emulator: Emulator, gemini: Make, turn: dict[str, Any]) -> None:
    emulator.play({**turn, "usage": {"prompt": 40, "candidates": 2, "thoughts": 5}})
    exc = await failure(gemini())
    assert isinstance(exc, BadAnswer)
    assert exc.tokens == 47


BLOCKED: list[dict[str, Any]] = [
    *({"empty": "parts", "finish": finish} for finish in ("SAFETY", "PROHIBITED_CONTENT", "RECITATION")),
    *({"text": "half", "finish": finish} for finish in ("BLOCKLIST", "SPII")),
    {"blocked": "SAFETY"},
    {"blocked": "OTHER"},
]


@pytest.mark.parametrize("turn", BLOCKED, ids=lambda turn: turn.get("finish", "prompt"))
async def test_what_is_blocked(emulator: Emulator, gemini: Make, turn: dict[str, Any]) -> None:
    emulator.play(turn)
    exc = await failure(gemini())
    assert isinstance(exc, ModelBlocked)
    assert (turn.get("finish") or turn["blocked"]) in str(exc)


@pytest.mark.parametrize(
    ("turn", "kind", "retry_after"),
    [
        ({"error": {"code": 429, "retry": 7.5}}, RateLimited, 7.5),
        ({"error": {"code": 429, "header": 11}}, RateLimited, 11),
        ({"error": {"code": 429}}, RateLimited, None),
        ({"error": {"code": 500}}, ModelUnavailable, None),
        ({"error": {"code": 503, "retry": 2}}, ModelUnavailable, 2),
        ({"error": {"code": 504}}, ModelUnavailable, None),
        ({"error": {"code": 408}}, ModelUnavailable, None),
        ({"text": "x" * 2000, "cut": 40}, ModelUnavailable, None),
        ({"text": "x", "cut": 0}, ModelUnavailable, None),
        ({"body": "<html>not now</html>"}, ModelUnavailable, None),
        ({"body": '{"candidates": [{"content"'}, ModelUnavailable, None),
    ],
)
async def test_what_may_pass(
    emulator: Emulator, gemini: Make, turn: dict[str, Any], kind: type[ModelUnavailable], retry_after: float | None
) -> None:
    emulator.play(turn, {"text": "Hello again"})
    model = gemini()
    exc = await failure(model)
    assert type(exc) is kind
    assert isinstance(exc, ModelUnavailable)
    assert exc.retry_after == retry_after
    assert len(emulator.requests) == 1
    assert (await model.answer(request())).text == "Hello again"


@pytest.mark.parametrize("body", ["[]", '"yes"', "", "null", '{"candidates": 3}', '{"candidates": [3]}', "{}"])
async def test_json_that_is_no_answer_is_a_bad_one(emulator: Emulator, gemini: Make, body: str) -> None:
    emulator.play({"body": body})
    assert isinstance(await failure(gemini()), BadAnswer)


TOO_LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."


@pytest.mark.parametrize(
    ("turn", "kind", "says"),
    [
        ({"error": {"code": 400, "message": TOO_LONG}}, PromptTooLong, "1200000"),
        ({"error": {"code": 413, "message": "Request Entity Too Large"}}, PromptTooLong, "Too Large"),
        ({"error": {"code": 400, "message": "Bad schema."}}, ModelRefused, "gemini-3-flash: Bad schema."),
        ({"error": {"code": 403, "message": "Not in your country."}}, ModelRefused, "country"),
    ],
)
async def test_what_will_not_pass(
    emulator: Emulator, gemini: Make, turn: dict[str, Any], kind: type[ModelRefused], says: str
) -> None:
    emulator.play(turn)
    exc = await failure(gemini())
    assert type(exc) is kind
    assert says in str(exc)


async def test_a_model_that_is_not_there_and_a_service_that_is_not(emulator: Emulator, gemini: Make) -> None:
    exc = await failure(gemini("no-such-model"))
    assert isinstance(exc, ModelRefused)
    assert "models/no-such-model is not found" in str(exc)
    model = gemini()
    emulator.close()
    assert isinstance(await failure(model), ModelUnavailable)
    wrong = await failure(gemini(base_url="nowhere"))
    assert isinstance(wrong, ModelRefused)
    assert "UnsupportedProtocol" in str(wrong)


async def test_an_answer_that_is_waited_for_no_longer_is_let_go(emulator: Emulator, gemini: Make) -> None:
    emulator.play({"text": "late", "delay": 0.5}, {"text": "in time"})
    model = gemini()
    asking = asyncio.create_task(model.answer(request()))
    while not emulator.requests:
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await model.answer(request())).text == "in time"


# --- one request -----------------------------------------------------------------------------------------------


async def test_an_answer_is_one_request(emulator: Emulator, gemini: Make) -> None:
    """No function is called for the model, no cut answer continued, nothing sent again."""
    emulator.play(
        {"calls": [{"name": "now"}]}, {"text": "and", "finish": "CONTINUATION"}, *[{"error": {"code": 503}}] * 2
    )
    model = gemini()
    assert (await model.answer(request())).calls
    assert (await model.answer(request())).finish == "length"
    await failure(model)
    assert len(emulator.requests) == 3


async def test_a_lost_connection_is_not_tried_again_by_the_client_itself(gemini: Make) -> None:
    """Over aiohttp the client would, unless it is told how often to try."""
    model = gemini()
    client = await model._client(model._settings())
    options = client._api_client._http_options.retry_options
    assert options is not None
    assert options.attempts == 1


# --- the key ---------------------------------------------------------------------------------------------------


async def test_no_key_and_a_wrong_key(emulator: Emulator, gemini: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = await failure(gemini(api_key="wrong"))
    assert isinstance(wrong, ModelRefused)
    assert "API key not valid" in str(wrong)
    assert isinstance(missing := await failure(Gemini("gemini-3-flash", base_url=emulator.url)), ModelRefused)
    assert "set GEMINI_API_KEY" in str(missing)
    assert len(emulator.requests) == 1
    monkeypatch.setenv("GEMINI_API_KEY", emulator.key)
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", emulator.url)
    emulator.play({"text": "Hi"})
    assert (await gemini(api_key=None, base_url=None).answer(request())).text == "Hi"


async def test_without_the_client_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google", None)
    missing = await failure(Gemini("gemini-3-flash", api_key="k"))
    assert isinstance(missing, ModelRefused)
    assert str(missing) == "gemini-3-flash: google-genai is missing: pip install 'onward[gemini]'"


async def test_the_key_shows_nowhere(emulator: Emulator, gemini: Make, caplog: pytest.LogCaptureFixture) -> None:
    emulator.key = key = "AIza-canary-4711"
    emulator.play(
        {"error": {"code": 400, "message": f"the key {key} is no good"}}, {"error": {"code": 503}}, {"body": key}
    )
    caplog.set_level(logging.DEBUG)
    log = logging.getLogger("test")
    model = gemini(api_key=key)
    bent = gemini(api_key=f"{key}\x01")
    for asked in (model, model, model, bent):
        exc = await failure(asked)
        log.error("failed", exc_info=exc)
        assert key not in f"{exc!r} {exc}"
    assert key not in caplog.text
    assert "***" in caplog.text
    assert key not in repr(model) + repr(model._settings())


# --- Vertex AI -------------------------------------------------------------------------------------------------


@pytest.fixture
def credentials(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service account whose tokens the emulator gives."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "project_id": "p1",
        "client_email": "desk@p1.example",
        "private_key": pem.decode(),
        "token_uri": f"{emulator.url}/token",
    }
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))


async def test_vertex(emulator: Emulator, gemini: Make, credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.play({"calls": [{"name": "now"}]}, {"text": "Done."}, {"text": "By the environment."})
    model = gemini(api_key=None, vertex=True, project="p1", location="europe-west4")
    answer = await model.answer(request())
    assert (await model.answer(request(HELLO, entry(answer, 2), result(1, 4, "3.0")))).text == "Done."
    path = "/v1beta1/projects/p1/locations/europe-west4/publishers/google/models/gemini-3-flash:generateContent"
    assert [asked.path for asked in emulator.requests] == [path, path]
    assert emulator.requests[0].headers["authorization"] == f"Bearer {emulator.key}"
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p2")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "us-central1")
    assert (await gemini(api_key=None).answer(request())).text == "By the environment."
    assert "/projects/p2/locations/us-central1/" in emulator.requests[2].path


async def test_vertex_says_what_was_malformed(emulator: Emulator, gemini: Make, credentials: None) -> None:
    emulator.play({"empty": "parts", "finish": "MALFORMED_FUNCTION_CALL", "finish_message": "print(x"})
    exc = await failure(gemini(api_key=None, vertex=True, project="p1", location="x"))
    assert str(exc) == "the model gave no answer (MALFORMED_FUNCTION_CALL): print(x"


async def test_vertex_without_credentials(
    emulator: Emulator, gemini: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    exc = await failure(gemini(api_key=None, vertex=True, project="p1", location="x"))
    assert isinstance(exc, ModelRefused)
    assert "no credentials" in str(exc)
    assert "none.json" in str(exc)


# --- loops and names -------------------------------------------------------------------------------------------


async def test_many_answers_at_once(emulator: Emulator, gemini: Make) -> None:
    emulator.play(*[{"text": "Hi", "delay": 0.01}] * 20)
    model = gemini()
    answers = await asyncio.gather(*[model.answer(request()) for _ in range(20)])
    assert [answer.text for answer in answers] == ["Hi"] * 20


def test_two_loops_at_once_and_one_after_the_other(emulator: Emulator) -> None:
    emulator.play(*[{"text": "Hi", "delay": 0.01}] * 12)
    model = Gemini("gemini-3-flash", api_key=emulator.key, base_url=emulator.url)
    said: list[str] = []

    async def ask() -> None:
        try:
            said.extend([(await model.answer(request())).text for _ in range(3)])
        finally:
            await model.close()

    threads = [threading.Thread(target=asyncio.run, args=(ask(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(2):
        asyncio.run(ask())
    gc.collect()
    assert said == ["Hi"] * 12


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": ""}, "'' is no name of a model"),
        ({"project": "p"}, "add vertex=True"),
        ({"thinking": "a lot"}, "thinking 'a lot' is neither one of minimal, low"),
        ({"thinking": -2}, "nor a number from -1"),
        ({"thinking": True}, "thinking True"),
    ],
)
def test_a_wrong_declaration_is_refused_by_field(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Gemini(**{"name": "gemini-3-flash", **options})
