"""Contents are stored whole under their hash, or not at all."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import threading
from collections import namedtuple
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from edge_autotuner.core import FakeClock
from edge_autotuner.errors import StorageError
from edge_autotuner.server import blob_transfers
from edge_autotuner.server import blobs as blobs_module
from edge_autotuner.server.blobs import Blobs
from edge_autotuner.server.problems import Problem
from support.service.registry_samples import Parts, bearer, open_parts, small_service

CONTENT = b"some content"
HASH = hashlib.sha256(CONTENT).hexdigest()
OTHER_HASH = hashlib.sha256(b"other").hexdigest()
Usage = namedtuple("Usage", "total used free")


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def new_blobs(folder: Path, *, max_bytes: int = 1000, reserve_bytes: int = 0, clock: FakeClock | None = None) -> Blobs:
    return Blobs(folder, max_bytes=max_bytes, reserve_bytes=reserve_bytes, clock=clock or FakeClock())


async def pieces(parts: Iterable[bytes], failure: BaseException | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if failure is not None:
        raise failure


def receive(
    blobs: Blobs,
    sha256: str,
    *parts: bytes,
    failure: BaseException | None = None,
    declared_bytes: int | None = None,
) -> int:
    return asyncio.run(blobs.receive(sha256, pieces(parts, failure), declared_bytes=declared_bytes))


def files(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != ".lock"
    )


def test_what_arrives_is_stored_under_its_hash(tmp_path: Path) -> None:
    blobs = new_blobs(tmp_path)
    assert receive(blobs, HASH, CONTENT[:5], b"", CONTENT[5:]) == len(CONTENT)
    assert files(tmp_path) == [f"{HASH[:2]}/{HASH}"]
    with blobs.open(HASH) as file:
        assert file.read() == CONTENT
    assert blobs.store(b"") == hash_of(b"")
    assert blobs.claim([hash_of(b""), HASH, OTHER_HASH]) == {hash_of(b""): 0, HASH: len(CONTENT)}


def test_a_content_of_many_blocks_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs_module, "_BLOCK_BYTES", 10)
    content = bytes(range(256)) * 3
    blobs = new_blobs(tmp_path)
    receive(blobs, hash_of(content), *(content[start : start + 7] for start in range(0, len(content), 7)))
    assert blobs.path(hash_of(content)).read_bytes() == content


def test_the_same_content_again_does_no_harm(tmp_path: Path) -> None:
    blobs = new_blobs(tmp_path)
    assert receive(blobs, HASH, CONTENT) == receive(blobs, HASH, CONTENT)
    assert files(tmp_path) == [f"{HASH[:2]}/{HASH}"]


@pytest.mark.parametrize(
    ("parts", "declared_bytes", "status", "kind"),
    [
        pytest.param([b"other"], None, 422, "hash-differs", id="other-content"),
        pytest.param([CONTENT[:-1]], len(CONTENT), 422, "hash-differs", id="truncated"),
        pytest.param([CONTENT, CONTENT], len(CONTENT), 422, "hash-differs", id="duplicated"),
        pytest.param([], 0, 422, "hash-differs", id="empty"),
        pytest.param([CONTENT], 1001, 413, "blob-too-large", id="declared-too-large"),
        pytest.param([b"x" * 600, b"x" * 600], 10, 413, "blob-too-large", id="larger-than-declared"),
    ],
)
def test_what_is_wrong_leaves_nothing(
    tmp_path: Path, parts: list[bytes], declared_bytes: int | None, status: int, kind: str
) -> None:
    blobs = new_blobs(tmp_path)
    with pytest.raises(Problem) as caught:
        receive(blobs, HASH, *parts, declared_bytes=declared_bytes)
    assert (caught.value.status, caught.value.kind) == (status, kind)
    assert files(tmp_path) == []


@pytest.mark.parametrize("failure", [ConnectionResetError(), asyncio.CancelledError(), KeyError()], ids=repr)
def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path, failure: BaseException) -> None:
    blobs = new_blobs(tmp_path)
    with pytest.raises(type(failure)):
        receive(blobs, HASH, CONTENT, failure=failure)
    assert files(tmp_path) == []


def test_the_reserve_of_the_disk_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = new_blobs(tmp_path, reserve_bytes=100)
    free = [111, 111]
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(1000, 0, free.pop(0)))
    with pytest.raises(Problem) as caught:
        receive(blobs, HASH, CONTENT, declared_bytes=len(CONTENT))
    assert (caught.value.status, caught.value.kind) == (507, "disk-full")
    assert len(free) == 1, "it was refused before anything was read"
    free[:] = [112, 111]
    with pytest.raises(Problem, match="disk is full"):
        receive(blobs, HASH, CONTENT, declared_bytes=len(CONTENT))
    assert files(tmp_path) == []
    free[:] = [112, 112]
    receive(blobs, HASH, CONTENT, declared_bytes=len(CONTENT))
    assert files(tmp_path) == [f"{HASH[:2]}/{HASH}"]


@pytest.mark.parametrize("call", ["write_all", "os.fsync", "os.replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_refuses_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    blobs = new_blobs(tmp_path)

    def refuse(*_arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(f"edge_autotuner.server.blob_transfers.{call}", refuse)
    expected = StorageError if code == errno.EIO else Problem
    with pytest.raises(expected) as caught:
        receive(blobs, HASH, CONTENT)
    monkeypatch.undo()
    assert getattr(caught.value, "status", 507) == 507
    assert files(tmp_path) == []
    receive(blobs, HASH, CONTENT)


def test_uploads_of_the_same_content_at_once_are_fine(tmp_path: Path) -> None:
    blobs = new_blobs(tmp_path)
    uploads = [blobs.begin() for _ in range(3)]
    for upload in uploads:
        upload.write(CONTENT)
    for upload in uploads:
        assert upload.finish(HASH) == len(CONTENT)
        upload.abort()
    assert files(tmp_path) == [f"{HASH[:2]}/{HASH}"]
    assert blobs.path(HASH).read_bytes() == CONTENT


def test_an_upload_that_is_given_up_ends_after_its_last_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = new_blobs(tmp_path).begin()
    is_writing, go_on, open_while_writing = threading.Event(), threading.Event(), []

    def write_slowly(handle: int, _block: bytes) -> None:
        is_writing.set()
        go_on.wait()
        open_while_writing.append(os.fstat(handle).st_size)

    monkeypatch.setattr(blob_transfers, "write_all", write_slowly)
    threads = [threading.Thread(target=upload.write, args=(CONTENT,)), threading.Thread(target=upload.abort)]
    threads[0].start()
    is_writing.wait()
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert open_while_writing == [0]
    assert files(tmp_path) == []
    for call in (lambda: upload.write(CONTENT), lambda: upload.finish(HASH)):
        with pytest.raises(ValueError, match="has ended"):
            call()


def test_an_upload_that_nobody_holds_ends_itself(tmp_path: Path) -> None:
    upload = new_blobs(tmp_path).begin()
    handle = upload._handle
    del upload
    assert files(tmp_path) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle)


def test_leftovers_are_removed_at_start_and_uploads_in_progress_are_not(tmp_path: Path) -> None:
    blobs = new_blobs(tmp_path)
    upload = blobs.begin()
    upload.write(CONTENT)
    (tmp_path / "incoming" / "leftover").write_bytes(b"half")
    new_blobs(tmp_path)
    assert not (tmp_path / "incoming" / "leftover").exists()
    upload.finish(HASH)
    upload.abort()
    assert files(tmp_path) == [f"{HASH[:2]}/{HASH}"]


def test_an_upload_whose_file_is_taken_for_a_leftover_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = new_blobs(tmp_path)
    lock, taken = blobs_module.fcntl.flock, []

    def removed_before_the_lock(handle: int, kind: int) -> None:
        if not taken:
            taken.append(os.readlink(f"/proc/self/fd/{handle}"))
            os.unlink(taken[0])
        lock(handle, kind)

    monkeypatch.setattr(blobs_module.fcntl, "flock", removed_before_the_lock)
    upload = blobs.begin()
    upload.write(CONTENT)
    upload.finish(HASH)
    upload.abort()
    assert taken
    assert blobs.path(HASH).read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", HASH.upper(), HASH[:-1], HASH + "a", HASH[:-1] + "\n"])
def test_other_names_never_become_paths(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        new_blobs(tmp_path).path(name)


def test_what_is_young_or_was_claimed_is_not_removed(tmp_path: Path) -> None:
    clock = FakeClock()
    blobs = new_blobs(tmp_path, clock=clock)
    old, claimed, again, young = (blobs.store(content) for content in (b"old", b"claimed", b"again", b"young"))
    clock.advance(100)
    blobs.claim([claimed])
    blobs.store(b"again")
    clock.advance(50)
    blobs.store(b"young")
    assert {blob.sha256: round(blob.age_s) for blob in blobs.all()} == {old: 150, claimed: 50, again: 50, young: 0}
    assert blobs.remove([old, claimed, again, young, OTHER_HASH], min_age_s=100) == {old: 3}
    assert {blob.sha256 for blob in blobs.all()} == {claimed, again, young}
    assert blobs.remove([young], min_age_s=0) == {young: 5}


def test_a_clock_that_was_set_back_removes_nothing(tmp_path: Path) -> None:
    clock = FakeClock()
    blobs = new_blobs(tmp_path, clock=clock)
    sha256 = blobs.store(CONTENT)
    clock.advance(-3600)
    assert blobs.remove([sha256], min_age_s=0) == {}


def test_what_is_being_read_can_be_read_to_its_end(tmp_path: Path) -> None:
    blobs = new_blobs(tmp_path)
    blobs.store(CONTENT)
    with blobs.open(HASH) as file:
        assert blobs.remove([HASH], min_age_s=0) == {HASH: len(CONTENT)}
        assert file.read() == CONTENT
    with pytest.raises(Problem) as caught:
        blobs.open(HASH)
    assert (caught.value.status, caught.value.kind) == (404, "unknown-blob")


def test_a_claim_waits_for_a_removal(tmp_path: Path) -> None:
    clock = FakeClock()
    blobs = new_blobs(tmp_path, clock=clock)
    blobs.store(CONTENT)
    clock.advance(100)
    found: list[dict[str, int]] = []
    with blobs._lock(blobs_module.fcntl.LOCK_EX):
        thread = threading.Thread(target=lambda: found.append(new_blobs(tmp_path, clock=clock).claim([HASH])))
        thread.start()
        blobs.path(HASH).unlink()
        assert found == []
    thread.join()
    assert found == [{}]


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = open_parts(tmp_path)
    yield made
    made.close()


@pytest.fixture
def service(parts: Parts) -> Iterator[TestClient]:
    with small_service(parts) as client:
        client.headers.update(bearer(parts, "trainer", "train"))
        yield client


def test_a_content_goes_to_the_service_and_back(service: TestClient) -> None:
    question = {"sha256": [HASH, OTHER_HASH]}
    assert service.post("/v1/blobs/missing", json=question).json() == {"missing": [HASH, OTHER_HASH]}
    stored = service.put(f"/v1/blobs/{HASH}", content=CONTENT)
    assert (stored.status_code, stored.json()) == (201, {"sha256": HASH, "n_bytes": len(CONTENT)})
    assert service.post("/v1/blobs/missing", json=question).json() == {"missing": [OTHER_HASH]}
    reply = service.get(f"/v1/blobs/{HASH}")
    assert (reply.status_code, reply.content) == (200, CONTENT)
    assert reply.headers["content-type"] == "application/octet-stream"
    assert (reply.headers["etag"], reply.headers["accept-ranges"]) == (f'"{HASH}"', "bytes")


@pytest.mark.parametrize(
    ("asked", "status", "content", "content_range"),
    [
        pytest.param("bytes=0-3", 206, CONTENT[:4], "bytes 0-3/12", id="begin"),
        pytest.param("bytes=5-", 206, CONTENT[5:], "bytes 5-11/12", id="rest"),
        pytest.param("bytes=5-500", 206, CONTENT[5:], "bytes 5-11/12", id="beyond"),
        pytest.param("bytes=-3", 206, CONTENT[-3:], "bytes 9-11/12", id="last"),
        pytest.param("bytes=-99", 206, CONTENT, "bytes 0-11/12", id="more-than-all"),
        pytest.param("bytes=11-11", 206, CONTENT[11:], "bytes 11-11/12", id="one"),
        pytest.param("bytes=12-", 416, None, "bytes */12", id="at-the-end"),
        pytest.param("bytes=-0", 416, None, "bytes */12", id="last-none"),
        pytest.param("bytes=7-5", 416, None, "bytes */12", id="backwards"),
        pytest.param("bytes=0-1,3-4", 200, CONTENT, None, id="several"),
        pytest.param("lines=1-2", 200, CONTENT, None, id="unit"),
        pytest.param("bytes=" + "9" * 5000 + "-", 200, CONTENT, None, id="huge"),
        pytest.param("bytes=-", 200, CONTENT, None, id="nothing"),
    ],
)
def test_parts_of_a_content(
    service: TestClient, asked: str, status: int, content: bytes | None, content_range: str | None
) -> None:
    service.put(f"/v1/blobs/{HASH}", content=CONTENT)
    reply = service.get(f"/v1/blobs/{HASH}", headers={"Range": asked})
    assert (reply.status_code, reply.headers.get("content-range")) == (status, content_range)
    if content is None:
        assert reply.json()["type"] == "no-such-part"
    else:
        assert reply.content == content


@pytest.mark.parametrize("asked", [None, "bytes=0-", "bytes=-1"])
def test_an_empty_content(service: TestClient, asked: str | None) -> None:
    service.put(f"/v1/blobs/{hash_of(b'')}", content=b"")
    reply = service.get(f"/v1/blobs/{hash_of(b'')}", headers={"Range": asked} if asked else {})
    assert reply.status_code == (416 if asked else 200)


def test_the_service_refuses_what_does_not_fit(service: TestClient, parts: Parts) -> None:
    assert service.put(f"/v1/blobs/{HASH}", content=b"other").status_code == 422
    assert service.put(f"/v1/blobs/{HASH}", content=b"x" * ((1 << 20) + 1)).status_code == 413
    assert service.put("/v1/blobs/..%2F..%2Fetc", content=CONTENT).status_code in {404, 422}
    assert service.put(f"/v1/blobs/{HASH.upper()}", content=CONTENT).status_code == 422
    assert service.get(f"/v1/blobs/{HASH}").status_code == 404
    assert service.post("/v1/blobs/missing", json={"sha256": ["../etc"]}).status_code == 422
    assert service.post("/v1/blobs/missing", json={"sha256": [], "more": 1}).status_code == 422
    assert list(parts.blobs.all()) == []


@pytest.mark.parametrize(
    ("scopes", "may_read", "may_write"),
    [
        pytest.param([], False, False, id="none"),
        pytest.param(["annotate"], True, False, id="annotate"),
        pytest.param(["train"], True, True, id="train"),
        pytest.param(["deploy"], True, True, id="deploy"),
        pytest.param(["admin"], True, True, id="admin"),
    ],
)
def test_scopes(parts: Parts, scopes: list[str], may_read: bool, may_write: bool) -> None:
    parts.blobs.store(CONTENT)
    headers = bearer(parts, "client", *scopes) if scopes else {"Authorization": "Bearer nonsense"}
    refused = 403 if scopes else 401
    with small_service(parts) as service:
        replies = [
            service.get(f"/v1/blobs/{HASH}", headers=headers).status_code,
            service.put(f"/v1/blobs/{HASH}", content=CONTENT, headers=headers).status_code,
            service.post("/v1/blobs/missing", json={"sha256": []}, headers=headers).status_code,
        ]
    assert replies == [200 if may_read else refused, 201 if may_write else refused, 200 if may_write else refused]
