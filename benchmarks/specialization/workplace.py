"""Where trials are carried out: frames and labels are made once for each camera and teacher, every trial gets a copy.

WORK/truth/            ground truth of the scored frames
WORK/labels/NAME/      run folders with frames and a teacher's labels
WORK/trials/NAME/      run folders of trials: linked frames, copied labels, one training each
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.scenes import Scene
from benchmarks.specialization.trial import Trial, labels_key, machine_paths
from edge_autotuner.config import RunConfig
from edge_autotuner.core import NoProgress, Progress
from edge_autotuner.pipeline import stages
from edge_autotuner.pipeline.evaluation_result import Evaluation, read_evaluation
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.pipeline.session import Session, run_stages

_WRITTEN_ONCE = {"frames", "backgrounds", "teacher", "student"}


@dataclass(frozen=True)
class Finished:
    """A trial that was carried out.

    Attributes:
        trial: what was asked for.
        config: the settings it was done with.
        folder: its run folder.
        evaluation: scores on the later frames.
    """

    trial: Trial
    config: RunConfig
    folder: RunFolder
    evaluation: Evaluation

    @property
    def weights(self) -> Path:
        """The weights that were found."""
        record = self.folder.require("training", before="the benchmark")
        return self.folder.candidate_weights(record.fingerprint)


@dataclass(frozen=True)
class Workplace:
    """The folders of a benchmark.

    Attributes:
        data: models and scenes.
        work: everything that is made; what is there is used again, what was interrupted continues.
        quick: shorten everything, to see that it works.
        progress: told of long jobs.
    """

    data: Path
    work: Path
    quick: bool = False
    progress: Progress = field(default_factory=NoProgress)

    def config(self, trial: Trial, paths: Mapping[str, Path] | None = None) -> RunConfig:
        """Return the settings of a trial on this machine; `paths`: dotted keys of further files and folders."""
        truth = trial.scene.write_truth(self.data, self.work / "truth" / f"{_slug(trial.scene)}.json")
        known = machine_paths(self.data, truth, trial.scene)
        return trial.config({**known, **(paths or {})}, quick=self.quick)

    def labelled(self, trial: Trial) -> RunFolder:
        """Return the run folder with the frames and labels that a trial needs; made where it is not there yet."""
        config = self.config(trial)
        teacher = trial.teacher.replace(",", "-and-")
        output = self.work / "labels" / f"{_slug(trial.scene)}-{teacher}-{labels_key(config, trial.scene)[:8]}"
        session = Session.open(output, config, source=self.data / trial.scene.source, progress=self.progress)
        run_stages(session, last="annotation")
        return session.folder

    def prepared(self, trial: Trial) -> RunFolder:
        """Return a trial's own run folder, captured and labelled, not yet trained."""
        labelled, config, output = self.labelled(trial), self.config(trial), self.trial_folder(trial)
        copy_labelled(labelled.path, output)
        stages.annotate(
            output, config, progress=self.progress
        )  # the labels are there: only their refinement may differ
        return RunFolder(output)

    def trial_folder(self, trial: Trial) -> Path:
        """Return the folder of a trial; other frames or labels are another folder."""
        return self.work / "trials" / f"{trial.name}-{labels_key(self.config(trial), trial.scene)[:8]}"

    def forget(self, trial: Trial) -> None:
        """Delete what a trial has left, so that it is trained anew; the labels stay."""
        shutil.rmtree(self.trial_folder(trial), ignore_errors=True)

    def carry_out(self, trial: Trial) -> Finished:
        """Train and evaluate; an interrupted training continues, and a finished one is not repeated."""
        return self.trained(trial, self.prepared(trial), self.config(trial))

    def trained(self, trial: Trial, folder: RunFolder, config: RunConfig) -> Finished:
        """Train and evaluate in a run folder that is captured and labelled."""
        run_stages(Session.open(folder.path, config, progress=self.progress), first="training", last="evaluation")
        return Finished(trial, config, folder, read_evaluation(folder.evaluation))


def copy_labelled(labelled: Path, target: Path) -> None:
    """Copy a run folder that is captured and labelled; one that is there is left as it is.

    Pictures and exported teachers are written once and never changed, so they are hard links; the journal grows in
    place and is copied.
    """
    if target.exists():
        return
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(labelled, partial, copy_function=_link_or_copy, ignore=shutil.ignore_patterns(".lock"))
    partial.rename(target)


def _link_or_copy(source: str, target: str) -> None:
    if Path(source).parent.name in _WRITTEN_ONCE:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _slug(scene: Scene) -> str:
    return scene.name.lower().replace(" ", "-")
