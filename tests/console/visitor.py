"""One who visits the console without a browser: pages as they are sent, read by an HTML parser, and their forms."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

from tests.cloud.http_client import PATIENCE, Client, _body, _head

VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
CLOSED_BY_OTHERS = frozenset({"li", "p", "option"})


@dataclass(slots=True)
class Element:
    """A part of a page."""

    name: str
    attributes: dict[str, str]
    parent: Element | None = None
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that it says, spaces as one."""
        return " ".join(self._raw().split())

    def _raw(self) -> str:
        return "".join(child if isinstance(child, str) else child._raw() for child in self.children)

    @property
    def raw(self) -> str:
        """All that it says, to the letter."""
        return self._raw()

    def all(self, name: str | None = None, **wanted: str) -> list[Element]:
        """Every part of this name with these attributes."""
        asked = {key.rstrip("_").replace("_", "-"): value for key, value in wanted.items()}
        found = [self] if name in (None, self.name) and asked.items() <= self.attributes.items() else []
        for child in self.children:
            if isinstance(child, Element):
                found += child.all(name, **wanted)
        return found

    def one(self, name: str | None = None, **wanted: str) -> Element:
        """The only such part."""
        found = self.all(name, **wanted)
        assert len(found) == 1, f"{len(found)} of {name} {wanted}"
        return found[0]


class _Reader(HTMLParser):
    """Strict, as what is tested writes its HTML itself: what is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.root = self.at = Element("page", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), (tag, attrs)
        made = Element(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.children.append(made)
        if tag not in VOID:
            self.at = made

    def handle_endtag(self, tag: str) -> None:
        assert self.at.name == tag, f"</{tag}> closes <{self.at.name}>"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)


def parsed(html: str) -> Element:
    """A page. Its ids stand in it once."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.at is reader.root, f"<{reader.at.name}> is not closed"
    ids = [each.attributes["id"] for each in reader.root.all() if "id" in each.attributes]
    assert len(set(ids)) == len(ids), "an id stands in it twice"
    return reader.root


@dataclass(slots=True)
class Page:
    status: int
    headers: dict[str, str]
    html: str
    url: str
    root: Element

    @property
    def text(self) -> str:
        return self.root.text

    @property
    def location(self) -> str:
        return self.headers["location"]

    def form(self, action: str = "", button: str | None = None) -> Element:
        """The first form that is sent there, and has this button."""
        for form in self.root.all("form", method="post"):
            buttons = [each.attributes.get("value") for each in self.buttons(form)]
            if form.attributes["action"].startswith(action) and (button is None or button in buttons):
                return form
        raise AssertionError(f"no form for {action} with {button}")

    def buttons(self, form: Element) -> list[Element]:
        id = form.attributes.get("id")
        own = [each for each in form.all("button") if "form" not in each.attributes]
        return own + [each for each in self.root.all("button") if id and each.attributes.get("form") == id]

    def fields(self, form: Element) -> dict[str, str]:
        """What a form holds as it is shown."""
        id, found = form.attributes.get("id"), {}
        others = [each for each in self.root.all() if id and each.attributes.get("form") == id]
        for each in (*form.all(), *others):
            value = _value(each)
            if "name" in each.attributes and value is not None:
                found[each.attributes["name"]] = value
        return found


def _value(each: Element) -> str | None:
    """What a field says; None, where it says nothing."""
    if each.name == "textarea":
        return each.raw.removeprefix("\n")
    if each.name == "select":
        options = each.all("option")
        chosen = next((option for option in options if "selected" in option.attributes), options[0])
        return chosen.attributes.get("value", chosen.text)
    if each.name != "input":
        return None
    if each.attributes.get("type") in ("checkbox", "radio"):
        return each.attributes.get("value", "on") if "checked" in each.attributes else None
    return each.attributes.get("value", "")


@dataclass(slots=True)
class Visitor:
    """Somebody, at a server."""

    api: Client
    who: str

    async def get(self, path: str) -> Page:
        return await self._ask("GET", path, None)

    async def send(self, page: Page, form: Element, button: str | None = None, **more: Any) -> Page:
        """Fill a form in and press a button; None takes a field out."""
        pressed = {} if button is None else {"verdict" if self._verdict(page, form) else "do": button}
        fields = page.fields(form) | pressed | more
        return await self.post(form.attributes["action"], {k: v for k, v in fields.items() if v is not None})

    @staticmethod
    def _verdict(page: Page, form: Element) -> bool:
        return any(each.attributes.get("name") == "verdict" for each in page.buttons(form))

    async def post(self, path: str, fields: dict[str, str]) -> Page:
        return await self._ask("POST", path, urlencode(fields).encode())

    async def follow(self, page: Page) -> Page:
        assert page.status == 303, page.text
        return await self.get(page.location)

    async def _ask(self, method: str, path: str, body: bytes | None) -> Page:
        url = path.partition("#")[0]
        form = {"content-type": "application/x-www-form-urlencoded"} if body is not None else {}
        headers = form | {"content-length": str(len(body or b"")), "accept": "text/html"}
        reader, writer = await self.api._open(method, url, self.who, headers)
        try:
            writer.write(body or b"")
            status, got = await _head(reader)
            html = (await asyncio.wait_for(_body(reader, got), PATIENCE)).decode()
        finally:
            writer.close()
        return Page(status, got, html, url, parsed(html))
