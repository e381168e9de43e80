"""What every observer of a camera, every trigger of learning, and every order of cameras must do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_autotuner.capture import MotionGate
from edge_autotuner.config import CaptureConfig, RunConfig
from edge_autotuner.config.node import CameraConfig, JsonLinesConfig, NodeConfig, OutputsConfig
from edge_autotuner.core import (
    CaptureEvent,
    Detections,
    Detector,
    FakeClock,
    FrameObserver,
    ModelFindings,
    Observation,
)
from edge_autotuner.core.plugins import TRIGGERS
from edge_autotuner.node.camera_collector import CameraCollector
from edge_autotuner.node.camera_folder import BatchOutcome, CameraFolder
from edge_autotuner.node.learning_rules import LearnerOrder, LearningTrigger, RoundRobin
from edge_autotuner.node.outputs import Outputs
from edge_autotuner.pipeline.run_folder import StageRecord
from support.cameras.capture_samples import scene_with_square
from support.cameras.plain_scene import LABELS, GreyDetector
from support.machine.installed_plugin import NAME as EXAMPLE
from support.machine.installed_plugin import installed_example
from support.runs.run_samples import camera

CAPTURE = CaptureConfig.model_validate({"background": {"n_frames": 5, "every_k_frames": 1}})
CLOSED = StageRecord("f", 1.0, "2026-01-01T00:00:00+00:00")


@dataclass
class Model:
    detector: Detector


def outputs(folder: Path, stack: ExitStack) -> FrameObserver:
    cameras = [CameraConfig(name="gate", source="x.mp4")]
    config = OutputsConfig(json_lines=JsonLinesConfig(path=folder / "seen.jsonl"))
    return stack.enter_context(Outputs(config, cameras))


def collector(folder: Path, stack: ExitStack) -> FrameObserver:
    node = NodeConfig.model_validate(
        {"cameras": [{"name": "gate", "source": "x.mp4"}], "storage": {"min_free_mb": 0}, "batch": {"min_frames": 1}}
    )
    model: Any = Model(GreyDetector())
    made = CameraCollector(
        CameraFolder(folder / "gate"), "x.mp4", RunConfig(capture=CAPTURE), node, model=model, clock=FakeClock()
    )
    made.begin_source(camera())
    stack.callback(made.close)
    return made


OBSERVERS: dict[str, Callable[[Path, ExitStack], FrameObserver]] = {"outputs": outputs, "collector": collector}


@pytest.fixture(params=OBSERVERS.values(), ids=list(OBSERVERS))
def observer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FrameObserver]:
    with ExitStack() as stack:
        yield request.param(tmp_path, stack)


def observations(n: int = 40) -> Iterator[Observation]:
    """Yield what a camera gives: a square that walks by, with and without motion, findings and events."""
    gate = MotionGate(CAPTURE.motion, CAPTURE.background)
    boxes = Detections(np.array([[1, 2, 30, 40]], np.float32), np.array([0.9], np.float32), np.array([0], np.int64))
    for index in range(n):
        frame = scene_with_square(index, None if index < 20 else 5 * (index - 20))
        yield Observation(
            "gate",
            frame,
            gate.look(frame) if index % 7 else None,
            ModelFindings("street", LABELS, boxes) if index % 5 == 0 else None,
            (CaptureEvent("scene changed", frame.time_s, None, "a light was switched"),) if index == 30 else (),
        )


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_observer_satisfies_the_protocol(observer: FrameObserver) -> None:
    assert isinstance(observer, FrameObserver)
    assert isinstance(observer.needs_motion, bool)


def test_an_observer_takes_every_kind_of_observation(observer: FrameObserver) -> None:
    for observation in observations():
        observer.observe(observation)


def test_an_observer_changes_no_input(observer: FrameObserver) -> None:
    for observation in observations():
        motion, luma = observation.motion, observation.frame.luma.copy()
        before = (
            None if motion is None else (motion.regions_xyxy.copy(), motion.mask.copy(), motion.blurred_luma.copy())
        )
        observer.observe(observation)
        np.testing.assert_array_equal(observation.frame.luma, luma)
        if motion is not None and before is not None:
            for one, other in zip(before, (motion.regions_xyxy, motion.mask, motion.blurred_luma), strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("make", OBSERVERS.values(), ids=list(OBSERVERS))
def test_the_same_observations_leave_the_same_behind(
    make: Callable[[Path, ExitStack], FrameObserver], tmp_path: Path
) -> None:
    left = []
    for name in ("one", "other"):
        with ExitStack() as stack:
            observer = make(tmp_path / name, stack)
            for observation in observations():
                observer.observe(observation)
        left.append(written(tmp_path / name))
    assert left[0] == left[1] != {}


@pytest.mark.parametrize("make", OBSERVERS.values(), ids=list(OBSERVERS))
def test_an_observer_keeps_no_frame_alive(make: Callable[[Path, ExitStack], FrameObserver], tmp_path: Path) -> None:
    """A decoder reuses its pictures: what an observer keeps is a copy."""
    import gc
    import weakref

    with ExitStack() as stack:
        observer = make(tmp_path, stack)
        lumas = []
        for observation in observations():
            lumas.append(weakref.ref(observation.frame.luma))
            observer.observe(observation)
        del observation
        gc.collect()
        assert [luma for luma in lumas if luma() is not None] == []


@pytest.fixture(params=[*TRIGGERS.names, EXAMPLE])
def trigger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LearningTrigger:
    with installed_example(tmp_path_factory.mktemp("example") / "site"):
        made: LearningTrigger = TRIGGERS.load(request.param)
    return made


def test_a_trigger_never_gives_an_open_or_a_finished_batch(trigger: LearningTrigger, tmp_path: Path) -> None:
    folder = CameraFolder(tmp_path / "gate")
    assert trigger(folder) is None
    finished, _ = folder.new_batch(), folder.new_batch()
    finished.run.finish("capture", CLOSED)
    finished.finish(BatchOutcome("kept", "", None, CLOSED.finished_at))
    assert trigger(folder) is None


def test_asking_a_trigger_changes_nothing(trigger: LearningTrigger, tmp_path: Path) -> None:
    folder = CameraFolder(tmp_path / "gate")
    folder.new_batch().run.finish("capture", CLOSED)
    before = written(tmp_path)
    answers = [trigger(folder) for _ in range(3)]
    assert len({answer.name if answer else None for answer in answers}) == 1
    assert written(tmp_path) == before


def test_a_trigger_comes_to_every_closed_batch(trigger: LearningTrigger, tmp_path: Path) -> None:
    folder = CameraFolder(tmp_path / "gate")
    for _ in range(3):
        folder.new_batch().run.finish("capture", CLOSED)
    learned = []
    while (batch := trigger(folder)) is not None:
        learned.append(batch.name)
        batch.finish(BatchOutcome("kept", "", None, CLOSED.finished_at))
    assert sorted(learned) == ["00000001", "00000002", "00000003"]


ORDERS: dict[str, Callable[[], LearnerOrder]] = {"round robin": RoundRobin}


@pytest.fixture(params=ORDERS.values(), ids=list(ORDERS))
def order(request: pytest.FixtureRequest) -> LearnerOrder:
    made: LearnerOrder = request.param()
    return made


def test_an_order_leaves_no_camera_out(order: LearnerOrder) -> None:
    for _ in range(5):
        assert sorted(order.sort(["a", "b", "c"])) == ["a", "b", "c"]
        order.note_turn("b")
    assert order.sort([]) == []


def test_an_order_starves_no_camera(order: LearnerOrder) -> None:
    turns = []
    for _ in range(9):
        turns.append(order.sort(["a", "b", "c"])[0])
        order.note_turn(turns[-1])
    assert {camera: turns.count(camera) for camera in "abc"} == {"a": 3, "b": 3, "c": 3}
