"""Brightness at once, colour on demand."""

from __future__ import annotations

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


def test_an_annotation_says_where_the_teacher_looked() -> None:
    annotation = Annotation(Detections.empty(), [[0, 0, 5, 5]])
    assert annotation.looked_xyxy.dtype == np.float32
    assert annotation.looked_xyxy.shape == (1, 4)
    with pytest.raises(ValueError, match="must have shape"):
        Annotation(Detections.empty(), np.zeros((2, 3), np.float32))


def test_a_frame_that_no_teacher_has_seen() -> None:
    nothing = Annotation.nothing_seen()
    assert (len(nothing.detections), len(nothing.looked_xyxy), nothing.n_calls, nothing.n_pixels) == (0, 0, 0, 0)
