"""Captures a camera and lets its teachers label it, once; what is there is used again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.labels.cameras import LabelCamera
from benchmarks.scenes import data_folder
from edge_autotuner.config import RunConfig, resolve_config
from edge_autotuner.core import STREET_6, Progress
from edge_autotuner.dataset import DatasetStore, LabelledFrame, load_coco_truth
from edge_autotuner.errors import NoLabelsFound
from edge_autotuner.evaluation import Truth
from edge_autotuner.pipeline.loop import ANNOTATION
from edge_autotuner.pipeline.session import Session, run_stages
from edge_autotuner.simulation.world import SimulatedWorld, WorldScript
from edge_autotuner.simulation.world.recording import write_world_truth, write_world_video
from edge_autotuner.simulation.world.world import open_world

PAIRS = {"zoom": "street-nano", "deimv2-femto": "yolox-nano"}
"""Teacher -> edge model of its run."""

_TRUTH = "truth.json"


@dataclass(frozen=True)
class Labelled:
    """What one teacher says about a camera; frames by time.

    Attributes:
        camera: the camera.
        teacher: its name.
        config: the settings, rules of refinement included.
        train: training frames with the teacher's own labels.
        test: test frames.
    """

    camera: LabelCamera
    teacher: str
    config: RunConfig
    train: list[LabelledFrame]
    test: list[LabelledFrame]


@dataclass(frozen=True)
class Collection:
    """All cameras below one folder."""

    folder: Path
    progress: Progress

    def labelled(self, camera: LabelCamera, teacher: str) -> Labelled:
        """Return a teacher's labels of a camera; made where they are not there yet."""
        config = self.config(camera, teacher)
        output = self.run_folder(camera, teacher)
        session = Session.open(output, config, source=self.source(camera), progress=self.progress)
        try:
            run_stages(session, last="annotation")
        except NoLabelsFound:  # a camera without an object of a known class has no spurious one, either
            return Labelled(camera, teacher, config, [], [])
        with DatasetStore.open(session.folder.dataset) as store:
            raw = session.folder.result(ANNOTATION, before="the benchmark").numbers.fingerprint
            return Labelled(camera, teacher, config, by_time(store, "train", raw), by_time(store, "test", raw))

    def config(self, camera: LabelCamera, teacher: str) -> RunConfig:
        """Return the settings of a run: the defaults, but for the number of frames."""
        models = {"edge_model": PAIRS[teacher], "annotation.teacher": teacher, "models_dir": data_folder() / "models"}
        return resolve_config(None, {**models, **camera.settings})

    def run_folder(self, camera: LabelCamera, teacher: str) -> Path:
        """Return the folder of the run with a teacher's labels."""
        return self.folder / camera.name / teacher

    def source(self, camera: LabelCamera) -> Path:
        """Return the clip of a camera; a simulated one is recorded first."""
        if camera.source is not None:
            return data_folder() / camera.source
        path = self.folder / camera.name / "video.mp4"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            world = world_of(camera)
            write_world_truth(world, path.with_name(_TRUTH))
            write_world_video(world, path)
        return path

    def truths(self, camera: LabelCamera, frames: Sequence[LabelledFrame]) -> list[Truth]:
        """Return the true boxes of frames of a simulated camera, as they were when its video was recorded."""
        truth = load_coco_truth(self.folder / camera.name / _TRUTH, labels=STREET_6, map_classes={})
        found = [truth.for_frame(record.index, None) for record, _ in frames]
        return [Truth(*boxes) for boxes in found if boxes is not None]


def world_of(camera: LabelCamera) -> SimulatedWorld:
    """Return the simulated world that a camera looks at."""
    return open_world(WorldScript.model_validate(camera.script))


def by_time(store: DatasetStore, split: str, fingerprint: str) -> list[LabelledFrame]:
    """Return the frames of a split with the labels of a fingerprint, in order of time."""
    return sorted(store.labelled(split, fingerprint), key=lambda pair: (pair[0].time_s, pair[0].index))
