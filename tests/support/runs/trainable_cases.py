"""One small network of each family that can be trained, with random weights that can learn at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from edge_autotuner.core.types import SizeWH
from edge_autotuner.models import TrainableNetwork
from edge_autotuner.models.ssdlite import SSDLITE_SIZES, ConvBlock, Ssdlite, SsdliteSize
from edge_autotuner.training import losses, objective_for, ssdlite_losses, transformers_losses
from support.cameras.coloured_scene import fresh_network
from support.runs.tiny_transformers import ARE_INSTALLED, D_FINE, RT_DETR, tiny_network

NARROW = "ssdlite-narrow"


@dataclass(frozen=True)
class Case:
    """One family.

    Attributes:
        name: how tests call it.
        fresh: makes a network from a number of classes and a seed.
        loss_module: where its loss and its assignment are.
        assign: name of the assignment there.
        is_installed: whether what it needs is there.
        n_epochs: in which it learns a small scene.
        has_fixed_places: whether its outputs look at places that no picture changes.
    """

    name: str
    fresh: Callable[[int, int], TrainableNetwork]
    loss_module: ModuleType
    assign: str
    is_installed: bool = True
    n_epochs: int = 6
    has_fixed_places: bool = True


def places_of(network: TrainableNetwork, outputs: Tensor, size_wh: SizeWH) -> Tensor:
    """Return (N, 2) where each row of one picture's outputs looks, pixels."""
    if network.has_fixed_places:
        return objective_for(network, size_wh).centres
    return last_answers(network, outputs)[:, :2].detach() * torch.tensor(size_wh)  # centres, shares of the picture


def last_answers(network: TrainableNetwork, rows: Tensor) -> Tensor:
    """Return the part of (N, D) outputs of one picture, or of their slopes, that becomes its boxes and scores."""
    return rows if network.has_fixed_places else rows[:, -(4 + network.n_classes) :]


def add_narrow_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the small members of the families known for one test."""
    monkeypatch.setitem(SSDLITE_SIZES, NARROW, SsdliteSize(width=0.25))


def fresh_ssdlite(n_classes: int = 2, seed: int = 0) -> Ssdlite:
    """Return a narrow SSDLite: He's start, and scores of 1 %, the prior of focal loss (arXiv 1708.02002)."""
    torch.manual_seed(seed)
    network = Ssdlite(NARROW, n_classes)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, ConvBlock):
                nn.init.kaiming_normal_(module.conv.weight, nonlinearity="relu" if module.is_active else "linear")
                nn.init.zeros_(module.conv.bias)  # type: ignore[arg-type]
        for head in (*network.box_heads, *network.class_heads):
            nn.init.normal_(head.predict.weight, std=0.01)
            nn.init.zeros_(head.predict.bias)
        for head in network.class_heads:
            nn.init.constant_(head.predict.bias, math.log(0.01 / 0.99))
    return network.eval()


CASES = (
    Case("yolox", lambda n_classes, seed: fresh_network(n_classes, seed=seed), losses, "assign"),
    Case("ssdlite", fresh_ssdlite, ssdlite_losses, "match_anchors"),
    *(
        Case(
            name,
            partial(tiny_network, name),
            transformers_losses,
            "match_queries",
            ARE_INSTALLED,
            5,
            has_fixed_places=False,
        )
        for name in (RT_DETR, D_FINE)
    ),
)
