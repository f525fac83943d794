"""A batch each night, for years, in one session: each night starts afresh, and what it is run from stays short."""

from datetime import timedelta

from onward import App, Context, tool, workflow

ROWS = list(range(250))  # these two stand for databases
COPIED: list[int] = []
PAGE = 100


@tool(effect="idempotent", retry=5)
def copy_page(after: int) -> int:
    """Copy the next page of what is new, where it is not yet, and say how many rows it had."""
    page = ROWS[after : after + PAGE]
    COPIED.extend(row for row in page if row not in COPIED)
    return len(page)


@workflow
async def nightly(ctx: Context, before: int = 0) -> None:
    """Sleep until two, copy what is new, and go on as the next night."""
    today = ctx.now().replace(hour=2, minute=0, second=0, microsecond=0)
    await ctx.sleep_until(today if ctx.now() < today else today + timedelta(days=1))
    copied = before
    while count := await ctx.step(copy_page, copied):
        copied += count
    ctx.log.info("%s rows were copied tonight", copied - before)
    return ctx.continue_as(copied)


app = App(programs=[nightly])
