"""The whole job: a video of one fixed camera in, a better model and a report out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_autotuner.capture import is_live_address
from edge_autotuner.capture.live.address import parse_live_address
from edge_autotuner.config import RunConfig
from edge_autotuner.core import Progress
from edge_autotuner.core.arguments import checked_arguments
from edge_autotuner.dataset import load_coco_truth
from edge_autotuner.deployment.deployed import DEPLOYED_LINK
from edge_autotuner.errors import ConfigError, VideoError
from edge_autotuner.evaluation import PromotionDecision
from edge_autotuner.pipeline.annotation_stage import check_teacher
from edge_autotuner.pipeline.capture_stage import GROUND_TRUTH_OF_LIVE, check_places
from edge_autotuner.pipeline.edge_model import open_edge_model
from edge_autotuner.pipeline.evaluation_result import Evaluation, read_evaluation
from edge_autotuner.pipeline.session import Session, run_stages


@dataclass(frozen=True)
class RunResult:
    """Where the results of a run are.

    Attributes:
        output: the run's folder.
        report: the HTML page.
        bundle: the deployed model bundle.
        evaluation: scores on the later frames.
    """

    output: Path
    report: Path
    bundle: Path
    evaluation: Evaluation

    @property
    def promotion(self) -> PromotionDecision:
        """Whether the specialized model replaced the one it came from."""
        return self.evaluation.promotion


@checked_arguments
def run(
    source: Path | str,
    output: Path,
    config: RunConfig | None = None,
    *,
    progress: Progress | None = None,
    command: str = "",
) -> RunResult:
    """Specialize the edge model for the camera that recorded a video.

    Finished stages of an earlier run in the same folder are not repeated, and an interrupted stage continues
    where it stopped.

    Args:
        source: a video file or a folder of pictures.
        output: folder for everything; created where needed.
        config: settings; None for the defaults.
        progress: told of every step.
        command: shown in the report as what reproduces it.

    Raises:
        EdgeAutotunerError: what went wrong and what to do; everything collected is kept.
    """
    check_start(source, Path(output), config or RunConfig())
    session = Session.open(Path(output), config or RunConfig(), source=source, progress=progress, command=command)
    run_stages(session)
    folder = session.folder
    return RunResult(folder.path, folder.report, folder.path / DEPLOYED_LINK, read_evaluation(folder.evaluation))


def check_start(source: Path | str, output: Path, config: RunConfig) -> None:
    """Make sure that a run can begin; `run` does this first, and the command's `--check` does nothing else.

    The edge model and the teachers of this machine are opened, a teacher of a service is asked for what it knows. A
    camera is not connected to: it may be off now.

    Raises:
        EdgeAutotunerError: it cannot begin.
    """
    check_places(source, output, config)
    for name, place in (("source", source), ("test source", config.evaluation.test_source)):
        if place is not None:
            _check_source(name, place)
    edge = open_edge_model(config)
    check_teacher(config, edge.labels)
    truth = config.evaluation.ground_truth
    if truth is not None:
        load_coco_truth(truth, labels=edge.labels, map_classes=config.evaluation.map_classes)
        if is_live_address(str(source)) and config.evaluation.test_source is None:
            raise ConfigError(GROUND_TRUTH_OF_LIVE)


def _check_source(name: str, place: Path | str) -> None:
    if is_live_address(str(place)):
        parse_live_address(str(place))
    elif not Path(place).exists():
        raise VideoError(f"the {name} {place} does not exist; give a video file, a folder of pictures, or an address")
