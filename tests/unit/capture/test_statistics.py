"""Running numbers of the gate: means by hand, quantiles to one bin, and memory that does not grow."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.capture import MotionResult
from edge_autotuner.capture.statistics import FractionHistogram, MotionStatistics, area_fractions, chart_edges

ONE_BIN = 10 ** (1 / 32)
SIZE_WH = (200, 100)


def seen(*regions_xyxy: tuple[float, float, float, float], known: bool = True, covered: float = 0.0) -> MotionResult:
    small = np.zeros((10, 20), np.uint8)
    regions = np.array(regions_xyxy, np.float32).reshape(-1, 4)
    return MotionResult(regions, covered, small > 0, small, small if known else None)


def histogram_of(*fractions: float) -> FractionHistogram:
    histogram = FractionHistogram()
    histogram.add(np.array(fractions, np.float32))
    return histogram


def test_nothing_seen() -> None:
    statistics = MotionStatistics()
    assert (statistics.n_looked, statistics.n_compared, statistics.n_with_motion) == (0, 0, 0)
    assert statistics.still_fraction == 0
    assert statistics.mean_covered_fraction == statistics.mean_covered_fraction_with_motion == 0
    assert statistics.mean_enclosing_fraction == 0
    assert statistics.regions.quantile(0.5) == 0
    assert sum(statistics.covered.chart_counts()) == 0


def test_means_by_hand() -> None:
    statistics = MotionStatistics()
    statistics.add(seen(known=False), SIZE_WH)  # learning
    statistics.add(seen(), SIZE_WH)  # still
    statistics.add(seen((0, 0, 20, 10), (180, 90, 200, 100), covered=0.02), SIZE_WH)  # two corners: 1 % each
    statistics.add(seen((0, 0, 100, 50), covered=0.25), SIZE_WH)
    assert (statistics.n_looked, statistics.n_compared, statistics.n_with_motion) == (4, 3, 2)
    assert statistics.still_fraction == pytest.approx(1 / 3)
    assert statistics.mean_covered_fraction == pytest.approx((0 + 0.02 + 0.25) / 3)
    assert statistics.mean_covered_fraction_with_motion == pytest.approx((0.02 + 0.25) / 2)
    assert statistics.mean_enclosing_fraction == pytest.approx((1 + 0.25) / 2), "the box around both corners is all"
    assert statistics.regions.total == 3
    assert statistics.regions.quantile(0.5) == pytest.approx(0.01, rel=ONE_BIN - 1)
    assert statistics.regions.quantile(1.0) == pytest.approx(0.25, rel=ONE_BIN - 1)


def test_a_frame_of_another_size_counts_by_its_own() -> None:
    statistics = MotionStatistics()
    statistics.add(seen((0, 0, 100, 50), covered=0.25), SIZE_WH)
    statistics.add(seen((0, 0, 200, 100), covered=0.25), (400, 200))
    assert statistics.mean_enclosing_fraction == pytest.approx(0.25)


@given(st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=60), st.floats(0.01, 1.0))
def test_quantiles_are_exact_to_one_bin(fractions: list[float], rank: float) -> None:
    exact = float(np.quantile(np.array(fractions), rank, method="inverted_cdf"))
    found = histogram_of(*fractions).quantile(rank)
    assert exact / ONE_BIN * (1 - 1e-5) <= found <= exact * ONE_BIN * (1 + 1e-5)


@given(st.lists(st.floats(0.0, 1.0), max_size=60))
def test_charts_count_everything_once(fractions: list[float]) -> None:
    histogram = histogram_of(*fractions)
    assert sum(histogram.chart_counts()) == histogram.total == len(fractions)


@pytest.mark.parametrize(
    ("fraction", "place"),
    [(0.0, 0), (5e-5, 0), (1.2e-4, 0), (0.0101, 16), (0.0999, 23), (0.1001, 24), (0.99, 31), (1.0, 31), (1.2, 31)],
)
def test_places_in_the_chart(fraction: float, place: int) -> None:
    counts = histogram_of(fraction).chart_counts()
    assert [i for i, count in enumerate(counts) if count] == [place]
    edges = chart_edges()
    assert len(edges) == len(counts) + 1 == 33
    if 1e-4 <= fraction < 1:
        assert edges[place] <= fraction < edges[place + 1]


def test_edges_are_round_at_powers_of_ten() -> None:
    assert chart_edges()[::8] == pytest.approx((1e-4, 1e-3, 1e-2, 1e-1, 1))


@pytest.mark.parametrize("rank", [0.0, -0.1, 1.01, float("nan")])
def test_there_is_no_such_quantile(rank: float) -> None:
    with pytest.raises(ValueError, match="rank must be in"):
        histogram_of(0.5).quantile(rank)


def test_memory_does_not_grow() -> None:
    statistics = MotionStatistics()
    motion = seen((0, 0, 20, 10), (180, 90, 200, 100), covered=0.02)
    sizes = []
    for _ in range(2):
        for _ in range(1000):
            statistics.add(motion, SIZE_WH)
        sizes.append(len(pickle.dumps(statistics)))
    assert sizes[0] == sizes[1]


def test_area_fractions() -> None:
    assert area_fractions(np.zeros((0, 4), np.float32), SIZE_WH).shape == (0,)
    regions = np.array([[0, 0, 20, 10], [10, 10, 110, 60]], np.float32)
    np.testing.assert_allclose(area_fractions(regions, SIZE_WH), [0.01, 0.25])
