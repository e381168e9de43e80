"""Pictures that are treated on their way into a dataset: the original is in no file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.types import FloatArray, ImageArray
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.dataset.pictures import TreatedPicture, encode_picture
from support.runs.dataset_folders import add_frame, new_store, picture


class Blackening:
    """Makes pictures black, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[list[list[float]], ImageArray | None]] = []

    def treat(
        self, image_bgr: ImageArray, regions_xyxy: FloatArray | None, background: ImageArray | None
    ) -> TreatedPicture:
        self.told.append(([] if regions_xyxy is None else regions_xyxy.tolist(), background))
        return TreatedPicture(np.zeros_like(image_bgr), as_boxes([[0, 0, 64, 20]]))

    def treat_background(self, luma: ImageArray) -> ImageArray:
        return np.full_like(luma, 7)


def test_frames_and_backgrounds_are_treated(tmp_path: Path) -> None:
    original = tmp_path / "original.png"
    original.write_bytes(encode_picture(picture(5), "png"))
    treatment = Blackening()
    with new_store(tmp_path / "data", treatment=treatment) as store:
        name = store.add_background(np.arange(48 * 64, dtype=np.uint8).reshape(48, 64))
        record = add_frame(store, 3, background=name, regions_xyxy=as_boxes([[1, 2, 30, 40]]), original=original)
    (told,) = treatment.told
    assert told[0] == [[1, 2, 30, 40]]
    assert told[1] is not None
    assert (told[1] == 7).all(), "the background as it is stored"
    with DatasetStore.open(tmp_path / "data") as again:
        (stored,) = again.frames()
        assert stored.hidden.tolist() == [[0, 0, 64, 20]] == record.hidden.tolist()
        assert again.read_image(stored).max() == 0
        assert (again.read_background(name) == 7).all()
    assert original.read_bytes() not in {path.read_bytes() for path in (tmp_path / "data").rglob("*.*")}


def test_a_frame_that_hides_nothing_is_recorded_as_before(tmp_path: Path) -> None:
    with new_store(tmp_path / "data") as store:
        record = add_frame(store, 3)
    assert record.hidden.shape == (0, 4)
    assert "hidden_xyxy" not in record.to_json()
