"""Where and how the harness strikes: drawn by a seed, so that any point can be repeated alone."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.kills.faults import How, Plan

Side = Literal["client", "server"]

_DAY_S = 86400.0
_SHARE_OF_LINKS = 0.35  # of the points in stages that have one
_SHARE_OF_SKEWS = 0.25
_SHARE_OF_SECOND_KILLS = 0.25
_REFUSALS = (1, 3, 5, 10)
_FULL_PER_KILL = 0.25
_LATEST_FULL = 0.7  # behind it, hardly anything needs space


@dataclass(frozen=True)
class Point:
    """One strike and what makes it harder.

    Attributes:
        number: names it; with the seed of the campaign it decides all the rest.
        side: which process is struck.
        stage: in what.
        how: what happens.
        place: at which share of the stage's steps, in [0, 1).
        n_refusals: of a full disk.
        is_bad_link: whether client and server talk through the faulty proxy.
        link_seed: of the proxy.
        cut_s: for so long the link is cut at the begin; 0 with a good link.
        skews_s: clock of the struck process, and of the one that goes on.
        second_place: where the process that goes on is killed as well; None: it is left alone.
    """

    number: int
    side: Side
    stage: str
    how: How
    place: float
    n_refusals: int
    is_bad_link: bool
    link_seed: int
    cut_s: float
    skews_s: tuple[float, float]
    second_place: float | None

    @property
    def is_kill(self) -> bool:
        """Whether a process is killed, rather than refused space."""
        return self.how != "full"

    def first(self, n_steps: int) -> Plan:
        """Return what happens to the first process in a stage of so many steps."""
        return Plan(self.stage, _step(self.place, n_steps), self.how, self.n_refusals, self.skews_s[0])

    def second(self, n_steps: int) -> Plan:
        """Return what happens to the one that goes on."""
        at = None if self.second_place is None else _step(self.second_place, n_steps)
        return Plan(self.stage, at, "before", 0, self.skews_s[1])

    def later(self) -> Plan:
        """Return what happens to all that come after these: nothing."""
        return Plan(self.stage, skew_s=self.skews_s[1])


def draw_points(stages: Sequence[tuple[Side, str, bool]], *, n_kills: int, seed: int) -> list[Point]:
    """Return at least so many kills, evenly over the stages, and for every four kills of a stage one full disk.

    What is drawn depends on the stage and the seed alone: more stages or more points leave the others as they are.

    Args:
        stages: side and name of each, and whether a link is part of it.
        n_kills: of all stages together.
        seed: of all draws.
    """
    points = []
    per_stage = math.ceil(n_kills / len(stages))
    n_full = max(1, round(per_stage * _FULL_PER_KILL)) if per_stage else 0
    for place, (side, stage, has_link) in enumerate(stages, start=1):
        for nth in range(per_stage):
            points.append(_draw(side, stage, has_link, is_full=False, number=1000 * place + nth, seed=seed))
        for nth in range(n_full):
            points.append(_draw(side, stage, has_link, is_full=True, number=1000 * place + 500 + nth, seed=seed))
    return points


def _draw(side: Side, stage: str, has_link: bool, *, is_full: bool, number: int, seed: int) -> Point:
    rng = random.Random(f"{seed}/{side}/{stage}/{number % 1000}")
    how: How = "full" if is_full else rng.choice(["before", "after", "torn"])
    is_bad_link = has_link and rng.random() < _SHARE_OF_LINKS
    is_skewed = rng.random() < _SHARE_OF_SKEWS
    skews = (rng.uniform(-3, 3) * _DAY_S, rng.uniform(-3, 3) * _DAY_S)
    return Point(
        number=number,
        side=side,
        stage=stage,
        how=how,
        place=rng.random() * (_LATEST_FULL if is_full else 1.0),
        n_refusals=rng.choice(_REFUSALS) if is_full else 0,
        is_bad_link=is_bad_link,
        link_seed=rng.randrange(1 << 30),
        cut_s=rng.uniform(0.1, 0.5) if is_bad_link else 0.0,
        skews_s=skews if is_skewed else (0.0, 0.0),
        second_place=rng.random() if not is_full and rng.random() < _SHARE_OF_SECOND_KILLS else None,
    )


def _step(place: float, n_steps: int) -> int:
    return 1 + int(place * n_steps)
