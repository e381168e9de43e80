"""Training at a real service, over real connections: the results of a training here, whatever is killed meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_autotuner.client import Connection, JobsClient
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.dataset.replay import ReplayReservoir
from edge_autotuner.deployment import deployed_bundle, read_bundle
from edge_autotuner.deployment.acceptance import accept_bundle, sign_bundle
from edge_autotuner.deployment.deployed import registry_id
from edge_autotuner.deployment.signing import SigningKey, create_key
from edge_autotuner.errors import ModelBundleError
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.wire.job_messages import JobInfo
from helpers import REPOSITORY
from support.runs.cli_runs import CliProcess, run_cli, run_script
from support.runs.run_samples import FinishedRun, Samples, results_of, settings, state_of
from support.service.faulty_proxy import EVERY_FAULT, Fault, FaultyProxy
from support.service.real_service import RealService

pytestmark = pytest.mark.slow

MODEL = "changes"
LATER_STAGES = ("training", "evaluation", "export")
SOME_FAULTS: dict[Fault, float] = {**EVERY_FAULT, "pass": 12}  # each failed attempt is followed by a longer wait

WITHOUT_TRAINING_LIBRARIES = """
import sys
for name in ("torch", "onnx", "onnxscript", "safetensors", "jinja2"):
    sys.modules[name] = None
"""


@dataclass
class Place:
    """A service that trains, and a client of it.

    Attributes:
        key: of the service, for what it vouches for.
        operator: key that the service trusts, for models that others have made.
    """

    service: RealService
    token_file: Path
    key: SigningKey
    operator: SigningKey

    @property
    def reach(self) -> tuple[str, ...]:
        return ("--url", self.service.url, "--token-file", str(self.token_file))

    def jobs(self, camera: str) -> tuple[JobInfo, ...]:
        with Connection(ServiceConfig(url=self.service.url, token_file=self.token_file)) as connection:
            return JobsClient(connection).jobs(camera=camera)


@pytest.fixture(scope="module")
def place(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("service")
    key, operator = create_key(folder / "jobs.key"), create_key(folder / "operator.key")
    jobs = {"n_workers": 1, "n_threads": 1, "priority": "normal", "signing_key": str(folder / "jobs.key")}
    values = {"jobs": jobs, "trusted_keys": [operator.public.text]}
    service = RealService(folder, samples.teacher, name=MODEL, adapter="yolox", settings=values)
    token_file = service.add_token("node", "annotate", "train", "deploy")
    with service:
        yield Place(service, token_file, key, operator)


def annotated(run: FinishedRun, to: Path) -> Path:
    """Return a copy of a run that has labels, and nothing that comes after them."""
    folder = run.copy(to)
    for name in ("training", "bundles", "bundle", "evaluation.json", "report.html"):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    state = state_of(folder)
    kept = {name: record for name, record in state.items() if name not in LATER_STAGES}
    (folder / "state.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder


def fingerprints(folder: Path) -> dict[str, str]:
    return {name: record["fingerprint"] for name, record in state_of(folder).items()}


def test_the_results_are_those_of_a_training_here(place: Place, finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = annotated(finished_run, tmp_path / "east")
    refused = run_cli("jobs", "tune", folder, *place.reach, "--trust", place.key.public.text)
    assert refused.code == ModelBundleError.exit_code
    assert "is not signed" in refused.err, "the service vouches for nothing that comes of weights it does not know"
    assert not set(LATER_STAGES) & set(state_of(folder))
    (job,) = place.jobs("east")
    assert (
        "it starts from weights that are not in the service's catalogue"
        in run_cli("jobs", "show", job.id, *place.reach).out
    )
    outcome = run_cli("jobs", "tune", folder, *place.reach)
    assert outcome.code == 0, outcome.err
    assert results_of(folder) == results_of(finished_run.folder)
    assert fingerprints(folder) == fingerprints(finished_run.folder)
    assert sorted(path.name for path in (folder / "bundles").iterdir()) == sorted(
        path.name for path in (finished_run.folder / "bundles").iterdir()
    )
    assert "<html" in (folder / "report.html").read_text(encoding="utf-8")
    assert not (folder / "incoming").exists()
    (job,) = place.jobs("east")
    assert job.result is not None
    assert registry_id(folder / "bundles" / state_of(folder)["export"]["summary"]["candidate"]) == job.result.candidate

    before = (folder / "state.json").read_bytes()
    for command in ("tune", "evaluate", "export"):
        assert run_cli(command, folder).code == 0
    assert (folder / "state.json").read_bytes() == before, "later commands see that all is done"
    again = run_cli("jobs", "tune", folder, *place.reach)
    assert again.code == 0, again.err
    assert "were already downloaded" in again.err
    assert [other.id for other in place.jobs("east")] == [job.id]

    shown = run_cli("jobs", "show", job.id, *place.reach)
    assert job.id in shown.out
    assert "state done" in shown.out
    fetched = run_cli("jobs", "fetch", job.id, *place.reach, "--output", tmp_path / "fetched")
    assert (tmp_path / "fetched" / "evaluation").read_bytes() == (folder / "evaluation.json").read_bytes()
    assert len(fetched.out.splitlines()) == len(job.result.files)
    assert job.id in run_cli("jobs", "list", *place.reach, "--camera", "east").out
    assert run_cli("jobs", "follow", job.id, *place.reach).code == 0


def test_killed_on_both_sides_and_over_a_bad_link_it_is_one_job(
    place: Place, finished_run: FinishedRun, tmp_path: Path
) -> None:
    folder = annotated(finished_run, tmp_path / "north")
    with FaultyProxy(place.service.port, seed=5, weights=SOME_FAULTS) as proxy:
        command = ("jobs", "tune", folder, "--url", proxy.url, "--token-file", place.token_file)
        uploading = CliProcess(tmp_path / "log-1", *command, "--max-upload-kbps", "100")
        uploading.wait_until(lambda: sum(proxy.happened.values()) >= 3)
        uploading.send(signal.SIGKILL)
        assert uploading.end().code == -signal.SIGKILL
        assert place.jobs("north") == ()

        waiting = CliProcess(tmp_path / "log-2", *command)
        waiting.wait_until(lambda: _noted_job(folder) is not None)
        proxy.cut()
        waiting.send(signal.SIGKILL)
        waiting.end()
        place.service.kill()
        place.service.start()
        proxy.mend()

        last = CliProcess(tmp_path / "log-3", *command).end()
        assert last.code == 0, last.err
        assert place.token_file.read_text() not in "".join(log.read_text() for log in tmp_path.glob("*.err"))
    assert results_of(folder) == results_of(finished_run.folder)
    assert len(place.jobs("north")) == 1


def _noted_job(folder: Path) -> str | None:
    try:
        found = json.loads((folder / "job.json").read_text(encoding="utf-8"))["job"]
    except (OSError, ValueError):
        return None
    return None if found is None else str(found)


def test_a_cancelled_job_is_asked_for_anew(place: Place, finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = annotated(finished_run, tmp_path / "south")
    long = ("--set", "training.n_epochs=900", "--set", "training.patience_epochs=900")
    waiting = CliProcess(tmp_path / "log", "jobs", "tune", folder, *long, *place.reach)
    waiting.wait_until(lambda: any(job.state == "running" for job in place.jobs("south")))
    (job,) = place.jobs("south")
    assert run_cli("jobs", "cancel", job.id, *place.reach).code == 0
    outcome = waiting.end()
    assert outcome.code == 8
    assert "was cancelled" in outcome.err
    assert run_cli("jobs", "follow", job.id, *place.reach).code == 8
    assert "training" not in state_of(folder)
    again = run_cli("jobs", "tune", folder, "--set", "training.n_epochs=3", *place.reach)
    assert again.code == 0, again.err
    assert sorted(other.state for other in place.jobs("south")) == ["cancelled", "done"]


def write_node(folder: Path, samples: Samples, place: Place, url: str, bundle: Path) -> Path:
    """Write the settings of a node that trains at the service, and return the file."""
    run = settings(samples)
    service = {"url": url, "token_file": str(place.token_file), "first_retry_s": 0.05}
    trusted = [place.key.public.text, place.operator.public.text]
    run["edge_model"] = str(bundle)
    run["annotation"] |= {"teacher": f"remote:{MODEL}", "adapter": None, "service": service}
    values: dict[str, Any] = {
        "folder": str(folder / "node"),
        "cameras": [{"name": "gate", "source": str(samples.video), "place": "the yard"}],
        "trains_on": "service",
        "registry": {
            "service": service,
            "trusted_keys": trusted,
            "poll_every_s": 0.5,
        },
        "run": run,
        "batch": {"max_frames": 10, "min_frames": 2, "max_age_s": 8, "pause_s": None},
        "detect": {"max_rate_hz": 100, "min_score": 0.05},
        "background": {"max_cpu_percent": 100, "first_retry_s": 1, "priority": "normal"},
        "storage": {"min_free_mb": 1},
        "outputs": {"json_lines": {"path": str(folder / "detections.jsonl")}},
    }
    path = folder / "node.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def test_a_node_without_torch_trains_at_the_service(
    place: Place, samples: Samples, finished_run: FinishedRun, tmp_path: Path
) -> None:
    names = state_of(finished_run.folder)["export"]["summary"]
    start = tmp_path / "start"
    shutil.copytree(finished_run.folder / "bundles" / names["previous"], start)
    sign_bundle(start, place.operator)
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_TRAINING_LIBRARIES, encoding="utf-8")
    bare = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY / 'src'}"}
    folder = CameraFolder(tmp_path / "node" / "gate")
    with FaultyProxy(place.service.port, seed=9, weights=SOME_FAULTS) as proxy:
        config = write_node(tmp_path, samples, place, proxy.url, start)
        first = CliProcess(tmp_path / "log", "edge", config)
        first.wait_until(lambda: bool(folder.batches()) and _noted_job(folder.batches()[0].run.path) is not None)
        first.send(signal.SIGKILL)
        first.end()
        here = run_script("edge", config, "--set", "trains_on=node", environment=bare)
        assert here.code == 13, here.err
        assert "training on this machine needs torch" in here.err
        outcome = run_script("edge", config, environment=bare)
        assert outcome.code == 0, outcome.err
    (batch,) = folder.batches()
    assert batch.outcome is not None, outcome.err
    assert batch.outcome.outcome == "deployed", batch.outcome.reason
    (job,) = place.jobs("gate")
    assert job.state == "done"
    assert job.result is not None
    deployed = deployed_bundle(folder.path)
    assert deployed is not None
    as_it_was = folder.path / "bundles" / read_bundle(start).name
    assert read_bundle(deployed).lineage["edge_model"] == read_bundle(as_it_was).name
    assert registry_id(deployed) == job.result.candidate
    accept_bundle(deployed, [place.key.public])
    with DatasetStore.open(batch.run.dataset) as store:
        frames = {record.sha256 for record in store.frames("train")}
    kept = {picture.sha256 for picture in ReplayReservoir(folder.reservoir).pictures()}
    assert kept
    assert kept <= frames, "what was trained on is replayed later"
