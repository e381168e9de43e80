"""Counts that do not flicker."""

from __future__ import annotations

import pytest

from edge_autotuner.pipeline.node.outputs.presence import Presence


def counts_of(looks: list[tuple[float, int]], times_s: list[float]) -> list[int]:
    presence = Presence(5.0)
    counts = []
    for at_s in times_s:
        while looks and looks[0][0] <= at_s:
            seen_s, count = looks.pop(0)
            presence.see({"person": count} if count else {}, seen_s)
        counts.append(presence.count("person", at_s))
    return counts


@pytest.mark.parametrize(
    ("looks", "times_s", "expected"),
    [
        pytest.param([], [0, 10], [0, 0], id="never seen"),
        pytest.param([(0, 1)], [0, 4.9, 5], [1, 1, 0], id="gone after the time"),
        pytest.param([(0, 1), (1, 0), (2, 1)], [0, 1, 2, 6.9, 7], [1, 1, 1, 1, 0], id="flicker"),
        pytest.param([(0, 1), (1, 3), (2, 2)], [0, 1, 2, 5.9, 6, 6.9, 7], [1, 3, 3, 3, 2, 2, 0], id="falls in steps"),
        pytest.param([(0, 2), (1, 1), (2, 2)], [4.9, 5, 6.9, 7], [2, 2, 2, 0], id="equal counts last longer"),
    ],
)
def test_counts_rise_at_once_and_fall_late(
    looks: list[tuple[float, int]], times_s: list[float], expected: list[int]
) -> None:
    assert counts_of(looks, times_s) == expected


def test_the_next_change_is_known() -> None:
    presence = Presence(5.0)
    assert presence.next_change_s() == float("inf")
    presence.see({"person": 1}, 1.0)
    presence.see({"car": 1}, 2.0)
    assert presence.next_change_s() == 6.0
    assert presence.count("person", 6.0) == 0
    assert presence.next_change_s() == 7.0


def test_forgotten_classes_are_gone_and_others_stay() -> None:
    presence = Presence(5.0)
    presence.see({"person": 1, "car": 2}, 0.0)
    presence.keep_only(["car"])
    assert presence.count("person", 0.0) == 0
    assert presence.count("car", 0.0) == 2
