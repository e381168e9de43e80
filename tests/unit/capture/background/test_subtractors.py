"""OpenCV's subtractors: when their picture is known and renewed."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.background import KnnBackground, Mog2Background

CLASSES = [KnnBackground, Mog2Background]


@pytest.mark.parametrize("model_class", CLASSES)
@pytest.mark.parametrize(("quick_start", "first_known"), [(False, 10), (True, 5)])
def test_known_after_ten_frames_or_five(
    model_class: type[KnnBackground | Mog2Background], quick_start: bool, first_known: int
) -> None:
    model = model_class(quick_start=quick_start)
    known = []
    for _ in range(12):
        model.update(np.full((8, 8), 70, np.uint8))
        known.append(model.background is not None)
    assert known.index(True) + 1 == first_known
    assert all(known[first_known - 1 :])


@pytest.mark.parametrize("model_class", CLASSES)
def test_the_picture_is_renewed_every_five_frames(model_class: type[KnnBackground | Mog2Background]) -> None:
    model = model_class()
    pictures = []
    for level in range(21):
        model.update(np.full((8, 8), 70 + level, np.uint8))
        pictures.append(model.background)
    renewed = [number for number in range(1, 21) if pictures[number] is not pictures[number - 1]]
    assert renewed == [9, 14, 19]
