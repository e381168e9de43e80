"""The capture stage with a real dataset folder and frames in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_autotuner.capture import CaptureSummary, PictureFolder, collect_frames, collect_test_frames
from edge_autotuner.config import CaptureConfig
from edge_autotuner.core import STREET_6, Deadline, FakeClock, Frame, FrameSource, NoProgress
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import DatasetError, EvaluationError, VideoError
from support.cameras.capture_samples import ListedFrames, frame_of, scene_with_square

CONFIG = CaptureConfig.model_validate(
    {"background": {"n_frames": 5, "every_k_frames": 2}, "motion": {"min_region_px": 8}, "picture_format": "png"}
)


def _passing_square(n_frames: int = 50) -> list[Frame]:
    """Return frames: empty up to 9, a square that passes from 10 to 29, empty, a square again from 40 on."""
    lefts = [7 * (i - 10) if 10 <= i < 30 else 7 * (i - 40) if i >= 40 else None for i in range(n_frames)]
    return [scene_with_square(index, left) for index, left in enumerate(lefts)]


def _store(tmp_path: Path, source: FrameSource, config: CaptureConfig = CONFIG, name: str = "data") -> DatasetStore:
    settings = config.model_dump(mode="json")
    return DatasetStore.create(tmp_path / name, source=source.info, labels=STREET_6, settings=settings)


def _collect(
    source: FrameSource, store: DatasetStore, config: CaptureConfig = CONFIG, **options: Any
) -> CaptureSummary:
    options = {"deadline": Deadline(clock=FakeClock()), "progress": NoProgress(), **options}
    return collect_frames(source, store, config, **options)


class _KilledAfter(ListedFrames):
    """Stops like a process that is killed."""

    def __init__(self, frames: list[Frame], n_frames: int) -> None:
        super().__init__(frames)
        self._n_before_kill = n_frames

    def frames(self) -> Any:
        for frame in super().frames():
            if frame.index >= self._n_before_kill:
                raise KeyboardInterrupt
            yield frame


class _SlowFrames(ListedFrames):
    """Every frame takes a second."""

    def __init__(self, frames: list[Frame], clock: FakeClock) -> None:
        super().__init__(frames)
        self._clock = clock

    def frames(self) -> Any:
        for frame in super().frames():
            self._clock.advance(1.0)
            yield frame


class _Counted(NoProgress):
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def start(self, task: str, total: int | None) -> None:
        self.calls.append((task, total))

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        self.calls.append(steps)

    def finish(self) -> None:
        self.calls.append("finish")


def test_selects_frames_with_the_square_and_keeps_the_last_fifth(tmp_path: Path) -> None:
    source = ListedFrames(_passing_square())
    with _store(tmp_path, source) as store:
        summary = _collect(source, store)
        train, test = store.frames("train"), store.frames("test")
    moving = [record for record in train if record.reason == "new motion"]
    assert {record.index for record in moving} <= set(range(10, 30))
    assert len(moving) >= 5
    assert [record.index for record in test] == list(range(40, 50))
    for record in moving:
        left = 7 * (record.index - 10)
        ((x1, y1, x2, y2),) = record.regions_xyxy
        assert x1 <= left
        assert min(160, left + 24) <= x2
        assert y1 <= 50 < 74 <= y2
        assert record.motion_fraction == pytest.approx((x2 - x1) * (y2 - y1) / (160 * 120))
    empty = [record for record in train if record.reason == "empty"]
    assert len(empty) == len(train) - len(moving) == summary.reasons["empty"] == 1
    assert not empty[0].regions_xyxy
    assert test[5].regions_xyxy
    assert test[5].reason == "kept for the evaluation"
    assert summary.n_train == len(train) == summary.reasons["selected"] + 1
    assert summary.n_test == 10
    assert summary.n_frames == 50
    assert sum(summary.reasons.values()) == 40
    assert summary.reasons["background unknown"] == 5
    assert not summary.deadline_hit


def test_summary_numbers(tmp_path: Path) -> None:
    source = ListedFrames(_passing_square())
    with _store(tmp_path, source) as store:
        summary = _collect(source, store)
        train = store.frames("train")
    assert summary.pixels_captured == round(sum(record.motion_fraction for record in train) * 160 * 120)
    assert 0 < summary.mean_motion_fraction < 0.2
    assert 0 < summary.median_region_fraction < 0.2
    assert summary.n_backgrounds == 1


def test_stored_pictures_are_the_frames(tmp_path: Path) -> None:
    frames = _passing_square()
    source = ListedFrames(frames)
    with _store(tmp_path, source) as store:
        _collect(source, store)
        for record in store.frames():
            np.testing.assert_array_equal(store.read_image(record)[..., 0], frames[record.index].luma)
        background = store.read_background(store.frames("train")[0].background or "")
    assert background.shape == (120, 160)
    assert np.abs(background.astype(int) - frames[0].luma).mean() < 3


@pytest.mark.parametrize("n_frames_before_kill", [0, 8, 17, 30, 45])
def test_killed_run_continues_to_the_same_result(tmp_path: Path, n_frames_before_kill: int) -> None:
    frames = _passing_square()
    source = ListedFrames(frames)
    with _store(tmp_path, source, name="undisturbed") as store:
        expected_summary = _collect(source, store)
        expected = store.frames()
    with _store(tmp_path, source) as store, pytest.raises(KeyboardInterrupt):
        _collect(_KilledAfter(frames, n_frames_before_kill), store)
    with _store(tmp_path, source) as store:
        assert _collect(source, store) == expected_summary
        assert store.frames() == expected
        assert len(list((store.folder / "backgrounds").iterdir())) == expected_summary.n_backgrounds


def test_finished_capture_is_not_repeated(tmp_path: Path) -> None:
    source = ListedFrames(_passing_square())
    with _store(tmp_path, source) as store:
        first = _collect(source, store)
    again = ListedFrames(_passing_square())
    with _store(tmp_path, source) as store:
        assert _collect(again, store) == first
    assert again.n_decoded == 0


def test_backgrounds_are_stored_when_the_light_changes(tmp_path: Path) -> None:
    frames = [
        frame_of(
            np.clip(frame.luma.astype(int) + (40 if frame.index >= 20 else 0), 0, 255).astype(np.uint8), frame.index
        )
        for frame in _passing_square()
    ]
    config = CONFIG.model_copy(update={"min_change_fraction": 0.0})
    source = ListedFrames(frames)
    with _store(tmp_path, source, config) as store:
        summary = _collect(source, store, config)
        names = {record.background for record in store.frames()}
    assert summary.n_backgrounds == len(names) >= 2


def test_deadline_ends_the_selection_but_not_the_test_frames(tmp_path: Path) -> None:
    clock = FakeClock()
    source = _SlowFrames(_passing_square(), clock)
    with _store(tmp_path, source) as store:
        summary = _collect(source, store, deadline=Deadline(18, clock))
        train, test = store.frames("train"), store.frames("test")
    assert summary.deadline_hit
    assert summary.decode_s == 50.0
    assert max(record.index for record in train) <= 17
    assert [record.index for record in test] == list(range(40, 50))
    assert all(record.regions_xyxy == () and record.background is None for record in test)


def test_run_that_hit_the_deadline_goes_on_when_given_time(tmp_path: Path) -> None:
    clock = FakeClock()
    source = _SlowFrames(_passing_square(), clock)
    with _store(tmp_path, source) as store:
        short = _collect(source, store, deadline=Deadline(18, clock))
        longer = _collect(source, store)
    assert longer.n_train > short.n_train
    assert not longer.deadline_hit


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        pytest.param([scene_with_square(i, None) for i in range(30)], "no motion at all in frames 0:24", id="still"),
        pytest.param([scene_with_square(i, 4 * i) for i in range(5)], "too few to learn the background", id="short"),
    ],
)
def test_nothing_selected(tmp_path: Path, frames: list[Frame], words: str) -> None:
    source = ListedFrames(frames)
    with _store(tmp_path, source) as store, pytest.raises(VideoError, match=words):
        _collect(source, store)


def test_deadline_before_the_first_frame(tmp_path: Path) -> None:
    clock = FakeClock()
    source = _SlowFrames(_passing_square(), clock)
    with _store(tmp_path, source) as store, pytest.raises(VideoError, match="deadline passed before"):
        _collect(source, store, deadline=Deadline(3, clock))


def test_decoding_stops_after_the_last_needed_frame(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"train_frames": (0, 20), "test_frames": (22, 30)})
    source = ListedFrames(_passing_square())
    with _store(tmp_path, source, config) as store:
        summary = _collect(source, store, config)
    assert summary.n_frames == 30
    assert source.n_decoded <= 31
    assert summary.n_test == 8


def test_source_that_ends_early_is_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = ListedFrames(_passing_square()[:46], n_frames=50)
    with _store(tmp_path, source) as store:
        summary = _collect(source, store)
    assert summary.n_test == 6
    assert "ended early: 6 of 10 test frames" in caplog.text


def test_no_test_frames_with_another_source(tmp_path: Path) -> None:
    source = ListedFrames(_passing_square())
    with _store(tmp_path, source) as store:
        summary = _collect(source, store, keep_test=False)
        assert store.frames("test") == []
    assert summary.n_test == 0
    assert sum(summary.reasons.values()) == 50


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    source, progress = ListedFrames(_passing_square()), _Counted()
    with _store(tmp_path, source) as store:
        _collect(source, store, progress=progress)
    assert progress.calls[0] == ("capture", 50)
    assert progress.calls[1:-1] == [1] * 50
    assert progress.calls[-1] == "finish"


def _picture_folder(folder: Path, frames: list[Frame]) -> PictureFolder:
    folder.mkdir()
    for frame in frames:
        cv2.imwrite(str(folder / f"{frame.index}.jpg"), frame.luma)
    return PictureFolder(folder)


def test_pictures_of_a_folder_are_copied_unchanged(tmp_path: Path) -> None:
    source = _picture_folder(tmp_path / "pictures", _passing_square())
    with _store(tmp_path, source) as store:
        _collect(source, store)
        records = store.frames()
        assert records
        for record in records:
            assert record.file_name == f"{record.index}.jpg"
            original = tmp_path / "pictures" / f"{record.index}.jpg"
            assert (store.folder / record.file).read_bytes() == original.read_bytes()


def _collect_tests(source: FrameSource, store: DatasetStore, **options: Any) -> CaptureSummary:
    config = CONFIG.model_copy(update=options.pop("settings", {}))
    options = {"ground_truth_frames": None, "progress": NoProgress(), **options}
    return collect_test_frames(source, store, config, **options)


@pytest.mark.parametrize(
    ("settings", "ground_truth", "expected"),
    [
        pytest.param({}, None, list(range(12)), id="all"),
        pytest.param({"max_test_images": 4}, None, [0, 3, 6, 9], id="evenly spread"),
        pytest.param({"test_every": 5}, None, [0, 5, 10], id="every n-th"),
        pytest.param({"test_frames": (8, None)}, None, [8, 9, 10, 11], id="by hand"),
        pytest.param({}, {3, 7}, list(range(12)), id="with ground truth"),
        pytest.param({"max_test_images": 2}, {3, 7}, [0, 3, 6, 7], id="those with ground truth besides"),
        pytest.param({"test_every": 5}, {3, 7, 9, 99}, [0, 3, 5, 10], id="every n-th of both"),
    ],
)
def test_frames_of_a_test_source(
    tmp_path: Path, settings: dict[str, Any], ground_truth: set[int] | None, expected: list[int]
) -> None:
    source = ListedFrames(_passing_square()[:12])
    with _store(tmp_path, source) as store:
        summary = _collect_tests(source, store, settings=settings, ground_truth_frames=ground_truth)
        assert [record.index for record in store.frames("test")] == expected
        assert store.frames("train") == []
    assert summary.n_test == len(expected)


def test_ground_truth_names_pictures_of_a_folder(tmp_path: Path) -> None:
    source = _picture_folder(tmp_path / "pictures", _passing_square()[:12])
    with _store(tmp_path, source) as store:
        _collect_tests(source, store, settings={"max_test_images": 2}, ground_truth_frames=["11.jpg", "2.jpg"])
        assert [record.file_name for record in store.frames("test")] == ["0.jpg", "2.jpg", "6.jpg", "11.jpg"]


@pytest.mark.parametrize("ground_truth", [{"1.jpg"}, {99}], ids=["names of a video", "outside"])
def test_ground_truth_of_something_else(tmp_path: Path, ground_truth: Any) -> None:
    source = ListedFrames(_passing_square()[:12])
    with (
        _store(tmp_path, source) as store,
        pytest.raises(EvaluationError, match=r"lists none of the .* frames of listed"),
    ):
        _collect_tests(source, store, ground_truth_frames=ground_truth)


def test_test_frames_of_two_sources_are_not_mixed(tmp_path: Path) -> None:
    one, other = (ListedFrames(_passing_square()[:6], name=name) for name in ("one", "other"))
    with _store(tmp_path, one) as store:
        _collect_tests(one, store)
        assert _collect_tests(one, store).n_test == 6
        with pytest.raises(DatasetError, match="test frames of another source than other"):
            _collect_tests(other, store)
