"""What the service keeps: who may read it, and what it says when its database is locked or taken away."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.machine.private_files import open_to_others
from support.service.held_service_process import Service, stub_service
from support.service.service_samples import png

CAMERA = {"place": "gate"}


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def use_all(service: Service) -> None:
    """Let it write what it writes: results, cameras, contents, the audit log."""
    assert service.annotate(png()).status_code == 200
    assert service.client.put("/v1/cameras/gate", json=CAMERA).status_code in (200, 201)
    content = b"a picture of somebody"
    name = hashlib.sha256(content).hexdigest()
    assert service.client.put(f"/v1/blobs/{name}", content=content).status_code == 201


def test_nothing_that_it_keeps_is_open_to_others(tmp_path: Path, open_umask: None) -> None:
    data = tmp_path / "data"
    with stub_service(tmp_path) as service:
        use_all(service)
        assert open_to_others(data) == {}
        assert {path.name for path in data.iterdir()} >= {"service.sqlite", "results.sqlite", "blobs"}
        assert service.end() == 0
    assert open_to_others(data) == {}


def test_what_an_earlier_version_left_open_is_closed(tmp_path: Path, open_umask: None) -> None:
    data = tmp_path / "data"
    with stub_service(tmp_path) as service:
        use_all(service)
        assert service.end() == 0
    for path in (data, *data.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with stub_service(tmp_path) as service:
        assert open_to_others(data) == {}
        assert "had mode 755; removed other users' access" in service.log


def test_the_group_may_read_where_the_settings_say_so(tmp_path: Path, open_umask: None) -> None:
    with stub_service(tmp_path, "group_access=true") as service:
        use_all(service)
        assert open_to_others(tmp_path / "data", forbidden=0o027) == {}
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o750


def test_a_database_that_is_taken_away_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "data" / "service.sqlite"
    with stub_service(tmp_path) as service:
        use_all(service)
        path.rename(path.with_name("kept"))
        answer = service.client.put("/v1/cameras/yard", json=CAMERA)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        ready = service.client.get("/v1/ready")
        assert (ready.status_code, "database" in ready.json()["detail"]) == (503, True)
        assert "was removed or replaced while in use: stop the service" in service.log
        assert not path.exists()
        path.with_name("kept").rename(path)
        assert service.client.put("/v1/cameras/yard", json=CAMERA).status_code in (200, 201)
        assert service.client.get("/v1/ready").status_code == 200


def test_a_lock_that_is_held_is_answered_and_nobody_else_waits(tmp_path: Path) -> None:
    with stub_service(tmp_path) as service, ThreadPoolExecutor(4) as threads:
        use_all(service)
        other = sqlite3.connect(tmp_path / "data" / "service.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        writes = [threads.submit(service.client.put, f"/v1/cameras/c{n}", json=CAMERA) for n in range(3)]
        assert service.annotate(png(1)).status_code == 200
        assert service.client.get("/v1/cameras").status_code == 200
        assert service.client.get("/v1/ready").status_code == 503
        answers = [write.result() for write in writes]
        assert [answer.status_code for answer in answers] == [503] * 3
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
        other.execute("ROLLBACK")
        other.close()
        assert service.client.put("/v1/cameras/c0", json=CAMERA).status_code in (200, 201)
        assert service.client.get("/v1/ready").status_code == 200
