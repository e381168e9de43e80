"""The edge node as a process: it watches, learns beside the detection, swaps the model, and survives every kill."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from edge_autotuner.dataset import DatasetStore
from edge_autotuner.deployment import deployed_bundle, read_bundle
from edge_autotuner.node.camera_folder import BatchFolder, CameraFolder
from support.machine.private_files import open_to_others
from support.runs.cli_runs import CliProcess, run_cli
from support.runs.run_samples import N_FRAMES, Samples, settings

pytestmark = pytest.mark.slow


def write_node(folder: Path, samples: Samples, *, realtime: bool = False, **changes: Any) -> Path:
    """Write the settings of a node with one camera, and return the file."""
    run = settings(samples)
    run["capture"] = run["capture"] | {"stream": {"realtime": realtime}}
    values: dict[str, Any] = {
        "folder": str(folder / "node"),
        "cameras": [{"name": "gate", "source": str(samples.video), "place": "the yard"}],
        "run": run,
        "batch": {"max_frames": 10, "min_frames": 2, "max_age_s": 8, "pause_s": None},
        "detect": {"max_rate_hz": 100, "min_score": 0.05},
        "background": {"max_cpu_percent": 100, "first_retry_s": 1, "priority": "normal"},
        "storage": {"min_free_mb": 1},
        "outputs": {"json_lines": {"path": str(folder / "detections.jsonl")}},
    }
    path = folder / "node.yaml"
    path.write_text(yaml.safe_dump(values | changes), encoding="utf-8")
    return path


def gate(folder: Path) -> CameraFolder:
    return CameraFolder(folder / "node" / "gate")


def reports(folder: Path) -> list[dict[str, Any]]:
    """Return all detections; a line that a kill has torn is not one."""
    found = []
    for line in (folder / "detections.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def require_whole(batch: BatchFolder) -> None:
    """Every frame is there once, and has one label set of each kind that the teacher was asked for."""
    lines = (batch.run.dataset / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line)["record"] for line in lines]
    frames = Counter((r["frame"]["split"], r["frame"]["index"]) for r in records if r["kind"] == "frame")
    assert set(frames.values()) == {1}
    labels = Counter((r["split"], r["index"], r["fingerprint"]) for r in records if r["kind"] == "annotation")
    assert set(labels.values()) == {1}
    with DatasetStore.open(batch.run.dataset) as store:
        for record in store.frames():
            assert store.annotation_of(record) is not None
            assert store.read_image(record).dtype == np.uint8


def test_a_recording_is_watched_and_learned_from(samples: Samples, tmp_path: Path) -> None:
    outcome = run_cli("edge", write_node(tmp_path, samples))
    assert outcome.code == 0, outcome.err
    (batch,) = gate(tmp_path).batches()
    assert batch.outcome is not None
    assert batch.outcome.outcome == "deployed", batch.outcome.reason
    require_whole(batch)
    deployed = deployed_bundle(tmp_path / "node" / "gate")
    assert deployed is not None
    assert deployed.name == batch.outcome.bundle == "batch-00000001"
    assert read_bundle(deployed).lineage["edge_model"] == "start"
    seen = reports(tmp_path)
    assert [report["frame_index"] for report in seen] == list(range(N_FRAMES))
    assert {report["model"] for report in seen} == {"start"}
    status = json.loads((tmp_path / "node" / "status.json").read_text(encoding="utf-8"))
    assert status["cameras"]["gate"]["model"] == "batch-00000001"
    assert status["cameras"]["gate"]["last_outcome"].startswith("deployed: promoted")
    assert status["outputs"][0]["n_sent"] == N_FRAMES
    assert open_to_others(tmp_path / "node") == {}
    assert open_to_others(tmp_path / "detections.jsonl") == {}


def test_a_second_run_watches_with_the_new_model_and_learns_nothing_twice(samples: Samples, tmp_path: Path) -> None:
    config = write_node(tmp_path, samples)
    assert run_cli("edge", config).code == 0
    before = (gate(tmp_path).batches()[0].run.path / "outcome.json").stat().st_mtime_ns
    assert run_cli("edge", config).code == 0
    assert (gate(tmp_path).batches()[0].run.path / "outcome.json").stat().st_mtime_ns == before
    assert len(gate(tmp_path).batches()) == 1, "one batch only: pause_s is null"
    models = [report["model"] for report in reports(tmp_path)]
    assert models == ["start"] * N_FRAMES + ["batch-00000001"] * N_FRAMES


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_it_cleanly(samples: Samples, tmp_path: Path, number: signal.Signals) -> None:
    process = CliProcess(tmp_path / "log", "edge", write_node(tmp_path, samples, realtime=True))
    process.wait_until(lambda: (tmp_path / "detections.jsonl").exists() and len(reports(tmp_path)) > 3)
    process.send(number)
    outcome = process.end()
    assert outcome.code == 0, outcome.err
    assert "Traceback" not in outcome.err


def test_killed_in_every_stage_it_goes_on_and_loses_nothing(samples: Samples, tmp_path: Path) -> None:
    """The camera plays its recording again with every start; indices and times go on."""
    config = write_node(tmp_path, samples, realtime=True)
    folder = gate(tmp_path)

    def collected(n: int) -> bool:
        path = folder.path / "batches" / "00000001" / "dataset" / "journal.jsonl"
        return path.is_file() and path.read_text(encoding="utf-8").count('"kind":"frame"') >= n

    def batch_has(pattern: str) -> bool:
        return any((folder.path / "batches" / "00000001").glob(pattern))

    moments = {
        "while the first model is exported": lambda: (folder.path / "learning.yaml").is_file(),
        "while training frames are collected": lambda: collected(2),
        "while frames for the evaluation are collected": lambda: collected(8),
        "while the teacher labels": lambda: batch_has("settings.yaml"),
        "in the training": lambda: batch_has("training/*/*/checkpoint.safetensors"),
        "after the evaluation": lambda: batch_has("evaluation.json"),
    }
    kept: set[tuple[str, int]] = set()
    for number, (moment, has_come) in enumerate(moments.items()):
        process = CliProcess(tmp_path / f"log-{number}", "edge", config)
        process.wait_until(has_come)
        process.send(signal.SIGKILL)
        assert process.end().code == -signal.SIGKILL, moment
        deployed = deployed_bundle(folder.path)
        if deployed is not None:
            read_bundle(deployed)
        if collected(1):
            with DatasetStore.open(folder.batches()[0].run.dataset) as store:
                keys = {record.key for record in store.frames()}
            assert kept <= keys, f"frames were lost {moment}"
            kept = keys
    process = CliProcess(tmp_path / "log-last", "edge", config)
    process.wait_until(lambda: folder.batches()[0].outcome is not None)
    process.send(signal.SIGTERM)
    assert process.end().code == 0
    (batch,) = folder.batches()
    require_whole(batch)
    assert batch.outcome is not None
    assert batch.outcome.outcome in ("deployed", "kept")


def test_two_nodes_in_one_folder(samples: Samples, tmp_path: Path) -> None:
    config = write_node(tmp_path, samples, realtime=True)
    process = CliProcess(tmp_path / "log", "edge", config)
    process.wait_until(lambda: (tmp_path / "node" / ".lock").exists())
    outcome = run_cli("edge", config)
    process.send(signal.SIGTERM)
    process.end()
    assert outcome.code == 6
    assert "is being written by another run" in outcome.err


def test_what_would_be_watched(samples: Samples, tmp_path: Path) -> None:
    outcome = run_cli("edge", write_node(tmp_path, samples), "--check")
    assert outcome.code == 0
    assert outcome.out.startswith("gate (the yard): edge model ")
    assert not (tmp_path / "node").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"cameras": []}, "cameras: Tuple should have at least 1 item", id="no camera"),
        pytest.param({"camera": []}, "camera: no such setting", id="unknown key"),
        pytest.param(
            {"cameras": [{"name": "../x", "source": "a.mp4"}]},
            "cameras.0.name: expected at most 100 letters",
            id="a path",
        ),
        pytest.param(
            {"cameras": [{"name": "A", "source": "a"}, {"name": "a", "source": "b"}]},
            "camera names must be unique",
            id="twice",
        ),
        pytest.param(
            {"cameras": [{"name": "a", "source": "a", "settings": {"training": {"epochs": 3}}}]},
            "settings of camera a: training.epochs",
            id="unknown setting of one camera",
        ),
        pytest.param(
            {"batch": {"min_frames": 20, "max_frames": 10}},
            "min_frames must not exceed max_frames",
            id="never full",
        ),
    ],
)
def test_mistakes_in_the_settings(samples: Samples, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    outcome = run_cli("edge", write_node(tmp_path, samples, **changes))
    assert outcome.code == 2
    assert message in outcome.err
    assert "node.yaml:" in outcome.err
    assert "max_test_images" not in outcome.err, "not all settings"
