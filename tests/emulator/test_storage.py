"""The stand-in for Cloud Storage does what the service does, asked by Google's own client."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from emulators.storage import Storage

LARGE = bytes(range(256)) * 40_000


@pytest.fixture
def storage() -> Iterator[Storage]:
    with contextlib.suppress(ModuleNotFoundError):
        if importlib.util.find_spec("google.cloud.storage"):
            with Storage() as storage:
                yield storage
            return
    pytest.skip("google-cloud-storage is missing: pip install -e '.[gcp]'")


@pytest.fixture
def client(storage: Storage) -> Iterator[Any]:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    place = {"api_endpoint": storage.url}
    client = Client(project="p", credentials=AnonymousCredentials(), client_options=place)
    client._bucket_metadata_cache = None  # it asks for buckets in threads that nobody waits for
    yield client
    client.close()


@pytest.fixture
def bucket(client: Any) -> Any:
    return client.create_bucket("sessions")


def test_buckets_are_made_once(client: Any, bucket: Any) -> None:
    from google.api_core.exceptions import Conflict, NotFound

    assert client.get_bucket("sessions").name == "sessions"
    with pytest.raises(Conflict):
        client.create_bucket("sessions")
    bucket.blob("x").upload_from_string("x")
    with pytest.raises(Conflict):
        bucket.delete(retry=None)
    bucket.blob("x").delete()
    bucket.delete()
    with pytest.raises(NotFound, match="bucket"):
        bucket.blob("x").upload_from_string("x", retry=None)


def test_an_object_comes_back_with_what_was_said_of_it(bucket: Any) -> None:
    blob = bucket.blob("a b/ü?&#")
    blob.metadata = {"seq": "7"}
    blob.upload_from_string("text", content_type="text/x-test")
    found = bucket.get_blob("a b/ü?&#")
    assert (found.size, found.content_type, found.metadata) == (4, "text/x-test", {"seq": "7"})
    assert found.download_as_bytes() == b"text"
    assert bucket.get_blob("other") is None


@pytest.mark.parametrize("data", [b"first", LARGE], ids=["in one request", "resumable"])
def test_generations_are_conditions(bucket: Any, data: bytes) -> None:
    from google.api_core.exceptions import NotFound, PreconditionFailed

    blob = bucket.blob("x")
    blob.upload_from_string(data, if_generation_match=0)
    first = blob.generation
    with pytest.raises(PreconditionFailed):
        bucket.blob("x").upload_from_string(data, if_generation_match=0)
    blob = bucket.blob("x")
    blob.upload_from_string(data + b"!", if_generation_match=first)
    assert blob.generation > first
    for stale in (
        lambda: bucket.blob("x").upload_from_string(data, if_generation_match=first),
        lambda: blob.download_as_bytes(if_generation_match=first),
        lambda: blob.delete(if_generation_match=first),
    ):
        with pytest.raises(PreconditionFailed):
            stale()
    with pytest.raises(NotFound):
        bucket.blob("x", generation=first).download_as_bytes()
    assert bucket.blob("x").download_as_bytes() == data + b"!"
    bucket.blob("x").delete(if_generation_match=bucket.get_blob("x").generation)
    bucket.blob("x").upload_from_string(data, if_generation_match=0)


def test_one_of_eight_creators_wins(bucket: Any) -> None:
    from google.api_core.exceptions import PreconditionFailed

    def create(n: int) -> bool:
        try:
            bucket.blob("x").upload_from_string(str(n), if_generation_match=0)
            return True
        except PreconditionFailed:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == [False] * 7 + [True]


def test_ranges_give_a_part(bucket: Any) -> None:
    from google.api_core.exceptions import RequestRangeNotSatisfiable

    blob = bucket.blob("x")
    blob.upload_from_string(b"0123456789")
    assert blob.download_as_bytes(start=2, end=4) == b"234"
    assert blob.download_as_bytes(start=8) == b"89"
    with pytest.raises(RequestRangeNotSatisfiable):
        blob.download_as_bytes(start=10)


def test_a_resumable_upload_goes_in_pieces(storage: Storage, bucket: Any) -> None:
    blob = bucket.blob("x", chunk_size=1024 * 1024)
    blob.upload_from_string(LARGE)
    assert blob.download_as_bytes() == LARGE
    assert [request.status for request in storage.requests if request.method == "PUT"] == [308] * 9 + [200]


def test_lists_have_prefixes_pages_and_groups(client: Any, bucket: Any) -> None:
    for name in ("a/1", "a/2", "a/b/3", "b/4", "a/b/5", "c"):
        bucket.blob(name).upload_from_string("x")
    assert [blob.name for blob in client.list_blobs(bucket)] == ["a/1", "a/2", "a/b/3", "a/b/5", "b/4", "c"]
    assert [blob.name for blob in client.list_blobs(bucket, prefix="a/", page_size=1)] == [
        "a/1",
        "a/2",
        "a/b/3",
        "a/b/5",
    ]
    grouped = client.list_blobs(bucket, prefix="a/", delimiter="/")
    assert [blob.name for blob in grouped] == ["a/1", "a/2"]
    assert grouped.prefixes == {"a/b/"}


def test_wrong_checksums_are_refused(storage: Storage, bucket: Any) -> None:
    from emulators.storage_objects import Refusal

    with pytest.raises(Refusal, match="checksum"):
        storage.objects.put("sessions", {"name": "x", "md5Hash": "AAAA"}, b"data", {})


def test_what_it_does_not_know_it_says(bucket: Any) -> None:
    from google.api_core.exceptions import MethodNotImplemented

    blob = bucket.blob("x")
    blob.upload_from_string("x")
    with pytest.raises(MethodNotImplemented, match="does not know"):
        bucket.copy_blob(blob, bucket, "y", retry=None)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("storage", ["--bucket", "sessions"], "http://127.0.0.1:"),
        ("tasks", ["--queue", "projects/p/locations/l/queues/q"], "127.0.0.1:"),
        ("scheduler", ["--url", "http://127.0.0.1:1/"], "keys http://127.0.0.1:"),
    ],
)
def test_each_is_a_command_that_says_where_it_is(storage: Storage, name: str, options: list[str], says: str) -> None:
    command = [sys.executable, "-m", f"emulators.{name}", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.terminate()
    assert said.startswith(says)
