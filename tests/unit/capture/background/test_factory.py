"""Which background model a configuration means."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.background import (
    FirstFrame,
    KnnBackground,
    MedianBackground,
    Mog2Background,
    RunningBackground,
    make_background,
)
from edge_autotuner.config import BackgroundConfig
from edge_autotuner.core import BackgroundModel
from edge_autotuner.core.plugins import BACKGROUNDS

CLASSES: dict[str, type[BackgroundModel]] = {
    "median": MedianBackground,
    "percentile": MedianBackground,
    "running": RunningBackground,
    "first": FirstFrame,
    "mog2": Mog2Background,
    "knn": KnnBackground,
}


def _shown(model: BackgroundModel, *levels: int) -> list[int | None]:
    """Show frames of one brightness each; return the background's brightness after each."""
    seen: list[int | None] = []
    for level in levels:
        model.update(np.full((2, 2), level, np.uint8))
        seen.append(None if model.background is None else int(model.background[0, 0]))
    return seen


def test_every_configured_method_can_be_made() -> None:
    assert set(BACKGROUNDS.built_in) == set(CLASSES)


@pytest.mark.parametrize("quick_start", [False, True])
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_name_chooses_the_class(name: str, quick_start: bool) -> None:
    model = make_background(BackgroundConfig.model_validate({"method": name}), quick_start=quick_start)
    assert type(model) is CLASSES[name]


def test_median_gets_its_numbers() -> None:
    model = make_background(BackgroundConfig(n_frames=3, every_k_frames=1, n_backgrounds=1))
    assert _shown(model, 1, 2, 3, 7, 8, 9) == [None, None, 2, 2, 2, 8]


def test_percentile_gets_its_numbers() -> None:
    config = BackgroundConfig(method="percentile", n_frames=3, every_k_frames=1, n_backgrounds=1, percentile=100)
    assert _shown(make_background(config), 1, 2, 3, 7, 8, 9) == [None, None, 3, 3, 3, 9]


def test_running_gets_its_numbers() -> None:
    config = BackgroundConfig(method="running", n_frames=3, every_k_frames=2)
    assert _shown(make_background(config), 5, 0, 5, 0, 5, 0, 9, 0, 9) == [None, None, None, None, 5, 5, 6, 6, 7]


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_quick_start_knows_the_background_within_five_frames(name: str) -> None:
    config = BackgroundConfig.model_validate({"method": name, "every_k_frames": 50})
    assert _shown(make_background(config, quick_start=True), 80, 80, 80, 80, 80)[-1] == 80
