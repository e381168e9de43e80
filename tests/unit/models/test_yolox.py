"""The networks: sizes, shapes, decoding, and what each training mode may change."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from edge_autotuner.errors import ConfigError
from edge_autotuner.models.trainable import freeze_except
from edge_autotuner.models.yolox import CellGrid, DecodedYolox, Yolox, decode_boxes


def nano(n_classes: int = 2) -> Yolox:
    torch.manual_seed(0)
    return Yolox("yolox-nano", n_classes)


@pytest.mark.parametrize(
    ("architecture", "n_parameters"),
    [
        # The published models have 0.91, 5.06 and 8.97 million (arXiv 2107.08430, table 2): one more per channel,
        # because BatchNorm is not folded there.
        pytest.param("yolox-nano", 904_463, id="nano"),
        pytest.param("yolox-tiny", 5_047_191, id="tiny"),
        pytest.param("yolox-s", 8_956_703, id="s"),
    ],
)
def test_parameter_counts_with_80_classes(architecture: str, n_parameters: int) -> None:
    assert sum(p.numel() for p in Yolox(architecture, 80).parameters()) == n_parameters


@pytest.mark.parametrize(
    ("height", "width", "n_cells"),
    [
        pytest.param(32, 32, 16 + 4 + 1, id="smallest"),
        pytest.param(64, 64, 64 + 16 + 4, id="square"),
        pytest.param(64, 96, 96 + 24 + 6, id="wide"),
        pytest.param(96, 32, 48 + 12 + 3, id="high"),
    ],
)
@torch.inference_mode()
def test_output_shapes(height: int, width: int, n_cells: int) -> None:
    network, images = nano(n_classes=3), torch.zeros(2, 3, height, width)
    assert network(images).shape == (2, n_cells, 8)
    boxes, scores = DecodedYolox(network, (width, height))(images)
    assert (boxes.shape, scores.shape) == ((2, n_cells, 4), (2, n_cells, 3))


def test_an_unknown_architecture_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown architecture 'yolox-x'; known: yolox-nano, yolox-tiny, yolox-s"):
        Yolox("yolox-x", 2)


@pytest.mark.parametrize(("height", "width"), [(33, 32), (32, 40)])
def test_an_input_that_is_no_multiple_of_32_is_refused(height: int, width: int) -> None:
    with pytest.raises(ValueError, match=f"multiples of 32, got {height} and {width}"):
        CellGrid.of_input(height, width)


def test_cells_lie_row_by_row_stride_by_stride() -> None:
    grid = CellGrid.of_input(32, 64)
    assert grid.strides.squeeze(1).tolist() == [8] * 32 + [16] * 8 + [32] * 2
    assert grid.centres[:9].tolist() == [[4 + 8 * i, 4] for i in range(8)] + [[4, 12]]
    assert grid.centres[32:34].tolist() == [[8, 8], [24, 8]]
    assert grid.centres[-2:].tolist() == [[16, 16], [48, 16]]


@pytest.mark.parametrize(
    ("cell", "logits", "box"),
    [
        # centre = (offset + column, offset + row) * stride; sides = exp(logit) * stride
        pytest.param(0, [0, 0, 0, 0], [-4, -4, 4, 4], id="zeros: one cell around its corner"),
        pytest.param(0, [0.5, 0.5, 0, 0], [0, 0, 8, 8], id="the first cell itself"),
        pytest.param(9, [0.5, 0.25, math.log(2), math.log(3)], [4, -2, 20, 22], id="row 1, column 1 of stride 8"),
        pytest.param(33, [-1, 1, math.log(0.5), 0], [-4, 8, 4, 24], id="row 0, column 1 of stride 16"),
        pytest.param(41, [0.5, 0.5, math.log(2), 0], [16, 0, 80, 32], id="column 1 of stride 32"),
    ],
)
def test_boxes_are_decoded(cell: int, logits: list[float], box: list[float]) -> None:
    grid = CellGrid.of_input(32, 64)
    raw = torch.zeros(1, 42, 7)
    raw[0, cell, :4] = torch.tensor(logits)
    assert decode_boxes(raw, grid)[0, cell].tolist() == pytest.approx(box, abs=1e-4)


@torch.inference_mode()
def test_exported_scores_are_objectness_times_class() -> None:
    network, images = nano().eval(), torch.rand(1, 3, 64, 64) * 255
    logits = network(images)
    boxes, scores = DecodedYolox(network, (64, 64))(images)
    assert torch.equal(boxes, decode_boxes(logits, CellGrid.of_input(64, 64)))
    assert torch.equal(scores, torch.sigmoid(logits[..., 4:5]) * torch.sigmoid(logits[..., 5:]))


def names_of(network: Yolox, parameters: list[nn.Parameter]) -> set[str]:
    chosen = {id(parameter) for parameter in parameters}
    return {name for name, parameter in network.named_parameters() if id(parameter) in chosen}


def test_each_mode_trains_more_than_the_one_before() -> None:
    network = nano()
    everything = {name for name, _ in network.named_parameters()}
    box, top = names_of(network, network.box_parameters()), names_of(network, network.top_parameters())
    assert box == {name for name in everything if name.startswith("head.")}
    assert box < top < everything
    bottom_up = {name.split(".")[1] for name in top - box}
    assert bottom_up == {"C3_p3", "bu_conv2", "C3_n3", "bu_conv1", "C3_n4"}


@pytest.mark.parametrize("mode", ["box", "top"])
def test_frozen_weights_stay_bit_equal_in_a_training_step(mode: str) -> None:
    network = nano()
    trainable = network.box_parameters() if mode == "box" else network.top_parameters()
    chosen = names_of(network, trainable)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    freeze_except(network, trainable)
    optimizer = torch.optim.AdamW(trainable, lr=1e-3)
    network(torch.rand(1, 3, 32, 32) * 255).square().sum().backward()
    optimizer.step()
    changed = {name for name, parameter in network.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == chosen


def test_freezing_can_be_taken_back() -> None:
    network = nano()
    freeze_except(network, [])
    assert not any(parameter.requires_grad for parameter in network.parameters())
    freeze_except(network, list(network.parameters()))
    assert all(parameter.requires_grad for parameter in network.parameters())
