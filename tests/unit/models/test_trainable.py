"""What all networks have in common: input sizes, modes, how their exports are fed, and files of any architecture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edge_autotuner.core import LabelMap
from edge_autotuner.errors import ConfigError, WeightsError
from edge_autotuner.models import Ssdlite, TrainableNetwork, Yolox, load_network, save_network, with_classes
from edge_autotuner.models.ssdlite import SSDLITE_SIZES, SsdliteSize

LABELS = LabelMap(("person", "car"))


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SSDLITE_SIZES, "narrow", SsdliteSize(width=0.25))


def network_of(architecture: str) -> TrainableNetwork:
    torch.manual_seed(0)
    return Ssdlite(architecture, 2) if architecture == "narrow" else Yolox(architecture, 2)


@pytest.mark.parametrize("size_wh", [(416, 416), (32, 64)])
def test_yolox_takes_multiples_of_32(size_wh: tuple[int, int]) -> None:
    network_of("yolox-nano").check_input_size(size_wh, "input_size")


@pytest.mark.parametrize(
    ("size_wh", "fitting"), [((300, 300), "288x288"), ((400, 416), "384x416"), ((10, 33), "32x32")]
)
def test_other_sizes_are_refused_with_one_that_fits(size_wh: tuple[int, int], fitting: str) -> None:
    message = f"zoom: both sides must be multiples of 32 for yolox-nano, got {size_wh[0]}x{size_wh[1]}; e.g. {fitting}"
    with pytest.raises(ConfigError, match=f"^{message}$"):
        network_of("yolox-nano").check_input_size(size_wh, "zoom")


def test_ssdlite_takes_any_size() -> None:
    for size_wh in ((300, 300), (97, 131), (32, 32)):
        network_of("narrow").check_input_size(size_wh, "input_size")


@pytest.mark.parametrize(("architecture", "resize"), [("yolox-nano", "letterbox"), ("narrow", "stretch")])
def test_exports_are_fed_as_the_network_was_trained(architecture: str, resize: str) -> None:
    spec = network_of(architecture).detector_spec("m", LABELS, (96, 64))
    assert (spec.name, spec.labels, spec.input_size_wh, spec.decode) == ("m", LABELS, (96, 64), "boxes_scores")
    assert (spec.resize, spec.colour, spec.scale, spec.mean, spec.nms_iou) == (resize, "bgr", 1, (0, 0, 0), 0.6)


@pytest.mark.parametrize("architecture", ["yolox-nano", "narrow"])
def test_a_file_says_which_architecture_it_holds(architecture: str, tmp_path: Path) -> None:
    network = network_of(architecture)
    save_network(tmp_path / "w.safetensors", network, LABELS)
    loaded, labels = load_network(tmp_path / "w.safetensors")
    assert (type(loaded), loaded.architecture, labels, loaded.training) == (type(network), architecture, LABELS, False)
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(("inside", "asked_for"), [("yolox-nano", "narrow"), ("narrow", "yolox-nano")])
def test_weights_of_another_family_are_refused(inside: str, asked_for: str, tmp_path: Path) -> None:
    save_network(tmp_path / "w.safetensors", network_of(inside), LABELS)
    with pytest.raises(
        WeightsError, match=f"does not contain weights of {asked_for} .*; give a file of yolox-nano, .*ssd"
    ):
        load_network(tmp_path / "w.safetensors", architecture=asked_for)


def test_an_unknown_architecture_is_answered_with_all_known_ones(tmp_path: Path) -> None:
    save_network(tmp_path / "w.safetensors", network_of("yolox-nano"), LABELS)
    known = "yolox-nano, yolox-tiny, yolox-s, ssdlite-mobilenet-v2"
    with pytest.raises(WeightsError, match=f"unknown architecture 'resnet'; known: {known}"):
        load_network(tmp_path / "w.safetensors", architecture="resnet")


def test_fewer_classes_leave_the_network_as_it_was() -> None:
    network = network_of("narrow")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fewer = with_classes(network, LABELS, LabelMap(("car",)))
    assert (fewer.n_classes, network.n_classes) == (1, 2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
