"""Each stage as a function on the folder of a run; what the command line and the Python API call."""

from __future__ import annotations

from pathlib import Path

from edge_autotuner.config import RunConfig
from edge_autotuner.core import Progress
from edge_autotuner.core.arguments import checked_arguments
from edge_autotuner.deployment.deployed import DEPLOYED_LINK
from edge_autotuner.pipeline.capture_stage import check_places
from edge_autotuner.pipeline.evaluation_result import Evaluation, read_evaluation
from edge_autotuner.pipeline.loop import ANNOTATION, CAPTURE, EVALUATION, EXPORT, REPORT, TRAINING
from edge_autotuner.pipeline.run import RunResult, check_start, run
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.pipeline.session import Session, run_stage

__all__ = ["RunResult", "annotate", "capture_frames", "check_start", "evaluate", "export", "report", "run", "tune"]


@checked_arguments
def capture_frames(
    source: Path | str, output: Path, config: RunConfig | None = None, *, progress: Progress | None = None
) -> Path:
    """Collect the frames of a source that show something new; return the dataset's folder.

    Args:
        source: a video file or a folder of pictures.
        output: folder of the run; created where needed.
        config: settings; None for the defaults. They are saved for the later stages.
        progress: told of every frame.
    """
    check_places(source, Path(output), config or RunConfig())
    session = Session.open(Path(output), config or RunConfig(), source=source, progress=progress)
    run_stage(session, CAPTURE)
    return session.folder.dataset


@checked_arguments
def annotate(output: Path, config: RunConfig | None = None, *, progress: Progress | None = None) -> Path:
    """Let the teacher label the collected frames; return the dataset's folder.

    Args:
        output: folder of the run.
        config: settings; None for those saved there.
        progress: told of every frame.
    """
    session = _continue(output, config, progress)
    run_stage(session, ANNOTATION)
    return session.folder.dataset


@checked_arguments
def tune(output: Path, config: RunConfig | None = None, *, progress: Progress | None = None) -> Path:
    """Fine-tune the edge model on the labels; return the file of the candidate's weights."""
    session = _continue(output, config, progress)
    run_stage(session, TRAINING)
    return session.folder.candidate_weights(session.folder.require(TRAINING.name, before=EVALUATION.name).fingerprint)


@checked_arguments
def evaluate(output: Path, config: RunConfig | None = None, *, progress: Progress | None = None) -> Evaluation:
    """Score old model, candidate and teacher on the later frames, and decide about the promotion."""
    session = _continue(output, config, progress)
    run_stage(session, EVALUATION)
    return read_evaluation(session.folder.evaluation)


@checked_arguments
def export(output: Path, config: RunConfig | None = None, *, progress: Progress | None = None) -> Path:
    """Write both models as bundles and deploy the winner; return the link to the deployed bundle."""
    session = _continue(output, config, progress)
    run_stage(session, EXPORT)
    return session.folder.path / DEPLOYED_LINK


@checked_arguments
def report(
    output: Path, config: RunConfig | None = None, *, progress: Progress | None = None, command: str = ""
) -> Path:
    """Write the HTML page from what the stages have left so far; return its path."""
    session = _continue(output, config, progress)
    session.command = command or session.command
    run_stage(session, REPORT)
    return session.folder.report


def _continue(output: Path, config: RunConfig | None, progress: Progress | None) -> Session:
    folder = RunFolder(Path(output))
    return Session.open(folder.path, config or folder.settings(), progress=progress)
