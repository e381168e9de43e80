"""`edge-autotuner detect`: COCO result records of a deployed bundle, in an interpreter that has no torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_autotuner.capture import open_source
from edge_autotuner.core import STREET_6
from edge_autotuner.core.boxes import xywh_to_xyxy
from edge_autotuner.deployment import load_edge_detector
from helpers import REPOSITORY
from support.runs.cli_runs import Outcome, run_cli, run_script
from support.runs.run_samples import FinishedRun, Samples, write_pictures

TRAIN_ONLY = ("torch", "onnx", "safetensors", "jinja2")


def run_without_torch(folder: Path, *arguments: str | Path) -> Outcome:
    """Run the command in a new interpreter where no part of the train extra can be imported."""
    blocker = folder / "blocker"
    blocker.mkdir(exist_ok=True)
    for name in TRAIN_ONLY:
        (blocker / f"{name}.py").write_text(f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')\n")
    return run_script(*arguments, environment={"PYTHONPATH": f"{blocker}:{REPOSITORY / 'src'}"})


def records_of(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text()))


def test_records_of_a_video_without_torch(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    outcome = run_without_torch(
        tmp_path, "detect", finished_run.folder, samples.video, "-o", results, "--min-score", "0.2", "--threads", "1"
    )
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"90 frames, {results}\n"
    records = records_of(results)
    assert {tuple(record) for record in records} == {("image_id", "category_id", "bbox", "score", "frame_index")}
    assert all(record["image_id"] == record["frame_index"] for record in records)
    assert {record["category_id"] for record in records} <= {1, 2, 3, 4, 6, 8}, "COCO's own ids"
    assert all(record["score"] >= 0.2 for record in records)
    check_frame(records, 60, finished_run, samples, category_ids=[1, 2, 3, 4, 6, 8])


def check_frame(
    records: list[dict[str, Any]], index: int, run: FinishedRun, samples: Samples, *, category_ids: list[int]
) -> None:
    """Compare the records of a frame with what the bundle finds in it."""
    frame = next(frame for frame in open_source(samples.video).frames() if frame.index == index)
    found = load_edge_detector(run.folder, 1, min_score=0.2).detect(frame.image_bgr)
    of_frame = [record for record in records if record["frame_index"] == index]
    assert len(of_frame) == len(found) > 0
    boxes_xyxy = xywh_to_xyxy(np.array([record["bbox"] for record in of_frame], np.float32))
    np.testing.assert_allclose(boxes_xyxy, found.boxes_xyxy, atol=0.02)
    np.testing.assert_allclose([record["score"] for record in of_frame], found.scores, atol=1e-5)
    assert [record["category_id"] for record in of_frame] == [category_ids[i] for i in found.class_ids]


def test_ids_of_a_ground_truth(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    """Only its frames and classes, with its numbers."""
    truth = json.loads(samples.ground_truth.read_text())
    truth["images"] = [{**image, "id": 500 + image["frame_index"]} for image in truth["images"][60:63]]
    truth["categories"] = [{"id": 42, "name": "car"}, {"id": 43, "name": "tram"}]
    truth["annotations"] = [{"id": 1, "image_id": 560, "category_id": 42, "bbox": [0, 0, 9, 9]}]
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    results = tmp_path / "results.json"
    arguments = ("-o", results, "--min-score", "0.2", "--ground-truth", tmp_path / "gt.json")
    outcome = run_cli("detect", finished_run.folder, samples.video, *arguments)
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"3 frames, {results}\n"
    records = records_of(results)
    assert {record["image_id"] for record in records} == {560, 561, 562}
    assert {record["category_id"] for record in records} == {42}
    check_frame(records, 60, finished_run, samples, category_ids=[-1, -1, 42, -1, -1, -1])


def test_a_folder_is_told_by_name(finished_run: FinishedRun, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", (60, 61))
    outcome = run_cli("detect", finished_run.folder / "bundle", tmp_path / "pictures", "-o", tmp_path / "r.json")
    assert outcome.code == 0, outcome.err
    records = records_of(tmp_path / "r.json")
    assert {(record["image_id"], record["file_name"]) for record in records} == {(0, "60.png"), (1, "61.png")}
    assert all("frame_index" not in record for record in records)


def test_no_detection_gives_an_empty_list(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    arguments = ("-o", tmp_path / "r.json", "--min-score", "1")
    assert run_cli("detect", finished_run.folder, samples.video, *arguments).code == 0
    assert records_of(tmp_path / "r.json") == []


def test_regions_are_looked_at_in_every_frame(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    arguments = ("-o", tmp_path / "r.json", "--min-score", "0.2", "--mode", "regions")
    outcome = run_cli("detect", finished_run.folder, samples.video, *arguments)
    assert outcome.code == 0, outcome.err
    assert len({record["image_id"] for record in records_of(tmp_path / "r.json")}) > 20
    assert run_cli("detect", finished_run.folder, samples.video, *arguments[:2], "--mode", "tiles").code == 2


def test_a_ground_truth_of_another_source(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", (60,))
    arguments = ("-o", tmp_path / "r.json", "--ground-truth", samples.ground_truth)
    outcome = run_cli("detect", finished_run.folder, tmp_path / "pictures", *arguments)
    assert outcome.code == 10
    assert "lists no frame of pictures" in outcome.complaints[0]
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize("file", ["model.onnx", "weights.safetensors"])
def test_a_changed_bundle(file: str, finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    bundle = shutil.copytree(finished_run.folder / "bundle", tmp_path / "bundle")
    data = bytearray((bundle / file).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / file).write_bytes(data)
    outcome = run_cli("detect", bundle, samples.video, "-o", tmp_path / "r.json")
    assert outcome.code == 11
    assert f"{file} was modified: sha256" in outcome.complaints[0]
    assert "copy or export the bundle again" in outcome.complaints[0]


def test_a_cut_description(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    bundle = shutil.copytree(finished_run.folder / "bundle", tmp_path / "bundle")
    text = (bundle / "bundle.json").read_text()
    (bundle / "bundle.json").write_text(text[: len(text) // 2])
    outcome = run_cli("detect", bundle, samples.video, "-o", tmp_path / "r.json")
    assert outcome.code == 11
    assert "bundle.json is not valid JSON" in outcome.complaints[0]
    assert "Traceback" not in outcome.err


def test_no_bundle_and_no_folder_for_the_output(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    nothing = run_cli("detect", tmp_path, samples.video, "-o", tmp_path / "r.json")
    assert nothing.code == 11
    assert "is neither a bundle nor the folder of a run" in nothing.complaints[0]
    nowhere = run_cli("detect", finished_run.folder, samples.video, "-o", tmp_path / "no" / "r.json")
    assert nowhere.code == 12
    assert nowhere.err.splitlines() == [
        f"edge-autotuner: StorageError: the folder of {tmp_path}/no/r.json does not exist; "
        "create it, or choose another --output"
    ], "before any frame is looked at"


def test_what_else_works_without_torch(tmp_path: Path) -> None:
    listed = run_without_torch(tmp_path, "models", "show", "street-nano")
    assert listed.code == 0, listed.err
    assert f"classes: {', '.join(STREET_6)}" in listed.out
    refused = run_without_torch(tmp_path, "report", tmp_path)
    assert refused.code == 13
    assert refused.err.splitlines() == [
        "edge-autotuner: MissingDependency: this needs torch: pip install 'edge-autotuner[train]'"
    ]
