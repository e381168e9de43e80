"""`python -m edge_autotuner.server.jobs.tuning FOLDER PRIORITY WORKER`: one job, by the same stages as everywhere.

The process builds up the client's run, trains, evaluates, exports and reports; what it is told and what it leaves lies
in the job's folder. It dies with its worker, and continues there what an earlier one left.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from edge_autotuner.config import RunConfig
from edge_autotuner.core.types import SizeWH
from edge_autotuner.dataset.picture_bounds import check_length, check_work
from edge_autotuner.dataset.picture_header import BadPicture, read_header
from edge_autotuner.dataset.pictures import hash_bytes
from edge_autotuner.deployment.bundle import DESCRIPTION_FILE, read_bundle, write_bundle_folder
from edge_autotuner.deployment.deployed import BUNDLES_FOLDER, deploy, deployed_bundle
from edge_autotuner.errors import DatasetError, DeadlineTooShort, EdgeAutotunerError, MissingDependency, WeightsError
from edge_autotuner.pipeline.evaluation_result import read_evaluation
from edge_autotuner.pipeline.loop import EXPORT, TRAINING, stages_between
from edge_autotuner.pipeline.remote_training.portable_settings import settings_from_portable
from edge_autotuner.pipeline.remote_training.run_files import (
    GROUND_TRUTH_FILE,
    RESERVOIR_FOLDER,
    CheckPicture,
    rebuild_run,
    replay_offers,
)
from edge_autotuner.pipeline.session import Session, run_stages
from edge_autotuner.server.jobs.events import JobSteps
from edge_autotuner.server.jobs.folder import JobFolder, JobOrder
from edge_autotuner.server.jobs.store import parse_start
from edge_autotuner.server.problems import Problem
from edge_autotuner.storage import DiskReserve, child_path
from edge_autotuner.storage.atomic import atomic_write_bytes, link_or_copy, make_folder
from edge_autotuner.storage.child_process import begin_work, print_line
from edge_autotuner.storage.lock import FolderLock
from edge_autotuner.wire.job_messages import StartBundle, StartWeights, TuneRequest
from edge_autotuner.wire.run_description import RunDescription, parse_description

logger = logging.getLogger(__name__)

_TRAINING_SHARE = 0.8  # of the time that is left; the rest is for evaluation, export and report
_COMMAND = "edge-autotuner jobs tune"
_LOCK_WAIT_S = 10.0  # a killed predecessor takes a moment to die


def main(folder: Path, priority: str, worker: int) -> int:
    """Do a job for the worker with this process ID; return the exit code of the error, 0 for none."""
    begin_work(worker, priority=priority)
    try:
        work_on(JobFolder(folder), JobSteps(folder / "run" / "training"))
    except EdgeAutotunerError as exc:
        print_line({"error": {"kind": type(exc).__name__, "detail": str(exc)}})
        return exc.exit_code
    except Problem as exc:
        print_line({"error": {"kind": exc.kind, "detail": exc.detail}})
        return 1
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("edge_autotuner"):
            raise
        detail = f"the service needs {exc.name}: pip install 'edge-autotuner[train]' there"
        print_line({"error": {"kind": MissingDependency.__name__, "detail": detail}})
        return MissingDependency.exit_code
    except Exception as exc:
        logger.exception("a job failed unexpectedly")
        print_line({"error": {"kind": "unexpected", "detail": f"{type(exc).__name__}; see the service's log"}})
        return 1
    return 0


def work_on(job: JobFolder, steps: JobSteps) -> None:
    """Do what an order says, and write what there is to hand over.

    Raises:
        EdgeAutotunerError: it cannot be done.
    """
    order = job.order()
    request, read, check = order.tune, _reader(Path(order.blobs)), picture_check(order.max_pixels)
    reserve = DiskReserve(job.path, order.reserve_bytes)
    description = parse_description(read(request.dataset))
    make_folder(job.run.path)
    lock = FolderLock.within(job.run.path, _LOCK_WAIT_S)
    try:
        steps.start("data", None)
        rebuild_run(description, read, job.run, check=check, link=_linker(Path(order.blobs), reserve))
        edge_model, architecture = place_start(request.start, job.start, read)
        if request.rival is not None:
            _place_incumbent(request.rival, job, read)
        steps.finish()
        steps.stage("data", f"{len(description.frames)} frames")
        config = _settings(order, request, description, job, edge_model, architecture)
        session = Session(job.run, config, progress=steps, command=_COMMAND, camera=request.camera)
        run_stages(session, first=TRAINING.name, on_done=steps.stage)
        promotion = read_evaluation(job.run.evaluation).promotion
        job.write_outputs({"promoted": promotion.promoted, "reason": promotion.reason}, _files(job, description))
    finally:
        lock.release()


def picture_check(max_pixels: int) -> CheckPicture:
    """Return a check that rejects pictures that are too large, or too slow to decode, before decoding."""

    def check(data: bytes, size_wh: SizeWH | None) -> None:
        try:
            header = read_header(data)
            check_length(data, header)
        except BadPicture as exc:
            raise DatasetError(f"a picture of the dataset cannot be used: {exc}") from exc
        if header.n_pixels > max_pixels:
            raise DatasetError(f"a picture of the dataset has {header.n_pixels} pixels, the limit is {max_pixels}")
        if size_wh is not None and header.size_wh != size_wh:
            raise DatasetError(f"a picture of the dataset has {header.size_wh} pixels, expected {size_wh}")
        try:
            check_work(data, header)
        except BadPicture as exc:
            raise DatasetError(f"a picture of the dataset cannot be used: {exc}") from exc

    return check


def place_start(
    start: StartBundle | StartWeights, folder: Path, read: Callable[[str], bytes]
) -> tuple[Path | str, str | None]:
    """Write the model to start from, and return what the settings call it, and its architecture.

    Raises:
        WeightsError: the known model of this name has another hash.
        ModelBundleError: a file of the bundle is not what its description says.
    """
    if isinstance(start, StartBundle):
        return _place_bundle(start, folder, read), None
    try:
        content = read(start.sha256)
    except DatasetError:
        return _known_model(start), start.architecture
    path = child_path(folder, f"{start.name}.safetensors")
    make_folder(folder)
    atomic_write_bytes(path, content)
    return path, start.architecture


def _place_bundle(start: StartBundle, folder: Path, read: Callable[[str], bytes]) -> Path:
    bundle = parse_start(start)
    path = child_path(folder, bundle.folder.name)
    if not path.is_dir():
        contents = {
            DESCRIPTION_FILE: start.description.encode(),
            bundle.model.name: read(bundle.model.sha256),
            bundle.weights.name: read(bundle.weights.sha256),
        }
        write_bundle_folder(path, contents)
    read_bundle(path)
    return path


def _place_incumbent(incumbent: StartBundle, job: JobFolder, read: Callable[[str], bytes]) -> None:
    if deployed_bundle(job.run.path) is None:
        path = _place_bundle(incumbent, job.run.path / BUNDLES_FOLDER, read)
        deploy(job.run.path, path.name)


def _known_model(start: StartWeights) -> str:
    from edge_autotuner.models.weights_store import locate
    from edge_autotuner.pipeline.edge_weights import model_sha256

    if model_sha256(locate(start.name)) != start.sha256:
        raise WeightsError(f"the model {start.name} is different here; upload the weights")
    return start.name


def _settings(
    order: JobOrder,
    request: TuneRequest,
    description: RunDescription,
    job: JobFolder,
    edge_model: Path | str,
    architecture: str | None,
) -> RunConfig:
    config = settings_from_portable(
        request.settings,
        edge_model=edge_model,
        architecture=architecture,
        models_dir=None if order.models_dir is None else Path(order.models_dir),
        ground_truth=None if description.ground_truth is None else job.run.path / GROUND_TRUTH_FILE,
        reservoir=None if description.replay is None else job.run.path / RESERVOIR_FOLDER,
        n_threads=order.n_threads,
    )
    if request.deadline_s is None:  # then only the worker watches the time, by its own clock
        return config
    left_s = (order.deadline - datetime.now(UTC)).total_seconds()
    if left_s <= 0:
        raise DeadlineTooShort("the deadline of the job has passed")
    return config.model_copy(update={"deadline_s": left_s * _TRAINING_SHARE})


def _files(job: JobFolder, description: RunDescription) -> dict[str, Path]:
    """Return the job's output files, by role."""
    run = job.run
    done = [stage.name for stage in stages_between(TRAINING.name, EXPORT.name)]
    records = {name: asdict(run.require(name, before="the results")) for name in done}
    atomic_write_bytes(job.path / "stages.json", json.dumps(records, allow_nan=False).encode())
    files = {"evaluation": run.evaluation, "report": run.report, "stages": job.path / "stages.json"}
    exported = run.result(EXPORT, before="the results")
    # as the export calls them: the client chose the name of the incumbent beside them
    for kind, name in (("candidate", exported.candidate), ("start", exported.start)):
        bundle = read_bundle(child_path(run.path / BUNDLES_FOLDER, name, error=DatasetError))
        files[f"{kind}.description"] = bundle.folder / DESCRIPTION_FILE
        files[f"{kind}.model"], files[f"{kind}.weights"] = bundle.model_path, bundle.weights_path
    offers = replay_offers(run, description)
    if offers:
        atomic_write_bytes(job.path / "replay.jsonl", offers)
        files["replay"] = job.path / "replay.jsonl"
    return files


def _reader(blobs: Path) -> Callable[[str], bytes]:
    """Return a function that reads and verifies a blob by its hash."""

    def read(sha256: str) -> bytes:
        try:
            content = child_path(blobs, sha256[:2], sha256).read_bytes()
        except OSError as exc:
            raise DatasetError(f"the blob {sha256} no longer exists: {exc.strerror}") from exc
        if hash_bytes(content) != sha256:
            raise DatasetError(f"the blob {sha256} is damaged on the service's disk")
        return content

    return read


def _linker(blobs: Path, reserve: DiskReserve) -> Callable[[str, Path], None]:
    """Return a function that links a verified blob under a name in a run."""

    def link(sha256: str, path: Path) -> None:
        link_or_copy(blobs / sha256[:2] / sha256, path, before_copy=reserve.require)

    return link


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
