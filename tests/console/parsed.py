"""A page of the console without a browser: asked for as one does, and read as a tree."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

VOID = frozenset({"meta", "link", "input", "br", "img", "base", "hr"})


@dataclass
class Node:
    """An element, and what is in it."""

    tag: str
    attrs: dict[str, str]
    inside: list[Node | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(each if isinstance(each, str) else each.text for each in self.inside)

    def all(self, tag: str | None = None, **attrs: str) -> Iterator[Node]:
        """Every element below it like this; underscores in names are hyphens."""
        wanted = {name.strip("_").replace("_", "-"): value for name, value in attrs.items()}
        for each in self.inside:
            if isinstance(each, Node):
                if tag in (None, each.tag) and all(each.attrs.get(name) == value for name, value in wanted.items()):
                    yield each
                yield from each.all(tag, **attrs)

    def one(self, tag: str | None = None, **attrs: str) -> Node:
        (found,) = self.all(tag, **attrs)
        return found


class _Tree(HTMLParser):
    """Raises AssertionError where an element is not closed in its turn."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Node("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inside.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].inside.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)


def parsed(html: str) -> Node:
    """The tree of a whole page."""
    tree = _Tree()
    tree.feed(html)
    tree.close()
    assert [node.tag for node in tree.open] == [""]
    return tree.open[0]


@dataclass(frozen=True)
class Page:
    """An answer; of a redirect where to."""

    status: int
    to: str
    html: str

    @property
    def tree(self) -> Node:
        return parsed(self.html)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *given: Any) -> None:
        return None


@dataclass(frozen=True)
class Browser:
    """Somebody's, without scripts. `token` makes of their name what shows who asks."""

    url: str
    token: Callable[[str], str]
    who: str

    async def get(self, path: str) -> Page:
        return await asyncio.to_thread(self._ask, path, None)

    async def post(self, path: str, **fields: str) -> Page:
        """Send a form, to the letter."""
        return await asyncio.to_thread(self._ask, path, urlencode(fields).encode())

    async def submit(self, page: Page, action: str, **fields: str) -> Page:
        """Fill in the form of a page that is sent to where this begins, and send it."""
        (form,) = [form for form in page.tree.all("form") if form.attrs["action"].partition("?")[0] == action]
        given = {each.attrs["name"]: each.attrs.get("value", "") for each in form.all("input") if _counts(each)}
        given |= {each.attrs["name"]: each.text for each in form.all("textarea")}
        return await self.post(form.attrs["action"], **given | fields)

    def _ask(self, path: str, body: bytes | None) -> Page:
        headers = {"Authorization": f"Bearer {self.token(self.who)}"}
        request = urllib.request.Request(self.url.rstrip("/") + path, body, headers)
        try:
            with urllib.request.build_opener(_Stay).open(request, timeout=30) as answer:
                return Page(answer.status, "", answer.read().decode())
        except urllib.error.HTTPError as exc:
            with exc:
                return Page(exc.code, exc.headers.get("location") or "", exc.read().decode())


def _counts(field: Node) -> bool:
    return field.attrs.get("type") != "checkbox" or "checked" in field.attrs
