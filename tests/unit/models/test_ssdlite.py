"""The network: shapes for any input, which way round it looks, its classes, and what each training mode may change."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from edge_autotuner.errors import ConfigError
from edge_autotuner.models.ssdlite import SSDLITE_SIZES, Ssdlite, SsdliteSize
from edge_autotuner.models.ssdlite_anchors import Anchors, decode_boxes

FULL = "ssdlite-mobilenet-v2"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> str:
    """A member of the family that is small enough for many tests."""
    monkeypatch.setitem(SSDLITE_SIZES, "narrow", SsdliteSize(width=0.25))
    return "narrow"


def network_of(architecture: str = "narrow", n_classes: int = 2) -> Ssdlite:
    torch.manual_seed(0)
    return Ssdlite(architecture, n_classes).eval()


def test_the_size_is_that_of_the_published_network() -> None:
    # TensorFlow's file holds 4.51 million numbers; without its BatchNorm, its background and its ten unused classes
    assert sum(p.numel() for p in network_of(FULL, n_classes=80).parameters()) == 4_295_284


@pytest.mark.parametrize(
    ("height", "width", "maps"),
    [
        # a map has ceil(side / stride) cells a side; 3 boxes a cell on the first, 6 on the others
        pytest.param(300, 300, [19 * 19, 10 * 10, 5 * 5, 3 * 3, 2 * 2, 1], id="published"),
        pytest.param(96, 96, [6 * 6, 3 * 3, 2 * 2, 1, 1, 1], id="small"),
        pytest.param(96, 64, [6 * 4, 3 * 2, 2 * 1, 1, 1, 1], id="high"),
        pytest.param(49, 131, [4 * 9, 2 * 5, 1 * 3, 1 * 2, 1, 1], id="odd"),
    ],
)
@torch.inference_mode()
def test_output_shapes(height: int, width: int, maps: list[int]) -> None:
    network, images = network_of(n_classes=3), torch.zeros(2, 3, height, width)
    n_anchors = 3 * maps[0] + 6 * sum(maps[1:])
    assert network(images).shape == (2, n_anchors, 7)
    boxes, scores = network.decoded((width, height))(images)
    assert (boxes.shape, scores.shape) == ((2, n_anchors, 4), (2, n_anchors, 3))


@torch.inference_mode()
def test_outputs_look_where_their_anchors_are() -> None:
    """A bright spot changes most what anchors of its own quarter say: the picture is not upside down."""
    network, anchors = network_of(), Anchors.of_input(128, 160)
    of_first_map = slice(0, 3 * 8 * 10)
    dark = torch.zeros(1, 3, 128, 160)
    for x, y in ((24, 24), (136, 24), (24, 104), (136, 104)):
        spot = dark.clone()
        spot[:, :, y - 8 : y + 8, x - 8 : x + 8] = 255
        change = (network(spot) - network(dark)).abs().sum(dim=2)[0, of_first_map]
        centre = anchors.centres[of_first_map][change.argmax()]
        assert (centre < torch.tensor([80, 64])).tolist() == [x < 80, y < 64], (x, y)


@torch.inference_mode()
def test_scores_are_sigmoids_and_boxes_are_decoded_from_the_anchors() -> None:
    network, images = network_of(), torch.rand(1, 3, 96, 96) * 255
    outputs, anchors = network(images), Anchors.of_input(96, 96)
    boxes, scores = network.decoded((96, 96))(images)
    assert torch.equal(boxes, decode_boxes(outputs, anchors.centres, anchors.sizes))
    assert torch.equal(scores, torch.sigmoid(outputs[..., 4:]))


def test_an_unknown_architecture_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown architecture 'ssdlite-9'; known: ssdlite-mobilenet-v2"):
        Ssdlite("ssdlite-9", 2)


@torch.inference_mode()
def test_chosen_classes_keep_their_rows_of_every_box() -> None:
    network = network_of(n_classes=3)
    fewer = Ssdlite("narrow", 2)
    fewer.load_state_dict(network.state_of_classes([2, 0]))
    images = torch.rand(1, 3, 64, 64) * 255
    torch.testing.assert_close(fewer(images), network(images)[..., [0, 1, 2, 3, 6, 4]])


def names_of(network: Ssdlite, parameters: list[nn.Parameter]) -> set[str]:
    chosen = {id(parameter) for parameter in parameters}
    return {name for name, parameter in network.named_parameters() if id(parameter) in chosen}


def test_each_mode_trains_more_than_the_one_before() -> None:
    network = network_of()
    everything = {name for name, _ in network.named_parameters()}
    box, top = (names_of(network, network.layer_parameters(layers)) for layers in ("box", "top"))
    assert {name.split(".")[0] for name in box} == {"box_heads", "class_heads"}
    assert {name.split(".")[0] for name in top - box} == {"extras"}
    assert {name.split(".")[0] for name in everything - top} == {"backbone"}
    assert names_of(network, network.layer_parameters("all")) == everything


# --- anchors


def test_anchors_of_the_first_cell_are_those_of_the_paper() -> None:
    """Scale 0.1 and ratio 1, scale 0.2 and ratios 2 and 1/2, of 300 pixels."""
    anchors = Anchors.of_input(300, 300)
    root = math.sqrt(2)
    first = anchors.sizes[:3].tolist()
    assert first == [
        pytest.approx(size, rel=1e-5) for size in ([30, 30], [60 * root, 60 / root], [60 / root, 60 * root])
    ]
    assert anchors.sizes[-6:].tolist() == [
        pytest.approx(size, rel=1e-4)
        for size in (
            [285, 285],
            [285 * root, 285 / root],
            [285 / root, 285 * root],
            [285 * math.sqrt(3), 285 / math.sqrt(3)],
            [285 / math.sqrt(3), 285 * math.sqrt(3)],
            [300 * math.sqrt(0.95), 300 * math.sqrt(0.95)],
        )
    ]
    assert anchors.centres[-1].tolist() == [150, 150]


def test_anchors_begin_at_the_last_cell_and_fill_the_picture() -> None:
    anchors = Anchors.of_input(64, 96)  # 4 x 6 cells of 16 pixels
    assert anchors.centres[:3].tolist() == [[88, 56]] * 3
    assert anchors.centres[3].tolist() == [72, 56]
    assert anchors.centres[3 * 24 - 1].tolist() == [8, 8]
    assert anchors.strides[0].tolist() == [16, 16]


def test_anchors_keep_their_pixels_whatever_the_input() -> None:
    small, large = Anchors.of_input(96, 96), Anchors.of_input(416, 320)
    assert small.sizes[:3].tolist() == large.sizes[:3].tolist()


def test_cells_of_an_odd_input_share_it_evenly() -> None:
    anchors = Anchors.of_input(300, 300)  # 19 cells
    assert anchors.strides[0].tolist() == pytest.approx([300 / 19] * 2)
    assert anchors.centres[0].tolist() == pytest.approx([300 - 150 / 19] * 2)


@pytest.mark.parametrize(
    ("code", "box"),
    [
        # centre = anchor + code / 10 * sides; sides = anchor * exp(code / 5)
        pytest.param([0, 0, 0, 0], [30, 50, 70, 70], id="zeros: the anchor"),
        pytest.param([5, -10, 0, 0], [50, 30, 90, 50], id="half a width right, a height up"),
        pytest.param([0, 0, 5 * math.log(2), 5 * math.log(0.5)], [10, 55, 90, 65], id="twice as wide, half as high"),
    ],
)
def test_boxes_are_decoded(code: list[float], box: list[float]) -> None:
    outputs = torch.tensor([[*code, 9.0]])
    decoded = decode_boxes(outputs, torch.tensor([[50.0, 60.0]]), torch.tensor([[40.0, 20.0]]))
    assert decoded[0].tolist() == pytest.approx(box, abs=1e-4)
