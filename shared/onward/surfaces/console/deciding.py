"""A decision as a form says it, and taking it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from onward.core.canonical import digest
from onward.core.links import read
from onward.core.signals import DecisionBody, parse
from onward.errors import BadInput
from onward.runtime.signals import Outcome
from onward.surfaces.console.page import Form, Visit, wanted
from onward.surfaces.console.schema_read import exact_json
from onward.surfaces.http.links import check_unused
from onward.surfaces.http.moving import decision
from onward.surfaces.http.service import Asked

TOLD = {
    "approved": "Approved.",
    "edited": "Approved, with your changes.",
    "rejected": "Rejected.",
    "responded": "Answered: the program is given your result, and nothing is performed.",
    "delegated": "Passed on.",
    "accepted": "Your decision is accepted and not yet taken up. Load this page again to see what becomes of it.",
}
"""What is said after a decision, by the code in the page's address."""


def body_of(form: Form, call: str, link_digest: str | None = None) -> dict[str, Any]:
    """The decision that a form says, about exactly the call that it showed. Raises BadInput."""
    verdict = wanted(form, "verdict")
    body: dict[str, Any] = {"call": call, "verdict": verdict, "digest": link_digest or wanted(form, "digest")}
    body["reason"] = form.get("reason", "")
    if verdict == "approved" and form.get("arguments"):
        body["arguments"] = given_json(form, "arguments")
    if verdict == "responded":
        wanted(form, "result")
        body["result"] = given(form, "result")
    if verdict == "delegated":
        body["to"] = wanted(form, "to").strip()
    return body


def given(form: Form, name: str) -> Any:
    """What stands in a field: a text, or JSON if that is ticked; nothing for nothing. Raises BadInput."""
    if form.get("json"):
        return given_json(form, name)
    return form.get(name) or None


def given_json(form: Form, name: str) -> Any:
    """The JSON in a field. Raises BadInput."""
    try:
        return exact_json(form.get(name, ""))
    except ValueError as exc:
        raise BadInput(f"{name}: {exc}") from exc


def key_of(form: Form, *about: Any) -> str:
    """The same form about the same thing is the same request, however often it is sent. Raises BadInput."""
    return digest(["console", wanted(form, "key"), *about])


async def decide(asked: Asked, session: str, form: Form, call: str) -> tuple[str, Outcome]:
    """Decide, and answer the code of what is said then."""
    body = body_of(form, call)
    outcome = await decision(asked, session, body, key_of(form, session, body))
    return code_of(body, outcome), outcome


async def decide_by_link(visit: Visit, token: str, form: Form) -> tuple[str, Outcome]:
    """The same on the call that a link opens, unless the link is over."""
    link = read(visit.service.parts.backend.secret, token)
    body = body_of(form, link.call, link.digest) | {"decided": link.decided}
    parse("decision", body)
    key = key_of(form, link.session, body)
    await check_unused(visit.asked, token, body, key)
    outcome = await decision(replace(visit.asked, given=link.tenant), link.session, body, key)
    return code_of(body, outcome), outcome


def code_of(body: dict[str, Any], outcome: Outcome) -> str:
    """What is said of a decision, as a code."""
    known: DecisionBody = parse("decision", body)
    if not outcome.decided:
        return "accepted"
    return "edited" if known.arguments is not None else known.verdict
