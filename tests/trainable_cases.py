"""One small network of each family that can be trained, with random weights that can learn at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import pytest
import torch
from torch import nn

from coloured_scene import fresh_network
from edge_autotuner.models import TrainableNetwork
from edge_autotuner.models.ssdlite import SSDLITE_SIZES, ConvBlock, Ssdlite, SsdliteSize
from edge_autotuner.training import losses, ssdlite_losses

NARROW = "ssdlite-narrow"


@dataclass(frozen=True)
class Case:
    """One family.

    Attributes:
        name: how tests call it.
        fresh: makes a network from a number of classes and a seed.
        loss_module: where its loss and its assignment are.
        assign: name of the assignment there.
    """

    name: str
    fresh: Callable[[int, int], TrainableNetwork]
    loss_module: ModuleType
    assign: str


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
)
