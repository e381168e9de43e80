"""A network in training and its export say the same about a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edge_autotuner.core import Detector, LabelMap
from edge_autotuner.deployment import export_onnx
from edge_autotuner.models import DecodedYolox, OnnxDetector
from edge_autotuner.models.torch_detector import TorchDetector
from edge_autotuner.models.yolox import Yolox
from support.cameras.coloured_scene import LABELS, coloured_sample, fresh_network

SIZE_WH = (96, 64)


@pytest.fixture(scope="module")
def talkative() -> Yolox:
    """Random weights that see something in many cells."""
    network = fresh_network()
    with torch.no_grad():
        for predict in network.head.obj_preds:
            predict.weight.mul_(20)
            predict.bias.fill_(0.0)
    return network


@pytest.mark.parametrize("frame_wh", [(96, 64), (120, 200), (64, 40)], ids=["fits", "high", "smaller"])
def test_torch_and_its_export_find_the_same_objects(
    frame_wh: tuple[int, int], talkative: Yolox, tmp_path: Path
) -> None:
    export_onnx(DecodedYolox(talkative, SIZE_WH), SIZE_WH, tmp_path / "m.onnx")
    exported = OnnxDetector(tmp_path / "m.onnx", talkative.detector_spec("m", LABELS, SIZE_WH), n_threads=1)
    image = coloured_sample(5, frame_wh, n_objects=2).read_image()
    a, b = TorchDetector(talkative, LABELS, SIZE_WH).detect(image), exported.detect(image)
    assert len(a) == len(b) > 5
    assert a.class_ids.tolist() == b.class_ids.tolist()
    # two libraries sum the same products in different orders: float32 rounding through about 60 layers
    assert a.scores == pytest.approx(b.scores, abs=1e-4)
    assert a.boxes_xyxy == pytest.approx(b.boxes_xyxy, abs=0.02)


def test_detections_lie_in_the_picture_by_falling_score(talkative: Yolox) -> None:
    image = coloured_sample(2, (200, 90)).read_image()
    untouched = image.copy()
    found = TorchDetector(talkative, LABELS, SIZE_WH, min_score=0.2, max_detections=7).detect(image)
    assert 0 < len(found) <= 7
    assert (np.diff(found.scores) <= 0).all()
    assert found.scores.min() >= 0.2
    assert (found.boxes_xyxy >= 0).all()
    assert (found.boxes_xyxy <= [200, 90, 200, 90]).all()
    assert (image == untouched).all()


def test_a_network_that_sees_nothing_gives_no_detections() -> None:
    silent = fresh_network()
    with torch.no_grad():
        for predict in silent.head.obj_preds:
            predict.bias.fill_(-20.0)
    assert len(TorchDetector(silent, LABELS, SIZE_WH).detect(coloured_sample(0).read_image())) == 0


def test_later_training_shows(talkative: Yolox) -> None:
    network = fresh_network()
    detector = TorchDetector(network, LABELS, SIZE_WH)
    image = coloured_sample(0).read_image()
    before = detector.detect(image)
    network.load_state_dict(talkative.state_dict())
    assert len(detector.detect(image)) > len(before)


@pytest.mark.parametrize("size_wh", [SIZE_WH, (150, 70), (20, 33)])
def test_a_resized_picture_shows_the_same(talkative: Yolox, size_wh: tuple[int, int]) -> None:
    detector = TorchDetector(talkative, LABELS, SIZE_WH)
    image = np.random.default_rng(0).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)
    kept = detector.resized(image)
    assert kept.image_bgr.shape == (SIZE_WH[1], SIZE_WH[0], 3)
    assert kept.image_bgr.dtype == np.uint8
    direct, again = detector.detect(image), detector.detect_resized(kept)
    assert len(direct) > 0
    np.testing.assert_array_equal(direct.boxes_xyxy, again.boxes_xyxy)
    np.testing.assert_array_equal(direct.scores, again.scores)


def test_it_is_a_detector(talkative: Yolox) -> None:
    detector = TorchDetector(talkative, LABELS, SIZE_WH)
    assert isinstance(detector, Detector)
    assert (detector.labels, detector.input_size_wh) == (LABELS, SIZE_WH)


def test_wrong_arguments_are_refused_at_once(talkative: Yolox) -> None:
    with pytest.raises(ValueError, match="the network has 2 classes, the label map 3"):
        TorchDetector(talkative, LabelMap(("a", "b", "c")), SIZE_WH)
    with pytest.raises(ValueError, match="multiples of 32, got 64 and 100"):
        TorchDetector(talkative, LABELS, (100, 64))
