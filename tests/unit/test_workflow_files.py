"""Files on their way through a workflow: references in its body, bytes in its steps."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from onward import App, BadInput, Context, File, workflow
from onward.core.files import MARK
from onward.testing import play
from tests.unit.flows import Flow


class Photo(BaseModel):
    title: str
    file: File


async def take(title: str) -> Photo:
    return Photo(title=title, file=File(data=b"a photo", media_type="image/png", name="p.png"))


async def turn(file: File, times: int = 1) -> File:
    assert file.data is not None
    return File(data=file.data[::-1] * times, media_type=file.media_type, name=file.name)


async def size(file: File) -> int:
    assert file.data is not None
    return len(file.data)


@workflow
async def album(ctx: Context, title: str) -> Photo:
    photo = await ctx.step(take, title, effect="read")
    assert (photo.file.data, photo.file.size, photo.file.name) == (None, 7, "p.png")
    turned = await ctx.step(turn, photo.file, times=2, effect="read")
    await ctx.sleep("1h")
    assert await ctx.step(size, turned, effect="read") == 14
    return Photo(title=photo.title, file=turned)


async def test_a_file_is_a_reference_in_the_body_and_has_its_bytes_in_a_step() -> None:
    flow = Flow(album)
    await flow.start("Rome")
    state = await Flow(album, runner=flow.runner).finish()
    assert (state.ended, state.error) == ("completed", None)
    assert state.output["file"][MARK].keys() == {"media_type", "name", "size", "digest"}
    proposed = (await flow.bodies("calls_proposed"))[1]
    assert "data" not in proposed.arguments[0]["file"][MARK]


def test_a_file_that_a_session_is_started_with_comes_to_a_step() -> None:
    @workflow
    async def measure(ctx: Context, file: File) -> int:
        return await ctx.step(size, file, effect="read")

    assert play(measure, File(data=b"12345", media_type="text/plain")).output == 5


def test_a_file_that_the_body_makes_comes_to_a_step_and_to_a_child() -> None:
    @workflow
    async def inner(ctx: Context, file: File) -> int:
        return await ctx.step(size, file, effect="read")

    @workflow
    async def outer(ctx: Context) -> list[int]:
        made = File(data=b"123", media_type="text/plain")
        turned = await ctx.step(turn, made, times=3, effect="read")
        return [await ctx.run(inner, made), await ctx.run(inner, turned)]

    assert play(outer, app=App([outer, inner])).output == [3, 9]


async def test_g15_a_file_that_is_waited_for_is_one() -> None:
    @workflow
    async def measure(ctx: Context) -> int:
        return await ctx.step(size, await ctx.signal("photo", File), effect="read")

    flow = Flow(measure)
    await flow.start()
    with pytest.raises(BadInput, match="content"):
        await flow.send({"media_type": "text/plain"}, "photo")
    assert (await flow.send(File(data=b"12", media_type="text/plain"), "photo")).output == 2


def test_a_file_reads_what_it_writes() -> None:
    file = File(data=b"123", media_type="text/plain", name="x.txt")
    assert File.model_validate(file.model_dump(mode="json")) == file.model_copy(
        update={"size": 3, "digest": file.model_dump()[MARK]["digest"]}
    )
    with pytest.raises(ValueError, match="media_type"):
        File.model_validate({MARK: {"data": "MTIz"}})
