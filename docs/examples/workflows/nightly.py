"""A batch each night, for weeks, in one session: each night starts afresh, and what it is run from stays short."""

from datetime import timedelta

from onward import App, Context, tool, workflow

ROWS = list(range(450))  # these two stand for databases
COPIED: list[int] = []
PAGE, PAGES_A_NIGHT = 100, 2


@tool(effect="idempotent", retry=5)
def copy_page(after: int) -> int:
    """Copy the next page of what is new, where it is not yet, and say how many rows it had."""
    page = ROWS[after : after + PAGE]
    COPIED.extend(row for row in page if row not in COPIED)
    return len(page)


@workflow
async def nightly(ctx: Context, copied: int = 0) -> int:
    """Sleep until two, copy a few pages, and go on as the next night, until all is copied."""
    two = ctx.now().replace(hour=2, minute=0, second=0, microsecond=0)
    await ctx.sleep_until(two if ctx.now() < two else two + timedelta(days=1))
    for _ in range(PAGES_A_NIGHT):
        count = await ctx.step(copy_page, copied)
        copied += count
        if count < PAGE:
            return copied
    ctx.log.info("%s rows are copied by now", copied)
    return ctx.continue_as(copied)


app = App(programs=[nightly])
