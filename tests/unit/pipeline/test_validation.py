"""What a checkpoint is chosen by."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_autotuner.config import RunConfig
from edge_autotuner.core import Deadline, FakeClock
from edge_autotuner.errors import TrainingError
from edge_autotuner.models.onnx_detector import OnnxDetector
from edge_autotuner.models.torch_detector import TorchDetector
from edge_autotuner.pipeline.edge_model import EdgeModel
from edge_autotuner.pipeline.validation import _MIN_EXPORTED, Validation
from edge_autotuner.training import ValidationCut
from support.cameras.coloured_scene import fresh_network
from support.runs.dataset_folders import add_frame, annotation, new_store


def test_a_validation_sees_the_deadline(tmp_path: Path) -> None:
    store, clock = new_store(tmp_path), FakeClock()
    frames = [(add_frame(store, index), annotation((10, 10, 30, 30, 0.9, 1))) for index in range(3)]
    network = fresh_network()
    edge, settings = EdgeModel("m", network, store.labels, "0"), RunConfig(input_size=(64, 64))
    validation = Validation(store, frames, edge, settings, Deadline(10, clock))
    whole = validation(network)
    assert 0 <= whole <= 1
    assert Validation(store, frames, edge, settings, Deadline(None))(network) == whole
    clock.advance(11)
    with pytest.raises(ValidationCut) as caught:
        validation(network)
    assert caught.value.share_done == 0


def test_many_frames_are_scored_by_the_exported_network_and_get_the_same(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    frames = [(add_frame(store, index), annotation((10, 10, 30, 30, 0.9, 1))) for index in range(_MIN_EXPORTED)]
    network = fresh_network().train()
    edge, settings = EdgeModel("m", network, store.labels, "0"), RunConfig(input_size=(64, 64))
    many, few = (Validation(store, chosen, edge, settings, Deadline(None)) for chosen in (frames, frames[1:]))
    assert isinstance(many._opened(network), OnnxDetector)
    assert isinstance(few._opened(network), TorchDetector)
    assert many(network) == pytest.approx(Validation(store, frames[1:], edge, settings, Deadline(None))(network))


def test_validation_without_labels_is_an_error(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    network = fresh_network()
    edge = EdgeModel("m", network, store.labels, "0")
    validation = Validation(
        store, [(add_frame(store, 0), annotation())], edge, RunConfig(input_size=(64, 64)), Deadline(None)
    )
    with pytest.raises(TrainingError, match=r"the validation frames have no labels; increase training\.val_fraction"):
        validation(network)
