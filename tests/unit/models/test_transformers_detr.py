"""RT-DETR v2 and D-FINE say here what they say in the transformers library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge_autotuner.core import LabelMap
from edge_autotuner.errors import ConfigError, WeightsError
from edge_autotuner.models import load_network, with_classes
from edge_autotuner.models.torch_detector import TorchDetector
from edge_autotuner.models.transformers_detr import DetrPlan, FrozenBatchNorm, TransformersDetr, corners_of
from edge_autotuner.models.transformers_folder import PixelScaling
from support.cameras.coloured_scene import LABELS, coloured_sample
from support.runs.tiny_transformers import (
    ARE_INSTALLED,
    D_FINE,
    N_QUERIES,
    NOT_INSTALLED,
    RT_DETR,
    tiny_config,
    tiny_network,
    write_folder,
)

pytestmark = pytest.mark.skipif(not ARE_INSTALLED, reason=NOT_INSTALLED)
BOTH = pytest.mark.parametrize("architecture", [RT_DETR, D_FINE])
NAMES = LabelMap(("person", "sofa", "tram"))
NORMALIZED = {"do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.25]}


def images_of(seed: int = 0, *, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, 64, 96, generator=torch.Generator().manual_seed(seed)) * 255


def post_processed(answers: Any, size_wh: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores, classes and boxes of one picture as the library's `post_process_object_detection` does."""
    scores, n_classes = answers.logits[0].sigmoid(), answers.logits.shape[2]
    best, index = scores.flatten().topk(len(scores))
    boxes = corners_of(answers.pred_boxes[0]) * torch.tensor([*size_wh, *size_wh])
    return best, index % n_classes, boxes[index // n_classes]


@BOTH
@pytest.mark.parametrize("pixels", [{}, NORMALIZED], ids=["plain", "normalized"])
@torch.inference_mode()
def test_the_network_says_what_the_library_says(architecture: str, pixels: dict[str, Any], tmp_path: Path) -> None:
    theirs = write_folder(tmp_path, architecture, NAMES, **pixels)
    network, labels = load_network(tmp_path)
    assert labels.names == ("person", "couch", "tram")
    images = images_of()
    mean, std = (torch.tensor(pixels.get(key, [value] * 3)) for key, value in (("image_mean", 0.0), ("image_std", 1.0)))
    rgb = (images.flip(1) / 255 - mean[:, None, None]) / std[:, None, None]
    expected = theirs(rgb)
    boxes, scores = network.decoded((96, 64))(images)
    torch.testing.assert_close(scores, expected.logits.sigmoid(), atol=1e-5, rtol=0)
    size = torch.tensor([96, 64, 96, 64])
    torch.testing.assert_close(boxes, corners_of(expected.pred_boxes) * size, atol=1e-3, rtol=1e-5)


@BOTH
@torch.inference_mode()
def test_detections_are_those_of_the_library_with_the_best_class_of_each_query(
    architecture: str, tmp_path: Path
) -> None:
    """The library may give a box several classes and drops as many of the worst boxes for it."""
    theirs = write_folder(tmp_path, architecture, NAMES, size_wh=(96, 64))
    network, labels = load_network(tmp_path)
    frame = coloured_sample(3, (120, 90)).read_image()
    rgb = cv2.resize(frame, (96, 64))[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255
    scores, class_ids, boxes = post_processed(theirs(torch.from_numpy(rgb)), (120, 90))
    found = TorchDetector(network, labels, (96, 64), min_score=0.001).detect(frame)
    assert 2 < len(found) <= N_QUERIES
    for box, score, class_id in zip(found.boxes_xyxy, found.scores, found.class_ids, strict=True):
        clipped = boxes.clamp(torch.zeros(4), torch.tensor([120.0, 90.0, 120.0, 90.0])).numpy()
        alike = np.abs(clipped - box).max(axis=1) < 0.01
        assert (alike & (class_ids.numpy() == class_id) & (np.abs(scores.numpy() - score) < 1e-4)).any() or (
            score < scores.min() + 1e-4
        )


@BOTH
@torch.inference_mode()
def test_every_stage_is_in_the_output_and_the_last_one_last(architecture: str) -> None:
    network = tiny_network(architecture, 3)
    images = images_of(batch=2)
    outputs = network(images)
    n_stages = {RT_DETR: 1 + 2, D_FINE: 1 + 1 + 2}[architecture]  # D-FINE's decoder has a first guess, too
    assert outputs.shape == (2, N_QUERIES, n_stages * (4 + 3))
    boxes, logits = network.last_answers(images)
    assert torch.equal(outputs[..., -7:], torch.cat((boxes, logits), dim=2))


@BOTH
@torch.inference_mode()
def test_features_of_a_mode_lead_to_the_same_outputs(architecture: str) -> None:
    network, images = tiny_network(architecture), images_of(batch=2)
    outputs = network(images)
    for layers, strides in (("box", (8, 16, 32)), ("top", (8, 16, 32))):
        features = network.features_before(images, layers)
        assert [x.shape[2:] for x in features] == [(64 // s, 96 // s) for s in strides]
        assert torch.equal(network.outputs_of(features, layers), outputs)
    assert network.features_before(images, "all")[0] is images


@BOTH
@torch.inference_mode()
def test_chosen_classes_keep_their_scores_where_every_place_has_a_query(architecture: str) -> None:
    """Queries go where the known classes are: with a query for each place, all is as before but for their order."""
    config = tiny_config(architecture) | {"num_queries": 8 * 8 + 4 * 4 + 2 * 2}
    torch.manual_seed(0)
    network = TransformersDetr(architecture, 2, DetrPlan(config, PixelScaling())).eval()
    fewer = with_classes(network, LABELS, LabelMap(("blue",)))
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    boxes, scores = (part[0] for part in network.decoded((64, 64))(images))
    same_boxes, one = (part[0] for part in fewer.decoded((64, 64))(images))
    rows, same = torch.cat((boxes, 64 * scores[:, 1:]), dim=1), torch.cat((same_boxes, 64 * one), dim=1)
    nearest = torch.cdist(same, rows, p=1).min(dim=1)
    assert nearest.values.max() < 0.02
    assert fewer.plan == network.plan


@BOTH
def test_training_mode_changes_nothing(architecture: str) -> None:
    network = tiny_network(architecture)
    with torch.inference_mode():
        still, busy = network.eval()(images_of()), network.train()(images_of())
    assert network.training
    assert torch.equal(still, busy)
    assert all(not module.training for module in network.detr.encoder.modules())  # type: ignore[union-attr]


@BOTH
def test_batch_norm_keeps_its_numbers(architecture: str) -> None:
    network = tiny_network(architecture)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    names = {name for name, _ in network.named_parameters()}
    assert not any("norm.weight" in name and "layer_norm" not in name for name in names if "encoder.fpn" in name)
    assert {"detr.decoder.up", "detr.decoder.reg_scale"}.isdisjoint(names)


def test_frozen_batch_norm_is_batch_norm_in_evaluation() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(5, eps=0.01)
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        nn.init.uniform_(tensor, 0.2, 2.0)  # type: ignore[arg-type]
    x = torch.randn(2, 5, 3, 4)
    frozen = FrozenBatchNorm(norm)
    torch.testing.assert_close(frozen(x), norm.eval()(x))
    assert list(frozen.parameters()) == []
    assert "num_batches_tracked" not in frozen.state_dict()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"decoder_attention_heads": 5}, "rt-detr-v2: the configuration", id="does not divide"),
        pytest.param({"encoder_hidden_dim": "wide"}, "rt-detr-v2: the configuration", id="no number"),
    ],
)
def test_configurations_that_cannot_be_built(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        TransformersDetr(RT_DETR, 2, DetrPlan(tiny_config(RT_DETR) | changes, PixelScaling()))


def test_answers_of_an_earlier_layer_are_refused() -> None:
    with pytest.raises(WeightsError, match="eval_idx 0 is not the last decoder layer, 1"):
        TransformersDetr(D_FINE, 2, DetrPlan(tiny_config(D_FINE) | {"eval_idx": 0}, PixelScaling()))


@pytest.mark.parametrize(
    ("size_wh", "message"),
    [
        pytest.param((64, 32), None, id="32 + 8 + 2 places for 24 queries"),
        pytest.param(
            (32, 32), "input_size: 32x32 has 21 positions, fewer than the 24 queries of d-fine", id="too small"
        ),
        pytest.param((64, 60), "both sides must be multiples of 32 for d-fine", id="no multiple"),
    ],
)
def test_input_sizes(size_wh: tuple[int, int], message: str | None) -> None:
    network = tiny_network(D_FINE)
    if message is None:
        network.check_input_size(size_wh, "input_size")
        assert network(torch.zeros(1, 3, size_wh[1], size_wh[0])).shape[1] == N_QUERIES
        return
    with pytest.raises(ConfigError, match=message):
        network.check_input_size(size_wh, "input_size")


def test_a_plan_comes_back() -> None:
    plan = DetrPlan(tiny_config(RT_DETR), PixelScaling(0.5, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0)))
    assert DetrPlan.from_metadata(plan.to_metadata()) == plan


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "does not describe its layers; use the model's original folder"),
        ({"transformers": "{"}, "the description of its layers is damaged"),
        ({"transformers": '{"config": {}}'}, "the description of its layers is damaged"),
        ({"transformers": "[]"}, "the description of its layers is damaged"),
    ],
)
def test_descriptions_that_are_refused(metadata: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DetrPlan.from_metadata(metadata)
