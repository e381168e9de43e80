"""Ranks of any stack, and the running median on any frames."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_autotuner.capture.background import RunningBackground, pixel_rank


@settings(max_examples=150)
@given(st.data(), st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_pixel_rank_equals_sorting(data: st.DataObject, n: int, height: int, width: int, seed: int) -> None:
    n_levels = data.draw(st.sampled_from([2, 5, 256]))  # few levels: many equal values
    stack = np.random.default_rng(seed).integers(0, n_levels, (n, height, width)).astype(np.uint8)
    rank = data.draw(st.integers(0, n - 1))
    np.testing.assert_array_equal(pixel_rank(stack, rank), np.sort(stack, axis=0)[rank])


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_running_median_moves_at_most_one_level_and_never_away(seed: int, n_frames: int) -> None:
    frames = np.random.default_rng(seed).integers(0, 256, (n_frames, 3, 4)).astype(np.uint8)
    model = RunningBackground(1, 1)
    for number, frame in enumerate(frames):
        before = model.background
        model.update(frame)
        assert model.background is not None
        if number == 0 or before is None:
            np.testing.assert_array_equal(model.background, frame)
        else:
            np.testing.assert_array_equal(model.background.astype(int) - before, np.sign(frame.astype(int) - before))
