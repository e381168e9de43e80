"""How an epoch divides its pictures between the camera's own, its past and other scenes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from edge_autotuner.config import ReplayConfig
from edge_autotuner.training.schedule import Origin, epoch_order, pictures_per_epoch


def origins(n_camera: int, n_replay: int = 0, n_generic: int = 0) -> list[Origin]:
    return [*["camera"] * n_camera, *["replay"] * n_replay, *["generic"] * n_generic]


def order_of(
    samples: list[Origin], n_wanted: int, *, share: float = 0.25, generic: float = 0.4, seed: int = 0
) -> list[int]:
    replay = ReplayConfig(share=share, generic_share=generic)
    return epoch_order(samples, n_wanted, replay=replay, rng=np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("there", "n_wanted", "shares", "expected"),
    [
        pytest.param((100, 0, 0), 100, (0.25, 0.4), (100, 0, 0), id="nothing to replay"),
        pytest.param((100, 50, 50), 80, (0.25, 0.4), (60, 12, 8), id="shares"),
        pytest.param((100, 50, 50), 80, (0.0, 0.4), (80, 0, 0), id="no share"),
        pytest.param((100, 50, 0), 80, (0.25, 0.4), (60, 20, 0), id="no generic ones"),
        pytest.param((100, 0, 50), 80, (0.25, 0.4), (60, 0, 20), id="only generic ones"),
        pytest.param((100, 50, 3), 80, (0.25, 0.4), (60, 17, 3), id="few generic ones"),
        pytest.param((100, 2, 1), 100, (0.25, 0.4), (97, 2, 1), id="a small reservoir is not shown more often"),
        pytest.param((10, 2, 0), 40, (0.5, 0.4), (32, 8, 0), id="nor when everything repeats"),
        pytest.param((0, 5, 5), 10, (0.25, 0.4), (0, 5, 5), id="only replayed ones"),
        pytest.param((1, 0, 0), 3, (0.25, 0.4), (3, 0, 0), id="one picture"),
        pytest.param((10, 10, 10), 0, (0.25, 0.4), (0, 0, 0), id="none wanted"),
    ],
)
def test_how_many_of_each(
    there: tuple[int, int, int], n_wanted: int, shares: tuple[float, float], expected: tuple[int, int, int]
) -> None:
    samples = origins(*there)
    order = order_of(samples, n_wanted, share=shares[0], generic=shares[1])
    counts = Counter(samples[i] for i in order)
    assert (counts["camera"], counts["replay"], counts["generic"]) == expected
    assert len(order) == n_wanted


def test_each_comes_once_before_any_comes_again() -> None:
    samples = origins(10, 4, 4)
    counts = Counter(order_of(samples, 36, share=0.4, generic=0.5))
    assert {counts[i] for i in range(10)} <= {2, 3}
    assert {counts[i] for i in range(10, 18)} <= {1, 2}


def test_replayed_pictures_are_spread_over_the_epoch() -> None:
    samples = origins(300, 100)
    is_replayed = np.array([samples[i] == "replay" for i in order_of(samples, 400)])
    assert is_replayed.sum() == 100
    assert min(is_replayed[start : start + 100].sum() for start in range(0, 400, 100)) > 10


def test_the_same_randomness_gives_the_same_order() -> None:
    samples = origins(20, 10, 5)
    assert order_of(samples, 25) == order_of(samples, 25)
    assert order_of(samples, 25) != order_of(samples, 25, seed=1)


@pytest.mark.parametrize(
    ("there", "share", "n_pictures"),
    [((90, 10, 0), 0.25, 120), ((90, 0, 0), 0.25, 90), ((90, 10, 10), 0.0, 90), ((0, 7, 0), 0.25, 7)],
    ids=["beside the own", "nothing to replay", "no share", "only replayed"],
)
def test_the_length_of_an_epoch(there: tuple[int, int, int], share: float, n_pictures: int) -> None:
    assert pictures_per_epoch(origins(*there), share) == n_pictures
