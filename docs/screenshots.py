"""Takes the pictures of the console that the documentation shows, of the shop that the console is tested with.

`make screenshots` runs it; it takes Chromium. Two runs differ in the times that are shown, and in nothing else.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.console.chromium import MISSING, chromium, flags
from tests.console.site import Site

if TYPE_CHECKING:
    from playwright.async_api import Browser

IMAGES = Path(__file__).with_name("images")
MOST = 150_000
"""Bytes of a picture."""

WIDE: dict[str, Any] = {"viewport": {"width": 1100, "height": 720}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 760}, "is_mobile": True, "device_scale_factor": 1.5}
DARK: dict[str, Any] = {"color_scheme": "dark"}
SHOTS: dict[str, tuple[str, dict[str, Any]]] = {
    "sessions": ("/", WIDE),
    "session": ("/sessions/order-1042", WIDE),
    "session-dark": ("/sessions/order-1042", WIDE | DARK),
    "workflow": ("/sessions/order-1066#doings", WIDE),
    "approvals": ("/approvals", WIDE),
    "approvals-phone": ("/approvals", PHONE),
    "attention": ("/attention", WIDE),
    "health": ("/health", WIDE),
    "compare": ("/sessions/order-1007/compare/what-if", WIDE),
}


async def fill(site: Site) -> None:
    """A morning in the shop."""
    await site.begun("parcel-88", "parcel-desk", "Where are my three parcels?")
    site.go("parcel-88", 1)
    await site.begun("chat-5", "front-desk", "When are you open?")
    await site.begun("order-1007", "refund-desk", "The cup is chipped.")
    asked = await site.until_waiting("order-1007", "approval")
    decision = {"call": asked["call"], "digest": asked["digest"], "verdict": "approved", "reason": "seen on the photo"}
    await site.ask("POST", "sessions/order-1007/decisions", decision)
    await site.until("order-1007", "session_completed")
    await branched(site, "order-1007", "what-if")
    await site.begun("payout-31", "cashier", "Pay order A-1042 out.")
    await site.until_waiting("payout-31", "operator")
    await site.begun("treasury-9", "treasury", "Move 900 to the other account.")
    await site.until_waiting("treasury-9", "approval")
    await site.begun("order-1066", "replacement", "A-1042")
    await site.until_waiting("order-1066", "approval")
    await site.begun("order-1042", "refund-desk", "My coffee grinder came broken: the lid is cracked.")
    await site.until_waiting("order-1042", "approval")


async def branched(site: Site, parent: str, branch: str) -> None:
    """What would have become of it, had the first thing that was looked up been another."""
    found = next(event for event in await site.log(parent) if event["kind"] == "call_completed")
    result = {**found["body"]["result"], "arrived": "in time"}
    change = {"id": branch, "edits": [{"seq": found["seq"], "value": result}]}
    answer = await site.ask("POST", f"sessions/{parent}/fork", change)
    assert answer.status == 201, answer
    await site.until(branch, "session_completed")


async def shoot(browser: Browser, site: Site, name: str, path: str, how: dict[str, Any]) -> None:
    """Take one picture."""
    context = await browser.new_context(**{"locale": "en-GB", "timezone_id": "Europe/Berlin"} | how)
    page = await context.new_page()
    answer = await page.goto(site.url + path)
    assert answer is not None
    assert answer.ok, f"{path}: {answer.status}"
    file = IMAGES / f"{name}.png"
    await page.screenshot(path=file, animations="disabled", caret="hide")
    await context.close()
    assert file.stat().st_size < MOST, f"{file.name} has {file.stat().st_size:,} bytes"


async def take() -> None:
    """Take all of them."""
    from playwright.async_api import async_playwright

    with tempfile.TemporaryDirectory() as place:
        site = Site(Path(place), "ann").start()
        try:
            await fill(site)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=chromium(), args=flags())
                for name, (path, how) in SHOTS.items():
                    await shoot(browser, site, name, path, how)
        finally:
            site.stop()


def main() -> None:
    if chromium() is None:
        raise SystemExit(f"missing: {MISSING}")
    IMAGES.mkdir(exist_ok=True)
    asyncio.run(take())


if __name__ == "__main__":
    main()
