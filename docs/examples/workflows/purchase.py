from onward import App, Context, workflow

PRICES = {"dune": 12, "emma": 40}


def ask_shop(title: str) -> int:
    return PRICES[title.lower()]


def buy(title: str, price: int) -> str:
    return f"order of {title} for {price}"


def call_off(title: str, result: str) -> str:
    return f"called off: {result}"


@workflow
async def purchase(ctx: Context, title: str) -> str:
    price = await ctx.step(ask_shop, title, effect="read", retry=5)
    if price > 30:
        decision = await ctx.approval(f"Buy {title} for {price}?", timeout="7d")
        if not decision.approved:
            return "not bought"
    await ctx.step(buy, title, price, undo=call_off)
    await ctx.signal("arrived", timeout="30d")  # else it fails, and the order is called off
    return f"{title} is on the shelf"


app = App(programs=[purchase])
