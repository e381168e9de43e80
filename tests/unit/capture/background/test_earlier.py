"""Remembered backgrounds: which one is taken, and which one makes room."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.background import FirstFrame
from edge_autotuner.capture.background.keeper import EarlierBackgrounds
from edge_autotuner.core.types import ImageArray
from support.cameras.scene_changes import Street

DAY = np.rint(Street().seen()).astype(np.uint8)
DUSK = np.rint(0.6 * Street().seen()).astype(np.uint8)
NIGHT = np.rint(0.2 * Street().seen()).astype(np.uint8)


def model_of(luma: ImageArray) -> FirstFrame:
    model = FirstFrame()
    model.update(luma)
    return model


def test_the_model_that_fits_best_is_taken_out() -> None:
    earlier = EarlierBackgrounds(4)
    day, almost_day = model_of(DAY), model_of(DAY + np.uint8(15))
    for model in (almost_day, day, model_of(NIGHT), model_of(DUSK)):
        earlier.keep(model)
    with_car = DAY.copy()
    with_car[80:100, 80:120] = 230
    assert earlier.take_fitting(with_car) is day
    assert earlier.take_fitting(with_car) is almost_day
    assert earlier.take_fitting(with_car) is None
    assert len(earlier) == 2


def test_a_model_that_knows_nothing_fits_nothing() -> None:
    earlier = EarlierBackgrounds(1)
    earlier.keep(FirstFrame())
    assert earlier.take_fitting(DAY) is None


@pytest.mark.parametrize("n_max", [0, 1, 2])
def test_the_oldest_make_room(n_max: int) -> None:
    earlier = EarlierBackgrounds(n_max)
    for luma in (DAY, DUSK, NIGHT):
        earlier.keep(model_of(luma))
    assert len(earlier) == n_max
    fitting = [earlier.take_fitting(luma) is not None for luma in (DAY, DUSK, NIGHT)]
    assert fitting == [False, n_max > 1, n_max > 0]


def test_forget() -> None:
    earlier = EarlierBackgrounds(2)
    earlier.keep(model_of(DAY))
    earlier.forget()
    assert earlier.take_fitting(DAY) is None
