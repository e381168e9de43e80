"""Which background model a configuration means."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from edge_autotuner.capture.background import BACKGROUND_MODELS, MedianBackground, make_background
from edge_autotuner.config import BackgroundConfig


def test_every_configured_method_has_a_class() -> None:
    assert set(BACKGROUND_MODELS) == set(get_args(BackgroundConfig.model_fields["method"].annotation))


@pytest.mark.parametrize("name", sorted(BACKGROUND_MODELS))
def test_name_chooses_the_class(name: str) -> None:
    model = make_background(BackgroundConfig.model_validate({"method": name}))
    assert type(model) is BACKGROUND_MODELS[name]


def test_median_gets_its_numbers() -> None:
    model = make_background(BackgroundConfig(n_frames=3, every_k_frames=1, n_backgrounds=1))
    assert isinstance(model, MedianBackground)
    for level in (1, 2, 3, 7, 8, 9):
        model.update(np.full((2, 2), level, np.uint8))
    assert model.background is not None
    assert model.background.tolist() == [[8, 8], [8, 8]]
