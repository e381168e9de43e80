"""The quota of empty frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_autotuner.capture.selection.negatives import EmptyQuota
from support.cameras.selection_samples import THRESHOLD, Square, motion_of

EMPTY, BUSY, UNKNOWN = motion_of(), motion_of(Square(30)), motion_of(known=False)


def _quota(**arguments: Any) -> EmptyQuota:
    return EmptyQuota(**{"fraction": 0.1, "max_images": 100, "span_s": 1000.0, "threshold": THRESHOLD, **arguments})


def _taken_at(quota: EmptyQuota, *, n_seconds: int, n_selected: int = 1000) -> list[int]:
    """Return the seconds at which a scene that is always empty gives a negative."""
    taken = []
    for time_s in range(n_seconds):
        quota.see(EMPTY, time_s)
        if quota.wants(EMPTY, time_s, n_selected=n_selected):
            quota.take(EMPTY, time_s)
            taken.append(time_s)
    return taken


def test_evenly_spread() -> None:
    assert _taken_at(_quota(), n_seconds=1000) == list(range(50, 1000, 100))


@pytest.mark.parametrize(
    ("fraction", "max_images"), [(0.0, 1000), (0.05, 19)], ids=["no negatives wanted", "less than one"]
)
def test_none(fraction: float, max_images: int) -> None:
    assert _taken_at(_quota(fraction=fraction, max_images=max_images), n_seconds=1000) == []


@pytest.mark.parametrize(("n_selected", "wants"), [(0, False), (8, False), (9, True), (100, True)])
def test_at_most_a_share_of_the_selected_frames(n_selected: int, wants: bool) -> None:
    quota = _quota()
    quota.see(EMPTY, 0)
    quota.see(EMPTY, 60)
    assert quota.wants(EMPTY, 60, n_selected=n_selected) == wants


def test_the_share_counts_negatives_too() -> None:
    quota = _quota(fraction=0.5, span_s=100.0)
    for n_selected, expected in ((1, True), (2, False), (3, True)):
        quota.see(EMPTY, 100 * n_selected)
        quota.see(EMPTY, 100 * n_selected + 70)
        assert quota.wants(EMPTY, 100 * n_selected + 70, n_selected=n_selected) == expected
        if expected:
            quota.take(EMPTY, 100 * n_selected + 70)


@pytest.mark.parametrize("before", [BUSY, UNKNOWN], ids=["motion", "background unknown"])
def test_not_within_a_second_of_motion_or_of_an_unknown_background(before: Any) -> None:
    quota = _quota()
    quota.see(EMPTY, 0)
    quota.see(before, 80)
    assert not quota.wants(EMPTY, 80.9, n_selected=1000)
    assert quota.wants(EMPTY, 81, n_selected=1000)


def test_not_the_first_frames() -> None:
    quota = _quota(span_s=1.0)
    quota.see(EMPTY, 500.0)
    assert not quota.wants(EMPTY, 500.9, n_selected=1000)
    assert quota.wants(EMPTY, 501.0, n_selected=1000)


@pytest.mark.parametrize(
    ("share", "grey", "wants"),
    [(0.0, 100, False), (0.009, 255, False), (0.011, 100 + THRESHOLD, True), (1.0, 100 + THRESHOLD - 1, False)],
)
def test_within_a_minute_only_if_the_scene_looks_different(share: float, grey: int, wants: bool) -> None:
    quota = _quota(span_s=10.0)
    quota.see(EMPTY, 0)
    quota.take(EMPTY, 10)
    now = motion_of()
    now.blurred_luma.reshape(-1)[: round(share * now.blurred_luma.size)] = grey
    assert quota.wants(now, 30, n_selected=1000) == wants
    assert quota.wants(now, 70, n_selected=1000)


def test_another_frame_size_looks_different() -> None:
    quota = _quota(span_s=10.0)
    quota.see(EMPTY, 0)
    quota.take(EMPTY, 10)
    assert quota.wants(motion_of(size_wh=(120, 80)), 30, n_selected=1000)


def test_the_picture_is_not_kept() -> None:
    quota, motion = _quota(span_s=10.0), motion_of()
    quota.see(motion, 0)
    quota.take(motion, 10)
    motion.blurred_luma[:] = 0
    assert not quota.wants(EMPTY, 30, n_selected=1000)
    np.testing.assert_array_equal(EMPTY.blurred_luma, 100)
