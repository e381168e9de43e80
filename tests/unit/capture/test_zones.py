"""Polygons to ignore and to watch, as pixels."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture.changes import Polygon, watched_pixels

TOP = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5))
LEFT = ((0.0, 0.0), (0.25, 0.0), (0.25, 1.0), (0.0, 1.0))
ALL = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


@pytest.mark.parametrize(
    ("ignore", "watch", "share"),
    [
        pytest.param([], [], 1.0, id="none"),
        pytest.param([TOP], [], 0.5, id="ignored"),
        pytest.param([], [TOP], 0.5, id="watched"),
        pytest.param([LEFT], [TOP], 0.375, id="both"),
        pytest.param([], [TOP, LEFT], 0.625, id="two watched"),
        pytest.param([ALL], [TOP], 0.0, id="nothing left"),
    ],
)
@pytest.mark.parametrize("size_wh", [(400, 300), (401, 207)])
def test_share_of_the_picture(
    ignore: list[Polygon], watch: list[Polygon], share: float, size_wh: tuple[int, int]
) -> None:
    watched = watched_pixels(size_wh, ignore=ignore, watch=watch)
    assert watched.shape == size_wh[::-1]
    assert watched.dtype == np.bool_
    assert watched.mean() == pytest.approx(share, abs=0.01)


def test_a_triangle() -> None:
    watched = watched_pixels((101, 101), ignore=[((0, 0), (1, 0), (0, 1))], watch=[])
    assert not watched[10, 10]
    assert watched[90, 90]
    assert watched.mean() == pytest.approx(0.5, abs=0.02)
