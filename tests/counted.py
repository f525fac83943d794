"""Two tools whose steps are counted: one that may be repeated, and one that may not."""

from onward import tool


@tool(effect="read")
async def look(number: int) -> str:
    """Look."""
    return "x" * 200


@tool(effect="irreversible")
async def pay(number: int) -> str:
    """Pay."""
    return "paid"
