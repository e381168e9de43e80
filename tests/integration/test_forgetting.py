"""A network that knows red and blue is trained on blue alone: what becomes of red?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_autotuner.config import AugmentationConfig, TrainingConfig
from edge_autotuner.evaluation import Truth, score_detections
from edge_autotuner.models.torch_detector import TorchDetector
from edge_autotuner.models.yolox import Yolox
from edge_autotuner.training import TrainingSample, tune
from support.cameras.coloured_scene import LABELS, coloured_sample, fresh_network

SIZE = (64, 64)
BLUE = 1
BOTH = [coloured_sample(seed) for seed in range(4)]
OFF = dict.fromkeys(AugmentationConfig.model_fields, 0)
N_STEPS = 30


def trained(start: Yolox, samples: Iterable[TrainingSample], n_steps: int = N_STEPS, **changes: Any) -> Yolox:
    values = {
        "layers": "all", "n_epochs": 1, "min_steps_per_epoch": n_steps, "max_steps_per_epoch": n_steps, "batch_size": 4,
        "n_threads": 1, "max_lr": 3e-3, "ema_decay": 0.8, "augmentation": OFF,
    }  # fmt: skip
    scores = iter((0.1, 0.2))  # what was trained is better than what was not
    config = TrainingConfig.model_validate(values | changes)
    return tune(start, list(samples), config, input_size_wh=SIZE, validate=lambda _: next(scores)).network


def ap50s_of(network: Yolox) -> tuple[float, float]:
    """Return AP50 of red and of blue on pictures of both."""
    detector = TorchDetector(network, LABELS, SIZE)
    truths = [Truth(s.boxes_xyxy, s.class_ids, np.zeros(len(s.class_ids), bool)) for s in BOTH]
    found = [detector.detect(sample.read_image()) for sample in BOTH]
    scores = score_detections(found, truths, LABELS, max_detections=10, min_score=0.05)
    return scores.per_class["red"].ap50, scores.per_class["blue"].ap50


@pytest.fixture(scope="module")
def start() -> Yolox:
    network = trained(fresh_network(), BOTH, 120)
    assert min(ap50s_of(network)) > 0.9
    return network


def without_red_labels(sample: TrainingSample) -> TrainingSample:
    """Leave red objects in the picture, as a teacher does who takes parked cars for background."""
    keep = sample.class_ids == BLUE
    return replace(sample, boxes_xyxy=sample.boxes_xyxy[keep], class_ids=sample.class_ids[keep])


@pytest.mark.slow
def test_distillation_keeps_a_class_that_the_labels_call_background(start: Yolox) -> None:
    own = [without_red_labels(sample) for sample in BOTH]
    red, blue = ap50s_of(trained(start, own))
    assert red < 0.2
    assert blue > 0.9
    red, blue = ap50s_of(trained(start, own, distill_weight=1.0))
    assert red > 0.9
    assert blue > 0.9


@pytest.mark.slow
def test_replay_keeps_a_class_that_the_camera_never_shows(start: Yolox) -> None:
    blue_only = [s for s in (coloured_sample(seed, n_objects=1) for seed in range(40)) if s.class_ids[0] == BLUE][:4]
    red, _ = ap50s_of(trained(start, blue_only, 2 * N_STEPS))
    assert red < 0.5
    both = [*blue_only, *(replace(sample, origin="generic") for sample in BOTH)]
    red, blue = ap50s_of(trained(start, both, 2 * N_STEPS))
    assert red > 0.7
    assert blue > 0.9
