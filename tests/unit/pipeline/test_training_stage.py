"""How annotated frames are divided, what the student is told about one, and when a training counts as done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_autotuner.config import RunConfig, load_config
from edge_autotuner.core import FakeClock
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import DatasetError, NoLabelsFound, TrainingDiverged, TrainingError
from edge_autotuner.models.trainable_weights import load_network
from edge_autotuner.pipeline import stages
from edge_autotuner.pipeline.loop import TRAINING
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.pipeline.session import Session
from edge_autotuner.pipeline.training_samples import make_sample
from edge_autotuner.pipeline.training_stage import is_final, split_for_validation, time_to_train
from edge_autotuner.storage.lock import FolderLock
from support.runs.dataset_folders import add_frame, annotation, new_store
from support.runs.run_samples import FinishedRun, candidate_of, state_of
from support.runs.stage_samples import record_of, training_result

EMPTY = ()
CERTAIN = (10, 10, 30, 30, 0.9, 1)
UNCERTAIN = (10, 10, 30, 30, 0.2, 1)


def store_of(folder: Path, labels: list[tuple[float, ...] | None]) -> DatasetStore:
    """Make a dataset with one training frame per label; () is a frame without boxes, None one without annotation."""
    store = new_store(folder)
    for index, row in enumerate(labels):
        record = add_frame(store, index)
        if row is not None:
            store.add_annotation(record, annotation(*([row] if row else [])), teacher="t", fingerprint="f")  # type: ignore[arg-type]
    test = add_frame(store, 90, "test")
    store.add_annotation(test, annotation(CERTAIN), teacher="t", fingerprint="f")
    return store


def config(val_fraction: float = 0.2, max_val_images: int = 60) -> RunConfig:
    return RunConfig.model_validate({"training": {"val_fraction": val_fraction, "max_val_images": max_val_images}})


def parts(store: DatasetStore, settings: RunConfig) -> tuple[list[int], list[int]]:
    training, validation = split_for_validation(store, "f", settings)
    return [record.index for record, _ in training], [record.index for record, _ in validation]


def test_the_last_labelled_frames_validate(tmp_path: Path) -> None:
    assert parts(store_of(tmp_path, [CERTAIN] * 10), config()) == (list(range(8)), [8, 9])


def test_the_cut_counts_frames_with_labels(tmp_path: Path) -> None:
    """Five frames with labels, of which one validates: the last, with the empty ones after it."""
    labels = [CERTAIN, EMPTY, CERTAIN, CERTAIN, EMPTY, CERTAIN, EMPTY, CERTAIN, EMPTY, UNCERTAIN]
    assert parts(store_of(tmp_path, labels), config()) == (list(range(7)), [7, 8, 9])


def test_validation_is_thinned_evenly_and_the_rest_is_not_trained_on(tmp_path: Path) -> None:
    store = store_of(tmp_path, [CERTAIN] * 20)
    assert parts(store, config(0.5, max_val_images=3)) == (list(range(10)), [10, 14, 19])
    assert parts(store, config(0.5, max_val_images=1)) == (list(range(10)), [10])


def test_two_labelled_frames_are_the_least(tmp_path: Path) -> None:
    assert parts(store_of(tmp_path / "two", [EMPTY, CERTAIN, CERTAIN]), config()) == ([0, 1], [2])
    expected = (
        r"1 of 3 training frames have labels, but at least 2 are needed; capture more, lower annotation.min_score"
    )
    with pytest.raises(NoLabelsFound, match=expected):
        split_for_validation(store_of(tmp_path / "one", [UNCERTAIN, EMPTY, CERTAIN]), "f", config())
    with pytest.raises(NoLabelsFound, match="0 of 0 training frames"):
        split_for_validation(store_of(tmp_path / "none", []), "f", config())


def test_frames_that_the_teacher_has_not_seen_are_left_out(tmp_path: Path) -> None:
    assert parts(store_of(tmp_path, [None, CERTAIN, None, CERTAIN]), config()) == ([1], [3])
    with pytest.raises(NoLabelsFound, match="0 of 0 training frames"):
        split_for_validation(store_of(tmp_path / "b", [CERTAIN] * 3), "another fingerprint", config())


def test_a_sample_holds_objects_and_what_is_unknown(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    record = add_frame(store, 3)
    sample = make_sample(store, record, annotation(CERTAIN, (40, 5, 60, 20, 0.2, 0)), RunConfig().annotation)
    assert sample.size_wh == record.size_wh
    np.testing.assert_array_equal(sample.boxes_xyxy, [[10, 10, 30, 30]])
    assert sample.class_ids.tolist() == [1]
    np.testing.assert_array_equal(sample.ignored_xyxy, [[40, 5, 60, 20]])
    np.testing.assert_array_equal(sample.looked_xyxy, [[0, 0, 64, 48]])
    np.testing.assert_array_equal(sample.read_image(), store.read_image(record))
    assert sample.weights is None


def test_a_sample_without_labels(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    sample = make_sample(store, add_frame(store, 3), annotation(), RunConfig().annotation)
    assert sample.boxes_xyxy.shape == (0, 4)
    assert sample.ignored_xyxy.shape == (0, 4)
    assert sample.class_ids.shape == (0,)


@pytest.mark.parametrize(
    ("score_weight", "weights"), [(0.0, None), (0.5, [0.95, 0.75]), (1.0, [0.9, 0.5])], ids=["off", "half", "full"]
)
def test_labels_count_by_the_score(score_weight: float, weights: list[float] | None, tmp_path: Path) -> None:
    store = new_store(tmp_path)
    rows = annotation((10, 10, 30, 30, 0.9, 1), (5, 5, 9, 9, 0.2, 1), (30, 5, 50, 20, 0.5, 0))
    sample = make_sample(store, add_frame(store, 3), rows, RunConfig().annotation, score_weight=score_weight)
    assert len(sample.boxes_xyxy) == 2
    if weights is None:
        assert sample.weights is None
    else:
        assert sample.weights is not None
        assert sample.weights.dtype == np.float32
        assert sample.weights.tolist() == pytest.approx(weights)


# --- done or not


def trained(folder: Path, stopped_by: str, allowed_s: float | None, **settings: Any) -> Session:
    """Return a session whose folder has a finished training "f"."""
    session = Session(RunFolder(folder), RunConfig.model_validate(settings), clock=FakeClock())
    session.folder.finish("training", record_of(training_result(stopped_by=stopped_by, allowed_s=allowed_s)))
    return session


@pytest.mark.parametrize(
    ("stopped_by", "allowed_s", "settings", "is_done"),
    [
        pytest.param("epochs", None, {}, True, id="all epochs"),
        pytest.param("patience", 60, {"training": {"deadline_s": 600}}, True, id="patience"),
        pytest.param("deadline", 60, {}, False, id="any time"),
        pytest.param("deadline", 60, {"training": {"deadline_s": 61}}, False, id="more time"),
        pytest.param("deadline", 60, {"training": {"deadline_s": 60}}, True, id="the same time"),
        pytest.param("deadline", 60, {"training": {"deadline_s": 5}}, True, id="less time"),
        pytest.param("deadline", 60, {"deadline_s": 90}, False, id="more time for the job"),
        pytest.param("deadline", 60, {"deadline_s": 90, "training": {"deadline_s": 60}}, True, id="the shorter counts"),
    ],
)
def test_a_training_that_a_deadline_stopped_goes_on_with_more_time(
    stopped_by: str, allowed_s: float | None, settings: dict[str, Any], is_done: bool, tmp_path: Path
) -> None:
    session = trained(tmp_path, stopped_by, allowed_s, **settings)
    assert is_final(session, "f") == is_done
    assert not is_final(session, "another fingerprint")


def test_a_training_that_never_was_is_not_done(tmp_path: Path) -> None:
    assert not is_final(Session(RunFolder(tmp_path), RunConfig(), clock=FakeClock()), "f")


# --- on a finished run


def with_training(folder: Path, **changes: Any) -> RunConfig:
    settings = load_config(folder / "settings.yaml").model_dump(mode="json")
    settings["training"] |= changes
    return RunConfig.model_validate(settings)


def test_divergence_leaves_the_best_weights_as_a_model(finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    before = state_of(folder)
    settings = with_training(folder, layers="all")
    explosive = settings.training.model_copy(update={"max_lr": 1e30})  # far beyond what a user may set
    explosive_settings = settings.model_copy(update={"training": explosive})
    with pytest.raises(TrainingDiverged, match=r"at epoch \d, step \d, .* are in (\S+)$") as caught:
        stages.tune(folder, explosive_settings)
    network, labels = load_network(Path(str(caught.value).rsplit(" ", 1)[1]))
    assert (network.architecture, len(labels)) == ("yolox-nano", 6)
    assert all(weights.isfinite().all() for weights in network.state_dict().values())
    assert state_of(folder) == before, "the training before still counts"
    assert TrainingDiverged.exit_code == 9


def test_a_deadline_that_is_too_short_says_what_to_give(finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    expected = r"s are too short to learn anything: on this machine, a step takes .*; give the training at least"
    with pytest.raises(TrainingError, match=expected):
        stages.tune(folder, with_training(folder, deadline_s=0.01, seed=5))


def test_two_trainings_in_one_run_exclude_each_other(finished_run: FinishedRun, tmp_path: Path) -> None:
    folder = finished_run.copy(tmp_path / "run")
    lock = FolderLock(folder / "training")
    with pytest.raises(DatasetError, match=r"training is being written by another run; wait for it"):
        stages.tune(folder, with_training(folder, seed=5))
    lock.release()
    assert stages.tune(folder) == candidate_of(folder), "the finished one is still there, and the lock is free again"


def test_the_deadline_covers_what_follows_the_training(tmp_path: Path) -> None:
    """Half a second for the files; with a reservoir, 20 ms for each frame that it is offered."""
    clock = FakeClock()
    for reservoir, left_s in ((None, 8.5), (str(tmp_path / "reservoir"), 6.5)):
        settings = {"deadline_s": 10, "training": {"replay": {"folder": reservoir}}}
        session = Session(RunFolder(tmp_path), RunConfig.model_validate(settings), clock=clock)
        deadline = session.deadline(TRAINING)
        clock.advance(1)  # reading labels
        assert time_to_train(deadline, session, n_frames=100).remaining_s == pytest.approx(left_s)
    forever = Session(RunFolder(tmp_path), RunConfig(), clock=clock)
    assert time_to_train(forever.deadline(TRAINING), forever, n_frames=100).budget_s is None
