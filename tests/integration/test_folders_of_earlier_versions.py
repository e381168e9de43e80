"""What an earlier version has left is opened and gone on with: runs, a node, a service, a reservoir.

Only the command line, HTTP and the public names are used, so that moving what is behind them changes nothing here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import cv2
import pytest

import edge_autotuner as eat
from support.runs.cli_runs import Outcome, run_cli
from support.runs.version_folders import RUN, SEEN_PICTURE, ask, read_json, serving, unpack, versions

BATCHES = Path("node/gate/batches")
REPLAY = ("--set", "training.replay.folder=reservoir")


@pytest.fixture(params=versions())
def version(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return an earlier version; its folders name each other relative to the current one."""
    monkeypatch.chdir(tmp_path)
    return str(request.param)


@pytest.fixture
def runs(version: str) -> None:
    unpack(version, Path(), "inputs", "runs")


@pytest.fixture
def service(version: str) -> Iterator[str]:
    unpack(version, Path(), "inputs", "service")
    with serving(Path().absolute()) as url:
        yield url


def done(*arguments: str) -> Outcome:
    outcome = run_cli(*arguments)
    assert outcome.code == 0, outcome.err
    return outcome


def state_of(run: str | Path) -> dict[str, Any]:
    return read_json(Path(run) / "state.json")


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return the hash and the time of all files."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        path.relative_to(folder).as_posix(): (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns)
        for path in files
    }


def frames(dataset: Path) -> list[int]:
    """Return the indices of a dataset's frames, in the order in which they came."""
    lines = (dataset / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line)["record"] for line in lines]
    return [record["frame"]["index"] for record in records if record["kind"] == "frame"]


def what_asks(url: str, path: str) -> Any:
    return json.loads(ask(f"{url}/v1{path}", Path("token")))


@pytest.mark.usefixtures("runs")
def test_a_finished_run_has_nothing_to_do_but_its_report() -> None:
    before = contents(Path("finished"))
    again = done(*RUN)
    assert again.err == "", "a stage is done again"
    after = contents(Path("finished"))
    assert {name for name in before | after if before.get(name) != after.get(name)} == {"settings.yaml", "report.html"}
    assert "<html" in Path("finished/report.html").read_text(encoding="utf-8")
    picture = cv2.imread(str(next(Path("finished/dataset/frames").glob("train_*"))))
    assert picture is not None
    assert len(eat.load_edge_detector(Path("finished")).detect(picture)) > 0


@pytest.mark.usefixtures("runs")
def test_a_stopped_run_trains_with_the_reservoir_evaluates_and_exports() -> None:
    before = state_of("stopped")
    assert set(before) == {"capture", "annotation"}
    n_pictures = len(list(Path("reservoir/pictures").iterdir()))
    assert f"pictures: {n_pictures} of" in done("replay", "show", "reservoir").out
    done("tune", "stopped", *REPLAY)
    done("evaluate", "stopped")
    done("export", "stopped")
    after = state_of("stopped")
    assert {stage: after[stage] for stage in before} == before
    assert after["training"]["summary"]["n_replayed_frames"] == n_pictures == 4
    assert after["training"]["fingerprint"] != state_of("finished")["training"]["fingerprint"]
    assert set(after) == {"capture", "annotation", "training", "evaluation", "export"}
    assert (Path("stopped/bundle") / "bundle.json").is_file()


@pytest.mark.usefixtures("runs")
def test_a_killed_training_continues_with_its_checkpoint() -> None:
    history = read_json(Path("expected.json"))["history_of_killed"]
    (folder,) = Path("killed/training").glob("[!.]*/")
    done("tune", "killed")
    training = state_of("killed")["training"]
    assert training["fingerprint"] == folder.name
    assert training["summary"]["history"][: len(history)] == history, "with the seconds of then"
    assert len(training["summary"]["history"]) == 6, "the start and five epochs"


def test_a_service_knows_its_clients_models_and_jobs(service: str) -> None:
    cameras = {camera["camera"]: camera for camera in what_asks(service, "/cameras")["cameras"]}
    assert set(cameras) == {"gate", "yard"}
    assert cameras["gate"]["deployed"]
    for camera in cameras:
        bundles = what_asks(service, f"/cameras/{camera}/bundles")["bundles"]
        assert bundles
        for bundle in bundles:
            for file in bundle["files"]:
                content = ask(f"{service}/v1/blobs/{file['sha256']}", Path("token"))
                assert hashlib.sha256(content).hexdigest() == file["sha256"]
    (job,) = what_asks(service, "/jobs")["jobs"]
    assert job["state"] == "done"
    done("jobs", "fetch", job["id"], "--url", service, "--token-file", "token", "--output", "fetched")
    assert read_json(Path("fetched/evaluation"))["promotion"]
    assert "token-added" in done("audit", "show", "--data", "data").out
    done("audit", "verify", "--data", "data")


def test_a_service_remembers_an_answer_and_refuses_strangers(service: str, version: str) -> None:
    unpack(version, Path(), "node")
    question = f"{service}/v1/models/changes/annotations"
    assert json.loads(ask(question, Path("token"), SEEN_PICTURE.read_bytes()))["is_cached"]
    Path("other").write_text(Path("token").read_text(encoding="utf-8")[:-4] + "aaaa", encoding="utf-8")
    with pytest.raises(HTTPError, match="401"):
        ask(f"{service}/v1/cameras", Path("other"))


@pytest.mark.slow
def test_a_node_watches_with_its_model_and_goes_on_with_its_batch(service: str, version: str) -> None:
    unpack(version, Path(), "node")
    batch, closed = BATCHES / "00000002", contents(BATCHES / "00000001")
    journal = (batch / "dataset/journal.jsonl").read_bytes()
    n_seen = max(frames(batch / "dataset"))
    notes = {path: path.read_bytes() for path in Path("node/gate").glob("**/registry.json")}
    published = [bundle["id"] for bundle in what_asks(service, "/cameras/gate/bundles")["bundles"]]
    assert {json.loads(note)["id"] for note in notes.values()} == set(published)
    bundles, deployed = contents(Path("node/gate/bundles")), Path("node/gate/bundle").readlink().name

    done("edge", "node.yaml", "--set", f"registry.service.url={service}")

    seen = [json.loads(line) for line in Path("detections.jsonl").read_text(encoding="utf-8").splitlines()]
    assert seen[0]["model"] == deployed
    assert seen[0]["frame_index"] > n_seen
    assert contents(BATCHES / "00000001") == closed
    kept = {name: it for name, it in contents(Path("node/gate/bundles")).items() if "batch-00000002/" not in name}
    assert kept == bundles, "known at the registry already"
    assert (batch / "dataset/journal.jsonl").read_bytes().startswith(journal), "frames of then are kept"
    assert len(frames(batch / "dataset")) == len(set(frames(batch / "dataset"))) > journal.count(b'"kind":"frame"')
    assert state_of(batch)["training"]["summary"]["n_replayed_frames"] > 0
    outcome = read_json(batch / "outcome.json")
    assert outcome["outcome"] in {"deployed", "kept"}, outcome
    assert [path.name for path in sorted(BATCHES.glob("[0-9]*"))] == ["00000001", "00000002"]
    status = read_json(Path("node/status.json"))
    assert status["faults"] == {}
    after = [bundle["id"] for bundle in what_asks(service, "/cameras/gate/bundles")["bundles"]]
    assert set(published) <= set(after)
    assert len(after) <= len(published) + 1, "nothing is published twice"
    assert not list(Path("node").rglob("*.damaged*"))
