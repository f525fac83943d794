"""Whether all is well, line by line, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from onward.core.head import Head
from onward.engine.deciding import Registry
from onward.ports import Diagnosis, Finding, Query
from onward.runtime.access import Access
from onward.surfaces.documents import restored_doc
from onward.surfaces.operating import restored_text, switch_text
from onward.surfaces.output import Output
from onward.surfaces.text import safe
from onward.surfaces.verbs import Place

COUNTED = 1000
"""Sessions that are counted one by one; from there on it is `more than`."""


@dataclass(frozen=True, slots=True)
class Check:
    """A finding, and what to do about it."""

    finding: Finding
    next: str = ""


async def doctor(runtime: Access, programs: Registry | None, app: str, place: Place, output: Output) -> bool:
    """Look at everything; whether all is well. `app` is how the application is named in a command."""
    diagnosis = await runtime.diagnose()
    checks = [Check(found, _next(found, app, place)) for found in diagnosis.findings]
    checks += [check async for check in _sessions(runtime, place)]
    checks += [_versions(diagnosis, programs, app, place), await _switches(runtime, place), await _restores(runtime)]
    if output.json:
        output.doc({"ok": all(check.finding.ok for check in checks), "checks": [_doc(check) for check in checks]})
    else:
        output.lines(_lines(checks, output))
    return all(check.finding.ok for check in checks)


def _next(found: Finding, app: str, place: Place) -> str:
    """What to do about what the store says of itself."""
    if found.ok:
        return ""
    if found.name == "overdue":
        return "the sweep wakes it within a minute; if not, see whether its job runs, and what the functions log"
    if found.name in ("leases", "wakes", "timers", "signals"):
        return place.command("worker", app)
    return {
        "clock": "set this machine's clock: timers go by it",
        "size": "end the program that reads the file without end: its log can't be moved into it",
        "sync": "check the disk and the file system",
        "journal": "keep the file on a local disk",
    }.get(found.name, "upgrade onward")


# --- sessions --------------------------------------------------------------------------------------------------


async def _sessions(runtime: Access, place: Place) -> Any:
    """Those that nothing moves but somebody who looks."""
    parked = await runtime.list(Query(status=("needs_attention",), limit=COUNTED))
    doubt = await runtime.list(Query(wait="operator", limit=COUNTED))
    doubted = [head for head in doubt if any(wait.kind == "operator" and wait.call for wait in head.waits)]
    attention = place.command("list", "--attention")
    yield Check(_counted("parked", parked, "no session needs attention"), attention if parked else "")
    yield Check(_counted("in doubt", doubted, "no call is in doubt"), attention if doubted else "")


def _counted(name: str, heads: Sequence[Head], none: str) -> Finding:
    if not heads:
        return Finding(name, True, none, {"sessions": 0})
    many = f"more than {len(heads)}" if len(heads) >= COUNTED else f"{len(heads)}"
    return Finding(name, False, f"{many} session{'s' * (len(heads) != 1)}", {"sessions": len(heads)}, _ids(heads))


def _ids(heads: Sequence[Head]) -> tuple[str, ...]:
    """The oldest: they have waited longest."""
    return tuple(head.id for head in sorted(heads, key=lambda head: head.updated_at)[:5])


def _versions(diagnosis: Diagnosis, programs: Registry | None, app: str, place: Place) -> Check:
    """Whether the application has what sessions that have not ended run."""
    used = ", ".join(f"{name} {version} ({count})" for name, version, count in diagnosis.versions)
    details = {"in_use": [list(row) for row in diagnosis.versions]}
    if programs is None:
        return Check(Finding("versions", True, f"{used or 'none'} in use; name APP to compare", details))
    gone = [f"{name} {version}" for name, version, _ in diagnosis.versions if not programs.program(name, version)]
    text = f"{', '.join(gone)} in use, and not in {app}" if gone else f"{used or 'none'} in use, all in {app}"
    check = Finding("versions", not gone, text, details | {"missing": gone})
    return Check(check, f"put {'them' if len(gone) > 1 else 'it'} back into {app}" if gone else "")


async def _switches(runtime: Access, place: Place) -> Check:
    off, now = await runtime.switches(), runtime.parts.clock.now()
    if not off:
        return Check(Finding("switches", True, "nothing is switched off", {"off": []}))
    text = "; ".join(switch_text(switch, now) for switch in off)
    found = Finding("switches", False, text, {"off": [switch.scope for switch in off]})
    return Check(found, place.command("on", off[0].scope))


async def _restores(runtime: Access) -> Check:
    """Nothing that is wrong, but what has to be known of a database."""
    restores, now = await runtime.restores(), runtime.parts.clock.now()
    text = restored_text(restores[0], now) if restores else "none from a backup"
    return Check(Finding("restores", True, text, {"restores": [restored_doc(each) for each in restores]}))


# --- telling ---------------------------------------------------------------------------------------------------


def _lines(checks: Sequence[Check], output: Output) -> Iterator[str]:
    room = max(len(check.finding.name) for check in checks)
    for check in checks:
        found = check.finding
        verdict = output.paper.tint("ok  ", "good") if found.ok else output.paper.tint("look", "bad")
        named = f": {', '.join(found.sessions)}" if found.sessions else ""
        yield f"{verdict}  {found.name:<{room}}  {safe(found.text + named)}"
        if check.next:
            yield f"{'':{room + 8}}{output.paper.tint(check.next, 'strong')}"


def _doc(check: Check) -> dict[str, Any]:
    found = check.finding
    doc = {"name": found.name, "ok": found.ok, "text": found.text, **found.details}
    return doc | {"sessions_named": list(found.sessions)} | ({"next": check.next} if check.next else {})
