"""What the node writes of a camera whose pictures are treated before they are stored, and what waits too long."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_autotuner.capture import MotionGate
from edge_autotuner.config import CaptureConfig, RunConfig
from edge_autotuner.config.node import CameraConfig, NodeConfig
from edge_autotuner.core import Detector, FakeClock, LabelMap, Observation
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.node.camera_collector import CameraCollector
from edge_autotuner.node.camera_folder import CameraFolder
from support.cameras.capture_samples import scene_with_square
from support.cameras.frames import frame_of
from support.cameras.plain_scene import GreyDetector
from support.cameras.private_scene import n_striped, private_frame, write_figure_finder
from support.runs.run_samples import camera

CARS = GreyDetector(labels=LabelMap(("person", "car")))
CAPTURE = CaptureConfig.model_validate({"background": {"method": "first"}, "picture_format": "png"})


@dataclass
class Model:
    """The deployed model of a camera."""

    detector: Detector = CARS


def collecting(folder: Path, clock: FakeClock, privacy: dict[str, Any], **storage: Any) -> CameraCollector:
    run = RunConfig.model_validate(
        {
            "capture": CAPTURE,
            "annotation": {"classes": ["car"], "min_crop_px": 16, "crop_margin": 0.0},
            "privacy": privacy,
        }
    )
    node = NodeConfig.model_validate(
        {
            "folder": folder,
            "cameras": [CameraConfig(name="gate", source="street.mp4")],
            "storage": {"min_free_mb": 0, **storage},
        }
    )
    model: Any = Model()
    return CameraCollector(CameraFolder(folder / "gate"), "street.mp4", run, node, model=model, clock=clock)


def show(to: CameraCollector, frames: range, *, after_s: float = 0.0) -> None:
    to.begin_source(camera())
    gate = MotionGate(CAPTURE.motion, CAPTURE.background)
    for index in frames:
        frame = frame_of(private_frame(index), index=index, time_s=index / 10 + after_s)
        to.observe(Observation("gate", frame, gate.look(frame)))


def pictures(folder: Path) -> list[int]:
    """Return how striped the stored frames and backgrounds are."""
    with DatasetStore.open(folder / "gate/batches/00000001/dataset") as store:
        return [n_striped(store.read_image(record)) for record in store.frames()]


def test_the_original_is_never_written(tmp_path: Path) -> None:
    finder = write_figure_finder(tmp_path / "finder")
    privacy = {"outside": "blur", "hide_classes": ["person"], "hide_with": str(finder)}
    for name, rules in (("open", {}), ("treated", privacy | {"apply": "at_rest"})):
        watch = collecting(tmp_path / name, FakeClock(), rules)
        show(watch, range(60))
        watch.close()
    assert max(pictures(tmp_path / "open")) > 800
    assert len(pictures(tmp_path / "treated")) == len(pictures(tmp_path / "open"))
    assert max(pictures(tmp_path / "treated")) <= 60


def test_other_rules_begin_another_dataset(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = collecting(tmp_path, FakeClock(), {})
    show(first, range(40))
    first.close()
    second = collecting(tmp_path, FakeClock(), {"outside": "blur", "apply": "at_rest"})
    show(second, range(40, 60))
    second.close()
    assert "starts again" in caplog.text
    assert max(pictures(tmp_path)) <= 400, "the figure walks where something moves, the poster hangs outside"


def test_nothing_is_written_before_there_is_what_hides(tmp_path: Path) -> None:
    watch = collecting(tmp_path, FakeClock(), {"hide_classes": ["person"], "apply": "at_rest"})
    show(watch, range(30))
    assert watch.problem is not None
    assert "privacy.hide_classes" in watch.problem
    assert not list(tmp_path.rglob("*.png"))


def test_a_model_that_cannot_find_it_stops_the_collecting_only(tmp_path: Path) -> None:
    finder = write_figure_finder(tmp_path / "finder")
    privacy = {"hide_classes": ["dog"], "hide_with": str(finder), "apply": "at_rest"}
    watch = collecting(tmp_path / "node", FakeClock(), privacy)
    show(watch, range(30))
    assert watch.problem is not None
    assert "dog" in watch.problem
    assert not list((tmp_path / "node").rglob("*.png"))


def test_a_batch_that_does_not_become_complete_is_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    watch = collecting(tmp_path, clock, {}, keep_waiting_s=100)
    show(watch, range(40))
    n_before = len(pictures(tmp_path))
    clock.advance(1e9)
    show(watch, range(40, 50), after_s=95)
    assert len(pictures(tmp_path)) >= n_before > 0, "a clock that was set ages nothing"
    with caplog.at_level(logging.WARNING):
        show(watch, range(51, 53), after_s=95)
    assert "is NOT complete after" in caplog.text
    assert len(pictures(tmp_path)) <= 1, "a new batch begins"
    watch.close()


def test_a_later_batch_starts_with_a_background_that_is_known(tmp_path: Path) -> None:
    """The gate belongs to the camera's watch: only the first batch has frames that cannot be compared."""
    clock = FakeClock()
    capture = CaptureConfig.model_validate(
        {"background": {"n_frames": 5, "every_k_frames": 2}, "picture_format": "png", "max_test_images": 3}
    )
    node = NodeConfig.model_validate(
        {
            "cameras": [CameraConfig(name="gate", source="street.mp4")],
            "storage": {"min_free_mb": 0},
            "batch": {"max_frames": 10, "min_frames": 1, "max_age_s": 6.0, "pause_s": 1.0},
        }
    )
    model: Any = Model()
    folder = CameraFolder(tmp_path / "gate")
    watch = CameraCollector(folder, "street.mp4", RunConfig(capture=capture), node, model=model, clock=clock)
    watch.begin_source(camera())
    gate = MotionGate(capture.motion, capture.background)
    for index in range(300):
        frame = scene_with_square(index, 4 * (index % 40))
        watch.observe(Observation("gate", frame, gate.look(frame)))
        clock.advance(0.1)
    closed = [batch for batch in folder.batches() if batch.is_collected]
    assert len(closed) >= 2
    records = [batch.run.stage("capture") for batch in closed]
    unknown = [record.summary["reasons"].get("background unknown", 0) for record in records if record]
    assert unknown[0] > 0
    assert set(unknown[1:]) == {0}
