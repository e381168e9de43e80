"""Weights of RT-DETR v2 and D-FINE: read from folders without a network connection, and from our own files."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from safetensors.torch import load_file, save_file

from edge_autotuner.errors import WeightsError
from edge_autotuner.models import load_network, save_network
from edge_autotuner.models.torch_weights import load_weights
from edge_autotuner.models.transformers_weights import TRANSFORMERS_FAMILY, load_detector_folder
from support.cameras.coloured_scene import LABELS
from support.runs.tiny_transformers import ARE_INSTALLED, D_FINE, NOT_INSTALLED, RT_DETR, tiny_network, write_folder

pytestmark = pytest.mark.skipif(not ARE_INSTALLED, reason=NOT_INSTALLED)


def test_a_folder_is_read_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = write_folder(tmp_path, RT_DETR, LABELS)

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the network is used")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    network, labels = load_network(tmp_path)
    assert labels == LABELS
    head = theirs.model.decoder.class_embed[1].weight
    assert torch.equal(network.state_dict()["detr.decoder.class_embed.1.weight"], head)
    assert not torch.equal(head, theirs.model.decoder.class_embed[0].weight)


@pytest.mark.parametrize("architecture", [RT_DETR, D_FINE])
def test_a_file_of_ours_holds_everything_but_the_library(architecture: str, tmp_path: Path) -> None:
    network = tiny_network(architecture)
    save_network(tmp_path / "a.safetensors", network, LABELS)
    save_network(tmp_path / "b.safetensors", network, LABELS)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    loaded, labels = load_network(tmp_path / "a.safetensors", architecture=architecture)
    assert (loaded.plan, labels, loaded.training) == (network.plan, LABELS, False)  # type: ignore[attr-defined]
    state = network.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.state_dict().items())


def test_folders_with_other_weights_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, RT_DETR, LABELS)
    weights = tmp_path / "model.safetensors"
    tensors = load_file(weights)
    assert "model.decoder.layers.0.fc1.weight" in tensors  # as all published files call what is mlp.fc1 by now
    name = "model.enc_score_head.weight"
    save_file({key: value for key, value in tensors.items() if key != name}, weights, {"format": "pt"})
    with pytest.raises(WeightsError, match=rf"weights of 1 layers are missing, the first is {name}"):
        load_detector_folder(tmp_path)
    save_file(tensors | {name: torch.zeros(3, 3)}, weights, {"format": "pt"})
    with pytest.raises(WeightsError, match="cannot read weights"):
        load_detector_folder(tmp_path)
    weights.write_bytes(b"text")
    with pytest.raises(WeightsError, match="cannot read weights"):
        load_detector_folder(tmp_path)


def test_a_file_without_description_is_refused(tmp_path: Path) -> None:
    """The weights file of a folder alone does not say what they are of."""
    write_folder(tmp_path / "folder", D_FINE, LABELS)
    weights = tmp_path / "folder" / "model.safetensors"
    with pytest.raises(
        WeightsError, match=r"d-fine: the file does not describe its layers; use the model's original folder"
    ):
        load_network(weights, architecture=D_FINE)
    with pytest.raises(WeightsError, match="does not contain weights of yolox-nano or"):
        load_network(weights)
    with pytest.raises(WeightsError, match="unknown architecture 'yolox-nano'; known: rt-detr-v2, d-fine"):
        load_weights(weights, [TRANSFORMERS_FAMILY], architecture="yolox-nano", labels=None)
