"""Caps, rolling limits and gaps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest

from edge_autotuner.capture.selection.budget import Budget
from edge_autotuner.config import SelectionConfig


def _budget(*, max_images: int = 100, span_s: float = 100.0, **settings: Any) -> Budget:
    options = {name: settings.pop(name) for name in ("start_s", "earlier") if name in settings}
    config = SelectionConfig.model_validate(settings)
    return Budget(config, max_images=max_images, span_s=span_s, **options)


def _answers(budget: Budget, times_s: Iterable[float], *, spread_evenly: bool = False) -> list[str]:
    """Return what the budget says of each time, spending whenever it allows it."""
    answers = []
    for time_s in times_s:
        budget.begin(time_s)
        refusal = budget.refusal(time_s, spread_evenly=spread_evenly)
        if refusal is None:
            budget.spend(time_s)
        answers.append(refusal or "ok")
    return answers


def _allowed(answers: list[str]) -> list[int]:
    return [index for index, answer in enumerate(answers) if answer == "ok"]


def test_spread_over_the_part() -> None:
    answers = _answers(_budget(max_images=4, span_s=10), range(10), spread_evenly=True)
    assert _allowed(answers) == [0, 3, 5, 8]
    assert set(answers) == {"ok", "too soon"}


@pytest.mark.parametrize("rate_hz", [1.0, 25.0, 30000 / 1001])
def test_as_many_images_as_frames_takes_every_frame(rate_hz: float) -> None:
    times_s = [index / rate_hz for index in range(2000)]
    answers = _answers(_budget(max_images=2000, span_s=2000 / rate_hz), times_s, spread_evenly=True)
    assert set(answers) == {"ok"}


def test_an_empty_stretch_is_made_up_for() -> None:
    budget = _budget(max_images=5, span_s=10)
    budget.begin(0.0)
    assert _allowed(_answers(budget, [6.0, 6.1, 6.2, 6.3, 6.4], spread_evenly=True)) == [0, 1, 2, 3]


def test_the_part_may_begin_later_than_time_zero() -> None:
    assert _allowed(_answers(_budget(max_images=2, span_s=10), [50, 52, 55, 56], spread_evenly=True)) == [0, 2]


def test_start_of_a_part_whose_first_frames_were_never_offered() -> None:
    answers = _answers(_budget(max_images=4, span_s=100, start_s=0.0), [60, 61, 62, 63], spread_evenly=True)
    assert answers == ["ok", "ok", "ok", "too soon"]


def test_the_cap_holds_after_the_part_too() -> None:
    answers = _answers(_budget(max_images=3, span_s=3), range(10), spread_evenly=True)
    assert answers == ["ok"] * 3 + ["over budget"] * 7


@pytest.mark.parametrize(("setting", "window_s"), [("max_per_hour", 3600), ("max_per_day", 86400)], ids=["hour", "day"])
def test_rolling_window(setting: str, window_s: int) -> None:
    times_s = [0, 10, 20, window_s - 1, window_s, window_s + 5, window_s + 10]
    answers = _answers(_budget(**{setting: 2}), times_s)
    assert answers == ["ok", "ok", "over budget", "over budget", "ok", "over budget", "ok"]


def test_gap() -> None:
    answers = _answers(_budget(min_gap_s=0.5), [index / 10 for index in range(11)])
    assert _allowed(answers) == [0, 5, 10]
    assert answers.count("too soon") == 8


def test_frames_before_an_interruption_count() -> None:
    budget = _budget(max_images=5, max_per_hour=3, min_gap_s=10, earlier=[20.0, 0.0])
    assert (budget.n_spent, budget.n_left) == (2, 3)
    assert _answers(budget, [25, 30, 31, 100, 3600, 3700, 3800]) == [
        "too soon",
        "ok",
        "too soon",
        "over budget",
        "ok",
        "ok",
        "over budget",
    ]
    assert budget.n_left == 0


def test_the_part_began_with_the_first_earlier_frame() -> None:
    budget = _budget(max_images=10, span_s=100, earlier=[0.0, 1.0])
    assert _allowed(_answers(budget, [15, 20, 21], spread_evenly=True)) == [1]
    assert budget.end_s == 100


@pytest.mark.parametrize(
    ("settings", "gap_s"),
    [
        ({}, 0),
        ({"min_gap_s": 2}, 2),
        ({"max_per_hour": 60, "min_gap_s": 2}, 60),
        ({"max_per_hour": 60, "max_per_day": 144}, 600),
    ],
)
def test_shortest_gap_that_no_limit_forbids(settings: dict[str, Any], gap_s: float) -> None:
    assert _budget(**settings).shortest_gap_s == gap_s


@pytest.mark.parametrize(
    "arguments", [{"max_images": 0}, {"span_s": 0.0}, {"span_s": -1.0}, {"span_s": math.inf}, {"span_s": math.nan}]
)
def test_wrong_arguments(arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=name):
        _budget(**arguments)
