"""Parts of downloads do not stay: those of other bundles go at once, old ones after a day."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_autotuner.config.node import StorageConfig
from edge_autotuner.core import FakeClock
from edge_autotuner.errors import ModelBundleError
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.node.incoming_bundles import IncomingBundles
from edge_autotuner.node.retention import Retention, cameras_in

NOW = datetime(2026, 1, 10, tzinfo=UTC)


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    """A camera's folder with a part of the bundle b1, a whole b2, a file and a link that lead nowhere good."""
    folder = tmp_path / "node" / "gate"
    part = folder / "incoming" / ".b1.0123456789abcdef.tmp"
    part.mkdir(parents=True)
    (part / ".model.onnx.0123456789abcdef.tmp").write_bytes(b"half")
    (folder / "incoming" / "b2").mkdir()
    (folder / "incoming" / "b2" / "bundle.json").write_text("{}")
    (folder / "incoming" / "file").write_text("x")
    (folder / "batches").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("precious")
    (folder / "incoming" / "link").symlink_to(tmp_path / "outside")
    return folder


def left(camera: Path) -> list[str]:
    return sorted(path.name for path in (camera / "incoming").iterdir())


def test_only_what_is_wanted_stays(camera: Path, tmp_path: Path) -> None:
    arrivals = IncomingBundles(camera)
    arrivals.remove_others("b1")
    assert left(camera) == [".b1.0123456789abcdef.tmp"]
    arrivals.remove_others("b")
    assert left(camera) == []
    assert (tmp_path / "outside" / "file").read_text() == "precious"


def test_nothing_stays_where_nothing_is_wanted(camera: Path, tmp_path: Path) -> None:
    IncomingBundles(camera).remove_others(None)
    assert left(camera) == []
    assert (tmp_path / "outside" / "file").is_file()
    IncomingBundles(tmp_path / "none").remove_others(None)  # there need not be any


def set_age(path: Path, age: timedelta) -> None:
    stamp = (NOW - age).timestamp()
    for each in (*path.rglob("*"), path):
        os.utime(each, (stamp, stamp), follow_symlinks=False)


def test_parts_that_nothing_is_added_to_end_after_a_day(camera: Path) -> None:
    set_age(camera / "incoming", timedelta(hours=25))
    part = camera / "incoming" / ".b1.0123456789abcdef.tmp" / ".model.onnx.0123456789abcdef.tmp"
    stamp = (NOW - timedelta(hours=23)).timestamp()
    os.utime(part, (stamp, stamp))  # a slow download
    IncomingBundles(camera).remove_old(NOW)
    assert left(camera) == [".b1.0123456789abcdef.tmp"]


def test_a_clock_that_was_set_back_deletes_nothing(camera: Path) -> None:
    set_age(camera / "incoming", timedelta(days=-3))
    before = left(camera)
    IncomingBundles(camera).remove_old(NOW)
    assert left(camera) == before


def test_the_retention_of_a_node_covers_them_also_of_cameras_that_are_no_more(camera: Path, tmp_path: Path) -> None:
    set_age(camera / "incoming", timedelta(days=2))
    clock = FakeClock()
    clock.started_at = NOW
    retention = Retention(StorageConfig(), clock, tmp_path / "node")
    for found in cameras_in(tmp_path / "node"):
        retention.apply(found, is_in_use=False)
    assert left(camera) == []
    assert CameraFolder(camera).batches() == []


@pytest.mark.parametrize("bundle_id", ["../x", "/etc", "", ".b1.0123456789abcdef.tmp", "link"])
def test_the_place_of_a_bundle_is_inside(camera: Path, bundle_id: str) -> None:
    with pytest.raises(ModelBundleError):
        IncomingBundles(camera).path_of(bundle_id)


def test_a_failure_is_logged_and_the_others_go(
    camera: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("edge_autotuner.storage.paths.shutil.rmtree", refuse)
    with caplog.at_level(logging.ERROR):
        IncomingBundles(camera).remove_others(None)
    assert left(camera) == [".b1.0123456789abcdef.tmp", "b2"]
    assert caplog.text.count("EACCES") == 2
