"""A session as a portable file: what was written is read, edits are found, what is left out is visibly erased (G3)."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.core import events as ev
from onward.core.canonical import canonical
from onward.core.codec import encode
from onward.core.events import Actor, Event
from onward.core.log import ROOT, Commit, offload, seal, verify
from onward.core.portable import ALL, Export, Header, Leaving, Sheet, Wanted, read, write
from onward.errors import BadInput, CorruptLog, OnwardError, UnreadableLog
from tests.property.strategies import logs, salts, times

AT = ev.datetime.fromisoformat("2026-01-05T09:00:00.123+00:00")
BYTES = b"\x89PNG and so on"
DIGEST = hashlib.sha256(BYTES).hexdigest()
PICTURE = {"$file": {"media_type": "image/png", "name": "a.png", "size": len(BYTES), "digest": DIGEST}}
BODIES = (
    ev.SessionStarted(
        tenant="t", session="s", program="desk", version="1", input={"see": PICTURE, "say": "Grüße \u2028"}
    ),
    ev.ModelAnswered(answer={"text": "x" * 400, "calls": []}, model="m", calls=0),
    ev.CallCompleted(call="3.0", attempt=1, result={"big": "y" * 500}),
    ev.SessionCompleted(output="done"),
)


def export_of(log: list[Commit], blobs: dict[str, str] | None = None, files: dict[str, str] | None = None) -> Export:
    last = log[-1]
    header = Header("t", "s", "desk", "1", "completed", last.last_seq, last.hash, 1, "2026-01-05T09:00:00.000Z")
    values = {f"blobs/{digest}": text for digest, text in (blobs or {}).items()}
    return Export(header, tuple(log), values | {f"files/{digest}": text for digest, text in (files or {}).items()})


def desk(bodies: tuple[Any, ...] = BODIES) -> Export:
    """A log with a file, and with values so large that they lie in blobs."""
    prev, log, blobs, salt = ROOT, list[Commit](), dict[str, str](), salts()
    for seq, body in enumerate(bodies, start=1):
        record = encode(Event(seq=seq, at=AT, actor=Actor(kind="program"), body=body), salt)
        (record,), moved = offload([record], inline=300)
        genesis = {"tenant": "t", "session": "s", "origin": None} if seq == 1 else None
        log.append(seal([record], prev=prev, epoch=1, token=f"t{seq}", genesis=genesis))
        prev, blobs = log[-1].hash, blobs | moved
    return export_of(log, blobs, {DIGEST: base64.b64encode(BYTES).decode()})


def text_of(export: Export) -> str:
    return "".join(write(export))


def resealed(lines: list[str]) -> list[str]:
    """The lines with the sum that somebody makes who has changed them."""
    sheet = Sheet()
    for line in lines[:-1]:
        sheet.take(line)
    return [*lines[:-1], sheet.end()]


@settings(deadline=None, max_examples=40)
@given(logs().filter(lambda log: not any(r.kind == "session_forked" for c in log for r in c.records)))
def test_g3_what_was_written_is_read(log: list[Commit]) -> None:
    there = export_of(log)
    assert text_of(read(io.StringIO(text_of(there)))) == text_of(there)
    assert verify(read(write(there)).commits) == (log[-1].last_seq, log[-1].hash)


def test_large_values_and_files_are_in_it() -> None:
    there = read(write(desk()))
    assert len([name for name in there.values if name.startswith("blobs/")]) == 2
    recording = there.recording()
    assert [event.body for event in recording.events] == list(BODIES)
    assert (recording.commits, recording.hash) == ((1, 2, 3, 4), there.header.hash)
    assert base64.b64decode(recording.files[DIGEST]) == BYTES


TEXT = text_of(desk())


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(TEXT) - 2), st.sampled_from('x0 "{\n,1b\u00e9'))
def test_g3_one_character_changed_anywhere_is_found(at: int, other: str) -> None:
    if TEXT[at] != other:
        with pytest.raises(OnwardError):
            read(io.StringIO(TEXT[:at] + other + TEXT[at + 1 :]))


@pytest.mark.parametrize("how", ["cut", "reordered", "repeated", "without a commit", "more behind"])
def test_g3_lines_that_go_or_move_are_found_though_the_sum_is_made_anew(how: str) -> None:
    lines = TEXT.split("\n")[:-1]
    changed = {
        "cut": lines[:-1],
        "reordered": resealed([lines[0], lines[2], lines[1], *lines[3:]]),
        "repeated": resealed([*lines[:2], *lines[1:]]),
        "without a commit": resealed([*lines[:4], *lines[5:]]),
        "more behind": [*lines, lines[1]],
    }[how]
    with pytest.raises(CorruptLog, match=r"line \d|its last line"):
        read(changed)


@pytest.mark.parametrize("which", ["commit", "blob", "file", "none of it"])
def test_g3_a_value_changed_with_its_sum_is_found_and_its_line_named(which: str) -> None:
    lines = TEXT.split("\n")[:-1]
    begins, old, new = {
        "commit": ('{"commit":', "desk", "disk"),
        "blob": ('{"value":"blobs', "xxxx", "xyxx"),
        "file": ('{"value":"files', base64.b64encode(BYTES).decode(), base64.b64encode(b"other").decode()),
        "none of it": ('{"value":"files', DIGEST, "0" * 64),
    }[which]
    number = next(at for at, line in enumerate(lines) if line.startswith(begins) and old in line)
    lines[number] = lines[number].replace(old, new)
    with pytest.raises(CorruptLog, match=f"^line {number + 1}: "):
        read(resealed(lines))


def test_g3_a_blob_that_is_missing_is_named() -> None:
    there = desk()
    gone = next(name for name in there.values if name.startswith("blobs/"))
    values = {name: text for name, text in there.values.items() if name != gone}
    with pytest.raises(CorruptLog, match=f"blob {gone[6:]} is missing"):
        read(write(replace(there, values=values)))


def test_g3_another_session_s_log_under_this_header_is_found() -> None:
    there = desk()
    for changes in ({"session": "other"}, {"tenant": "u"}, {"seq": 3}, {"hash": "0" * 64}):
        with pytest.raises(CorruptLog, match="first line names"):
            read(write(replace(there, header=replace(there.header, **changes))))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "[]\n", "{}\n", "PK\x03\n", '{"onward":"sessions"}\n', '{"onward":"session"}\n'])
def test_what_is_no_export_is_refused(text: str) -> None:
    with pytest.raises((BadInput, UnreadableLog), match="file: "):
        read(io.StringIO(text))


def test_line_ends_of_windows_are_none_of_its_text() -> None:
    text = text_of(desk())
    assert text_of(read(io.StringIO(text.replace("\n", "\r\n"), newline="\n"))) == text


@pytest.mark.parametrize(
    ("data", "why"),
    [(gzip.compress(b"{}"), "is compressed: unpack it first"), (b'{"onward\xff', "is no UTF-8 text; it was changed")],
)
def test_what_is_no_text_says_so(data: bytes, why: str) -> None:
    with pytest.raises(CorruptLog, match=f"^the file {why}"):
        read(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def test_one_of_a_newer_release_says_so() -> None:
    newer = TEXT.replace('"export":1', '"export":2', 1)
    with pytest.raises(UnreadableLog, match="upgrade"):
        read(io.StringIO(newer))


def test_every_private_field_may_be_left_out_and_the_file_verifies() -> None:
    there = read(write(desk().without(Leaving(private=False))))
    assert there.header.left_out == (ALL,)
    assert there.erased == ((1, "input"), (2, "answer"), (3, "result"), (4, "output"))
    assert there.values == {}
    said = text_of(there)
    assert not any(word in said for word in ("Gr\u00fc\u00dfe", "xxx", "yyy", '"done"'))
    assert verify(there.commits) == (4, desk().header.hash)
    assert isinstance(there.recording().events[1].body.answer, ev.Value)  # type: ignore[union-attr]


def test_named_fields_may_be_left_out_with_what_only_they_name() -> None:
    there = read(write(desk().without(Leaving(fields=["session_started.input", "call_completed.result"]))))
    assert there.header.left_out == ("call_completed.result", "session_started.input")
    assert there.erased == ((1, "input"), (3, "result"))
    assert [name.partition("/")[0] for name in there.values] == ["blobs"]
    kept = there.commits[1].records[0].private["answer"].digest
    assert list(there.values) == [f"blobs/{kept}"]


def test_what_is_erased_has_no_salt_so_that_nobody_can_try_what_fits() -> None:
    erased = desk().without(Leaving(fields=["session_completed.output"])).commits[3].records[0].private["output"]
    assert (erased.text, erased.salt, erased.preview) == (None, "", "")


@pytest.mark.parametrize("name", ["call_completed", "call_completed.text", "nothing.at_all", ""])
def test_a_field_that_there_is_none_of_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="erase: "):
        Leaving(fields=[name])


def test_a_branch_has_its_base_with_every_value_in_it() -> None:
    large = desk((BODIES[0], BODIES[2]))
    (blob,) = wanted_of(large).blobs.values()
    entry = {"kind": "result", "seq": 0, "value": {"$blob": blob.model_dump()}, "call": "1.0"}
    forked = ev.SessionForked(base={"input": PICTURE, "transcript": [entry]}, family="s")
    text = large.values[f"blobs/{blob.digest}"]
    whole = desk((BODIES[0], forked))
    export = read(write(replace(whole, values={**whole.values, f"blobs/{blob.digest}": text})))
    body = export.recording().forked
    assert body is not None
    assert body.base["transcript"][0]["value"] == json.loads(text)
    assert export.recording().state().transcript[0].value == {"big": "y" * 500}


def wanted_of(export: Export) -> Wanted:
    wanted = Wanted()
    for commit in export.commits:
        wanted.take(commit)
    return wanted


@settings(deadline=None, max_examples=20)
@given(times, st.text(max_size=20))
def test_any_text_stands_on_one_line(at: Any, text: str) -> None:
    started = ev.SessionStarted(tenant="t", session="s", program="p", version="1", input=text)
    record = encode(Event(seq=1, at=at, actor=Actor(kind="program"), body=started), salts())
    log = [seal([record], prev=ROOT, epoch=0, token="t", genesis={"tenant": "t", "session": "s"})]
    assert len(list(write(export_of(log)))) == 3
    assert read(io.StringIO(text_of(export_of(log)))).recording().started.input == text
    assert canonical(text)
