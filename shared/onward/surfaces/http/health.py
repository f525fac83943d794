"""How a deployment is: what its store says of itself, what nobody has looked at, what sweeps healed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from onward.core.codec import stamp
from onward.core.sweeps import Swept
from onward.ports import Diagnosis, Finding, Query
from onward.surfaces.documents import switch_doc
from onward.surfaces.http import models
from onward.surfaces.http.lists import OldestPage, oldest
from onward.surfaces.http.service import Anywhere, Service
from onward.surfaces.verbs import needs_attention

COUNTED = 100
"""Sessions that need attention are counted so far."""

router = APIRouter(tags=["operating"])


@router.get("/health", response_model=models.Health)
async def get_health(asked: Anywhere) -> Any:
    """Tell how the deployment is: its store, what is late, leases of those who are gone, what sweeps healed, which
    versions are in use, what needs attention, what is switched off.

    Takes a viewer of every tenant. On Firestore it costs at most some 2,500 reads: of up to 1,000 sessions for the
    versions in use, of up to 1,000 for what needs attention, and some hundreds for what is late.
    """
    asked.rights.check_everywhere("viewer")
    return await health(asked.service)


async def health(service: Service) -> dict[str, Any]:
    """The same, as a document of plain values."""
    backend = service.parts.backend
    diagnosis, kept = await backend.diagnose(), await backend.sweeps.read()
    versions = _versions(service, diagnosis)
    fine = all(found.ok for found in diagnosis.findings) and all(version["known"] for version in versions)
    return {
        "ok": fine,
        "at": stamp(service.parts.clock.now()),
        "findings": [_finding(found) for found in diagnosis.findings],
        "late": _late(diagnosis.findings),
        "lapsed": _sum(diagnosis.findings, "lapsed"),
        "sweeps": {"last": kept.last and _swept(kept.last), "healed": [_swept(each) for each in kept.healed]},
        "versions": versions,
        "attention": await _attention(service),
        "resting": dict(await backend.store.census()),
        "off": [switch_doc(switch) for switch in await backend.switches.read()],
    }


def _finding(found: Finding) -> dict[str, Any]:
    told = {"name": found.name, "ok": found.ok, "text": found.text}
    return told | {"details": dict(found.details), "sessions": list(found.sessions)}


def _late(findings: Sequence[Finding]) -> dict[str, Any]:
    ages = [found.details["oldest_s"] for found in findings if "oldest_s" in found.details]
    return {"count": _sum(findings, "overdue"), "oldest_s": max(ages, default=None)}


def _sum(findings: Sequence[Finding], name: str) -> int:
    return sum(found.details.get(name, 0) for found in findings)


def _swept(swept: Swept) -> dict[str, Any]:
    return {"at": stamp(swept.at), "woken": swept.woken}


def _versions(service: Service, diagnosis: Diagnosis) -> list[dict[str, Any]]:
    return [
        {
            "program": program,
            "version": version,
            "sessions": count,
            "known": service.app.program(program, version) is not None,
        }
        for program, version, count in diagnosis.versions
    ]


async def _attention(service: Service) -> dict[str, Any]:
    queries = [Query(status=("needs_attention",)), Query(wait="operator")]
    page = OldestPage(needs_attention, None, COUNTED)
    heads, following = await oldest(service.parts.backend.store, queries, None, page)
    return {"count": len(heads), "more": following is not None}
