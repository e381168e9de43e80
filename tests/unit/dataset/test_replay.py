"""The reservoir's folder: bounded, never twice the same frame, whole after a kill, and loud when damaged."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.dataset.pictures import encode_picture, hash_bytes
from edge_autotuner.dataset.replay import ReplayOffer, ReplayReservoir
from edge_autotuner.dataset.replay_records import ReplayLabels, ReplayPicture
from edge_autotuner.errors import DatasetError, StorageError
from edge_autotuner.storage.lock import FolderLock
from support.runs.dataset_folders import picture as random_picture

LABELS = LabelMap(("person", "car"))


def labels(class_ids: list[int], **changes: Any) -> ReplayLabels:
    n = len(class_ids)
    arguments: dict[str, Any] = {
        "objects": Detections([[i, 1.1, i + 10, 20.3] for i in range(n)], np.linspace(0.3, 0.9, n), class_ids),
        "ignored_xyxy": as_boxes([[40, 2, 50, 9]]),
        "looked_xyxy": as_boxes([[0, 0, 64, 48]]),
        "weights": None,
        "labels": LABELS,
    }
    return ReplayLabels(**(arguments | changes))


def offer(number: int, class_ids: list[int] | None = None, **changes: Any) -> ReplayOffer:
    """Return a picture that depends on its number."""
    data = encode_picture(random_picture(number), "png")
    arguments: dict[str, Any] = {
        "frame_id": f"cam:{number}",
        "origin": "replay",
        "era": "2026-05-01T10",
        "size_wh": (64, 48),
        "suffix": ".png",
        "sha256": hash_bytes(data),
        "n_bytes": len(data),
        "labels": labels([0] if class_ids is None else class_ids),
    }
    return ReplayOffer(ReplayPicture(**(arguments | changes)), lambda: data)


def ids_of(reservoir: ReplayReservoir) -> list[str]:
    return [picture.frame_id for picture in reservoir.pictures()]


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "pictures").iterdir())


def test_pictures_and_labels_come_back(tmp_path: Path) -> None:
    known = labels([1, 0, 1], weights=np.array([0.1, 0.7, 1.0], np.float32))
    reservoir = ReplayReservoir(tmp_path / "memory")
    assert not reservoir.exists
    assert reservoir.offer([offer(7, labels=known)]) == 1
    assert reservoir.exists
    (there,) = ReplayReservoir(tmp_path / "memory").pictures()
    np.testing.assert_array_equal(reservoir.read_image(there), random_picture(7))
    assert (there.frame_id, there.origin, there.era, there.size_wh) == ("cam:7", "replay", "2026-05-01T10", (64, 48))
    assert there.labels.objects.equals(known.objects)
    for name in ("ignored_xyxy", "looked_xyxy", "weights"):
        np.testing.assert_array_equal(getattr(there.labels, name), getattr(known, name))
    assert there.labels.labels == LABELS
    assert there.labels.classes == ("car", "person")


def test_nothing_offered_makes_an_empty_reservoir(tmp_path: Path) -> None:
    reservoir = ReplayReservoir(tmp_path)
    assert reservoir.offer([]) == 0
    assert reservoir.pictures() == []


def test_a_frame_is_never_held_twice(tmp_path: Path) -> None:
    reservoir = ReplayReservoir(tmp_path)
    assert reservoir.offer([offer(1), offer(1), offer(2)]) == 2
    again = offer(1, labels=labels([1]))
    same_picture = offer(2, frame_id="other:9")
    assert reservoir.offer([again, same_picture]) == 0
    assert ids_of(reservoir) == ["cam:1", "cam:2"]
    assert reservoir.pictures()[0].labels.classes == ("person",)


def test_an_offer_is_taken_once(tmp_path: Path) -> None:
    reservoir = ReplayReservoir(tmp_path)
    assert reservoir.offer([offer(i) for i in range(20)], offer_id="training 1", max_pictures=5) == 5
    before = ids_of(reservoir)
    assert reservoir.offer([offer(i) for i in range(20, 40)], offer_id="training 1") == 0
    assert ids_of(reservoir) == before
    assert reservoir.offer([offer(50, [1])], offer_id="training 2") == 1


def test_limits_hold_and_are_remembered(tmp_path: Path) -> None:
    reservoir = ReplayReservoir(tmp_path)
    reservoir.offer([offer(i) for i in range(10)], max_pictures=6)
    assert len(reservoir.pictures()) == len(files_of(tmp_path)) == 6
    reservoir.offer([offer(i) for i in range(10, 30)])
    assert len(reservoir.pictures()) == len(files_of(tmp_path)) == 6
    size_mb = offer(0).picture.n_bytes / 1e6
    reservoir.offer([], max_mb=3.5 * size_mb)
    assert len(files_of(tmp_path)) == 3
    assert (reservoir.limits.max_pictures, reservoir.limits.max_mb) == (6, 3.5 * size_mb)


def test_what_is_rare_or_old_stays(tmp_path: Path) -> None:
    reservoir = ReplayReservoir(tmp_path)
    for hour in range(6):
        frames = [offer(100 * hour + i, era=f"2026-05-01T{hour:02}") for i in range(8)]
        reservoir.offer([*frames, *([offer(999, [1])] if hour == 0 else [])], max_pictures=13)
    held = reservoir.pictures()
    assert Counter(p.labels.classes for p in held) == {("person",): 12, ("car",): 1}
    assert set(Counter(p.era for p in held if p.labels.classes == ("person",)).values()) == {2}


def test_generic_pictures_have_a_quota_and_the_camera_takes_the_rest(tmp_path: Path) -> None:
    reservoir = ReplayReservoir(tmp_path)
    own = [offer(i) for i in range(10)]
    generic = [offer(i, origin="generic") for i in range(100, 110)]
    reservoir.offer(own, max_pictures=8)
    assert len(ids_of(reservoir)) == 8
    assert reservoir.offer(generic) == 4
    assert Counter(p.origin for p in reservoir.pictures()) == {"replay": 4, "generic": 4}
    reservoir.offer(own)
    assert Counter(p.origin for p in reservoir.pictures()) == {"replay": 4, "generic": 4}


def test_the_seed_decides_between_equals(tmp_path: Path) -> None:
    kept = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        reservoir = ReplayReservoir(tmp_path / name)
        reservoir.offer([offer(i) for i in range(30)], max_pictures=5, seed=seed)
        kept.append(ids_of(reservoir))
    assert kept[0] == kept[1] != kept[2]


def test_the_digest_is_that_of_pictures_and_labels(tmp_path: Path) -> None:
    digests = []
    for name, offers in (
        ("a", [offer(1), offer(2)]),
        ("b", [offer(2), offer(1)]),
        ("c", [offer(1), offer(3)]),
        ("d", [offer(1), offer(2, [1])]),
    ):
        reservoir = ReplayReservoir(tmp_path / name)
        reservoir.offer(offers)
        digests.append(reservoir.digest())
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


# --- snapshots


def test_a_snapshot_stays_as_it_was(tmp_path: Path) -> None:
    reservoir = ReplayReservoir(tmp_path / "memory")
    reservoir.offer([offer(i) for i in range(4)], max_pictures=4)
    snapshot = reservoir.snapshot(tmp_path / "run" / "replay")
    digest, before = reservoir.digest(), ids_of(reservoir)
    reservoir.offer([offer(i, [1]) for i in range(10, 20)])
    assert ids_of(reservoir) != before
    again = reservoir.snapshot(tmp_path / "run" / "replay")
    assert again.digest() == snapshot.digest() == digest
    assert [again.read_image(p)[0, 0, 0] for p in again.pictures()] == [random_picture(i)[0, 0, 0] for i in range(4)]


def test_a_snapshot_of_nothing_is_empty(tmp_path: Path) -> None:
    snapshot = ReplayReservoir(tmp_path / "memory").snapshot(tmp_path / "copy")
    assert snapshot.pictures() == []
    assert not ReplayReservoir(tmp_path / "memory").exists


def test_a_snapshot_is_written_where_links_are_impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    reservoir = ReplayReservoir(tmp_path / "memory")
    reservoir.offer([offer(1)])
    snapshot = reservoir.snapshot(tmp_path / "copy")
    shutil.rmtree(tmp_path / "memory")
    np.testing.assert_array_equal(snapshot.read_image(snapshot.pictures()[0]), random_picture(1))


# --- bad worlds


def remove_picture(folder: Path) -> None:
    next((folder / "pictures").iterdir()).unlink()


def change_picture(folder: Path) -> None:
    path = next((folder / "pictures").iterdir())
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize("damage", [remove_picture, change_picture])
def test_a_damaged_picture_is_named(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    reservoir = ReplayReservoir(tmp_path / "memory")
    reservoir.offer([offer(1)])
    (name,) = files_of(tmp_path / "memory")
    damage(tmp_path / "memory")
    with pytest.raises(DatasetError, match=name):
        reservoir.read_image(reservoir.pictures()[0])
    with pytest.raises(DatasetError, match=name):
        reservoir.snapshot(tmp_path / "copy")
    assert not ReplayReservoir(tmp_path / "copy").exists


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda data: data[:-1], id="no line end"),
        pytest.param(lambda data: data.splitlines(keepends=True)[0], id="a line lost"),
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: data.replace(b"cam:1", b"cam:7"), id="a byte changed"),
    ],
)
def test_a_damaged_index_is_named(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    reservoir = ReplayReservoir(tmp_path)
    reservoir.offer([offer(1)])
    index = tmp_path / "index.jsonl"
    index.write_bytes(change(index.read_bytes()))
    for use in (reservoir.pictures, lambda: reservoir.offer([offer(2)])):
        with pytest.raises(DatasetError, match=r"index\.jsonl"):
            use()


def test_a_picture_of_another_size_than_recorded_is_named(tmp_path: Path) -> None:
    reservoir = ReplayReservoir(tmp_path)
    reservoir.offer([offer(1, size_wh=(48, 64))])
    with pytest.raises(DatasetError, match="has 64x48 pixels, expected"):
        reservoir.read_image(reservoir.pictures()[0])


def test_a_frame_that_changed_since_it_was_recorded_is_refused(tmp_path: Path) -> None:
    reservoir = ReplayReservoir(tmp_path)
    reservoir.offer([offer(1)])
    with pytest.raises(DatasetError, match="cam:2 was modified"):
        reservoir.offer([replace(offer(2), read=lambda: b"something else")])
    assert ids_of(reservoir) == ["cam:1"]


def test_other_folders_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"holiday\.jpg"):
        ReplayReservoir(tmp_path).offer([offer(1)])
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    with pytest.raises(DatasetError, match="is not a replay reservoir"):
        ReplayReservoir(tmp_path).pictures()


def test_a_second_writer_is_refused_after_a_while(tmp_path: Path) -> None:
    reservoir = ReplayReservoir(tmp_path, wait_s=0)
    reservoir.offer([offer(1)])
    lock = FolderLock(tmp_path)
    with pytest.raises(DatasetError, match="written by another run"):
        reservoir.offer([offer(2)])
    assert ids_of(reservoir) == ["cam:1"]
    lock.release()
    assert reservoir.offer([offer(2)]) == 1


def test_a_kill_before_the_index_leaves_the_reservoir_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reservoir = ReplayReservoir(tmp_path)
    reservoir.offer([offer(i) for i in range(3)], max_pictures=3)
    before = reservoir.digest()

    def die(*_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(ReplayReservoir, "_write_index", die)
        with pytest.raises(StorageError):
            reservoir.offer([offer(i, [1]) for i in range(10, 13)])
    assert reservoir.digest() == before
    assert all(reservoir.read_image(p).shape == (48, 64, 3) for p in reservoir.pictures())
    assert reservoir.offer([offer(i, [1]) for i in range(10, 13)]) > 0
    assert len(files_of(tmp_path)) == 3


def test_labels_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="a weight for each of 2 objects, got 3"):
        labels([0, 1], weights=np.ones(3, np.float32))
    with pytest.raises(ValueError, match=r"class_ids must be in 0\.\.1"):
        labels([2])


@pytest.mark.parametrize("suffix", ["/../x.png", ".P", ""])
def test_a_picture_stays_inside_the_folder(suffix: str) -> None:
    values = offer(1).picture.to_json() | {"suffix": suffix}
    with pytest.raises(ValueError, match="is not a picture of a reservoir"):
        ReplayPicture.from_json(values)


def test_old_pictures_are_forgotten(tmp_path: Path) -> None:
    reservoir = ReplayReservoir(tmp_path / "memory")
    reservoir.offer([offer(number) for number in range(4)], offer_id="first", max_pictures=7)
    before = datetime(2026, 5, 1, tzinfo=UTC)
    for number, picture in enumerate(reservoir.pictures()):
        stamp = before.timestamp() + (-1 if number < 2 else 0)
        os.utime(reservoir.folder / picture.file, (stamp, stamp))
    assert reservoir.forget(before=before) == 2
    assert ids_of(reservoir) == ["cam:2", "cam:3"]
    assert len(list((reservoir.folder / "pictures").iterdir())) == 2
    assert reservoir.limits.max_pictures == 7
    assert reservoir.offer([offer(0)], offer_id="first") == 0, "what was offered before is still known"
    assert reservoir.forget(before=before) == 0


def test_a_picture_that_is_missing_is_forgotten(tmp_path: Path) -> None:
    reservoir = ReplayReservoir(tmp_path)
    reservoir.offer([offer(0)])
    (tmp_path / reservoir.pictures()[0].file).unlink()
    assert reservoir.forget(before=datetime(1980, 1, 1, tzinfo=UTC)) == 1
    assert reservoir.pictures() == []
