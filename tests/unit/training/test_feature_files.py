"""Room on the disk, files of this training and of others, and their end."""

from __future__ import annotations

import errno
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.config import FeatureCacheConfig
from edge_autotuner.core import Deadline
from edge_autotuner.core.progress import NoProgress
from edge_autotuner.training import feature_files
from edge_autotuner.training.feature_files import (
    FEATURES,
    HEADER,
    JOURNAL,
    CacheFiles,
    CacheLayout,
    n_views_that_fit,
    open_cache_files,
)
from edge_autotuner.training.feature_store import FeatureStore

LAYOUT = CacheLayout("abc", "box", ((8, 4, 6), (16, 2, 3)), n_samples=5, n_views=3)  # 288 values, a slot of 4096
ONE_VIEW = 5 * 4096
ALL = FeatureCacheConfig(min_free_gb=0)


def opened(folder: Path | None, layout: CacheLayout = LAYOUT, config: FeatureCacheConfig = ALL) -> CacheFiles | None:
    return open_cache_files(layout, config, folder, deadline=Deadline(), progress=NoProgress())


def with_one_slot(folder: Path, config: FeatureCacheConfig = ALL) -> Path:
    """Make a cache, write slot 2 and leave it as a kill would."""
    files = opened(folder, config=config)
    assert files is not None
    files.store.write(2, np.ones(LAYOUT.n_values, np.float16), b"two")
    files.close(keep=True)
    return folder


def slots_of(files: CacheFiles | None) -> tuple[int, ...]:
    assert files is not None
    slots = files.store.slots
    files.close(keep=True)
    return slots


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    if feature_files.slot_bytes(1) != 4096:
        pytest.skip("the sizes below are for pages of 4096 bytes")


def test_each_view_of_each_sample_has_a_slot_of_its_own() -> None:
    slots = [LAYOUT.slot(index, view) for view in range(3) for index in range(5)]
    assert sorted(slots) == list(range(LAYOUT.n_slots))
    assert (LAYOUT.n_values, LAYOUT.n_bytes) == (8 * 24 + 16 * 6, 3 * ONE_VIEW)


@pytest.mark.parametrize(
    ("max_bytes", "min_free_bytes", "free_bytes", "n_views"),
    [
        pytest.param(1e9, 0, 1e9, 3, id="room for all"),
        pytest.param(3 * ONE_VIEW, 0, 1e9, 3, id="exactly all"),
        pytest.param(3 * ONE_VIEW - 1, 0, 1e9, 2, id="a byte too few"),
        pytest.param(ONE_VIEW, 0, 1e9, 1, id="one view"),
        pytest.param(ONE_VIEW - 1, 0, 1e9, 0, id="not one view"),
        pytest.param(1e9, 0, 2 * ONE_VIEW, 2, id="little disk"),
        pytest.param(1e9, ONE_VIEW, 2 * ONE_VIEW, 1, id="little disk, some of it to be left"),
        pytest.param(1e9, 1e6, 1e5, 0, id="too little already"),
        pytest.param(1e9, 0, 0, 0, id="full"),
    ],
)
def test_as_many_views_as_fit(max_bytes: float, min_free_bytes: float, free_bytes: float, n_views: int) -> None:
    config = FeatureCacheConfig(max_gb=max_bytes / 1e9, min_free_gb=min_free_bytes / 1e9)
    assert n_views_that_fit(LAYOUT, config, int(free_bytes)) == n_views


def test_fewer_views_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = opened(tmp_path, config=FeatureCacheConfig(max_gb=2 * ONE_VIEW / 1e9, min_free_gb=0))
    assert files is not None
    assert files.layout == replace(LAYOUT, n_views=2)
    assert (tmp_path / FEATURES).stat().st_size == 2 * ONE_VIEW
    files.close(keep=True)
    assert "room for 2 of 3 views of 5 pictures" in caplog.text
    assert "computing features in each step" not in caplog.text


@pytest.mark.parametrize("with_folder", [True, False])
def test_no_room_is_said(with_folder: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = FeatureCacheConfig(max_gb=1e-9)
    assert opened(tmp_path if with_folder else None, config=config) is None
    assert "room for 0 of 3 views" in caplog.text
    assert "feature cache off, computing features in each step" in caplog.text
    assert names_in(tmp_path) == set()


def test_new_files_take_no_disk_yet(tmp_path: Path) -> None:
    files = opened(tmp_path)
    assert slots_of(files) == ()
    assert (tmp_path / FEATURES).stat().st_size == LAYOUT.n_bytes
    assert (tmp_path / FEATURES).stat().st_blocks == 0


def test_files_of_this_training_are_used_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert slots_of(opened(with_one_slot(tmp_path))) == (2,)
    assert caplog.text == ""


def test_a_cache_with_fewer_views_keeps_them_when_the_disk_has_room_again(tmp_path: Path) -> None:
    with_one_slot(tmp_path)
    header = json.loads((tmp_path / HEADER).read_text(encoding="utf-8"))
    (tmp_path / HEADER).write_text(json.dumps({**header, "n_views": 1}), encoding="utf-8")
    with (tmp_path / FEATURES).open("r+b") as file:
        file.truncate(ONE_VIEW)
    files = opened(tmp_path)
    assert files is not None
    assert files.layout.n_views == 1
    assert slots_of(files) == (2,)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(LAYOUT, fingerprint="abd"), id="fingerprint"),
        pytest.param(replace(LAYOUT, layers="top"), id="layers"),
        pytest.param(replace(LAYOUT, shapes=((8, 4, 6), (16, 3, 2))), id="shapes"),
        pytest.param(replace(LAYOUT, n_samples=4), id="fewer samples"),
        pytest.param(replace(LAYOUT, n_views=2), id="fewer views"),
        pytest.param(replace(LAYOUT, n_views=4), id="more views"),
    ],
)
def test_files_of_another_training_are_replaced(
    other: CacheLayout, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = opened(with_one_slot(tmp_path), other)
    assert files is not None
    assert files.layout == other
    assert slots_of(files) == ()
    assert "from another training; recomputing" in caplog.text
    assert slots_of(opened(tmp_path, other)) == ()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param(HEADER, b"", id="empty header"),
        pytest.param(HEADER, b"{", id="no JSON"),
        pytest.param(HEADER, b"\xff\xfe", id="no text"),
        pytest.param(HEADER, b"[1, 2]", id="a list"),
        pytest.param(HEADER, b"{}", id="nothing in it"),
        pytest.param(HEADER, b'{"n_views": null}', id="no number"),
        pytest.param(HEADER, b'{"n_views": 3}', id="parts missing"),
        pytest.param(FEATURES, b"123", id="features cut off"),
        pytest.param(FEATURES, None, id="no features"),
        pytest.param(JOURNAL, None, id="no journal"),
    ],
)
def test_damaged_files_are_replaced(
    name: str, content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = with_one_slot(tmp_path) / name
    path.unlink() if content is None else path.write_bytes(content)
    assert slots_of(opened(tmp_path)) == ()
    assert "recomputing" in caplog.text
    assert names_in(tmp_path) == {HEADER, FEATURES, JOURNAL}


def test_files_without_a_header_are_leftovers_of_a_kill(tmp_path: Path) -> None:
    (with_one_slot(tmp_path) / HEADER).unlink()
    assert slots_of(opened(tmp_path)) == ()


def test_a_smaller_limit_replaces_larger_files(tmp_path: Path) -> None:
    files = opened(with_one_slot(tmp_path), config=FeatureCacheConfig(max_gb=ONE_VIEW / 1e9, min_free_gb=0))
    assert files is not None
    assert files.layout.n_views == 1
    assert slots_of(files) == ()


def test_the_files_go_when_they_are_not_wanted_any_more(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("stays", encoding="utf-8")
    files = opened(with_one_slot(tmp_path))
    assert files is not None
    assert names_in(tmp_path) == {"other.txt", HEADER, FEATURES, JOURNAL}
    files.close(keep=False)
    assert names_in(tmp_path) == {"other.txt"}


def test_temporary_files_have_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    files = opened(None)
    assert files is not None
    files.store.write(2, np.ones(LAYOUT.n_values, np.float16), b"two")
    assert files.store.values(2).tolist() == [1.0] * LAYOUT.n_values
    assert names_in(tmp_path) == set()
    files.close(keep=False)


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EFBIG, "File too large")


@pytest.mark.parametrize(
    ("owner", "name", "is_new"),
    [
        pytest.param(feature_files.os, "ftruncate", True, id="new features"),
        pytest.param(feature_files, "atomic_write_json", True, id="header"),
        pytest.param(FeatureStore, "recover", False, id="reading what is there"),
    ],
)
def test_a_disk_that_refuses_is_said(
    owner: object,
    name: str,
    is_new: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if not is_new:
        with_one_slot(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, refuse)
        assert opened(tmp_path) is None
    assert "feature cache off, computing features in each step: [Errno 27] File too large" in caplog.text
    assert slots_of(opened(tmp_path)) == (() if is_new else (2,))


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert opened(tmp_path / "file" / "training") is None
    assert "feature cache off, computing features in each step" in caplog.text
