"""A small annotated run as a client has it, and the request that asks a service to go on with it."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from edge_autotuner.config import RunConfig
from edge_autotuner.pipeline.remote_training.portable_settings import portable_settings
from edge_autotuner.pipeline.remote_training.run_files import describe_run
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.pipeline.training_identity import settings_fingerprint, take_snapshot
from edge_autotuner.wire.job_messages import StartWeights, TuneRequest
from support.runs.cli_runs import run_cli
from support.runs.run_samples import settings, write_samples

CAMERA = "gate"


@dataclass(frozen=True)
class ClientRun:
    """A captured and annotated run.

    Attributes:
        folder: of the run; not to be changed.
        config: its settings.
        edge_model: weights file that they name.
    """

    folder: Path
    config: RunConfig
    edge_model: Path

    @property
    def edge_sha256(self) -> str:
        """Hash of the weights."""
        return hashlib.sha256(self.edge_model.read_bytes()).hexdigest()

    def copy(self, to: Path) -> ClientRun:
        """Copy the folder."""
        return ClientRun(Path(shutil.copytree(self.folder, to, symlinks=True)), self.config, self.edge_model)

    def described(self) -> tuple[bytes, dict[str, Path]]:
        """Return what goes to the service."""
        run = RunFolder(self.folder)
        fingerprint = settings_fingerprint(run, self.config, self.edge_sha256)
        return describe_run(run, self.config, replay=take_snapshot(run, self.config, fingerprint))

    def request(self, *, key: str = "first", deadline_s: float | None = None) -> TuneRequest:
        """Return what asks for the training."""
        description, _ = self.described()
        return TuneRequest(
            key=key,
            camera=CAMERA,
            settings=portable_settings(self.config),
            start=StartWeights(name=self.edge_model.stem, sha256=self.edge_sha256),
            dataset=hashlib.sha256(description).hexdigest(),
            deadline_s=deadline_s,
        )


def annotated_run(folder: Path, **training: object) -> ClientRun:
    """Make a run as a client does, up to the annotation.

    Args:
        folder: for everything.
        training: other settings of the training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    samples = write_samples(folder)
    values = settings(samples)
    values["training"] |= training
    samples.config.write_text(yaml.safe_dump(values), encoding="utf-8")
    run = folder / "run"
    outcome = run_cli("capture", samples.video, "--output", run, "--config", samples.config)
    assert outcome.code == 0, outcome.err
    outcome = run_cli("annotate", run)
    assert outcome.code == 0, outcome.err
    return ClientRun(run, RunFolder(run).settings(), samples.edge_model)
