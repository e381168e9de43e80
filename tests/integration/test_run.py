"""The whole job on a small simulated camera, with the command that a user types."""

from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from edge_autotuner.core import Annotation, Detections
from edge_autotuner.core.boxes import xyxy_to_xywh
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.deployment import deployed_bundle, load_edge_detector, read_bundle
from edge_autotuner.models.torch_detector import TorchDetector
from edge_autotuner.models.yolox_weights import load_yolox
from support.runs.cli_runs import run_cli
from support.runs.run_samples import (
    SIZE_WH,
    FinishedRun,
    Samples,
    camera,
    candidate_of,
    results_of,
    state_of,
    write_pictures,
)

STAGES = ["capture", "annotation", "training", "evaluation", "export"]


class Addresses(HTMLParser):
    """Collects what a page would load or link."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "data", "poster"}]


def files_with_times(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_a_run_leaves_everything_in_its_folder(finished_run: FinishedRun) -> None:
    folder = finished_run.folder
    assert finished_run.outcome.code == 0
    assert finished_run.outcome.complaints == []
    assert list(state_of(folder)) == STAGES
    for name in ("settings.yaml", "evaluation.json", "report.html", "bundle/bundle.json", "bundle/model.onnx"):
        assert (folder / name).is_file(), name
    for name in ("manifest.json", "annotations.coco.json", "journal.jsonl"):
        assert (folder / "dataset" / name).is_file(), name
    assert (folder / "bundle").is_symlink()
    assert not [p for p in folder.rglob("*") if p.name.endswith(".tmp") or "unchecked" in p.name]
    assert yaml.safe_load((folder / "settings.yaml").read_text())["capture"]["max_images"] == 12
    assert f"report: {folder}/report.html" in finished_run.outcome.out
    assert "against the teacher on 6 later frames:" in finished_run.outcome.out


def test_the_report_is_one_file_that_loads_nothing(finished_run: FinishedRun, samples: Samples) -> None:
    page = (finished_run.folder / "report.html").read_text(encoding="utf-8")
    assert len(page) > 50_000
    addresses = Addresses(page).loaded
    assert [a[:60] for a in addresses if not a.startswith(("data:", "#"))] == []
    assert sum(a.startswith("data:image/") for a in addresses) >= 6
    assert re.findall(r"@import|url\(\s*['\"]?(?!data:|#)[^)]{0,60}", page) == []
    assert f"edge-autotuner run {samples.video}" in page
    assert "cam.mp4" in page


def test_later_frames_are_kept_and_never_trained_on(finished_run: FinishedRun) -> None:
    coco = json.loads((finished_run.folder / "dataset" / "annotations.coco.json").read_text())
    by_split: dict[str, list[int]] = {"train": [], "test": []}
    for image in coco["images"]:
        by_split[image["split"]].append(image["frame_index"])
    assert by_split["test"] == [72, 75, 78, 81, 84, 87]  # the last fifth of 90 frames, 6 of them
    assert 2 <= len(by_split["train"]) <= 12
    assert max(by_split["train"]) < min(by_split["test"])
    trained = state_of(finished_run.folder)["training"]["summary"]
    assert trained["n_training_frames"] + trained["n_validation_frames"] <= len(by_split["train"])


def test_pictures_have_the_hashes_of_the_manifest(finished_run: FinishedRun) -> None:
    dataset = finished_run.folder / "dataset"
    with DatasetStore.open(dataset) as store:
        records = store.frames()
    assert len(records) > 6
    assert {r.file: r.sha256 for r in records} == {
        r.file: hashlib.sha256((dataset / r.file).read_bytes()).hexdigest() for r in records
    }
    manifest = (dataset / "manifest.json").read_text()
    assert all(r.sha256 in manifest for r in records)


def by_place(detections: Detections) -> Any:
    """Return boxes by position, because nearly equal scores may swap."""
    return np.array(sorted(detections.boxes_xyxy.round(1).tolist()))


def test_the_deployed_bundle_is_the_winner(finished_run: FinishedRun, samples: Samples) -> None:
    """It gives the detections of the trained network, or of the start if that was not beaten."""
    decision = json.loads((finished_run.folder / "evaluation.json").read_text())["promotion"]
    assert decision["promoted"] == (decision["lower_bound"] > 0)
    bundle = deployed_bundle(finished_run.folder)
    assert bundle is not None
    assert bundle.name.startswith("specialized-" if decision["promoted"] else "start-")
    winner = candidate_of(finished_run.folder) if decision["promoted"] else samples.edge_model
    assert read_bundle(bundle).weights_path.read_bytes() == winner.read_bytes()
    network, labels = load_yolox(winner)
    image = camera().frame(60).image_bgr
    in_torch = TorchDetector(network, labels, (96, 96)).detect(image)
    at_the_edge = load_edge_detector(finished_run.folder, n_threads=1).detect(image)
    assert len(at_the_edge) > 0
    np.testing.assert_allclose(by_place(at_the_edge), by_place(in_torch), atol=0.1)


def test_training_changes_the_weights(finished_run: FinishedRun, samples: Samples) -> None:
    training = state_of(finished_run.folder)["training"]["summary"]
    assert training["best_epoch"] > 0
    assert training["best_val_ap"] > training["history"][0]["val_ap"]
    assert candidate_of(finished_run.folder).read_bytes() != samples.edge_model.read_bytes()


def test_a_second_invocation_does_nothing_again(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    before = files_with_times(folder)
    again = run_cli("run", samples.video, "-o", folder, "-c", samples.config)
    assert again.code == 0
    assert again.err == "", "no stage has anything to do"
    changed = {name for name, time_ns in files_with_times(folder).items() if before.get(name) != time_ns}
    assert changed == {"settings.yaml", "report.html"}
    assert (folder / "state.json").read_bytes() == (finished_run.folder / "state.json").read_bytes()


def test_a_changed_training_setting_redoes_training_and_what_follows(
    finished_run: FinishedRun, samples: Samples, tmp_path: Path
) -> None:
    folder = finished_run.copy(tmp_path / "run")
    old, journal = state_of(folder), (folder / "dataset" / "journal.jsonl").read_bytes()
    again = run_cli("run", samples.video, "-o", folder, "-c", samples.config, "--epochs", "1")
    assert again.code == 0
    assert [line.removesuffix(" ...") for line in again.err.splitlines()] == ["training", "evaluation"]
    new = state_of(folder)
    assert [new[stage] == old[stage] for stage in STAGES] == [True, True, False, False, False]
    assert len(new["training"]["summary"]["history"]) == 2  # the start and one epoch
    assert (folder / "dataset" / "journal.jsonl").read_bytes() == journal
    assert yaml.safe_load((folder / "settings.yaml").read_text())["training"]["n_epochs"] == 1


def test_a_changed_capture_setting_is_refused_and_changes_nothing(
    finished_run: FinishedRun, samples: Samples, tmp_path: Path
) -> None:
    folder = finished_run.copy(tmp_path / "run")
    before = files_with_times(folder)
    refused = run_cli("run", samples.video, "-o", folder, "-c", samples.config, "--max-images", "5")
    assert refused.code == 6
    assert "max_images was 12, now 5" in refused.complaints[0]
    assert "Use the old settings to continue it, or choose another folder" in refused.complaints[0]
    assert files_with_times(folder) == before


def test_stages_one_by_one_give_the_same_bit_for_bit(
    finished_run: FinishedRun, samples: Samples, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    done = [run_cli("capture", samples.video, "-o", folder, "-c", samples.config)]
    done += [run_cli(command, folder) for command in ("annotate", "tune", "evaluate", "export", "report")]
    assert [outcome.code for outcome in done] == [0] * 6
    assert [outcome.out.splitlines()[-1] for outcome in done[:3]] == [
        str(folder / "dataset"),
        str(folder / "dataset"),
        str(candidate_of(folder)),
    ]
    assert results_of(folder) == results_of(finished_run.folder)
    assert state_of(folder)["export"]["fingerprint"] == state_of(finished_run.folder)["export"]["fingerprint"]
    page = (folder / "report.html").read_text()
    assert f"edge-autotuner run {samples.video} --config {folder}/settings.yaml" in page


def test_another_seed_gives_other_weights(finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    assert run_cli("tune", folder, "--seed", "1").code == 0
    assert candidate_of(folder).read_bytes() != candidate_of(finished_run.folder).read_bytes()


def label_with(folder: Path, weights: Path) -> None:
    """Make what a network finds the teacher's labels of the test frames."""
    network, labels = load_yolox(weights)
    detector = TorchDetector(network, labels, (96, 96))
    fingerprint = state_of(folder)["annotation"]["fingerprint"]
    with DatasetStore.open(folder / "dataset") as store:
        for record in store.frames("test"):
            found = detector.detect(store.read_image(record)).sorted_by_score(5)
            certain = Detections(found.boxes_xyxy, np.full(len(found), 0.9, np.float32), found.class_ids)
            looked = np.array([[0, 0, *SIZE_WH]], np.float32)
            store.add_annotation(record, Annotation(certain, looked), teacher="oracle", fingerprint=fingerprint)
    (folder / "evaluation.json").unlink()


@pytest.mark.parametrize(("right", "promoted"), [("candidate", True), ("start", False)])
def test_only_the_better_model_is_deployed(
    right: str, promoted: bool, finished_run: FinishedRun, samples: Samples, tmp_path: Path
) -> None:
    """The labels of the later frames are what one of the two models finds, so that one is better for certain."""
    folder = finished_run.copy(tmp_path / "run")
    label_with(folder, candidate_of(folder) if right == "candidate" else samples.edge_model)
    assert run_cli("evaluate", folder).code == 0
    assert run_cli("export", folder).code == 0
    decision = json.loads((folder / "evaluation.json").read_text())["promotion"]
    assert decision["promoted"] is promoted
    assert (decision["ap_candidate"] if promoted else decision["ap_deployed"]) == pytest.approx(1.0)
    bundle = deployed_bundle(folder)
    assert bundle is not None
    assert bundle.name.startswith("specialized-" if promoted else "start-")
    deployed = read_bundle(bundle)
    expected, _ = load_yolox(candidate_of(folder) if promoted else samples.edge_model)
    network, _ = load_yolox(deployed.weights_path)
    assert all((a == b).all() for a, b in zip(network.parameters(), expected.parameters(), strict=True))
    both = sorted(path.name.partition("-")[0] for path in (folder / "bundles").iterdir())
    assert {"specialized", "start"} == set(both), "the one that lost is kept, too"


def test_a_later_candidate_must_beat_the_deployed_one(
    finished_run: FinishedRun, samples: Samples, tmp_path: Path
) -> None:
    """The labels are what the first candidate finds; a second training cannot beat it, so the first one stays."""
    folder = finished_run.copy(tmp_path / "run")
    label_with(folder, candidate_of(folder))
    assert run_cli("evaluate", folder).code == run_cli("export", folder).code == 0
    first = deployed_bundle(folder)
    assert first is not None
    assert first.name.startswith("specialized-")
    assert run_cli("tune", folder, "--seed", "5").code == 0
    assert run_cli("evaluate", folder).code == run_cli("export", folder).code == 0
    decision = json.loads((folder / "evaluation.json").read_text())["promotion"]
    assert decision["ap_deployed"] == pytest.approx(1.0)
    assert f"compared with the deployed {first.name}" in decision["reason"]
    assert deployed_bundle(folder) == first


def test_an_equal_candidate_is_not_promoted(finished_run: FinishedRun, samples: Samples, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    candidate_of(folder).write_bytes(samples.edge_model.read_bytes())
    candidate_of(folder).with_name("candidate.onnx").unlink()
    (folder / "evaluation.json").unlink()
    outcome = run_cli("run", samples.video, "-o", folder, "-c", samples.config)
    assert outcome.code == 0, "a candidate that loses is no error"
    assert "not promoted: AP50:75 changes by +0.000" in outcome.out
    assert deployed_bundle(folder).name.startswith("start-")  # type: ignore[union-attr]


def coco_of_pictures(indices: range) -> dict[str, Any]:
    """Return the camera's exact boxes as COCO, pictures named as `write_pictures` does, cars only, as "auto"."""
    scene = camera()
    images = [{"id": 100 + i, "file_name": f"{i}.png", "width": SIZE_WH[0], "height": SIZE_WH[1]} for i in indices]
    boxes = [
        {"image_id": 100 + i, "category_id": 7, "bbox": box, "iscrowd": 0}
        for i in indices
        for box in xyxy_to_xywh(scene.truth(i).boxes_xyxy).tolist()
    ]
    annotations = [{"id": number, **box} for number, box in enumerate(boxes, start=1)]
    return {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "auto"}]}


def test_folder_of_pictures_with_test_source_and_ground_truth(samples: Samples, tmp_path: Path) -> None:
    write_pictures(tmp_path / "day", range(14, 62, 3))
    write_pictures(tmp_path / "night", range(70, 90, 2))
    truth = tmp_path / "gt.json"
    truth.write_text(json.dumps(coco_of_pictures(range(74, 90, 2))))
    sources = ["--test-source", tmp_path / "night", "--ground-truth", truth, "--map-class", "auto=car"]
    outcome = run_cli("run", tmp_path / "day", "-o", tmp_path / "run", "-c", samples.config, *sources)
    assert outcome.code == 0, outcome.err
    with DatasetStore.open(tmp_path / "run" / "dataset") as store:
        train, test = store.frames("train"), store.frames("test")
    usual, labelled = {70, 72, 76, 80, 82, 86}, {74, 76, 78, 82, 84, 86}  # 6 of 10, and 6 of 8
    assert [r.file_name for r in test] == [f"{i}.png" for i in sorted(usual | labelled)]
    assert {r.file_name for r in train} <= {f"{i}.png" for i in range(14, 62, 3)}
    assert len(train) >= 2
    for record in test:
        stored = tmp_path / "run" / "dataset" / record.file
        assert stored.read_bytes() == (tmp_path / "night" / str(record.file_name)).read_bytes()
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert (evaluation["n_frames"], evaluation["n_human_frames"]) == (9, 7)
    assert evaluation["promotion"]["n_frames"] == 9
    assert "against human boxes on 7 later frames:" in outcome.out
    assert "judged by the teacher's labels" in evaluation["promotion"]["reason"]
    assert "human boxes cover 7 of the 9 frames and do not decide" in outcome.out
    assert "human" in (tmp_path / "run" / "report.html").read_text()


def test_few_human_boxes_leave_the_decision_to_as_many_frames_as_none(samples: Samples, tmp_path: Path) -> None:
    truth = json.loads(samples.ground_truth.read_text())
    kept = {image["id"]: image for image in truth["images"] if image["frame_index"] in (3, 73, 80)}
    kept[10**6] = {"id": 10**6, "frame_index": 88}  # somebody looked, and saw nothing
    boxes = [box for box in truth["annotations"] if box["image_id"] in kept]
    path = tmp_path / "gt.json"
    path.write_text(json.dumps(truth | {"images": list(kept.values()), "annotations": boxes}))
    outcome = run_cli("run", samples.video, "-o", tmp_path / "run", "-c", samples.config, "--ground-truth", path)
    assert outcome.code == 0, outcome.err
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    with DatasetStore.open(tmp_path / "run" / "dataset") as store:
        test = [record.index for record in store.frames("test")]
    assert test == [72, 73, 75, 78, 80, 81, 84, 87, 88]
    assert evaluation["promotion"]["n_frames"] == evaluation["n_frames"] == len(test)
    assert evaluation["n_human_frames"] == 3
    scores = evaluation["comparison"]["human"]["off-the-shelf edge"]
    assert scores["n_frames"] == 3
    assert scores["n_truths"] == sum(kept[box["image_id"]]["frame_index"] in test for box in boxes)


def test_new_ground_truth_is_scored_without_training_again(
    finished_run: FinishedRun, samples: Samples, tmp_path: Path
) -> None:
    folder = finished_run.copy(tmp_path / "run")
    truth = tmp_path / "gt.json"
    truth.write_bytes(samples.ground_truth.read_bytes())
    assert run_cli("evaluate", folder, "--ground-truth", truth).code == 0
    first = json.loads((folder / "evaluation.json").read_text())
    assert first["n_human_frames"] == 6
    values = json.loads(truth.read_text())
    values["annotations"] = [{**box, "bbox": [0, 0, 5, 5], "area": 25} for box in values["annotations"]]
    truth.write_text(json.dumps(values))
    assert run_cli("evaluate", folder).code == 0
    second = json.loads((folder / "evaluation.json").read_text())
    assert second["comparison"] != first["comparison"], "the same path with another content is another ground truth"
    assert state_of(folder)["training"] == state_of(finished_run.folder)["training"]


def test_a_score_that_asks_the_student_gets_one(samples: Samples, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    score = ("--set", "capture.selection.score=confident", "--max-images", "4")
    outcome = run_cli("capture", samples.video, "-o", folder, "-c", samples.config, *score)
    assert outcome.code == 0, outcome.err
    reasons = state_of(folder)["capture"]["summary"]["reasons"]
    assert reasons["outscored"] > 0
    assert 0 < reasons["selected"] <= 4
    assert len(list((folder / "student").glob("*.onnx"))) == 1
