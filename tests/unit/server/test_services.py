"""What the settings of retention and disk reach."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.config.server import RetentionConfig, ServerConfig
from edge_autotuner.core import FakeClock
from edge_autotuner.server.annotation.models import LoadedModel
from edge_autotuner.server.problems import Problem
from edge_autotuner.server.retention import RetentionRules
from edge_autotuner.server.services import Services, open_services
from support.service.service_samples import MODEL_SHA256, StubDetector

HOUR_S = 3600.0


@contextmanager
def opened(folder: Path, clock: FakeClock | None = None, **settings: Any) -> Iterator[Services]:
    config = ServerConfig.model_validate({"data": folder, "models": {"stub": {"source": "stub"}}, **settings})
    model = LoadedModel(StubDetector(), MODEL_SHA256, "settings")
    services = open_services(config, loaders={"stub": lambda: model}, clock=clock)
    try:
        yield services
    finally:
        services.close()


def test_the_default_settings_are_the_default_rules() -> None:
    assert RetentionRules.from_config(RetentionConfig()) == RetentionRules()


def test_each_setting_is_a_rule() -> None:
    values = {"max_age_s": 5, "min_age_s": 4, "n_rollbacks": 2, "grace_s": 1, "pictures_max_age_s": 3}
    rules = RetentionRules.from_config(RetentionConfig.model_validate({**values, "max_contents_mb": 7}))
    assert asdict(rules) == {**values, "max_bytes": 7_000_000}


def test_uploads_have_the_size_of_the_settings(tmp_path: Path) -> None:
    with opened(tmp_path, blobs={"max_content_mb": 0.001, "reserve_mb": 0}) as services:
        assert services.blobs is not None
        services.blobs.store(b"x" * 1000)
        with pytest.raises(Problem, match="at most 1000 bytes"):
            services.blobs.store(b"x" * 1001)


def test_uploads_leave_the_reserve_of_the_settings(tmp_path: Path) -> None:
    with opened(tmp_path, blobs={"reserve_mb": 1e8}) as services:
        assert services.blobs is not None
        with pytest.raises(Problem, match="disk is full") as caught:
            services.blobs.store(b"x")
        assert caught.value.status == 507


def test_one_schedule_removes_everything_that_is_old(tmp_path: Path) -> None:
    """Contents, working folders of jobs, and what a killed upload left."""
    clock = FakeClock()
    retention = {"grace_s": "1h", "pictures_max_age_s": "2h", "every_s": "1h"}
    with opened(tmp_path, clock, retention=retention, blobs={"reserve_mb": 0}) as services:
        assert services.blobs is not None
        assert services.schedule is not None
        services.blobs.store(b"a picture")
        job = tmp_path / "jobs" / "j1"
        (job / "run").mkdir(parents=True)
        leftover = tmp_path / "blobs" / "incoming" / "half"
        leftover.write_bytes(b"half a picture")
        for _ in range(4):
            services.schedule.look()
            clock.advance(HOUR_S)
        assert list(services.blobs.all()) == []
        assert not leftover.exists()
        assert not job.exists()


def test_a_disk_without_its_reserve_is_not_ready(tmp_path: Path) -> None:
    def reasons(services: Services) -> list[str]:
        return [reason for check in services.checks if (reason := check()) is not None]

    with opened(tmp_path, blobs={"reserve_mb": 0}) as services:
        assert reasons(services) == []
    with opened(tmp_path, blobs={"reserve_mb": 1e8}) as services:
        places = ("the data folder", "the folder of uploads")
        assert reasons(services) == [f"free space is below the reserve on the disk of {place}" for place in places]


def test_uploads_that_are_gone_are_not_ready(tmp_path: Path) -> None:
    with opened(tmp_path, blobs={"reserve_mb": 0}) as services:
        shutil.rmtree(tmp_path / "blobs")
        found = [reason for check in services.checks if (reason := check()) is not None]
    assert found == [
        "cannot write to the folder of uploads",
        "free space is below the reserve on the disk of the folder of uploads",
    ]
