"""Strikes while frames are selected and stored: from a recording, and by a node from a live source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.kills import checks
from benchmarks.kills.faults import Plan
from benchmarks.kills.learning import CAMERA, STARTED, started_base, write_node
from benchmarks.kills.lives import be_command, be_node
from benchmarks.kills.place import Lived, NothingShared, Place, live_until_done
from benchmarks.kills.points import Point, Side
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.node.camera_folder import CameraFolder


class Capturing(NothingShared):
    """`edge-autotuner capture` of a recording: the same frames are selected, whatever happens."""

    side: Side = "client"
    name = "capture"
    has_link = False

    def __init__(self, place: Place) -> None:
        self._place = place

    def prepare(self) -> int:
        """Make the reference, and return the stage's steps."""
        return int(self._place.note("steps of capture", self._count))

    def play(self, point: Point, n_steps: int) -> tuple[Lived, list[str]]:
        """Strike once; return what happened, and what was wrong afterwards."""
        self._place.begin(None)
        lived = self._capture(point.first(n_steps), point.second(n_steps), later=point.later())
        run = self._place.life / "run"
        found = checks.dataset_damage(run / "dataset", is_labelled=False) + checks.leftovers(run)
        return lived, found + checks.difference("captured", self._captured(), self._place.note("captured", dict))

    def _count(self) -> int:
        self._place.begin(None)
        lived = self._capture(Plan(self.name), later=Plan(""))
        self._place.note("captured", self._captured)
        return lived.n_steps

    def _capture(self, *plans: Plan, later: Plan) -> Lived:
        samples = self._place.samples
        command = ("capture", samples.video, "--output", self._place.life / "run", "--config", samples.config)
        arguments = [str(part) for part in command]
        return live_until_done(be_command, arguments, point_plans=plans, later=later, log=self._place.log)

    def _captured(self) -> dict[str, Any]:
        dataset = self._place.life / "run" / "dataset"
        with DatasetStore.open(dataset) as store:
            frames = [checks.plain(vars(record)) for record in store.frames()]
        return {"frames": frames, "files": sorted(str(path.relative_to(dataset)) for path in dataset.rglob("*"))}


class Collecting(NothingShared):
    """The node's camera, which begins its recording again with every start: what was selected before a kill stays."""

    side: Side = "client"
    name = "collecting"
    has_link = False

    def __init__(self, place: Place) -> None:
        self._place = place

    def prepare(self) -> int:
        """Make the state before it, and return the stage's steps."""
        started_base(self._place)
        return int(self._place.note("steps of collecting", self._count))

    def play(self, point: Point, n_steps: int) -> tuple[Lived, list[str]]:
        """Strike once; return what happened, and what was wrong afterwards."""
        self._place.begin(STARTED)
        first = self._collect(point.first(n_steps), n_lives=1)
        before = checks.frames_of(self._dataset)
        then = self._collect(point.second(n_steps), later=point.later())
        lived = Lived(first.n_kills + then.n_kills, first.n_refused, first.n_steps)
        after = checks.frames_of(self._dataset)
        found = [] if after[: len(before)] == before else [f"frames were lost: {sorted({*before} - {*after})}"]
        camera = self._place.life / "node" / CAMERA
        found += checks.dataset_damage(self._dataset, is_labelled=False) + checks.leftovers(camera.parent)
        return lived, found + checks.bundles_damage(camera)

    @property
    def _dataset(self) -> Path:
        return self._place.life / "node" / CAMERA / "batches" / "00000001" / "dataset"

    def _count(self) -> int:
        self._place.begin(STARTED)
        return self._collect(Plan(self.name)).n_steps

    def _collect(self, *plans: Plan, later: Plan | None = None, n_lives: int | None = None) -> Lived:
        config = write_node(self._place)
        folder = CameraFolder(self._place.life / "node" / CAMERA)

        def is_collected() -> bool:
            return bool(folder.batches()) and folder.batches()[0].is_collected

        return live_until_done(
            be_node,
            config,
            "watch",
            point_plans=plans,
            later=later or Plan(""),
            log=self._place.log,
            is_done=is_collected,
            n_lives=n_lives,
        )
