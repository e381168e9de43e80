"""What holds for the selection of any stream with any settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.capture import FrameSelector, MotionResult, SelectedFrame
from edge_autotuner.config import SelectionConfig
from edge_autotuner.core import Frame
from support.cameras.selection_samples import THRESHOLD, Square, frame_at, motion_of

PLACES = [Square(left, 20, side) for left in (2, 8, 40, 70) for side in (6, 16)]
SCENES = [motion_of(known=False), motion_of(), *(motion_of(place) for place in PLACES), motion_of(PLACES[0], PLACES[6])]
STEPS_S = [0.0, 0.04, 1.0, 50.0, 700.0, 4000.0]


@dataclass(frozen=True)
class Stream:
    """Frames with what the gate says of them."""

    frames: Sequence[tuple[Frame, MotionResult]]

    def part(self, start: int, stop: int | None) -> Stream:
        return Stream(self.frames[start:stop])


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Return up to 60 frames; time stands still, flows, or jumps by more than an hour."""
    steps = draw(st.lists(st.tuples(st.sampled_from(STEPS_S), st.sampled_from(range(len(SCENES)))), max_size=60))
    times_s = np.cumsum([step_s for step_s, _ in steps])
    return Stream(
        [(frame_at(i, float(time_s)), SCENES[s]) for i, (time_s, (_, s)) in enumerate(zip(times_s, steps, strict=True))]
    )


SETTINGS = st.fixed_dictionaries(
    {
        "score": st.sampled_from(["uniform", "random", "motion-area"]),
        "min_gap_s": st.sampled_from([0.0, 0.5, 60.0]),
        "max_per_hour": st.none() | st.integers(1, 4),
        "max_per_day": st.none() | st.integers(1, 8),
        "min_change_fraction": st.sampled_from([0.0, 0.25, 1.0]),
        "regions": st.sampled_from(["new", "all"]),
        "diversity": st.sampled_from(["none", "hash", "embedding"]),
        "empty_fraction": st.sampled_from([0.0, 0.2, 0.5]),
    }
)
CAPS = st.sampled_from([1, 3, 10, 1000])
SPANS_S = st.sampled_from([1.0, 1000.0, 100_000.0])


def _select(
    stream: Stream, settings: dict[str, Any], cap: int, span_s: float, **options: Any
) -> tuple[FrameSelector, list[SelectedFrame]]:
    config = SelectionConfig.model_validate(settings)
    selector = FrameSelector(config, max_images=cap, span_s=span_s, threshold=THRESHOLD, **options)
    selected = []
    for frame, motion in stream.frames:
        selected += selector.offer(frame, motion)
    return selector, selected + selector.finish()


def _decisions(selected: Sequence[SelectedFrame]) -> list[tuple[int, str, list[list[float]]]]:
    return [(chosen.frame.index, chosen.reason, chosen.regions_xyxy.tolist()) for chosen in selected]


def _require_budgets(times_s: Sequence[float], settings: dict[str, Any], cap: int) -> None:
    assert len(times_s) <= cap
    assert all(b - a >= settings["min_gap_s"] - 1e-5 for a, b in pairwise(times_s))
    for name, window_s in (("max_per_hour", 3600), ("max_per_day", 86400)):
        limit = settings[name]
        if limit is not None:
            assert all(b - a >= window_s for a, b in zip(times_s, times_s[limit:], strict=False))


@given(streams(), SETTINGS, CAPS, SPANS_S)
def test_budgets_hold_in_every_window(stream: Stream, settings: dict[str, Any], cap: int, span_s: float) -> None:
    _, selected = _select(stream, settings, cap, span_s)
    _require_budgets([chosen.frame.time_s for chosen in selected], settings, cap)


@given(streams(), SETTINGS, CAPS, SPANS_S, st.integers(0, 60))
def test_budgets_hold_across_an_interruption(
    stream: Stream, settings: dict[str, Any], cap: int, span_s: float, cut: int
) -> None:
    _, before = _select(stream.part(0, cut), settings, cap, span_s)
    times_s = [chosen.frame.time_s for chosen in before]
    selector, after = _select(stream.part(cut, None), settings, cap, span_s, earlier=times_s)
    times_s += [chosen.frame.time_s for chosen in after]
    _require_budgets(times_s, settings, cap)
    assert selector.n_selected == len(times_s)


@given(streams(), SETTINGS, CAPS, SPANS_S)
def test_every_frame_is_counted_once_and_order_rises(
    stream: Stream, settings: dict[str, Any], cap: int, span_s: float
) -> None:
    selector, selected = _select(stream, settings, cap, span_s)
    assert selector.counts.total() == len(stream.frames)
    reasons = [chosen.reason for chosen in selected]
    assert selector.counts["selected"] == reasons.count("new motion")
    assert selector.counts["empty"] == reasons.count("empty")
    assert selector.n_selected == len(selected)
    indices = [chosen.frame.index for chosen in selected]
    assert indices == sorted(set(indices))


@given(streams(), SETTINGS, CAPS, SPANS_S)
def test_regions_are_those_of_the_frame(stream: Stream, settings: dict[str, Any], cap: int, span_s: float) -> None:
    motions = {frame.index: motion for frame, motion in stream.frames}
    for chosen in _select(stream, settings, cap, span_s)[1]:
        regions = motions[chosen.frame.index].regions_xyxy.tolist()
        sent = chosen.regions_xyxy.tolist()
        assert sent == [region for region in regions if region in sent]
        assert bool(sent) == (chosen.reason == "new motion") == bool(regions)
        assert settings["regions"] == "new" or sent == regions


@given(streams(), SETTINGS, CAPS, SPANS_S)
def test_never_more_negatives_than_their_share(
    stream: Stream, settings: dict[str, Any], cap: int, span_s: float
) -> None:
    n_empty = 0
    for n_selected, chosen in enumerate(_select(stream, settings, cap, span_s)[1], start=1):
        n_empty += chosen.reason == "empty"
        assert n_empty <= settings["empty_fraction"] * n_selected + 1e-9


@given(streams(), SETTINGS, CAPS, SPANS_S)
def test_repeatable(stream: Stream, settings: dict[str, Any], cap: int, span_s: float) -> None:
    first, second = (_select(stream, settings, cap, span_s, seed=3) for _ in range(2))
    assert _decisions(first[1]) == _decisions(second[1])
    assert first[0].counts == second[0].counts


@given(streams(), SETTINGS, CAPS, SPANS_S, st.floats(0.01, 0.99), st.floats(0, 1))
def test_settings_of_other_rules_change_nothing(
    stream: Stream, settings: dict[str, Any], cap: int, span_s: float, threshold: float, distance: float
) -> None:
    other = {**settings, "score_threshold": threshold}
    if settings["diversity"] == "none":
        other["min_distance"] = distance
    assert _decisions(_select(stream, other, cap, span_s)[1]) == _decisions(_select(stream, settings, cap, span_s)[1])


@given(streams(), CAPS, SPANS_S, st.integers(0, 10))
def test_the_seed_matters_to_the_random_score_only(stream: Stream, cap: int, span_s: float, seed: int) -> None:
    for score in ("uniform", "motion-area"):
        runs = [_select(stream, {"score": score}, cap, span_s, seed=s)[1] for s in (0, seed)]
        assert _decisions(runs[0]) == _decisions(runs[1])


@given(st.lists(st.sampled_from(range(len(PLACES))), min_size=1, max_size=40), st.sampled_from(["uniform", "random"]))
def test_a_still_object_is_looked_at_once(others: list[int], score: str) -> None:
    still = Square(80, 50, 10)
    frames = [(frame_at(i, i / 10), motion_of(PLACES[other], still)) for i, other in enumerate(others)]
    settings = {"score": score, "empty_fraction": 0}
    selected = _select(Stream(frames), settings, cap=1000, span_s=0.1 * len(frames))[1]
    looks = [chosen for chosen in selected if [80, 50, 90, 60] in chosen.regions_xyxy.tolist()]
    assert len(looks) == 1
