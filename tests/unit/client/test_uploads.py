"""What the service has does not travel, however much there is."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest

from edge_autotuner.client.contents import Content, upload_missing
from edge_autotuner.core import NoProgress
from edge_autotuner.errors import ServiceBadReply
from support.service.job_samples import FakeJobs, connected, sha256_of


class Counted(NoProgress):
    def __init__(self) -> None:
        self.total: int | None = None
        self.n_done = 0

    def start(self, task: str, total: int | None) -> None:
        self.total = total

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        self.n_done += steps


def test_only_what_is_missing_travels(tmp_path: Path) -> None:
    fake, progress = FakeJobs(), Counted()
    contents: dict[str, Content] = {sha256_of(bytes([n])): bytes([n]) for n in range(9)}
    large = tmp_path / "large"
    large.write_bytes(b"x" * 700_000)
    contents[sha256_of(large.read_bytes())] = large
    fake.blobs = {sha256: content for sha256, content in list(contents.items())[:4] if isinstance(content, bytes)}
    with connected(fake) as connection:
        upload_missing(connection, contents, progress=progress)
        assert (progress.total, progress.n_done) == (6, 6)
        upload_missing(connection, contents, progress=progress)
    assert set(fake.blobs) == set(contents)
    assert fake.blobs[sha256_of(large.read_bytes())] == large.read_bytes()
    assert fake.asked["PUT /blobs/SHA"] == 6


def test_many_contents_are_asked_about_in_several_questions() -> None:
    fake = FakeJobs()
    contents: dict[str, Content] = {f"{n:064x}": b"there" for n in range(12_001)}
    fake.blobs = dict.fromkeys(contents, b"there")
    with connected(fake) as connection:
        upload_missing(connection, contents)
    assert fake.asked == {"POST /blobs/missing": 3}


def test_a_service_that_misses_what_nobody_offered_is_refused() -> None:
    class Curious(FakeJobs):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            content = json.dumps({"missing": ["0" * 64]}).encode()
            return httpx2.Response(200, headers={"content-type": "application/json"}, stream=httpx2.ByteStream(content))

    with connected(Curious()) as connection, pytest.raises(ServiceBadReply, match="unknown blob"):
        upload_missing(connection, {sha256_of(b"a"): b"a"})
