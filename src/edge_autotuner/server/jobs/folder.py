"""The folder of a running job, and the files that its worker and its process exchange.

order.json      the order, written by the worker
run/            the run, rebuilt from the client's data; see `pipeline.run_folder`
start/NAME      the model to start from
outputs.json    the results: role -> path inside the folder; written when all is done
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from edge_autotuner.core.json_limits import load_json
from edge_autotuner.errors import DatasetError
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.storage import child_path
from edge_autotuner.storage.atomic import atomic_write_text
from edge_autotuner.wire.job_messages import TuneRequest


@dataclass(frozen=True)
class JobOrder:
    """The order of a worker to the process of a job.

    Attributes:
        blobs: folder of all contents.
        deadline_at: time limit of the job, ISO 8601, UTC.
        models_dir: of the model catalogue.
    """

    request: str
    blobs: str
    reserve_bytes: int
    max_pixels: int
    deadline_at: str
    n_threads: int | None
    models_dir: str | None

    @property
    def tune(self) -> TuneRequest:
        """The client's request."""
        return TuneRequest.model_validate_json(self.request)

    @property
    def deadline(self) -> datetime:
        """The time limit of the job."""
        return datetime.fromisoformat(self.deadline_at)


class JobFolder:
    """Paths and small files of a job."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def run(self) -> RunFolder:
        """The run."""
        return RunFolder(self.path / "run")

    @property
    def start(self) -> Path:
        """Folder of the model to start from."""
        return self.path / "start"

    def write_order(self, order: JobOrder) -> None:
        """Write the order."""
        atomic_write_text(self.path / "order.json", json.dumps(asdict(order)))

    def order(self) -> JobOrder:
        """Return the order."""
        return JobOrder(**self._read("order.json"))

    def write_outputs(self, result: dict[str, Any], files: dict[str, Path]) -> None:
        """Write the results: the promotion, and the files by role."""
        paths = {role: str(path.relative_to(self.path)) for role, path in files.items()}
        atomic_write_text(self.path / "outputs.json", json.dumps({"result": result, "files": paths}, allow_nan=False))

    def outputs(self) -> tuple[dict[str, Any], dict[str, Path]]:
        """Return the results; raises `DatasetError` if they are missing or damaged."""
        values = self._read("outputs.json")
        return values["result"], {
            role: child_path(self.path, *name.split("/"), error=DatasetError) for role, name in values["files"].items()
        }

    def _read(self, name: str) -> dict[str, Any]:
        try:
            return dict(load_json((self.path / name).read_text(encoding="utf-8")))
        except (OSError, ValueError) as exc:
            raise DatasetError(f"cannot read {name} of a job: {exc}") from exc
