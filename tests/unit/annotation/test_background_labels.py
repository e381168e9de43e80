"""Parked cars outside the motion regions keep their labels; hidden ones become uncertain."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_autotuner.annotation import BackgroundLabels, RegionTeacher
from edge_autotuner.annotation.background_labels import join_still_objects, shows_same_scene
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, Detections, box_areas, covered_fraction
from edge_autotuner.dataset import DatasetStore, FrameRecord
from support.cameras.plain_scene import GreyDetector, boxes_of, paint
from support.runs.dataset_folders import LABELS, add_frame, new_store

SIZE = (400, 300)
PARKED = ("car", (40, 40, 80, 60))
CONFIG = AnnotationConfig(look="crops", min_crop_px=64)


def teacher(detector: GreyDetector) -> RegionTeacher:
    return RegionTeacher(detector, CONFIG, labels=LABELS, name="grey")


def frame_with(store: DatasetStore, index: int, regions: list[list[float]], background: str | None) -> FrameRecord:
    boxes = np.array(regions, np.float32).reshape(-1, 4)
    image = paint(SIZE, [PARKED])
    return add_frame(store, index, image=image, regions_xyxy=boxes, background=background)


def test_parked_car_is_labelled_in_every_frame_for_one_look(tmp_path: Path) -> None:
    detector = GreyDetector()
    with new_store(tmp_path) as store:
        name = store.add_background(paint(SIZE, [PARKED])[:, :, 0])
        labels = BackgroundLabels(store, teacher(detector), CONFIG)
        walker = Detections(np.array([[200, 100, 210, 130]]), np.array([0.8]), np.array([0]))
        crop = Annotation(walker, np.array([[170, 80, 240, 150]], np.float32), 1, 4900)
        first = labels.complete(crop, frame_with(store, 0, [[195, 95, 215, 135]], name))
        second = labels.complete(Annotation.nothing_seen(), frame_with(store, 1, [], name))
    assert boxes_of(first.detections) == [PARKED, ("person", (200, 100, 210, 130))]
    assert first.looked_xyxy.tolist() == [[0, 0, 400, 300]]
    assert (first.n_calls, second.n_calls) == (1 + 5, 0)
    assert first.n_pixels > 4900 + 400 * 300
    assert boxes_of(second.detections) == [PARKED]
    assert len(detector.shapes_seen) == 5


def test_frame_without_background_stays(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        labels = BackgroundLabels(store, teacher(GreyDetector()), CONFIG)
        annotation = Annotation.nothing_seen()
        assert labels.complete(annotation, frame_with(store, 0, [], None)) is annotation


def test_small_background_is_scaled_up(tmp_path: Path) -> None:
    small = cv2.resize(paint(SIZE, [PARKED])[:, :, 0], (200, 150), interpolation=cv2.INTER_AREA)
    detector = GreyDetector()
    with new_store(tmp_path) as store:
        labels = BackgroundLabels(store, teacher(detector), CONFIG)
        name = store.add_background(small)
        annotation = labels.complete(Annotation.nothing_seen(), frame_with(store, 0, [], name))
    assert detector.shapes_seen[0] == (300, 400, 3)
    assert len(annotation.detections) == 1
    np.testing.assert_allclose(annotation.detections.boxes_xyxy[0], PARKED[1], atol=2)


def test_background_that_hardly_changes_is_not_looked_at_again(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 5, (300, 400), np.uint8)
    empty, parked = paint(SIZE, [])[:, :, 0], paint(SIZE, [PARKED])[:, :, 0]
    detector = GreyDetector()
    counts = []
    with new_store(tmp_path) as store:
        labels = BackgroundLabels(store, teacher(detector), CONFIG)
        for index, luma in enumerate((empty, empty + noise, parked, parked + noise)):
            record = frame_with(store, index, [], store.add_background(luma))
            counts.append(len(labels.complete(Annotation.nothing_seen(), record).detections))
    assert counts == [0, 0, 1, 1]
    assert len(detector.shapes_seen) == 10


STILL = Detections(np.array([[0, 0, 100, 50]]), np.array([0.9]), np.array([1]))
BAND = float(np.nextafter(np.float32(0.3), np.float32(0)))


@pytest.mark.parametrize(
    ("region", "score"),
    [
        pytest.param([200, 200, 250, 250], 0.9, id="elsewhere"),
        pytest.param([0, 0, 30, 50], 0.9, id="covers 0.3"),
        pytest.param([0, 0, 31, 50], BAND, id="covers 0.31"),
        pytest.param([0, 0, 300, 300], BAND, id="covers it all"),
    ],
)
def test_covered_still_objects_become_uncertain(region: list[float], score: float) -> None:
    joined = join_still_objects(Detections.empty(), STILL, np.array([region], np.float32), CONFIG)
    assert joined.scores.tolist() == pytest.approx([score], abs=1e-7)


def test_score_already_in_the_band_is_not_raised() -> None:
    faint = Detections(STILL.boxes_xyxy, np.array([0.15]), STILL.class_ids)
    joined = join_still_objects(Detections.empty(), faint, np.array([[0, 0, 300, 300]], np.float32), CONFIG)
    assert joined.scores.tolist() == pytest.approx([0.15])


@pytest.mark.parametrize(
    ("class_id", "same_object_iou", "n_boxes"),
    [
        pytest.param(1, None, 1, id="same class"),
        pytest.param(0, None, 2, id="other class"),
        pytest.param(0, 0.7, 1, id="other class, one class per object"),
    ],
)
def test_what_the_frame_shows_wins(class_id: int, same_object_iou: float | None, n_boxes: int) -> None:
    moving = Detections(np.array([[2, 0, 102, 50]]), np.array([0.4]), np.array([class_id]))
    config = CONFIG.model_copy(update={"same_object_iou": same_object_iou})
    joined = join_still_objects(moving, STILL, np.zeros((0, 4), np.float32), config)
    assert len(joined) == n_boxes
    assert pytest.approx(0.4) in joined.scores.tolist()


def test_nothing_and_nothing() -> None:
    none = np.zeros((0, 4), np.float32)
    assert len(join_still_objects(Detections.empty(), Detections.empty(), none, CONFIG)) == 0


def test_same_scene() -> None:
    flat = np.full((80, 80), 100, np.uint8)
    brighter, car = flat + 12, flat.copy()
    car[8:16, 8:16] = 140
    assert shows_same_scene(flat, flat)
    assert shows_same_scene(flat, brighter)
    assert not shows_same_scene(flat, flat + 13)
    assert not shows_same_scene(flat, car)
    assert not shows_same_scene(flat, flat[:40])
    assert shows_same_scene(flat[:4, :4], flat[:4, :4])


def test_motion_that_was_not_sent_is_unknown(tmp_path: Path) -> None:
    regions = np.array([[100, 100, 150, 160], [300, 200, 400, 300]], np.float32)
    with new_store(tmp_path) as store:
        name = store.add_background(paint(SIZE, [PARKED])[:, :, 0])
        labels = BackgroundLabels(store, teacher(GreyDetector()), CONFIG)
        record = add_frame(
            store, 0, image=paint(SIZE, [PARKED]), regions_xyxy=regions, sent_xyxy=regions[1:], background=name
        )
        completed = labels.complete(Annotation.nothing_seen(), record)
    assert boxes_of(completed.detections) == [PARKED]
    assert box_areas(completed.looked_xyxy).sum() == 400 * 300 - 50 * 60
    assert covered_fraction(regions[:1], completed.looked_xyxy).sum() == 0
    assert covered_fraction(regions[1:], completed.looked_xyxy).sum() == pytest.approx(1)
