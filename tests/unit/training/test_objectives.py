"""Each network is trained by its own loss, at its own places."""

from __future__ import annotations

import pytest
import torch

from edge_autotuner.models import TrainableNetwork
from edge_autotuner.models.ssdlite_anchors import Anchors
from edge_autotuner.models.yolox import CellGrid
from edge_autotuner.training import LossParts, Target, detection_loss, objective_for, ssdlite_loss
from edge_autotuner.training.transformers_losses import PictureCells, detr_loss
from support.cameras.coloured_scene import fresh_network
from support.runs.tiny_transformers import ARE_INSTALLED, D_FINE, NOT_INSTALLED, RT_DETR, tiny_network
from support.runs.trainable_cases import add_narrow_networks, fresh_ssdlite

BOX = torch.tensor([[8.0, 8.0, 40.0, 36.0]])


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    add_narrow_networks(monkeypatch)


def target(n: int) -> Target:
    return Target(BOX, torch.tensor([1]), torch.arange(n) % 3 > 0)


def values(parts: LossParts) -> list[float]:
    scalars = parts.total, parts.box, parts.objectness, parts.classes, parts.distillation
    return [scalar.item() for scalar in scalars] + [parts.n_positive]


def compare(network: TrainableNetwork, loss: object, places: object) -> None:
    objective = objective_for(network, (96, 64))
    with torch.no_grad():
        outputs = network(torch.rand(2, 3, 64, 96) * 255)
    labels, reference = [target(outputs.shape[1])] * 2, outputs * 0.5
    found = objective.loss(outputs, labels, reference=reference, distill_weight=0.3)
    expected = loss(outputs, places, labels, reference=reference, distill_weight=0.3)  # type: ignore[operator]
    assert torch.equal(objective.centres, places.centres)  # type: ignore[attr-defined]
    assert values(found) == values(expected)
    assert found.distillation > 0
    without = objective.loss(outputs, labels, reference=None, distill_weight=0.3)
    assert without.distillation == 0


def test_yolox_is_trained_on_its_cells() -> None:
    compare(fresh_network(), detection_loss, CellGrid.of_input(64, 96))


def test_ssdlite_is_trained_on_its_anchors() -> None:
    compare(fresh_ssdlite(), ssdlite_loss, Anchors.of_input(64, 96))


@pytest.mark.skipif(not ARE_INSTALLED, reason=NOT_INSTALLED)
@pytest.mark.parametrize("architecture", [RT_DETR, D_FINE])
def test_queries_are_trained_on_the_cells_that_they_fall_into(architecture: str) -> None:
    network, places = tiny_network(architecture), PictureCells((96, 64))
    with torch.no_grad():
        outputs = network(torch.rand(2, 3, 64, 96) * 255)
    labels, reference = [target(len(places.centres))] * 2, outputs.flip(1)
    scarce = torch.tensor([True, False])
    objective = objective_for(network, (96, 64), scarce=scarce)
    found = objective.loss(outputs, labels, reference=reference, distill_weight=0.3)
    expected = detr_loss(outputs, 2, places, labels, reference=reference, distill_weight=0.3, scarce=scarce)
    assert torch.equal(objective.centres, places.centres)
    assert values(found) == values(expected)


def test_another_network_is_refused() -> None:
    with pytest.raises(TypeError, match="no loss is known for Conv2d"):
        objective_for(torch.nn.Conv2d(3, 1, 1), (64, 64))  # type: ignore[arg-type]
