"""The stage: order, resumption, deadline, summary, and what it says when nothing was found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.annotation import (
    AnnotationSummary,
    EnsembleTeacher,
    RegionTeacher,
    annotate_dataset,
    split_labels,
)
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, Deadline, FakeClock, LabelMap, NoProgress, Scene, TeacherBase
from edge_autotuner.core.types import FloatArray, ImageArray
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.dataset.records import annotation_to_json
from edge_autotuner.errors import ConfigError, DatasetError, NoLabelsFound, TeacherError
from support.cameras.plain_scene import GreyDetector, boxes_of, paint
from support.runs.dataset_folders import LABELS, add_frame, new_store

SIZE = (200, 100)
CAR, PERSON = ("car", (20, 20, 60, 50)), ("person", (120, 30, 130, 60))


def grey_teacher(detector: GreyDetector | None = None, **settings: object) -> tuple[RegionTeacher, AnnotationConfig]:
    config = AnnotationConfig.model_validate(settings)
    return RegionTeacher(detector or GreyDetector(), config, labels=LABELS, name="grey"), config


def filled(folder: Path, n_train: int = 3, n_test: int = 2) -> DatasetStore:
    store = new_store(folder)
    region = np.array([PERSON[1]], np.float32)
    background = store.add_background(paint(SIZE, [CAR])[:, :, 0])
    for index in range(n_train + n_test):
        split = "train" if index < n_train else "test"
        image = paint(SIZE, [CAR, PERSON])
        add_frame(store, index, split, image=image, regions_xyxy=region, background=background)
    return store


def run(store: DatasetStore, teacher: RegionTeacher, config: AnnotationConfig, **changes: object) -> AnnotationSummary:
    arguments = {"fingerprint": "f", "deadline": Deadline(None, FakeClock()), "progress": NoProgress()} | changes
    return annotate_dataset(store, teacher, config, **arguments)  # type: ignore[arg-type]


class SlowTeacher(TeacherBase):
    """Takes 10 s for a frame, and remembers which frames it saw by their time."""

    name = "slow"
    labels = LABELS
    input_size_wh = (100, 100)

    def __init__(self, clock: FakeClock, *, fails_after: int | None = None) -> None:
        self.clock = clock
        self.n_seen = 0
        self.fails_after = fails_after

    def annotate(
        self, image_bgr: ImageArray, regions_xyxy: FloatArray | None, *, scene: Scene | None = None
    ) -> Annotation:
        if self.n_seen == self.fails_after:
            raise TeacherError("the teacher broke")
        self.n_seen += 1
        self.clock.advance(10)
        teacher, _ = grey_teacher()
        return teacher.annotate(image_bgr, regions_xyxy)


def test_summary(tmp_path: Path) -> None:
    teacher, config = grey_teacher(GreyDetector(score=0.92))
    with filled(tmp_path) as store:
        summary = run(store, teacher, config)
        assert summary == AnnotationSummary(
            teacher="grey",
            fingerprint="f",
            n_frames={"train": 3, "test": 2},
            n_left={"train": 0, "test": 0},
            n_calls=25,
            n_pixels=5 * (200 * 100 + 4 * 115 * 58),
            boxes_per_class={"person": 3, "car": 3},
            n_uncertain=0,
            n_negatives=0,
            score_histogram=(0,) * 18 + (10, 0),
            seconds=0.0,
        )
        assert AnnotationSummary.from_json(store.note("annotation")) == summary
    again = DatasetStore.open(tmp_path)
    found = again.annotation_of(again.frames("train")[0])
    assert found is not None
    assert boxes_of(found.detections) == [CAR, PERSON]
    assert (tmp_path / "annotations.coco.json").exists()


@pytest.mark.parametrize(
    ("look", "calls_per_train_frame"), [("tiles", [5, 5, 5]), ("full", [1, 1, 1]), ("crops", [6, 1, 1])]
)
def test_test_frames_are_always_tiled(tmp_path: Path, look: str, calls_per_train_frame: list[int]) -> None:
    teacher, config = grey_teacher(look=look, min_crop_px=40)
    with filled(tmp_path) as store:
        run(store, teacher, config)
        by_split = {
            split: [found.n_calls for frame in store.frames(split) if (found := store.annotation_of(frame))]
            for split in ("train", "test")
        }
        for frame in store.frames():
            found = store.annotation_of(frame)
            assert found is not None
            assert boxes_of(found.detections) == [CAR, PERSON]
            assert found.looked_xyxy.tolist() == [[0, 0, 200, 100]]
    assert by_split == {"test": [5, 5], "train": calls_per_train_frame}


def with_empty_frames(folder: Path, *, background: bool) -> DatasetStore:
    """Make a dataset of two frames with motion, and two empty ones: only the parked car is there."""
    store = new_store(folder)
    name = store.add_background(paint(SIZE, [CAR])[:, :, 0]) if background else None
    nothing = np.zeros((0, 4), np.float32)
    for index in range(4):
        is_empty = index >= 2
        image = paint(SIZE, [CAR] if is_empty else [CAR, PERSON])
        regions = nothing if is_empty else np.array([PERSON[1]], np.float32)
        reason = "empty" if is_empty else "new motion"
        add_frame(store, index, image=image, regions_xyxy=regions, sent_xyxy=regions, background=name, reason=reason)
    return store


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("look", ["tiles", "crops", "full"])
def test_empty_frames_become_negatives(tmp_path: Path, look: str, background: bool) -> None:
    """Everything in them was looked at, so that training takes what is not labelled for background."""
    teacher, config = grey_teacher(look=look, min_crop_px=40)
    with with_empty_frames(tmp_path, background=background) as store:
        run(store, teacher, config)
        for record in store.frames("train")[2:]:
            found = store.annotation_of(record)
            assert found is not None
            assert boxes_of(found.detections) == [CAR], "the parked car is an object in empty frames, too"
            assert found.looked_xyxy.tolist() == [[0, 0, *SIZE]]


@pytest.mark.parametrize("look", ["tiles", "crops", "full"])
def test_negatives_are_counted_and_reach_the_training(tmp_path: Path, look: str) -> None:
    teacher, config = grey_teacher(look=look, min_crop_px=40)
    with new_store(tmp_path) as store:
        street = store.add_background(paint(SIZE, [])[:, :, 0])
        nothing = np.zeros((0, 4), np.float32)
        add_frame(store, 0, image=paint(SIZE, [PERSON]), regions_xyxy=np.array([PERSON[1]]), background=street)
        empty = add_frame(
            store, 1, image=paint(SIZE, []), regions_xyxy=nothing, sent_xyxy=nothing, background=street, reason="empty"
        )
        summary = run(store, teacher, config)
        assert (summary.n_negatives, summary.boxes_per_class) == (1, {"person": 1, "car": 0})
        annotation = store.annotation_of(empty)
        assert annotation is not None
        labels = split_labels(annotation, config)
    assert (len(labels.objects), len(labels.ignored_xyxy)) == (0, 0)
    assert labels.looked_xyxy.tolist() == [[0, 0, *SIZE]]


def test_only_negatives_are_too_little(tmp_path: Path) -> None:
    teacher, config = grey_teacher()
    nothing = np.zeros((0, 4), np.float32)
    with new_store(tmp_path) as store:
        for index in range(2):
            add_frame(store, index, image=paint(SIZE, []), regions_xyxy=nothing, sent_xyxy=nothing, reason="empty")
        with pytest.raises(NoLabelsFound, match=r"no person, car with a score of at least 0.3 in 2 training frames"):
            run(store, teacher, config)
        assert store.note("annotation")["n_negatives"] == 2


def test_several_teachers_look_at_test_frames_in_tiles(tmp_path: Path) -> None:
    config = AnnotationConfig(teacher="a,b", look="full")
    members = [RegionTeacher(GreyDetector(score=s), config, labels=LABELS, name=str(s)) for s in (0.9, 0.5)]
    teacher = EnsembleTeacher(members, config, labels=LABELS)
    with filled(tmp_path, n_train=1, n_test=1) as store:
        arguments = {"fingerprint": "f", "deadline": Deadline(None, FakeClock()), "progress": NoProgress()}
        summary = annotate_dataset(store, teacher, config, **arguments)  # type: ignore[arg-type]
        assert summary.n_calls == 2 + 10
        assert summary.teacher == "0.9 + 0.5"


def test_second_run_asks_nothing(tmp_path: Path) -> None:
    detector = GreyDetector()
    teacher, config = grey_teacher(detector)
    with filled(tmp_path) as store:
        first = run(store, teacher, config)
        n_asked = len(detector.shapes_seen)
        assert run(store, teacher, config) == first
        assert len(detector.shapes_seen) == n_asked
        run(store, teacher, config, fingerprint="other")
        assert len(detector.shapes_seen) == 2 * n_asked


def test_deadline_leaves_an_even_part_and_a_second_run_continues(tmp_path: Path) -> None:
    clock = FakeClock()
    teacher, config = SlowTeacher(clock), AnnotationConfig()
    with filled(tmp_path, n_train=8, n_test=1) as store:
        summary = run(store, teacher, config, deadline=Deadline(50, clock))  # type: ignore[arg-type]
        assert summary.n_frames == {"train": 4, "test": 1}
        assert summary.n_left == {"train": 4, "test": 0}
        assert [f.index for f in store.frames("train") if store.annotation_of(f)] == [0, 2, 4, 6]
        assert summary.seconds == 50
        done = run(store, teacher, config, deadline=Deadline(None, clock))  # type: ignore[arg-type]
    assert done.n_left == {"train": 0, "test": 0}
    assert (done.seconds, teacher.n_seen) == (90, 9)


def test_failure_keeps_what_was_done(tmp_path: Path) -> None:
    clock = FakeClock()
    with filled(tmp_path) as store:
        with pytest.raises(TeacherError, match="the teacher broke"):
            run(store, SlowTeacher(clock, fails_after=3), AnnotationConfig())  # type: ignore[arg-type]
        assert store.note("annotation")["n_frames"] == {"train": 1, "test": 2}
    again = DatasetStore.open(tmp_path)
    assert sum(again.annotation_of(frame, "f") is not None for frame in again.frames()) == 3


def test_no_labels(tmp_path: Path) -> None:
    teacher, config = grey_teacher(GreyDetector(score=0.25))
    with filled(tmp_path) as store:
        with pytest.raises(NoLabelsFound, match=r"no person, car with a score of at least 0.3 in 3 .*\(6 boxes below"):
            run(store, teacher, config)
        assert store.note("annotation")["n_uncertain"] == 6


def test_deadline_before_the_first_training_frame(tmp_path: Path) -> None:
    teacher, config = grey_teacher()
    clock = FakeClock()
    deadline = Deadline(1, clock)
    clock.advance(2)
    with filled(tmp_path) as store, pytest.raises(NoLabelsFound, match="the deadline passed before"):
        run(store, teacher, config, deadline=deadline)


def test_only_test_frames_are_fine(tmp_path: Path) -> None:
    teacher, config = grey_teacher()
    with filled(tmp_path, n_train=0, n_test=1) as store:
        assert run(store, teacher, config).n_frames == {"train": 0, "test": 1}


def test_empty_dataset_and_other_classes(tmp_path: Path) -> None:
    teacher, config = grey_teacher()
    with (
        new_store(tmp_path / "a") as store,
        pytest.raises(DatasetError, match="has no frames; run `edge-autotuner capture` first"),
    ):
        run(store, teacher, config)
    with new_store(tmp_path / "b", labels=LabelMap(("car",))) as store:
        add_frame(store, 0)
        with pytest.raises(ConfigError, match="has the classes person, car, but the dataset has car"):
            run(store, teacher, config)


def test_progress_hears_of_every_frame(tmp_path: Path) -> None:
    heard: list[object] = []

    class Recorder(NoProgress):
        def start(self, task: str, total: int | None) -> None:
            heard.append((task, total))

        def advance(self, steps: int = 1, *, note: str = "") -> None:
            heard.append(steps)

        def finish(self) -> None:
            heard.append("end")

    teacher, config = grey_teacher()
    with filled(tmp_path, n_train=1, n_test=1) as store:
        run(store, teacher, config, progress=Recorder())
    assert heard == [("annotate", 2), 1, 1, "end"]


@pytest.mark.parametrize("look", ["tiles", "full", "crops"])
def test_frames_looked_at_at_the_same_time_get_the_labels_of_one_after_the_other(tmp_path: Path, look: str) -> None:
    teacher, config = grey_teacher(look=look)
    found = []
    for n_parallel in (1, 3):
        with filled(tmp_path / str(n_parallel), n_train=7) as store:
            summary = run(store, teacher, config, n_parallel=n_parallel)
            annotations = [store.annotation_of(frame) for frame in store.frames()]
            found.append((summary, [annotation_to_json(a, LABELS) for a in annotations if a is not None]))
    assert found[0] == found[1]
    assert len(found[0][1]) == 9
