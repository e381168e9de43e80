"""The folder of one running job, and what its worker and its process say to each other in it.

order.json      what is to be done, written by the worker
run/            the run that is built up from the client's data; see `pipeline.run_folder`
start/NAME      the model to start from
outputs.json    what there is to hand over: role -> path inside the folder; its existence says that all is done
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
    """What the process of a job needs to know.

    Attributes:
        request: text of the client's request.
        blobs: folder of all contents.
        reserve_bytes: of the disk, which copies of them leave free.
        max_pixels: of a picture.
        deadline_at: ISO 8601, UTC: when all must be over.
        n_threads: CPU threads; None for all cores.
        models_dir: of known models.
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
        """When all must be over."""
        return datetime.fromisoformat(self.deadline_at)


class JobFolder:
    """Paths of one job, and its two small files."""

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
        """Say what is to be done."""
        atomic_write_text(self.path / "order.json", json.dumps(asdict(order)))

    def order(self) -> JobOrder:
        """Return what is to be done."""
        return JobOrder(**self._read("order.json"))

    def write_outputs(self, result: dict[str, Any], files: dict[str, Path]) -> None:
        """Say what there is: the promotion, and the files by role."""
        paths = {role: str(path.relative_to(self.path)) for role, path in files.items()}
        atomic_write_text(self.path / "outputs.json", json.dumps({"result": result, "files": paths}, allow_nan=False))

    def outputs(self) -> tuple[dict[str, Any], dict[str, Path]]:
        """Return what `write_outputs` wrote.

        Raises:
            DatasetError: it is not there, or damaged.
        """
        values = self._read("outputs.json")
        return values["result"], {
            role: child_path(self.path, *name.split("/"), error=DatasetError) for role, name in values["files"].items()
        }

    def _read(self, name: str) -> dict[str, Any]:
        try:
            return dict(load_json((self.path / name).read_text(encoding="utf-8")))
        except (OSError, ValueError) as exc:
            raise DatasetError(f"cannot read {name} of a job: {exc}") from exc
