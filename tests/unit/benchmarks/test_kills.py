"""The seeded kills: what is drawn, what a struck process does to itself, and what is counted."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.kills import campaign, checks, tables
from benchmarks.kills.faults import Noted, Plan, Watch, read_note
from benchmarks.kills.place import Lived, Place
from benchmarks.kills.points import Point, draw_points
from edge_autotuner.core.clock import SystemClock
from edge_autotuner.errors import ConfigError

STAGES = [("client", "training", False), ("server", "promotion", True), ("server", "upload", True)]


def test_the_same_points_with_the_same_seed() -> None:
    points = draw_points(STAGES, n_kills=40, seed=3)
    assert points == draw_points(STAGES, n_kills=40, seed=3)
    assert points != draw_points(STAGES, n_kills=40, seed=4)
    kills = Counter(point.stage for point in points if point.is_kill)
    assert kills == {"training": 14, "promotion": 14, "upload": 14}
    assert len({point.number for point in points}) == len(points)
    assert not any(point.is_bad_link for point in points if point.stage == "training")
    assert {point.how for point in points} == {"before", "after", "torn", "full"}


def test_more_points_and_more_stages_leave_the_others_as_they_are() -> None:
    few = draw_points(STAGES[:2], n_kills=10, seed=0)
    assert set(few) <= set(draw_points(STAGES, n_kills=60, seed=0))


def test_every_stage_on_both_sides_gets_ten_kills(tmp_path: Path) -> None:
    stages = [(stage.side, stage.name, stage.has_link) for stage in campaign.all_stages(Place(tmp_path))]
    assert {side for side, _, _ in stages} == {"client", "server"}
    kills = Counter((p.side, p.stage) for p in draw_points(stages, n_kills=200, seed=0) if p.is_kill)
    assert sum(kills.values()) >= 200
    assert min(kills.values()) >= 10


def test_a_step_lies_in_the_stage() -> None:
    for point in draw_points(STAGES, n_kills=300, seed=1):
        at = point.first(7).at
        assert at is not None
        assert 1 <= at <= 7


def in_child(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def live(folder: Path, plan: Plan) -> tuple[int, Noted]:
    """Write four bytes three times into a file, in the stage `work`, and rename it."""

    def work() -> None:
        watch = Watch(plan, folder / "note")
        handle = os.open(folder / "file", os.O_WRONLY | os.O_CREAT)

        def write() -> None:
            for _ in range(3):
                os.write(handle, b"1234")
            os.replace(folder / "file", folder / "done")

        watch.stage("work", write)()
        os.fsync(handle)

    return in_child(work), read_note(folder / "note")


@pytest.mark.parametrize(
    ("how", "n_bytes"),
    [
        pytest.param("before", 4, id="before"),
        pytest.param("after", 8, id="after"),
        pytest.param("torn", 6, id="in the middle"),
    ],
)
def test_a_process_dies_at_its_step(tmp_path: Path, how: str, n_bytes: int) -> None:
    code, noted = live(tmp_path, Plan("work", 2, how))  # type: ignore[arg-type]
    assert code == -signal.SIGKILL
    assert (tmp_path / "file").stat().st_size == n_bytes
    assert noted == Noted(n_steps=2, was_hit=True, n_refused=0)


def test_without_a_step_all_are_counted(tmp_path: Path) -> None:
    assert live(tmp_path, Plan("work")) == (0, Noted(n_steps=4, was_hit=False, n_refused=0))
    assert live(tmp_path, Plan("another stage", 1)) == (0, Noted(0, False, 0))


def test_a_disk_is_full_for_a_while(tmp_path: Path) -> None:
    def work() -> None:
        watch = Watch(Plan("work", 2, "full", n_refusals=3), tmp_path / "note")
        watch.enter()
        (tmp_path / "there").mkdir()
        refused = []
        for attempt in range(2):
            try:
                (tmp_path / f"folder {attempt}").mkdir()
            except OSError as exc:
                refused.append(exc.errno)
        database = sqlite3.connect(tmp_path / "database")
        with pytest.raises(sqlite3.OperationalError, match="disk is full"):
            database.execute("CREATE TABLE a (b)")
        database.execute("CREATE TABLE a (b)")
        assert refused == [errno.ENOSPC] * 2

    assert in_child(work) == 0
    assert read_note(tmp_path / "note").n_refused == 3


def test_a_clock_can_be_wrong(tmp_path: Path) -> None:
    before = SystemClock().now()

    def work() -> None:
        Watch(Plan("work", skew_s=86400.0), tmp_path / "note")
        assert (SystemClock().now() - before).days == 1

    assert in_child(work) == 0


class PlayedStage:
    """A stage that is struck by word only; its second point goes wrong, its third is missed at first."""

    side = "server"
    has_link = False
    name = "promotion"

    def __init__(self) -> None:
        self.places: list[float] = []

    def prepare(self) -> int:
        return 10

    @contextmanager
    def open(self) -> Iterator[None]:
        yield

    def play(self, point: Point, _n_steps: int) -> tuple[Lived, list[str]]:
        self.places.append(point.place)
        is_late = len(self.places) == 3
        hit = Lived(0, 0, 10) if is_late else Lived(int(point.is_kill), int(not point.is_kill), 10)
        return hit, ["it is half done"] if len(self.places) == 2 else []


def test_what_was_played_is_not_played_again_and_a_point_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, said = PlayedStage(), list[str]()
    monkeypatch.setattr(campaign, "all_stages", lambda _place: [stage])
    order = campaign.Order(n_points=4)
    results = campaign.run_campaign(tmp_path, order, say=said.append)
    (row,) = results["stages"]
    assert (row["points"], row["kills"], row["full_disks"], row["missed"], row["failures"]) == (5, 4, 1, 0, [1001])
    assert said[1].endswith("it is half done")
    assert len(stage.places) == 6
    assert stage.places[3] == pytest.approx(0.7 * stage.places[2]), "the missed one is tried earlier"
    assert campaign.run_campaign(tmp_path, order) == results
    assert len(stage.places) == 6
    campaign.run_campaign(tmp_path, campaign.Order(n_points=4, only=(1001,)))
    assert stage.places[6] == stage.places[1]
    assert campaign.run_campaign(tmp_path, order)["stages"][0]["failures"] == []


def test_no_point_is_begun_after_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = PlayedStage()
    monkeypatch.setattr(campaign, "all_stages", lambda _place: [stage])
    results = campaign.run_campaign(tmp_path, campaign.Order(n_points=4, deadline_s=0.0))
    assert (results["n_left"], stage.places) == (5, [])


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(campaign.Order(stages=("no such",)), id="stage"),
        pytest.param(campaign.Order(only=(7,)), id="point"),
    ],
)
def test_what_is_not_there(tmp_path: Path, order: campaign.Order) -> None:
    with pytest.raises(ConfigError, match=r"no stage 'no such'|there is no point 7"):
        campaign.run_campaign(tmp_path, order)


def test_a_difference_says_where() -> None:
    assert checks.difference("run", {"a": {"b": (1, 2)}}, {"a": {"b": [1, 2]}}) == []
    assert checks.difference("run", {"a": {"b": 1}}, {"a": {"b": 2}}) == ["run.a.b: 1 instead of 2"]


def test_the_table_counts_what_was_hit() -> None:
    points = draw_points(STAGES[:2], n_kills=2, seed=0)
    rows = [
        {
            "number": point.number, "stage": point.stage, "how": point.how, "hit": point.number != 2000,
            "is_bad_link": False, "skews_s": (0.0, 0.0), "n_kills": 2 if point.is_kill else 0, "seconds": 60.0,
            "wrong": ["a frame was lost"] if point.number == 1000 else [],
        }
        for point in points
    ]  # fmt: skip
    results = campaign.summary(points, rows, 0)
    assert tables.kills_table(results).splitlines()[2:] == [
        "| client | training | 1 | 1 | 1 | 0 | 0 | 1 | 1 |",
        "| server | promotion | 0 | 0 | 1 | 0 | 0 | 1 | 0 |",
        "| both | all | 1 | 1 | 2 | 0 | 0 | 2 | 1 |",
    ]
    assert tables.kills_line(results) == "4 points of seed 0 in 4 minutes; 1 struck nothing."
