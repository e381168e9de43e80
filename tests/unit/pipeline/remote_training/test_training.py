"""A run whose training a service does: what is asked for, what comes back, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.core import NoProgress
from edge_autotuner.deployment import deployed_bundle
from edge_autotuner.deployment.acceptance import sign_bundle, signature_to_text
from edge_autotuner.deployment.signing import SigningKey, create_key
from edge_autotuner.errors import (
    ConfigError,
    DatasetError,
    EdgeAutotunerError,
    ModelBundleError,
    NoLabelsFound,
    ServiceBadReply,
    TrainingDiverged,
    TrainingError,
)
from edge_autotuner.pipeline.remote_training.training import ProgressOfJob, tune_at_service
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.pipeline.session import Session
from edge_autotuner.storage.lock import FolderLock
from edge_autotuner.wire.job_messages import JobInfo
from support.runs.run_samples import FinishedRun, results_of, state_of
from support.service.job_samples import FakeJobs, change, new_job, outputs_of, training_service

LATER_STAGES = ("training", "evaluation", "export")


def annotated(run: FinishedRun, to: Path) -> Path:
    """Return a copy of a run that has labels, and nothing that comes after them."""
    folder = Path(shutil.copytree(run.folder, to, ignore=shutil.ignore_patterns("training", "bundle*", "*.html")))
    state = state_of(folder)
    kept = {name: record for name, record in state.items() if name not in LATER_STAGES}
    (folder / "state.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder


@pytest.fixture
def folder(finished_run: FinishedRun, tmp_path: Path) -> Path:
    return annotated(finished_run, tmp_path / "run")


@pytest.fixture
def fake(finished_run: FinishedRun) -> FakeJobs:
    """Return a service whose jobs are done at once, with the results of a training here."""
    fake = FakeJobs()
    outputs = outputs_of(finished_run.folder)
    fake.on_new = lambda job: fake.leave(job, outputs, promoted=True)
    return fake


def session(folder: Path, **changes: Any) -> Session:
    opened = Session.open(folder, RunFolder(folder).settings())
    opened.config = opened.config.model_copy(update=changes)
    return opened


def tune(folder: Path, fake: FakeJobs, **more: Any) -> JobInfo | None:
    with training_service(fake, **more) as service:
        return tune_at_service(session(folder), service)


def test_the_folder_is_as_if_it_had_been_done_here(folder: Path, fake: FakeJobs, finished_run: FinishedRun) -> None:
    assert tune(folder, fake) is not None
    assert results_of(folder) == results_of(finished_run.folder)
    here, there = state_of(finished_run.folder), state_of(folder)
    assert {name: there[name] for name in LATER_STAGES} == {name: here[name] for name in LATER_STAGES}
    assert not (folder / "incoming").exists()
    n_asked = fake.asked.total()
    assert tune(folder, fake) is None
    assert fake.asked.total() == n_asked, "nothing is asked twice"


def test_nothing_of_this_machine_travels(folder: Path, fake: FakeJobs) -> None:
    tune(folder, fake)
    (request,) = fake.requests.values()
    said = json.dumps(request) + fake.blobs[request["dataset"]].decode()
    assert str(folder.parent.parent) not in said
    assert "models_dir" not in said
    assert "service" not in request["settings"].get("annotation", {})


def test_a_camera_that_is_not_known_is_added(folder: Path, fake: FakeJobs) -> None:
    fake.cameras = set()
    tune(folder, fake)
    assert fake.cameras == {"gate"}


def test_an_interrupted_call_goes_on_with_the_same_job(folder: Path, fake: FakeJobs) -> None:
    fake.on_new = lambda _: None

    def interrupt(_: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    fake.on_look = interrupt
    parents = iter(["b7", "b8"])
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            tune(folder, fake, parent_of=lambda _: next(parents), deadline_s=60.0)
    assert len(fake.jobs) == 1
    assert "training" not in state_of(folder)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param("NoLabelsFound", NoLabelsFound, id="nothing to learn from"),
        pytest.param("TrainingDiverged", TrainingDiverged, id="diverged"),
        pytest.param("deadline", TrainingError, id="not one of ours"),
        pytest.param("Exception", TrainingError, id="something else that has this name"),
    ],
)
def test_a_job_that_failed_is_asked_for_anew(
    folder: Path, fake: FakeJobs, finished_run: FinishedRun, kind: str, expected: type[EdgeAutotunerError]
) -> None:
    succeed = fake.on_new
    fake.on_new = lambda job: change(job, state="failed", error={"kind": kind, "detail": "it failed"})
    with pytest.raises(expected, match="it failed") as caught:
        tune(folder, fake)
    assert type(caught.value) is expected
    fake.on_new = succeed
    assert tune(folder, fake) is not None
    assert [job["state"] for job in fake.jobs.values()] == ["failed", "done"]
    assert results_of(folder) == results_of(finished_run.folder)


def test_two_at_once_in_one_run(folder: Path, fake: FakeJobs) -> None:
    (folder / "training").mkdir()
    lock = FolderLock(folder / "training")
    with pytest.raises(DatasetError, match="is being written by another run"):
        tune(folder, fake)
    lock.release()
    assert tune(folder, fake) is not None


def test_pictures_of_a_reservoir_stay_here_where_privacy_settings_hold(
    folder: Path, fake: FakeJobs, tmp_path: Path
) -> None:
    open_session = session(folder)
    training = open_session.config.training
    replay = training.replay.model_copy(update={"folder": tmp_path / "reservoir"})
    with_replay = training.model_copy(update={"replay": replay})
    private = open_session.config.privacy.model_copy(update={"outside": "blur"})
    for privacy, expected in ((open_session.config.privacy, []), (private, None)):
        fake.jobs.clear()
        with training_service(fake) as service:
            tune_at_service(session(folder, training=with_replay, privacy=privacy), service)
        described = json.loads(fake.blobs[list(fake.requests.values())[-1]["dataset"]])
        assert described["replay"] == expected


def test_a_cancelled_job(folder: Path, fake: FakeJobs) -> None:
    fake.on_new = lambda job: change(job, state="cancelled")
    with pytest.raises(TrainingError, match="was cancelled"):
        tune(folder, fake)


def test_results_that_were_tidied_away_are_made_again(folder: Path, fake: FakeJobs) -> None:
    succeed = fake.on_new

    def forget(job: dict[str, Any]) -> None:
        succeed(job)
        report = next(file for file in job["result"]["files"] if file["role"] == "report")
        del fake.blobs[report["sha256"]]

    fake.on_new = forget
    with pytest.raises(EdgeAutotunerError, match="unknown-blob"):
        tune(folder, fake)
    fake.on_new = succeed
    assert tune(folder, fake) is not None
    assert len(fake.jobs) == 2


def test_an_edge_model_that_the_service_cannot_read(folder: Path, fake: FakeJobs, tmp_path: Path) -> None:
    (tmp_path / "edge.pth").write_bytes(b"weights")
    with (
        training_service(fake) as service,
        pytest.raises(ConfigError, match=r"edge\.pth; set edge_model to one of these"),
    ):
        tune_at_service(session(folder, edge_model=str(tmp_path / "edge.pth")), service)
    assert fake.asked.total() == 0


def _without(role: str) -> Callable[[dict[str, bytes]], object]:
    return lambda outputs: outputs.pop(role)


def _with(role: str, content: bytes) -> Callable[[dict[str, bytes]], object]:
    return lambda outputs: outputs.update({role: content})


def _edited(role: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], object]:
    def edit(outputs: dict[str, bytes]) -> None:
        assert old in outputs[role]
        outputs[role] = outputs[role].replace(old, new)

    return edit


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        pytest.param(_without("report"), ServiceBadReply, id="a file is missing"),
        pytest.param(_with("candidate.model", b"another"), ModelBundleError, id="another model than described"),
        pytest.param(_with("candidate.description", b"{}"), ModelBundleError, id="no description"),
        pytest.param(
            _edited("candidate.description", b'"name": "spec', b'"name": "../spec'), ModelBundleError, id="a path"
        ),
        pytest.param(_with("evaluation", b"{}"), ServiceBadReply, id="no evaluation"),
        pytest.param(
            _edited("evaluation", b'"promoted": true', b'"promoted": false'), ServiceBadReply, id="contradiction"
        ),
        pytest.param(_with("stages", b"{}"), ServiceBadReply, id="no records"),
        pytest.param(
            lambda outputs: outputs.update(stages=_with_fingerprint(outputs["stages"], "../../x")),
            ServiceBadReply,
            id="a path as fingerprint",
        ),
        pytest.param(_with("candidate.signature", b"no signature"), ModelBundleError, id="no signature"),
    ],
)
def test_results_that_do_not_fit_are_not_used(
    folder: Path,
    fake: FakeJobs,
    finished_run: FinishedRun,
    spoil: Callable[[dict[str, bytes]], object],
    error: type[EdgeAutotunerError],
) -> None:
    outputs = outputs_of(finished_run.folder)
    spoil(outputs)
    fake.on_new = lambda job: fake.leave(job, outputs, promoted=True)
    with pytest.raises(error):
        tune(folder, fake)
    assert "training" not in state_of(folder)
    assert deployed_bundle(folder) is None
    assert not (folder.parent / "x").exists()


def _with_fingerprint(stages: bytes, fingerprint: str) -> bytes:
    values = json.loads(stages)
    values["training"]["fingerprint"] = fingerprint
    return json.dumps(values).encode()


@pytest.fixture
def keys(tmp_path: Path) -> tuple[SigningKey, SigningKey]:
    """Return a key that is trusted, and another one."""
    return create_key(tmp_path / "ours.pem"), create_key(tmp_path / "theirs.pem")


def test_only_what_a_trusted_key_has_signed_is_taken(
    folder: Path, fake: FakeJobs, finished_run: FinishedRun, keys: tuple[SigningKey, SigningKey], tmp_path: Path
) -> None:
    state = state_of(finished_run.folder)["export"]["summary"]
    bundles = tmp_path / "bundles"
    shutil.copytree(finished_run.folder / "bundles", bundles)
    outputs = outputs_of(finished_run.folder)
    settings = {"edge_model": str(bundles / state["previous"])}
    with training_service(fake, trusted=(keys[0].public,)) as service:
        fake.on_new = lambda job: fake.leave(job, outputs, promoted=True)
        with pytest.raises(ModelBundleError, match="is not signed"):
            tune_at_service(session(folder, **settings), service)
        outputs["candidate.signature"] = signature_to_text(sign_bundle(bundles / state["candidate"], keys[1])).encode()
        fake.jobs.clear()
        with pytest.raises(ModelBundleError, match="is not signed by a trusted key"):
            tune_at_service(session(folder, **settings), service)
        assert deployed_bundle(folder) is None
        assert not (folder / "bundles").exists()
        outputs["candidate.signature"] = signature_to_text(sign_bundle(bundles / state["candidate"], keys[0])).encode()
        fake.jobs.clear()
        tune_at_service(session(folder, **settings), service)
    deployed = deployed_bundle(folder)
    assert deployed is not None
    assert (deployed / "bundle.json.sig").read_text().strip() == outputs["candidate.signature"].decode()


class Told(NoProgress):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def start(self, task: str, total: int | None) -> None:
        self.lines.append(f"start {task} {total}")

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        self.lines.append(f"+{steps}")

    def finish(self) -> None:
        self.lines.append("finish")


def test_the_progress_of_a_job_is_shown_as_if_it_were_here() -> None:
    told = Told()
    progress = ProgressOfJob(told)
    for state, task, n_done, total in [
        ("queued", "", 0, None),
        ("queued", "", 0, None),
        ("running", "training", 2, 6),
        ("running", "training", 5, 6),
        ("running", "training", 1, 6),  # a worker was killed, and the next one begins at the last checkpoint
        ("running", "evaluation", 0, 9),
        ("done", "", 0, None),
    ]:
        job = new_job("job-1") | {"state": state, "progress": {"task": task, "done": n_done, "total": total}}
        progress.tell(JobInfo.model_validate(job))
    assert told.lines == [
        "start job queued None",
        "finish",
        "start training 6",
        "+2",
        "+3",
        "finish",
        "start training 6",
        "+1",
        "finish",
        "start evaluation 9",
        "finish",
    ]
