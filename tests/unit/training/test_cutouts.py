"""Objects are cut out along their outline, or not at all."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray
from edge_autotuner.training.clean_plate import clean_plate
from edge_autotuner.training.cutouts import Mask, cut_out, object_mask
from edge_autotuner.training.spots import free_standing
from support.cameras.simulated_samples import FRAMES, SIZE_WH, camera_samples, true_masks

NO_BOXES = np.zeros((0, 4), np.float32)
BOX = np.array([30, 20, 60, 50], np.float32)


def road(seed: int = 0) -> ImageArray:
    return np.random.default_rng(seed).integers(98, 103, (80, 100, 3), dtype=np.uint8)


def with_disc(image: ImageArray, level: int = 200) -> ImageArray:
    return np.asarray(cv2.circle(image.copy(), (45, 35), 14, (level,) * 3, -1), np.uint8)


def whole(mask: Mask, size_wh: tuple[int, int]) -> BoolArray:
    full = np.zeros((size_wh[1], size_wh[0]), bool)
    height, width = mask.is_object.shape
    full[mask.top : mask.top + height, mask.left : mask.left + width] = mask.is_object
    return full


def test_a_disc_is_cut_out_as_a_disc() -> None:
    mask = object_mask(with_disc(road(1)), road(), BOX, NO_BOXES)
    assert mask is not None
    true = with_disc(np.zeros((80, 100, 3), np.uint8))[..., 0] > 0
    assert (whole(mask, (100, 80)) ^ true).sum() <= 0.05 * true.sum()


def test_other_light_on_the_whole_scene_is_no_object() -> None:
    brighter = cv2.convertScaleAbs(with_disc(road(1), 30), alpha=1.3)
    mask = object_mask(np.asarray(brighter, np.uint8), road(), BOX, NO_BOXES)
    assert mask is not None
    assert mask.is_object.sum() == pytest.approx(np.pi * 14**2, rel=0.08)


ANOTHER_VIEW = np.where(np.indices((80, 100)).sum(axis=0)[..., None] % 20 < 10, np.uint8(30), road())
OPEN_RIM = np.asarray(cv2.ellipse(road(1), (45, 35), (13, 13), 0, 0, 270, (200,) * 3, 3), np.uint8)


@pytest.mark.parametrize(
    ("image", "box"),
    [
        pytest.param(road(1), BOX, id="parked: it is in the plate"),
        pytest.param(with_disc(road(1), 105), BOX, id="as dark as the road"),
        pytest.param(with_disc(road(1)), [30, 20, 33, 50], id="too thin"),
        pytest.param(with_disc(road(1)), [10, 5, 90, 75], id="the box is much larger"),
        pytest.param(ANOTHER_VIEW, BOX, id="another view"),
        pytest.param(OPEN_RIM, BOX, id="three quarters of a rim"),
    ],
)
def test_what_is_not_cut_out(image: ImageArray, box: FloatArray) -> None:
    assert object_mask(image, road(), np.array(box, np.float32), NO_BOXES) is None


def test_the_middle_of_a_closed_rim_belongs_to_the_object() -> None:
    rim = np.asarray(cv2.circle(road(1), (45, 35), 13, (200,) * 3, 2), np.uint8)
    mask = object_mask(rim, road(), BOX, NO_BOXES)
    assert mask is not None
    assert whole(mask, (100, 80))[35, 45]


def test_a_neighbour_says_nothing_about_noise() -> None:
    image = with_disc(road(1))
    image[15:55, 62:80] = 10
    neighbour = np.array([[62, 15, 80, 55]], np.float32)
    assert object_mask(image, road(), BOX, neighbour) is not None


@pytest.mark.parametrize("scale", [1, 2, 2.5])
def test_the_cut_out_comes_from_the_full_picture(scale: float) -> None:
    small = with_disc(road(1))
    mask = object_mask(small, road(), BOX, NO_BOXES)
    assert mask is not None
    picture = np.asarray(cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST), np.uint8)
    bgra, (left, top) = cut_out(picture, mask, (100, 80))
    height, width = bgra.shape[:2]
    assert (bgra[..., :3] == picture[top : top + height, left : left + width]).all()
    alpha = bgra[..., 3]
    assert not np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]]).any()
    rows, columns = np.nonzero(alpha > 127)
    centre = left + (columns.min() + columns.max() + 1) / 2, top + (rows.min() + rows.max() + 1) / 2
    assert centre == pytest.approx((45.5 * scale, 35.5 * scale), abs=scale)
    assert alpha.sum() / 255 == pytest.approx(np.pi * 14**2 * scale**2, rel=0.1)


def test_masks_cover_the_objects_of_a_simulated_street() -> None:
    """Against the pixels that the simulation painted; the shadow under the feet is taken along."""
    samples = camera_samples()
    plate = clean_plate([s.read_image() for s in samples], [s.boxes_xyxy for s in samples])
    ious, covered, n_tried = [], [], 0
    for index, sample in zip(FRAMES, samples, strict=True):
        truths = true_masks(index)
        for position in free_standing(sample.boxes_xyxy, sample.ignored_xyxy, SIZE_WH):
            n_tried += 1
            box = sample.boxes_xyxy[position]
            mask = object_mask(sample.read_image(), plate, box, np.delete(sample.boxes_xyxy, position, axis=0))
            if mask is not None:
                true = next(pixels for true_box, pixels in truths if np.abs(true_box - box).max() < 1)
                found = whole(mask, SIZE_WH)
                ious.append((found & true).sum() / (found | true).sum())
                covered.append((found & true).sum() / true.sum())
    assert len(ious) > 0.8 * n_tried > 30
    assert np.median(ious) > 0.75
    assert min(ious) > 0.6
    assert np.median(covered) > 0.95
