"""Plays all points, one after the other; what was played is stored, so that an interrupted campaign goes on."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from benchmarks.kills import checks
from benchmarks.kills.collecting import Capturing, Collecting
from benchmarks.kills.learning import STAGES as LEARNING_STAGES
from benchmarks.kills.learning import Learning
from benchmarks.kills.place import Lived, Place
from benchmarks.kills.points import Point, Side, draw_points
from benchmarks.kills.serving import STAGES as SERVING_STAGES
from benchmarks.kills.serving import Serving
from benchmarks.kills.syncing import Syncing
from benchmarks.kills.tuning import STAGES as TUNING_STAGES
from benchmarks.kills.tuning import Tuning
from benchmarks.machine import describe_machine
from edge_autotuner.errors import ConfigError
from edge_autotuner.storage.atomic import atomic_write_json
from edge_autotuner.storage.lock import FolderLock

RESULTS = Path(__file__).parent.parent / "results" / "kills.json"
N_POINTS = 200
SEED = 0
DEADLINE_S = 30 * 60.0

_N_QUICK = 1  # kills in each stage
_MAX_TRIES = 3  # until a point hits: the number of steps differs a little from run to run
_PLAYED = "played.jsonl"


class Stage(Protocol):
    """A piece of work of one process, which can be struck."""

    side: Side
    has_link: bool

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def prepare(self) -> int:
        """Make the state before the stage and the reference, unless they are there; return the stage's steps."""
        ...

    def open(self) -> AbstractContextManager[None]:
        """Give what all points of the stage share."""
        ...

    def play(self, point: Point, n_steps: int) -> tuple[Lived, list[str]]:
        """Strike once; return what happened, and what was wrong after all has gone on to its end."""
        ...


@dataclass(frozen=True)
class Order:
    """What to play.

    Attributes:
        n_points: kills, over all stages; full disks come in addition.
        seed: of all draws.
        deadline_s: no point is begun after it; a later call goes on.
        stages: names, or their beginnings; all if empty.
        only: numbers of points; all if empty. These are played again.
    """

    n_points: int = N_POINTS
    seed: int = SEED
    deadline_s: float = DEADLINE_S
    stages: tuple[str, ...] = ()
    only: tuple[int, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the result is worth storing beside those of other benchmarks."""
        return self.n_points >= N_POINTS and not self.stages and not self.only


QUICK = Order(n_points=0)


def all_stages(place: Place) -> list[Stage]:
    """Return all stages of both sides."""
    return [
        Capturing(place),
        Collecting(place),
        *(Learning(place, name) for name in LEARNING_STAGES),
        Syncing(place, "publishing"),
        Syncing(place, "taking over"),
        *(Serving(place, name) for name in SERVING_STAGES),
        *(Tuning(place, name) for name in TUNING_STAGES),
    ]


def run_campaign(folder: Path, order: Order, *, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Play what has not been played yet, and return all results.

    Args:
        folder: of states, logs and what was played.
        order: what to play.
        say: told of each point.

    Raises:
        ConfigError: there is no such stage or point.
        DatasetError: another campaign works in this folder.
    """
    place = Place(folder / f"seed-{order.seed}")
    lock = FolderLock(place.folder)
    try:
        with _silent():
            return _campaign(place, order, say)
    finally:
        lock.release()


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the warnings of struck processes out of the campaign's own lines."""
    logger = logging.getLogger("edge_autotuner")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _campaign(place: Place, order: Order, say: Callable[[str], None]) -> dict[str, Any]:
    began_s = time.monotonic()
    stages = all_stages(place)
    points = _points(order, stages)
    played = {row["number"]: row for row in _stored(place)}
    for stage in _chosen(stages, order.stages):
        left = [p for p in points if p.stage == stage.name and (order.only or p.number not in played)]
        if left and time.monotonic() - began_s < order.deadline_s:
            n_steps = stage.prepare()
            with stage.open():
                for point in left:
                    if time.monotonic() - began_s >= order.deadline_s:
                        break
                    row = _play(stage, point, n_steps)
                    played[point.number] = row
                    _store(place, row)
                    say(_line(row))
    results = summary(points, list(played.values()), order.seed)
    if order.is_whole and results["n_left"] == 0:
        RESULTS.parent.mkdir(exist_ok=True)
        atomic_write_json(RESULTS, results, indent=2)
    return results


def summary(points: Sequence[Point], played: Sequence[dict[str, Any]], seed: int) -> dict[str, Any]:
    """Return counts per side and stage, and every point."""
    numbers = {point.number for point in points}
    rows = sorted((row for row in played if row["number"] in numbers), key=lambda row: int(row["number"]))
    stages = list(dict.fromkeys((point.side, point.stage) for point in points))
    return {
        "machine": describe_machine(),
        "seed": seed,
        "n_left": len(numbers) - len(rows),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "stages": [_counts(side, name, [row for row in rows if row["stage"] == name]) for side, name in stages],
        "points": rows,
    }


def _counts(side: Side, stage: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    hit = [row for row in rows if row["hit"]]
    return {
        "side": side,
        "stage": stage,
        "points": len(rows),
        "kills": sum(row["how"] != "full" for row in hit),
        "second_kills": sum(max(0, row["n_kills"] - 1) for row in hit),
        "full_disks": sum(row["how"] == "full" for row in hit),
        "bad_links": sum(row["is_bad_link"] for row in hit),
        "skewed_clocks": sum(any(row["skews_s"]) for row in hit),
        "missed": len(rows) - len(hit),
        "recovered": sum(not row["wrong"] for row in hit),
        "failures": [row["number"] for row in rows if row["wrong"]],
    }


def _points(order: Order, stages: Sequence[Stage]) -> list[Point]:
    kinds = [(stage.side, stage.name, stage.has_link) for stage in stages]
    points = draw_points(kinds, n_kills=order.n_points or _N_QUICK * len(stages), seed=order.seed)
    names = {stage.name for stage in _chosen(stages, order.stages)}
    points = [point for point in points if point.stage in names]
    if not order.only:
        return points
    found = [point for point in points if point.number in order.only]
    if missing := sorted(set(order.only) - {point.number for point in found}):
        raise ConfigError(f"there is no point {', '.join(map(str, missing))} with this seed and number of points")
    return found


def _chosen(stages: Sequence[Stage], names: Sequence[str]) -> list[Stage]:
    for name in names:
        if not any(stage.name.startswith(name) or stage.side == name for stage in stages):
            raise ConfigError(f"no stage '{name}'; stages: {', '.join(stage.name for stage in stages)}")
    return [s for s in stages if not names or any(s.name.startswith(name) or s.side == name for name in names)]


def _play(stage: Stage, point: Point, n_steps: int) -> dict[str, Any]:
    """Play a point; one that comes too late for its stage strikes earlier the next time."""
    began_s = time.monotonic()
    tried = point
    for _ in range(_MAX_TRIES):
        lived, wrong = _played(stage, tried, n_steps)
        if wrong or lived.has_hit(point):
            break
        tried = replace(tried, place=tried.place * 0.7)
    at = tried.first(n_steps).at
    facts = {**asdict(point), "place": tried.place, "at": at, "n_steps": n_steps}
    found = {"hit": lived.has_hit(point), "n_kills": lived.n_kills, "n_refused": lived.n_refused, "wrong": wrong}
    row: dict[str, Any] = checks.plain({**facts, **found, "seconds": round(time.monotonic() - began_s, 2)})
    return row


def _played(stage: Stage, point: Point, n_steps: int) -> tuple[Lived, list[str]]:
    try:
        return stage.play(point, n_steps)
    except Exception as exc:  # whatever it is, it is what was looked for
        return Lived(0, 0, 0), [f"{type(exc).__name__}: {exc}"]


def _line(row: dict[str, Any]) -> str:
    what = "full disk" if row["how"] == "full" else f"kill {row['how']}"
    result = "; ".join(row["wrong"]) or ("recovered" if row["hit"] else "missed")
    return f"{row['number']} {row['side']}, {row['stage']}: {what} at {row['at']}/{row['n_steps']}: {result}"


def _stored(place: Place) -> list[dict[str, Any]]:
    path = place.folder / _PLAYED
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:  # the campaign was killed while it wrote
            continue
    return rows


def _store(place: Place, row: dict[str, Any]) -> None:
    with (place.folder / _PLAYED).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
