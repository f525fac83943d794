"""Cloud Storage keeps the promises of large values, through Google's own client."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import importlib.util
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace

import pytest

from emulators.storage import Fault, Storage
from onward.adapters.gcp.storage import StorageBlobs
from onward.errors import CorruptLog, StoreUnavailable
from onward.testing.contracts import BlobsContract

KEY = "a" * 32
NAME = f"blobs/{'d' * 64}"


@pytest.fixture
def storage() -> Iterator[Storage]:
    with contextlib.suppress(ModuleNotFoundError):
        if importlib.util.find_spec("google.cloud.storage"):
            with Storage() as storage:
                storage.make_bucket("sessions")
                yield storage
            return
    pytest.skip("google-cloud-storage is missing: pip install -e '.[gcp]'")


@pytest.fixture
async def blobs(storage: Storage) -> AsyncIterator[StorageBlobs]:
    made = StorageBlobs("sessions", endpoint=storage.url, patience=3.0)
    yield made
    await made.close()


@pytest.fixture(params=["storage"])
def backend(blobs: StorageBlobs) -> SimpleNamespace:
    return SimpleNamespace(blobs=blobs)


class TestBlobs(BlobsContract):
    pass


def asked(storage: Storage) -> list[tuple[str, int]]:
    """What was asked since the last call."""
    found = [(request.method, request.status) for request in storage.requests]
    storage.requests.clear()
    return found


# --- what is asked of the service ------------------------------------------------------------------------------


async def test_a_value_is_one_request_to_put_and_one_to_get(storage: Storage, blobs: StorageBlobs) -> None:
    await blobs.put(KEY, NAME, "value")
    assert asked(storage) == [("POST", 200)]
    assert await blobs.get(KEY, NAME) == "value"
    assert await blobs.get(KEY, "blobs/other") is None
    assert asked(storage) == [("GET", 200), ("GET", 404)]


async def test_a_value_lies_under_its_session(storage: Storage, blobs: StorageBlobs) -> None:
    await blobs.put(KEY, "snapshots/000000000007-ab", "value")
    assert storage.objects.get("sessions", f"sessions/{KEY}/snapshots/000000000007-ab", {}).data == b"value"


async def test_b1_one_of_eight_writers_at_once_creates(storage: Storage, blobs: StorageBlobs) -> None:
    for n in range(10):
        await asyncio.gather(*(blobs.put(KEY, f"snapshots/{n}", str(writer)) for writer in range(8)))
        statuses = sorted(status for method, status in asked(storage) if method == "POST")
        assert statuses == [200] + [412] * 7


async def test_b1_a_large_value_goes_up_in_a_resumable_upload_and_is_created_once(
    storage: Storage, blobs: StorageBlobs
) -> None:
    large = "x" * (9 * 1024 * 1024)
    await blobs.put(KEY, NAME, large)
    assert asked(storage) == [("POST", 200), ("PUT", 200)]
    await blobs.put(KEY, NAME, large)
    assert await blobs.get(KEY, NAME) == large
    assert asked(storage) == [("POST", 412), ("GET", 200), ("GET", 200)]


async def test_b1_a_large_upload_goes_on_after_a_cut(storage: Storage, blobs: StorageBlobs) -> None:
    large = "x" * (9 * 1024 * 1024)
    storage.faults.append(Fault("PUT"))
    await blobs.put(KEY, NAME, large)
    assert await blobs.get(KEY, NAME) == large


async def test_b3_every_page_of_a_long_list_is_forgotten(storage: Storage, blobs: StorageBlobs) -> None:
    for n in range(1003):
        storage.objects.put("sessions", {"name": f"sessions/{KEY}/blobs/{n}"}, b"", {})
    await blobs.forget(KEY, "blobs/")
    assert storage.objects.list("sessions", {})["items"] == []


# --- what goes wrong on the way --------------------------------------------------------------------------------

FAULTS = {
    "refused": Fault("", status=503, times=2),
    "busy": Fault("", status=429),
    "cut before": Fault(""),
    "done, then refused": Fault("", status=503, after=True),
    "done, then cut": Fault("", after=True),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_a_passing_fault_is_not_noticed(storage: Storage, blobs: StorageBlobs, method: str, name: str) -> None:
    fault = FAULTS[name]
    storage.faults.append(Fault(method, status=fault.status, after=fault.after, times=fault.times))
    await blobs.put(KEY, NAME, "value")
    assert await blobs.get(KEY, NAME) == "value"
    await blobs.forget(KEY, "blobs/")
    assert await blobs.get(KEY, NAME) is None
    assert storage.faults[0].times == 0


async def test_b2_an_answer_that_is_cut_is_asked_for_again(storage: Storage, blobs: StorageBlobs) -> None:
    await blobs.put(KEY, NAME, "value" * 1000)
    storage.faults.append(Fault("GET", cut=100))
    assert await blobs.get(KEY, NAME) == "value" * 1000


async def test_an_outage_is_said_after_a_while_and_not_taken_for_nothing_there(
    storage: Storage, blobs: StorageBlobs
) -> None:
    await blobs.put(KEY, NAME, "value")
    storage.faults += [Fault(method, status=503, times=1000) for method in ("GET", "POST")]
    doing = (blobs.get(KEY, NAME), blobs.put(KEY, NAME, "value"), blobs.forget(KEY, ""))
    for failed in await asyncio.gather(*doing, return_exceptions=True):
        assert isinstance(failed, StoreUnavailable)
        assert "503" in str(failed)


async def test_a_service_that_is_not_there_is_an_outage(storage: Storage) -> None:
    blobs = StorageBlobs("sessions", endpoint=storage.url, patience=0.5)
    storage.close()
    with pytest.raises(StoreUnavailable):
        await blobs.get(KEY, NAME)
    await blobs.close()


async def test_a_refusal_is_an_outage_for_operators_to_end(storage: Storage, blobs: StorageBlobs) -> None:
    storage.faults.append(Fault("GET", status=403))
    with pytest.raises(StoreUnavailable, match="bucket sessions"):
        await blobs.get(KEY, NAME)


async def test_who_may_not_replace_what_is_there_need_not(storage: Storage, blobs: StorageBlobs) -> None:
    """The service may say so before it looks whether anything would be replaced."""
    await blobs.put(KEY, NAME, "value")
    storage.faults.append(Fault("POST", status=403))
    await blobs.put(KEY, NAME, "value")
    storage.faults.append(Fault("POST", status=403))
    with pytest.raises(CorruptLog, match="not the value"):
        await blobs.put(KEY, NAME, "another")


async def test_a_bucket_that_is_not_there_is_not_a_value_that_is_not_there(storage: Storage) -> None:
    blobs = StorageBlobs("other", endpoint=storage.url)
    for doing in (blobs.get(KEY, NAME), blobs.put(KEY, NAME, "value"), blobs.forget(KEY, "")):
        with pytest.raises(StoreUnavailable, match="bucket does not exist"):
            await doing
    await blobs.close()


# --- digests ---------------------------------------------------------------------------------------------------


async def test_a_file_that_was_changed_is_refused(storage: Storage, blobs: StorageBlobs) -> None:
    name = f"files/{hashlib.sha256(b'bytes').hexdigest()}"
    await blobs.put(KEY, name, base64.b64encode(b"bytes").decode())
    assert await blobs.get(KEY, name) == base64.b64encode(b"bytes").decode()
    for other in (base64.b64encode(b"other"), b"no base64", b"\xff"):
        storage.objects.put("sessions", {"name": f"sessions/{KEY}/{name}"}, other, {})
        with pytest.raises(CorruptLog):
            await blobs.get(KEY, name)


async def test_what_lies_under_a_digest_already_must_be_the_same(blobs: StorageBlobs) -> None:
    await blobs.put(KEY, NAME, "value")
    with pytest.raises(CorruptLog, match="not the value that its name says"):
        await blobs.put(KEY, NAME, "other")
    assert await blobs.get(KEY, NAME) == "value"


async def test_it_works_in_every_loop(storage: Storage) -> None:
    blobs = StorageBlobs("sessions", endpoint=storage.url)
    await asyncio.to_thread(asyncio.run, blobs.put(KEY, NAME, "value"))
    assert await blobs.get(KEY, NAME) == "value"
    await blobs.close()
