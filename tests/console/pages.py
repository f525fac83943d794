"""What must hold of every page, whatever is on it, and what the page of a session shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page, Request

GRAVE = ("serious", "critical")
REPORT = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.effectiveDirective} ${event.blockedURI}`);
});
"""
WIDER = """() => {
  const room = document.documentElement.clientWidth;
  const wide = [...document.body.querySelectorAll("*")].filter((each) => {
    const box = each.getBoundingClientRect();
    return box.width > 1 && box.right > room + 1 && getComputedStyle(each).position !== "absolute";
  });
  return [document.documentElement.scrollWidth - room, wide.map((each) => each.outerHTML.slice(0, 120))];
}"""


class Watch:
    """Notes what a page does that no page of the console may: ask elsewhere for anything, speak in dialogs, break its
    own policy, or fail."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.wrong: list[str] = []
        self._url = url
        context.on("request", self._asked)
        context.on("dialog", self._spoke)
        context.on("weberror", lambda error: self.wrong.append(f"failed: {error.error}"))

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self._url, "data:,")):
            self.wrong.append(f"asked for {request.url}")

    async def _spoke(self, dialog: Any) -> None:
        self.wrong.append(f"spoke: {dialog.message}")
        await dialog.dismiss()


async def reported(page: Page) -> list[str]:
    """What the browser kept the page from doing; its context reports that once REPORT is among its scripts."""
    found: list[str] = await page.evaluate("() => window.violations")
    return found


async def findings(page: Page, only: str | None = None) -> list[str]:
    """What axe finds that is serious or worse, perhaps by one rule. The page's context lets scripts in: axe is one."""
    from axe_playwright_python.async_playwright import Axe

    options: dict[str, Any] = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
    options |= {"runOnly": [only]} if only else {}
    results = await Axe().run(page, options=options)
    return [
        f"{page.url}: {found['id']}: {node['html'][:160]}: {node['failureSummary'][:200]}"
        for found in results.response["violations"]
        if found["impact"] in GRAVE
        for node in found["nodes"]
    ]


async def too_wide(page: Page) -> list[str]:
    """What does not fit beside the edge of the screen."""
    over, wide = await page.evaluate(WIDER)
    return [f"{page.url}: {over} px", *wide] if over > 0 else []


# --- the page of a session ---------------------------------------------------------------------------------------

ROWS = "() => [...document.querySelectorAll('#events > li')].map((each) => each.id)"
HAS = f"(last) => ({ROWS})().includes(`e${{last}}`)"


async def rows(page: Page) -> list[int]:
    """The events that are on the page, as they stand there."""
    return [int(id[1:]) for id in await page.evaluate(ROWS)]


async def until_shown(page: Page, last: int) -> None:
    await page.wait_for_function(HAS, arg=last)


async def until_state(page: Page, state: str) -> None:
    """Wait until the page says this of its connection."""
    await page.locator("#live").get_by_text(state).wait_for()
