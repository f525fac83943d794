"""A map with tolerance: five photos at once, each tried three times; two may fail, a third one ends the rest."""

from pydantic import BaseModel

from onward import App, Context, tool, workflow


class Report(BaseModel):
    small: dict[str, str]
    failed: dict[str, str]


@tool(effect="idempotent", retry=3)
async def shrink(photo: str) -> str:
    """Make a small one of a photo."""
    if "broken" in photo:
        raise ValueError("this is no picture")
    return photo.replace(".jpg", "-small.jpg")


@workflow
async def shrink_all(ctx: Context, photos: list[str]) -> Report:
    settled = await ctx.map_settled(photos, lambda photo: ctx.step(shrink, photo), concurrency=5, tolerate=2)
    came = dict(zip(photos, settled, strict=True))
    return Report(
        small={photo: each.value for photo, each in came.items() if each.value is not None},
        failed={photo: str(each.error) for photo, each in came.items() if not each.ok},
    )


app = App(programs=[shrink_all])
