"""How a page is made: what stands on each of them, and what a browser is told to allow on it (nothing from elsewhere,
and no script or style but the console's own files, whatever a model or a tool wrote)."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from onward.core.codec import stamp
from onward.errors import BadInput, NotAllowed
from onward.surfaces import text
from onward.surfaces.console import static
from onward.surfaces.http.roles import Role
from onward.surfaces.http.service import Asked, Service

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
)

FIELDS = 1000
"""Fields that a form may have: one that is drawn of arguments has two for each of them."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
"""What ids and tenants look like."""


def address(path: str, /, **query: str | int | None) -> str:
    """A page's address; parts of the path are to be quoted by `part`."""
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def part(name: str) -> str:
    """A name as a part of a path."""
    return quote(name, safe="")


def moment(at: datetime | None) -> Markup:
    """A time: in UTC, until a script says it in the reader's zone."""
    if at is None:
        return Markup("")
    said = Markup('<time datetime="{0}">{1:%Y-%m-%d %H:%M:%S} UTC</time>')
    return said.format(stamp(at), at)


def when(stamped: str) -> Markup:
    """A time that was written down as text."""
    return moment(datetime.fromisoformat(stamped))


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("onward.surfaces.console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    made.globals |= {"at": address, "part": part, "static": static.address}
    made.filters |= {
        "moment": moment,
        "brief": text.brief,
        "when": when,
        "span": text.span,
        "stamp": stamp,
        "safe_text": text.safe,
        "shown": text.shown,
        "said": text.said,
    }
    del made.filters["safe"]  # nothing here is
    return made


_PAGES = _environment()


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """A template, filled. All values are escaped."""
    return _PAGES.get_template(template).render(values)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a person for a page."""

    request: Request
    asked: Asked
    place: str | None

    @property
    def service(self) -> Service:
        return self.asked.service

    @property
    def now(self) -> datetime:
        return self.service.parts.clock.now()

    @property
    def token(self) -> str:
        """What a form of theirs carries, and nobody else's."""
        return hmac.digest(
            self.service.parts.backend.secret, f"console form/{self.asked.rights.name}".encode(), "sha256"
        ).hex()

    def among(self, tenant: str | None) -> Asked:
        """The same visitor, asking about this tenant's; without one, about that of the address. Raises BadInput."""
        return self.asked if not tenant else Asked(self.service, self.asked.rights, _checked(tenant))

    def may(self, role: Role, tenant: str) -> bool:
        """Whether they have this role there."""
        return role in self.asked.rights.roles(tenant)

    def param(self, name: str) -> str | None:
        """What the address says under a name; None for nothing."""
        return self.request.query_params.get(name) or None

    def page(self, template: str, /, status: int = 200, **values: Any) -> Response:
        """A page for them."""
        here = {"visit": self, "now": self.now, "key": secrets.token_hex(8), "alert": None}
        here |= {"many": self.asked.rights.several}
        return HTMLResponse(rendered(template, here | values), status, HEADERS)


def made(request: Request, place: str | None) -> Visit:
    """The visit that a request is. Raises UsageError."""
    service: Service = request.app.state.service
    tenant = request.query_params.get("tenant") or None
    rights = service.roles.rights(request.scope["state"]["caller"])
    return Visit(request, Asked(service, rights, tenant and _checked(tenant)), place)


def _checked(tenant: str) -> str:
    if not NAME.fullmatch(tenant):
        raise BadInput("tenant: it is no name of one")
    return tenant


def redirect(to: str) -> Response:
    """Go there, by a request of its own: to load it again repeats nothing."""
    return RedirectResponse(to, 303, HEADERS)


# --- forms -----------------------------------------------------------------------------------------------------

Form = Mapping[str, str]


async def form_of(visit: Visit) -> Form:
    """What a form says; of fields of one name the last. Raises BadInput, and NotAllowed for one that was not theirs."""
    try:
        body = (await visit.request.body()).decode()
        pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=FIELDS, errors="strict")
    except ValueError as exc:
        raise BadInput("body: it is no form") from exc
    form = {name: value.replace("\r\n", "\n") for name, value in pairs}
    if not hmac.compare_digest(form.get("token", "").encode(), visit.token.encode()):
        raise NotAllowed("token: this form is not one that you were given; load the page again", "wrong_form")
    return form


def wanted(form: Form, name: str) -> str:
    """A field that must be there. Raises BadInput."""
    if not form.get(name):
        raise BadInput(f"{name}: it is missing")
    return form[name]


def value(form: Form, name: str) -> Any:
    """A field's text; where the form says that it is JSON, the value. Raises BadInput."""
    text = form.get(name, "")
    if not form.get("json"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadInput(f"{name}: it is no JSON: {exc}") from exc


Shows = Callable[[Visit], Awaitable[Response]]
Does = Callable[[Visit, Form], Awaitable[Response]]
