"""One command at work on a run: what its stages share, and the runner that takes them through the loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from edge_autotuner.config import RunConfig
from edge_autotuner.core import Clock, Deadline, LabelMap, NoProgress, Progress, SystemClock
from edge_autotuner.pipeline.edge_weights import check_labels, find_weights
from edge_autotuner.pipeline.loop import LOOP, Stage, stages_between
from edge_autotuner.pipeline.run_folder import RunFolder, StageRecord
from edge_autotuner.pipeline.stage_results import StageResult

if TYPE_CHECKING:
    from edge_autotuner.pipeline.edge_model import EdgeModel

Result = TypeVar("Result", covariant=True)


@dataclass(frozen=True)
class Prepared(Generic[Result]):
    """A stage that has opened what it works with.

    Attributes:
        work: does the stage, or what an interrupted call has left of it; None: nothing is left to do.
        fingerprint: of its settings and of what it works on; None: nothing is recorded, and nothing skipped.
        is_kept: whether everything that an earlier call made is still there, and working on would change nothing.
    """

    work: Callable[[], Result] | None
    fingerprint: str | None = None
    is_kept: bool = True


@dataclass
class Session:
    """One command at work on one run folder.

    Attributes:
        folder: where everything is kept.
        config: resolved settings.
        clock: where time comes from.
        progress: told of long jobs.
        command: what the user typed, for the report.
        camera: whose model is made; bundles name it. None: nobody says.
        source: that is captured, a path or an address; None: the frames are there.
        trains_here: False: the edge model must be a bundle, and is not loaded: its description says enough for any
            teacher but zoom, and torch may be missing.
    """

    folder: RunFolder
    config: RunConfig
    clock: Clock = field(default_factory=SystemClock)
    progress: Progress = field(default_factory=NoProgress)
    command: str = ""
    camera: str | None = None
    source: Path | str | None = None
    trains_here: bool = True

    def __post_init__(self) -> None:
        self.folder.remove_leftovers()
        self._whole = Deadline(self.config.deadline_s, self.clock)
        self._edge: EdgeModel | None = None

    @classmethod
    def open(
        cls,
        output: Path,
        config: RunConfig,
        *,
        source: Path | str | None = None,
        progress: Progress | None = None,
        command: str = "",
    ) -> Session:
        """Start to work on an output folder with these settings."""
        return cls(RunFolder(output), config, progress=progress or NoProgress(), command=command, source=source)

    def edge_model(self, *, of_dataset: LabelMap | None = None) -> EdgeModel:
        """Return the edge model that the settings name; it is loaded once, and never changed.

        Args:
            of_dataset: classes of the dataset that it works on; None where there is no dataset yet.

        Raises:
            ConfigError, WeightsError: as `open_edge_model`; or the dataset has other classes.
        """
        from edge_autotuner.pipeline.edge_model import open_edge_model  # loads torch, which a node may not have

        self._edge = self._edge or open_edge_model(self.config)
        if of_dataset is not None:
            check_labels(self._edge.name, self._edge.labels, of_dataset)
        return self._edge

    @property
    def edge_sha256(self) -> str:
        """Hash of the edge model's weights; needs no torch."""
        return self._edge.sha256 if self._edge is not None else find_weights(self.config).sha256

    def deadline(self, stage: Stage[Any]) -> Deadline:
        """Return until when a stage may work: by its own setting, or by its share of the time for the whole job."""
        config = self.config
        own_s = {"capture": config.capture.deadline_s, "training": config.training.deadline_s}.get(stage.name)
        budgets = [own_s] if own_s is not None else []
        if config.deadline_s is not None and stage.time_share is not None:
            budgets.append(max(config.deadline_s * stage.time_share - self._whole.elapsed_s, 1e-3))
        return Deadline(min(budgets, default=None), self.clock)

    def is_done(self, stage: Stage[Any], fingerprint: str | None) -> bool:
        """Whether a stage was finished with this fingerprint."""
        record = self.folder.stage(stage.name)
        return record is not None and record.fingerprint == fingerprint


def run_stage(session: Session, stage: Stage[Any]) -> None:
    """Do one stage, unless it is done with the same settings and inputs; its record drops those of later stages.

    Raises:
        DatasetError: an input is missing.
        EdgeAutotunerError: as the stage does; everything collected is kept.
    """
    for name in stage.inputs:
        session.folder.require(name, before=stage.name)
    with stage.prepare(session) as prepared:
        if prepared.fingerprint is not None:
            session.folder.save_settings(session.config)  # the stage can work with them, and later ones shall
        if prepared.work is None or (prepared.is_kept and session.is_done(stage, prepared.fingerprint)):
            return
        began_s = session.clock.monotonic_s()
        result: StageResult | None = prepared.work()
        if result is None or prepared.fingerprint is None:
            return
        seconds = result.seconds if result.seconds is not None else session.clock.monotonic_s() - began_s
        record = StageRecord(prepared.fingerprint, seconds, session.clock.now().isoformat(), result.to_json())
        session.folder.finish(stage.name, record)


def run_stages(
    session: Session,
    *,
    first: str = LOOP[0].name,
    last: str = LOOP[-1].name,
    on_done: Callable[[str], None] = lambda _name: None,
) -> None:
    """Do the stages from one to another, by name, except those that are done; `on_done` is told each name.

    Raises:
        EdgeAutotunerError: as the stages do; the same call continues.
    """
    for stage in stages_between(first, last):
        run_stage(session, stage)
        on_done(stage.name)
