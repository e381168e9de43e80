"""The motion gate on real and simulated video: does it see what moves, without taking the whole picture?

All scenes with the same settings: the defaults.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.capture import MotionGate, open_source
from edge_autotuner.config import BackgroundConfig, MotionConfig
from edge_autotuner.core import Frame, covered_fraction, xywh_to_xyxy
from edge_autotuner.core.types import FloatArray
from edge_autotuner.simulation import Conditions, SimulatedCamera
from helpers import shared_data

MIN_COVERED = 0.7  # an object is seen when so much of it lies in one region


def _n_seen(truth_xyxy: FloatArray, regions_xyxy: FloatArray) -> int:
    if len(truth_xyxy) == 0 or len(regions_xyxy) == 0:
        return 0
    return int((covered_fraction(truth_xyxy, regions_xyxy).max(axis=1) >= MIN_COVERED).sum())


def _boxes_by(key: str, truth_file: Path) -> dict[object, FloatArray]:
    """Return (N, 4) boxes for each value that the images of a COCO file have under a key."""
    truth = json.loads(truth_file.read_text())
    boxes = defaultdict(list)
    for annotation in truth["annotations"]:
        boxes[annotation["image_id"]].append(annotation["bbox"])
    return {image[key]: xywh_to_xyxy(np.array(boxes[image["id"]], np.float32)) for image in truth["images"]}


def _recall_and_area(frames: Iterable[Frame], truth: dict[object, FloatArray]) -> tuple[float, float]:
    """Return the share of objects that are seen, and the mean share of the frame that the regions cover."""
    gate = MotionGate(MotionConfig(), BackgroundConfig())
    n_truths = n_seen = 0
    covered = []
    for frame in frames:
        motion = gate.look(frame)
        boxes = truth.get(frame.file_name or frame.index)
        if motion.background_known and boxes is not None:
            n_truths += len(boxes)
            n_seen += _n_seen(boxes, motion.regions_xyxy)
            covered.append(motion.motion_fraction)
    assert n_truths > 1000
    return n_seen / n_truths, float(np.mean(covered))


@pytest.mark.parametrize(
    ("folder", "video", "n_frames"),
    [
        pytest.param("cdnet_highway", "highway.avi", 900, id="highway"),
        pytest.param("pets2009_s2l1", "vtest.avi", 400, id="PETS"),
    ],
)
def test_one_setting_for_all_scenes(folder: str, video: str, n_frames: int) -> None:
    source = open_source(shared_data(f"scenes/{folder}/{video}"))
    truth = _boxes_by("frame_index", shared_data(f"scenes/{folder}/gt_coco.json"))
    recall, area = _recall_and_area(islice(source.frames(), n_frames), truth)
    assert recall >= 0.98
    assert area < 0.25


def test_shuffled_pictures_of_a_motorway() -> None:
    source = open_source(shared_data("scenes/ngsim_us101_seq1/images/test"))
    truth = _boxes_by("file_name", shared_data("scenes/ngsim_us101_seq1/gt_coco.json"))
    recall, area = _recall_and_area(source.frames(), truth)
    assert recall >= 0.95
    assert area < 0.5


@pytest.mark.parametrize(
    "conditions",
    [
        pytest.param(Conditions(), id="calm"),
        pytest.param(Conditions(noise_levels=4.0, sway=0.5, cast_shadows=0.7), id="noise, wind and shadows"),
    ],
)
def test_simulated_street(conditions: Conditions) -> None:
    camera = SimulatedCamera((320, 192), 300, conditions=conditions)
    gate = MotionGate(MotionConfig(), BackgroundConfig())
    n_truths = n_seen = n_empty = n_false = 0
    for frame in camera.frames():
        motion = gate.look(frame)
        if not motion.background_known:
            continue
        truth = camera.truth(frame.index)
        n_truths += len(truth)
        n_seen += _n_seen(truth.boxes_xyxy, motion.regions_xyxy)
        n_empty += len(truth) == 0
        n_false += len(truth) == 0 and motion.has_motion
    assert n_seen / n_truths >= 0.95
    assert n_empty >= 40
    assert n_false / n_empty <= 0.1
