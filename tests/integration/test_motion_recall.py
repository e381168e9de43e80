"""The motion gate on real and simulated video: does it see what moves, without taking the whole picture?"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import islice

import numpy as np

from edge_autotuner.capture import MotionGate, open_source
from edge_autotuner.config import BackgroundConfig, MotionConfig
from edge_autotuner.core import covered_fraction, xywh_to_xyxy
from edge_autotuner.core.types import FloatArray
from edge_autotuner.simulation import SimulatedCamera
from helpers import shared_data

MIN_COVERED = 0.75  # an object is seen when so much of it lies in one region


def _n_seen(truth_xyxy: FloatArray, regions_xyxy: FloatArray) -> int:
    if len(truth_xyxy) == 0 or len(regions_xyxy) == 0:
        return 0
    return int((covered_fraction(truth_xyxy, regions_xyxy).max(axis=1) >= MIN_COVERED).sum())


def test_highway() -> None:
    truth_file = json.loads(shared_data("scenes/cdnet_highway/gt_coco.json").read_text())
    index_of = {image["id"]: image["frame_index"] for image in truth_file["images"]}
    truth = defaultdict(list)
    for annotation in truth_file["annotations"]:
        truth[index_of[annotation["image_id"]]].append(annotation["bbox"])
    # the video is only 240 pixels high: half of the usual minimum size
    gate = MotionGate(MotionConfig(min_region_px=32, merge="none"), BackgroundConfig())
    n_truths = n_seen = 0
    covered = []
    for frame in islice(open_source(shared_data("scenes/cdnet_highway/highway.avi")).frames(), 800):
        motion = gate.look(frame)
        if frame.index in index_of.values():
            boxes = xywh_to_xyxy(np.array(truth[frame.index], np.float32))
            n_truths += len(boxes)
            n_seen += _n_seen(boxes, motion.regions_xyxy)
            covered.append(motion.motion_fraction)
    assert n_truths > 500
    assert n_seen / n_truths >= 0.95
    assert np.mean(covered) <= 0.30


def test_shuffled_pictures_of_a_motorway() -> None:
    folder = open_source(shared_data("scenes/ngsim_us101_seq1/images/test"))
    truth_file = json.loads(shared_data("scenes/ngsim_us101_seq1/gt_coco.json").read_text())
    name_of = {image["id"]: image["file_name"] for image in truth_file["images"]}
    truth = defaultdict(list)
    for annotation in truth_file["annotations"]:
        truth[name_of[annotation["image_id"]]].append(annotation["bbox"])
    gate = MotionGate(MotionConfig(), BackgroundConfig())
    n_truths = n_seen = 0
    for frame in folder.frames():
        motion = gate.look(frame)
        if motion.background_known:
            boxes = xywh_to_xyxy(np.array(truth[frame.file_name or ""], np.float32))
            n_truths += len(boxes)
            n_seen += _n_seen(boxes, motion.regions_xyxy)
    assert n_truths > 5000
    assert n_seen / n_truths >= 0.95


def test_simulated_street() -> None:
    camera = SimulatedCamera((320, 192), 300)
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
