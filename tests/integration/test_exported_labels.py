"""What other tools read of a run is what its journal holds and what its training was given, for every frame."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_autotuner.annotation import RegionTeacher, split_labels
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation
from edge_autotuner.dataset import DatasetStore, FrameRecord
from edge_autotuner.pipeline import rounds
from edge_autotuner.simulation import SimulatedCamera
from edge_autotuner.training import TrainingSample
from support.runs.cli_runs import run_cli
from support.runs.run_samples import SEED, SIZE_WH, Samples, state_of

N_TRAIN, N_TEST = 60, 18
OPTIONS = (
    "--set",
    "training.second_look.enabled=true",
    "--set",
    f"capture.max_images={N_TRAIN}",
    "--set",
    "capture.selection.min_gap_s=0",
    "--set",
    f"capture.max_test_images={N_TEST}",
)
Boxes = list[tuple[float, ...]]


class Seen:
    """What each round of a training was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.samples: list[list[TrainingSample]] = []
        self.validation: list[list[tuple[FrameRecord, Annotation]]] = []
        tune, validation = rounds.tune, rounds.Validation

        def watched_tune(start: Any, samples: Sequence[TrainingSample], *args: Any, **options: Any) -> Any:
            self.samples.append(list(samples))
            return tune(start, samples, *args, **options)

        def watched_validation(store: Any, frames: Any, *args: Any) -> Any:
            self.validation.append(list(frames))
            return validation(store, frames, *args)

        monkeypatch.setattr(rounds, "tune", watched_tune)
        monkeypatch.setattr(rounds, "Validation", watched_validation)


def coco_of(folder: Path, name: str) -> dict[str, dict[str, Any]]:
    """Return the images of a file by picture, each with its boxes."""
    values = json.loads((folder / "dataset" / name).read_text(encoding="utf-8"))
    images = {image["id"]: image | {"labels": [], "uncertain": []} for image in values["images"]}
    for one in values["annotations"]:
        assert one["uncertain"] == bool(one["iscrowd"]) == bool(one["ignore"])
        row = (*one["bbox"], one["category_id"])
        images[one["image_id"]]["uncertain" if one["uncertain"] else "labels"].append(row)
    return {image["file_name"]: image for image in images.values()}


def rows(boxes_xyxy: Any, class_ids: Any) -> Boxes:
    return [(x1, y1, x2 - x1, y2 - y1, c + 1) for (x1, y1, x2, y2), c in zip(boxes_xyxy, class_ids, strict=True)]


def assert_same(image: dict[str, Any], annotation: Annotation) -> None:
    """The file says about a frame what a training is given of it."""
    labels = split_labels(annotation, AnnotationConfig())
    np.testing.assert_allclose(
        image["labels"], rows(labels.objects.boxes_xyxy, labels.objects.class_ids) or [], atol=1e-3
    )
    assert len(image["uncertain"]) == len(labels.ignored_xyxy)
    np.testing.assert_allclose(image["looked_xyxy"], labels.looked_xyxy, atol=1e-3)


def assert_file_is_journal(folder: Path) -> dict[str, dict[str, Any]]:
    images = coco_of(folder, "annotations.coco.json")
    fingerprint = state_of(folder)["annotation"]["fingerprint"]
    with DatasetStore.open(folder / "dataset") as store:
        assert store.fingerprint == fingerprint
        records = store.frames()
        assert set(images) == {record.file for record in records}
        for record in records:
            found = store.annotation_of(record, fingerprint)
            assert found is not None
            assert images[record.file]["annotated"]
            assert_same(images[record.file], found)
    return images


@pytest.fixture(scope="module")
def run_with_second_look(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Seen]:
    folder = tmp_path_factory.mktemp("looked") / "run"
    video = folder.with_name("long.mp4")
    SimulatedCamera(SIZE_WH, n_frames=160, rate_hz=10.0, seed=SEED).write_video(video)
    with pytest.MonkeyPatch.context() as patch:
        seen = Seen(patch)
        outcome = run_cli("run", video, "-o", folder, "--config", samples.config, *OPTIONS)
    assert outcome.code == 0, outcome.err
    return folder, seen


def test_the_labels_in_use_are_exported_for_training_validation_and_test_frames(
    run_with_second_look: tuple[Path, Seen],
) -> None:
    folder, seen = run_with_second_look
    images = assert_file_is_journal(folder)
    by_split = [image["split"] for image in images.values()]
    assert by_split.count("train") > 50, "more than one export while the student looked again"
    assert by_split.count("test") == N_TEST
    assert sum(bool(image["labels"]) for image in images.values() if image["split"] == "test") > N_TEST // 2
    first = [sample for sample in seen.samples[0] if sample.origin == "camera"]
    trained = {round(sample.time_s or 0.0, 6): sample for sample in first}
    n_compared = 0
    for image in images.values():
        sample = trained.get(round(image["time_s"], 6))
        if image["split"] == "train" and sample is not None:
            np.testing.assert_allclose(image["labels"], rows(sample.boxes_xyxy, sample.class_ids) or [], atol=1e-3)
            assert len(image["uncertain"]) == len(sample.ignored_xyxy)
            n_compared += 1
    assert n_compared == len(first) > 30
    assert seen.validation[0]
    for record, annotation in seen.validation[0]:
        assert_same(images[record.file], annotation)


def test_what_the_last_round_was_given_is_in_a_file_of_its_own(run_with_second_look: tuple[Path, Seen]) -> None:
    folder, seen = run_with_second_look
    assert len(seen.samples) == 2
    images = coco_of(folder, "training.coco.json")
    training = [image for image in images.values() if image["split"] == "train"]
    assert len(training) == len(seen.samples[1])
    for image, sample in zip(training, seen.samples[1], strict=True):
        np.testing.assert_allclose(image["labels"], rows(sample.boxes_xyxy, sample.class_ids) or [], atol=1e-3)
        assert len(image["uncertain"]) == len(sample.ignored_xyxy)
    validation = {name: image for name, image in images.items() if image["split"] == "val"}
    assert set(validation) == {record.file for record, _ in seen.validation[1]}
    for record, annotation in seen.validation[1]:
        assert_same(validation[record.file], annotation)
    assert {image["split"] for image in images.values()} == {"train", "val"}


def test_an_edited_file_stops_every_later_command_and_is_left_as_it_is(
    run_with_second_look: tuple[Path, Seen], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(run_with_second_look[0], tmp_path / "run", symlinks=True))
    path = folder / "dataset" / "annotations.coco.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(values | {"annotations": []}), encoding="utf-8")
    for command in ("annotate", "tune", "evaluate", "report"):
        outcome = run_cli(command, folder)
        assert outcome.code == 6, (command, outcome.err)
        assert "annotations.coco.json was edited" in outcome.err
    assert json.loads(path.read_text(encoding="utf-8"))["annotations"] == []
    path.rename(tmp_path / "mine.json")
    assert run_cli("tune", folder).code == 0
    assert_file_is_journal(folder)


def test_the_labels_in_use_stay_what_the_training_is_given_after_another_annotation_was_interrupted(
    run_with_second_look: tuple[Path, Seen], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(run_with_second_look[0], tmp_path / "run", symlinks=True))
    asked: list[None] = []

    def interrupted(*_: object) -> Annotation:
        asked.append(None)
        if len(asked) > 5:
            raise KeyboardInterrupt
        return Annotation.nothing_seen()

    with monkeypatch.context() as patch:
        patch.setattr(RegionTeacher, "annotate", interrupted)
        outcome = run_cli("annotate", folder, "--set", "annotation.min_score=0.35")
    assert outcome.code == 130, outcome.err
    assert_file_is_journal(folder)
