"""Whatever the random changes do: boxes stay on the canvas, and nothing is called background that nobody saw.

Where a place ends up is read from the picture itself: what the teacher saw is painted into one channel, what is
uncertain into another, the object into the third.
"""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_autotuner.config import AugmentationConfig
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray
from edge_autotuner.models.yolox import CellGrid
from edge_autotuner.training import PreparedSample, canvas_size, prepare_sample
from support.cameras.coloured_scene import sample_of

SEEN, UNCERTAIN, OBJECT = 0, 1, 2  # channels


@st.composite
def rectangles(draw: st.DrawFn, size_wh: tuple[int, int]) -> tuple[int, int, int, int]:
    x1, y1 = draw(st.integers(0, size_wh[0] - 8)), draw(st.integers(0, size_wh[1] - 8))
    return x1, y1, draw(st.integers(x1 + 8, size_wh[0])), draw(st.integers(y1 + 8, size_wh[1]))


def painted(size_wh: tuple[int, int], channel: int, boxes: list[tuple[int, int, int, int]], image: ImageArray) -> None:
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2, channel] = 255


def around(channel: ImageArray, centres_xy: FloatArray) -> ImageArray:
    """Return (N, 4): the pixels whose corner each cell centre is."""
    x, y = centres_xy.astype(int).T
    return np.stack([channel[y + dy, x + dx] for dy in (-1, 0) for dx in (-1, 0)], axis=1)


def is_surely(channel: ImageArray, value: int, centres_xy: FloatArray) -> BoolArray:
    return np.asarray((around(channel, centres_xy) == value).all(axis=1))


@settings(max_examples=60)
@given(st.data(), st.sampled_from([(96, 72), (120, 60), (48, 80), (64, 64)]), st.integers(0, 2**32 - 1))
def test_labels_follow_the_picture(data: st.DataObject, size_wh: tuple[int, int], seed: int) -> None:
    looked = data.draw(st.lists(rectangles(size_wh), max_size=3))
    ignored = data.draw(st.lists(rectangles(size_wh), max_size=2))
    label = data.draw(rectangles(size_wh))
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    painted(size_wh, SEEN, looked, image)
    painted(size_wh, UNCERTAIN, ignored, image)
    painted(size_wh, OBJECT, [label], image)
    canvas_wh = canvas_size(size_wh, (96, 96))
    centres_xy = CellGrid.of_input(canvas_wh[1], canvas_wh[0]).centres.numpy()
    result = prepare_sample(
        sample_of(
            image,
            boxes_xyxy=np.array([label], np.float32),
            ignored_xyxy=np.array(ignored, np.float32).reshape(-1, 4),
            looked_xyxy=np.array(looked, np.float32).reshape(-1, 4),
        ),
        image,
        canvas_wh=canvas_wh,
        input_size_wh=(96, 96),
        centres_xy=centres_xy,
        augmentation=AugmentationConfig(scale=0.6, translate=0.4, brightness=0, contrast=0, saturation=0),
        rng=np.random.default_rng(seed),
    )
    check_boxes(result, canvas_wh)
    seen, uncertain = result.image[SEEN], result.image[UNCERTAIN]
    assert not (result.is_known & is_surely(seen, 0, centres_xy)).any()
    assert not (result.is_known & is_surely(uncertain, 255, centres_xy)).any()
    surely_known = is_surely(seen, 255, centres_xy) & is_surely(uncertain, 0, centres_xy)
    if len(result.boxes_xyxy) == 0:  # the object left the picture: the rest of it is unknown too
        surely_known &= is_surely(result.image[OBJECT], 0, centres_xy)
    assert result.is_known[surely_known].all()


def check_boxes(result: PreparedSample, canvas_wh: tuple[int, int]) -> None:
    boxes = result.boxes_xyxy
    assert (boxes >= 0).all()
    assert (boxes <= [*canvas_wh, *canvas_wh]).all()
    assert len(boxes) == len(result.class_ids) <= 1
    if len(boxes):
        # Grey padding (114) is below half of 255: what is brighter is the object, to half a pixel and a blur
        rows, columns = np.nonzero(result.image[OBJECT] > 127)
        seen_xyxy = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(boxes[0] - seen_xyxy).max() <= 1.5
