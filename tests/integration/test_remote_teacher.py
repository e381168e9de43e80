"""A teacher at the service, over real connections: the labels of a local one, whatever link and service go through."""

from __future__ import annotations

import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.config import RunConfig, load_config
from edge_autotuner.core import Annotation, FakeClock, NoProgress
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import ConfigError, TeacherError, TeacherTimeout
from edge_autotuner.pipeline import stages
from edge_autotuner.pipeline.annotation_stage import check_teacher
from edge_autotuner.pipeline.loop import ANNOTATION
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.pipeline.session import Session, run_stage
from edge_autotuner.storage.journal import read_journal
from support.runs.cli_runs import CliProcess
from support.runs.run_samples import Samples, state_of
from support.service.faulty_proxy import FaultyProxy
from support.service.real_service import RealService

MODEL = "changes"
LOOK = {"look": "tiles", "tile_grid": 2}  # five views of each frame: they travel as a batch


@pytest.fixture(scope="module")
def captured(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that has frames and no labels; tests take a copy."""
    folder = tmp_path_factory.mktemp("captured") / "run"
    stages.capture_frames(samples.video, folder, load_config(samples.config))
    return folder


@pytest.fixture(scope="module")
def local(captured: Path, samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the labels of the same model in this process."""
    folder = copy_of(captured, tmp_path_factory.mktemp("local"))
    stages.annotate(folder, settings(folder, samples))
    return labels_of(folder)


@pytest.fixture(scope="module")
def service(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    folder = tmp_path_factory.mktemp("service")
    with RealService(folder, samples.teacher, name=MODEL, adapter="yolox") as running:
        yield running


def copy_of(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to / "run", symlinks=True))


def settings(folder: Path, samples: Samples, **annotation: Any) -> RunConfig:
    values = load_config(samples.config).model_dump(mode="json")
    values["annotation"] |= LOOK | annotation
    return RunConfig.model_validate(values)


def at(service: RealService, url: str | None = None, **more: Any) -> dict[str, Any]:
    """Return settings of the annotation stage that lead to the service."""
    reach = {"url": url or service.url, "token_file": str(service.token_file), "first_retry_s": 0.02}
    return {"teacher": f"remote:{MODEL}", "service": {**reach, "longest_retry_s": 5.0, "max_attempts": 50, **more}}


def labels_of(folder: Path) -> dict[str, Any]:
    """Return the teacher's boxes of each frame, and what else its annotation says; not its name."""
    with DatasetStore.open(folder / "dataset") as store:
        raw = next(iter(answers_by_fingerprint(folder)))
        found = {str(record.key): store.annotation_of(record, raw) for record in store.frames()}
    return {name: plain(annotation) for name, annotation in found.items()}


def plain(annotation: Annotation | None) -> Any:
    if annotation is None:
        return None
    found = annotation.detections
    parts = (found.boxes_xyxy, found.scores, found.class_ids, annotation.looked_xyxy)
    return [part.tolist() for part in parts], annotation.n_calls, annotation.n_pixels


def answers_by_fingerprint(folder: Path) -> dict[str, Counter[str]]:
    """Return how often each frame was labelled under each fingerprint, in the order of the first answers."""
    counts: dict[str, Counter[str]] = {}
    for record in read_journal(folder / "dataset" / "journal.jsonl").records:
        if record["kind"] == "annotation":
            counts.setdefault(str(record["fingerprint"]), Counter())[f"{record['split']} {record['index']}"] += 1
    return counts


def n_labelled(folder: Path) -> int:
    """Return how many annotations are on the disk, also while another process adds some."""
    return (folder / "dataset" / "journal.jsonl").read_bytes().count(b'"kind":"annotation"')


def check_complete(folder: Path, local: dict[str, Any]) -> None:
    """Each frame was labelled, once, and as a local teacher would."""
    assert labels_of(folder) == local
    raw = next(iter(answers_by_fingerprint(folder).values()))
    assert set(raw.values()) == {1}
    assert len(raw) == len(local)
    assert state_of(folder)["annotation"]["summary"]["n_left"] == {"train": 0, "test": 0}


def test_the_teacher_is_useful(local: dict[str, Any]) -> None:
    assert len(local) == 18
    assert sum(len(labels[0][0]) for labels in local.values()) > 30


@pytest.mark.parametrize("picture_format", ["png", "webp"])
def test_the_labels_are_those_of_a_local_teacher(
    picture_format: str, service: RealService, captured: Path, local: dict[str, Any], samples: Samples, tmp_path: Path
) -> None:
    folder = copy_of(captured, tmp_path)
    config = settings(folder, samples, **at(service, picture_format=picture_format))
    check_teacher(config)
    stages.annotate(folder, config)
    check_complete(folder, local)
    assert state_of(folder)["annotation"]["summary"]["teacher"] == f"remote:{MODEL}"
    n_before = n_labelled(folder)
    stages.annotate(folder, config)
    assert n_labelled(folder) == n_before, "nothing is asked twice"


def test_what_was_saved_holds_no_secret(service: RealService, captured: Path, samples: Samples, tmp_path: Path) -> None:
    folder = copy_of(captured, tmp_path)
    stages.annotate(folder, settings(folder, samples, **at(service)))
    token = service.token_file.read_text().encode()
    assert not [path for path in folder.rglob("*") if path.is_file() and token in path.read_bytes()]


def test_a_teacher_that_is_not_there_is_noticed_before_the_capture(service: RealService, samples: Samples) -> None:
    there = at(service, max_attempts=1)
    with pytest.raises(ConfigError, match="has no model other; its models: changes"):
        check_teacher(settings(Path(), samples, **there | {"teacher": "remote:other"}))
    with pytest.raises(TeacherTimeout, match="is unreachable"):
        check_teacher(settings(Path(), samples, **at(service, "http://127.0.0.1:9", max_attempts=1)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_bad_link_and_kills_on_both_sides_lose_nothing(
    seed: int, samples: Samples, captured: Path, local: dict[str, Any], tmp_path: Path
) -> None:
    rng = random.Random(seed)
    folder = copy_of(captured, tmp_path)
    with (
        RealService(tmp_path / "service", samples.teacher, name=MODEL, adapter="yolox") as service,
        FaultyProxy(service.port, seed=seed) as proxy,
    ):
        values = settings(folder, samples, **at(service, proxy.url)).annotation.model_dump(mode="json")
        parallel = ("--set", "training.n_threads=3")  # frames at the same time
        command = (
            "annotate",
            folder,
            *parallel,
            *set_flags({key: values[key] for key in ("teacher", *LOOK, "service")}),
        )
        strike: Callable[[], None]
        for number, strike in enumerate([service.kill, proxy.cut, service.kill]):
            n_wanted = n_labelled(folder) + rng.randint(1, 3)
            process = CliProcess(tmp_path / f"log{number}", *command)
            process.wait_until(lambda n_wanted=n_wanted: n_labelled(folder) >= n_wanted)  # type: ignore[misc]
            strike()
            if rng.random() < 0.5:  # the client is ended while nobody answers it
                process.send(rng.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM]))
                assert process.end().code in {-signal.SIGKILL, 130}
                mend(service, proxy)
            else:
                mend(service, proxy)
                process.wait_until(lambda n_wanted=n_wanted: n_labelled(folder) > n_wanted)  # type: ignore[misc]
                process.send(signal.SIGKILL)
                process.end()
        last = CliProcess(tmp_path / "last", *command).end()
        assert last.code == 0, last.err
        assert service.token_file.read_text() not in "".join(log.read_text() for log in tmp_path.glob("*.err"))
        assert sum(proxy.happened.values()) > proxy.happened["pass"] > 0
    check_complete(folder, local)


def set_flags(values: dict[str, Any], prefix: str = "annotation") -> list[str]:
    """Return `--set` flags for nested settings, without those that are not set."""
    flags: list[str] = []
    for key, value in values.items():
        if isinstance(value, dict):
            flags += set_flags(value, f"{prefix}.{key}")
        elif value is not None:
            flags += ["--set", f"{prefix}.{key}={value}"]
    return flags


def mend(service: RealService, proxy: FaultyProxy) -> None:
    proxy.mend()
    service.kill()
    service.start()


@pytest.mark.slow
def test_the_service_gets_another_model_meanwhile(
    samples: Samples, captured: Path, local: dict[str, Any], tmp_path: Path
) -> None:
    folder = copy_of(captured, tmp_path)
    other = tmp_path / "other.onnx"
    other.write_bytes(samples.teacher.read_bytes() + b"\x72\x00")  # an empty name of the graph's domain: same answers
    with RealService(tmp_path / "service", samples.teacher, name=MODEL, adapter="yolox") as service:
        config = settings(folder, samples, **at(service))

        def replace() -> None:
            service.kill()
            service.start(other)

        with pytest.raises(TeacherError, match=r"changed: sha256.*labels of two models are not mixed"):
            stages.annotate(folder, config, progress=AfterFrames(5, replace))
        (first,) = answers_by_fingerprint(folder).values()
        assert len(first) == 5
        stages.annotate(folder, config)
    prints = list(answers_by_fingerprint(folder).values())
    assert len(prints[1]) == len(local), "label all frames with the new model"
    assert set(prints[1].values()) == {1}


class AfterFrames(NoProgress):
    """Does something once, after so many frames."""

    def __init__(self, n_frames: int, strike: Callable[[], None]) -> None:
        self._n_left = n_frames
        self._strike = strike

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        """Count a frame."""
        self._n_left -= steps
        if self._n_left == 0:
            self._strike()


def test_a_deadline_leaves_frames_for_the_next_run(
    service: RealService, captured: Path, local: dict[str, Any], samples: Samples, tmp_path: Path
) -> None:
    """The service does not answer any more; the deadline passes during a wait, and what was labelled counts."""
    folder, clock = copy_of(captured, tmp_path), FakeClock()
    with FaultyProxy(service.port, seed=1, weights={"pass": 1}) as proxy:
        proxy.on_fault = lambda fault: clock.advance(1e6) if fault == "drop request" else None
        config = settings(folder, samples, **at(service, proxy.url))
        short = config.model_copy(update={"deadline_s": 1000.0})
        run_stage(Session(RunFolder(folder), short, clock=clock, progress=AfterFrames(10, proxy.cut)), ANNOTATION)
        assert proxy.happened["drop request"] == 1, "nothing is asked after the deadline"
        left = state_of(folder)["annotation"]["summary"]["n_left"]
        assert sum(left.values()) == len(local) - 10
        proxy.mend()
        stages.annotate(folder, config)
    check_complete(folder, local)
