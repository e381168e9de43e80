"""Strikes at the node's learning process, from labels to the installed model, with the teacher at a real service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from benchmarks.kills import checks
from benchmarks.kills.borrowed import sample_files
from benchmarks.kills.faults import Plan
from benchmarks.kills.lives import be_node, be_worker
from benchmarks.kills.place import MODEL, Lived, Place, Server, link_to, live_until_done
from benchmarks.kills.points import Point, Side
from edge_autotuner.config import RunConfig
from edge_autotuner.config.node import LearningConfig
from edge_autotuner.node.camera_folder import CameraFolder

STAGES = ("client annotation", "training", "evaluation", "export", "installation")
CAMERA = "gate"
STARTED, LEARNED = "started", "learned"
_BATCH = {"max_frames": 10, "min_frames": 2, "max_age_s": 8, "pause_s": None}
_NOT_COMPARED = ("learning.yaml", "status.json", ".lock", "backgrounds")


class Learning:
    """One stage of the learning process."""

    side: Side = "client"

    def __init__(self, place: Place, name: str) -> None:
        self.name, self._place = name, place
        self.has_link = name == "client annotation"

    def prepare(self) -> int:
        """Make the state before the stage and the reference, and return the stage's steps."""
        place = self._place
        with shared_server(place) as server:
            learned_base(place, server)
            return int(place.note(f"steps of {self.name}", lambda: self._count(server)))

    @contextmanager
    def open(self) -> Iterator[None]:
        """Run what all points of the stage share."""
        with shared_server(self._place) as self._server:
            yield

    def play(self, point: Point, n_steps: int) -> tuple[Lived, list[str]]:
        """Strike once; return what happened, and what was wrong afterwards."""
        self._place.begin(self.name)
        with link_to(self._server.url, self._server.port, point) as url:
            plans = (point.first(n_steps), point.second(n_steps))
            lived = _learn(self._place, url, self._server.token_file, *plans, later=point.later())
        return lived, self._damage()

    def _count(self, server: Server) -> int:
        self._place.begin(self.name)
        lived = _learn(self._place, server.url, server.token_file, Plan(self.name))
        damage = self._damage()
        if damage:
            raise AssertionError(f"{self.name} differs from run to run: {damage}")
        return lived.n_steps

    def _damage(self) -> list[str]:
        reference = json.loads((self._place.bases / f"{LEARNED}.json").read_text(encoding="utf-8"))
        camera = self._place.life / "node" / CAMERA
        batch = CameraFolder(camera).batches()[0].run
        found = checks.dataset_damage(batch.dataset, is_labelled=True)
        found += checks.bundles_damage(camera) + checks.bundles_damage(batch.path) + checks.leftovers(camera)
        return found + checks.difference("learned", outcome_of(camera), reference)


@contextmanager
def shared_server(place: Place) -> Iterator[Server]:
    """Give a service that nothing happens to."""
    folder = place.folder / "service"
    if not (folder / "token").is_file():
        place.make_tokens(folder / "data", folder / "token")
    with Server(folder, place) as server:
        yield server


def started_base(place: Place) -> None:
    """Let a camera have its first model, and keep that."""
    if not place.has(STARTED):
        place.begin(None)
        _learn(place, None, Path())
        place.keep(STARTED)


def learned_base(place: Place, server: Server) -> None:
    """Let a node learn undisturbed, and keep its state before each stage and at the end."""
    if place.has(LEARNED):
        return
    started_base(place)
    place.begin(STARTED)
    camera = place.life / "node" / CAMERA
    config = write_node(place)
    folder = CameraFolder(camera)

    def is_collected() -> bool:
        return bool(folder.batches()) and folder.batches()[0].is_collected

    live_until_done(be_node, config, "watch", point_plans=(), later=Plan(""), log=place.log, is_done=is_collected)
    for stage in STAGES:
        lived = _learn(place, server.url, server.token_file, Plan(stage, 1), n_lives=1)
        assert lived.n_kills == 1, f"{stage} was not reached"
        place.keep(stage)
    _learn(place, server.url, server.token_file)
    place.note(LEARNED, lambda: outcome_of(camera))
    place.keep(LEARNED)


def outcome_of(camera: Path) -> dict[str, Any]:
    """Return all that was learned, without times and what follows from them."""
    batch = CameraFolder(camera).batches()[0]
    found = sample_files().results_of(batch.run.path)
    outcome = asdict(batch.outcome) if batch.outcome else {}
    names = [path.relative_to(camera) for path in camera.rglob("*")]
    return {
        **checks.plain(found),
        "outcome": {key: value for key, value in outcome.items() if key != "finished_at"},
        "deployed bundle": (camera / "bundle").readlink().name,
        "files": sorted(str(name) for name in names if not set(name.parts) & set(_NOT_COMPARED)),
    }


def run_settings(place: Place, url: str | None, token: Path | None) -> dict[str, Any]:
    """Return how a camera learns; with an address, its teacher is at a service."""
    settings: dict[str, Any] = sample_files().settings(place.samples)
    if url is not None:
        reach = {"url": url, "token_file": str(token), "first_retry_s": 0.02, "longest_retry_s": 1.0}
        settings["annotation"] |= {"teacher": f"remote:{MODEL}", "service": {**reach, "max_attempts": 30}}
        settings["annotation"].pop("adapter")
    return settings


def write_node(place: Place, *, realtime: bool = False, **changes: Any) -> Path:  # noqa: ANN401 (settings)
    """Write the settings of a node with one camera, and return the file."""
    run = run_settings(place, None, None)
    run["capture"] |= {"stream": {"realtime": realtime}}
    values: dict[str, Any] = {
        "folder": str(place.life / "node"),
        "cameras": [{"name": CAMERA, "source": str(place.samples.video)}],
        "run": run,
        "batch": _BATCH,
        "detect": {"max_rate_hz": 100, "min_score": 0.05},
        "background": {"max_cpu_percent": 100, "first_retry_s": 1, "priority": "normal"},
        "storage": {"min_free_mb": 1},
        "outputs": {"json_lines": {"path": str(place.life / "detections.jsonl")}},
    }
    path = place.life / "node.yaml"
    path.write_text(yaml.safe_dump(values | changes), encoding="utf-8")
    return path


def _learn(
    place: Place, url: str | None, token: Path, *plans: Plan, later: Plan | None = None, n_lives: int | None = None
) -> Lived:
    camera = place.life / "node" / CAMERA
    camera.mkdir(parents=True, exist_ok=True)
    config = LearningConfig(run=RunConfig.model_validate(run_settings(place, url, token)))
    settings = camera / "learning.yaml"
    settings.write_text(json.dumps(config.model_dump(mode="json")), encoding="utf-8")
    return live_until_done(
        be_worker, camera, settings, point_plans=plans, later=later or Plan(""), log=place.log, n_lives=n_lives
    )
