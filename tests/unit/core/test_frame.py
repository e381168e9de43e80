"""Brightness at once, colour on demand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_autotuner.core import Annotation, Detections, Frame
from edge_autotuner.core.types import ImageArray


def test_colour_is_made_once_and_only_when_asked_for() -> None:
    n_calls = 0

    def to_bgr() -> ImageArray:
        nonlocal n_calls
        n_calls += 1
        return np.full((2, 3, 3), 7, np.uint8)

    frame = Frame(4, 0.5, np.zeros((2, 3), np.uint8), to_bgr)
    assert (frame.size_wh, n_calls) == ((3, 2), 0)
    assert frame.image_bgr is frame.image_bgr
    assert n_calls == 1


def test_brightness_is_that_of_opencv() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    frame = Frame.from_bgr(image, index=0, time_s=0.0, file_name="a/b.jpg")
    difference = frame.luma.astype(int) - cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    assert np.abs(difference).max() <= 1  # OpenCV rounds in fixed point
    assert (frame.size_wh, frame.file_name) == ((30, 20), "a/b.jpg")
    assert frame.image_bgr is image


@pytest.mark.parametrize("level", [0, 114, 255])
def test_grey_stays_what_it_is(level: int) -> None:
    assert (Frame.from_bgr(np.full((4, 4, 3), level, np.uint8), index=0, time_s=0).luma == level).all()


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (1, 3, 4, 4)])
def test_only_pictures_with_three_channels_are_taken(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must have shape \(H, W, 3\)"):
        Frame.from_bgr(np.zeros(shape, np.uint8), index=0, time_s=0)


def test_an_annotation_says_where_the_teacher_looked() -> None:
    annotation = Annotation(Detections.empty(), [[0, 0, 5, 5]])
    assert annotation.looked_xyxy.dtype == np.float32
    assert annotation.looked_xyxy.shape == (1, 4)
    with pytest.raises(ValueError, match="must have shape"):
        Annotation(Detections.empty(), np.zeros((2, 3), np.float32))


def test_a_frame_that_no_teacher_has_seen() -> None:
    nothing = Annotation.nothing_seen()
    assert (len(nothing.detections), len(nothing.looked_xyxy), nothing.n_calls, nothing.n_pixels) == (0, 0, 0, 0)
