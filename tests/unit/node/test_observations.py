"""Every frame of a camera becomes an observation, also in the pause between two batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from edge_autotuner.config import CaptureConfig
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.core import (
    CaptureEvent,
    Detections,
    FakeClock,
    Frame,
    LabelMap,
    ModelFindings,
    MotionResult,
    Observation,
)
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.types import ImageArray
from edge_autotuner.node.fault_domain import FaultDomains
from edge_autotuner.node.observations import ObservationStream, RateLimit
from edge_autotuner.tracking import CameraObjects, TrackingRules
from support.cameras.capture_samples import frame_of, scene_with_square
from support.cameras.scene_changes import Sensor, Street

RATE_HZ = 25.0
LABELS = LabelMap(("person",))


@dataclass
class Model:
    """A deployed model that finds nothing."""

    looks: int = 0
    needs_motion: bool = False
    fails_at_regions: bool = False
    shown: list[MotionResult | None] = field(default_factory=list)

    def forget_scene(self) -> None:
        self.shown.clear()

    def look(self, frame: Frame, motion: MotionResult | None = None) -> ModelFindings:
        self.shown.append(motion)
        if motion is not None and self.fails_at_regions:
            raise ValueError("no regions today")
        self.looks += 1
        return ModelFindings("street", LABELS, Detections.empty())


@dataclass
class Watcher:
    """Keeps what it is shown, without the pictures."""

    needs_motion: bool = False
    error: Exception | None = None
    seen: list[Observation] = field(default_factory=list)

    def observe(self, observation: Observation) -> None:
        self.seen.append(observation)
        if self.error is not None:
            raise self.error


def stream(
    *observers: Watcher, clock: FakeClock | None = None, objects: Any = None, **node: Any
) -> tuple[ObservationStream, Model]:
    config = NodeConfig.model_validate({"cameras": [{"name": "gate", "source": "x.mp4"}], **node})
    capture = CaptureConfig.model_validate({"background": {"n_frames": 5, "every_k_frames": 1}})
    clock, model = clock or FakeClock(), Model()
    deployed: Any = model
    made = ObservationStream(
        "gate",
        capture,
        config,
        model=deployed,
        objects=objects,
        clock=clock,
        faults=FaultDomains(clock),
        observers={f"watcher {number}": observer for number, observer in enumerate(observers)},
    )
    return made, model


def show(to: ObservationStream, n_frames: int, *, first: int = 0) -> None:
    for index in range(first, first + n_frames):
        to.show(frame_of(scene_with_square(index, None).luma, index, RATE_HZ))


def test_every_frame_is_observed_in_order_with_what_the_model_found() -> None:
    watcher = Watcher()
    made, model = stream(watcher, detect={"max_rate_hz": 5})
    show(made, 50)
    assert [seen.frame.index for seen in watcher.seen] == list(range(50))
    assert [seen.frame.index for seen in watcher.seen if seen.found is not None] == list(range(0, 50, 5))
    assert made.n_looked == model.looks == 10


def test_objects_are_followed_where_the_model_looked() -> None:
    watcher = Watcher()
    made, _ = stream(watcher, objects=CameraObjects(TrackingRules()), detect={"max_rate_hz": 5})
    show(made, 50)
    assert [seen.frame.index for seen in watcher.seen if seen.tracked is not None] == list(range(0, 50, 5))


def test_tracking_that_fails_costs_no_detection() -> None:
    class Broken:
        def update(self, *_: object) -> None:
            raise MemoryError("no room for objects")

    watcher = Watcher()
    made, _ = stream(watcher, objects=Broken(), detect={"max_rate_hz": 5})
    show(made, 50)
    assert sum(seen.found is not None for seen in watcher.seen) == 10
    assert all(seen.tracked is None for seen in watcher.seen)


def test_in_the_pause_the_gate_runs_at_its_own_rate_and_knows_the_background() -> None:
    watcher = Watcher()
    made, _ = stream(watcher, idle_motion_rate_hz=5)
    show(made, 100)
    looked = [seen.frame.index for seen in watcher.seen if seen.motion is not None]
    assert looked == list(range(0, 100, 5))
    last = watcher.seen[looked[-1]].motion
    assert last is not None
    assert last.background_known
    assert made.state["has_background"]


def test_the_gate_sees_every_frame_while_an_observer_needs_its_motion() -> None:
    watcher, other = Watcher(), Watcher()
    made, _ = stream(watcher, other, idle_motion_rate_hz=5)
    show(made, 20)
    other.needs_motion = True
    show(made, 20, first=20)
    motions = [seen.motion for seen in watcher.seen[20:]]
    assert all(motion is not None and motion.background_known for motion in motions), "the background is warm"


def test_a_switched_light_is_told_in_the_pause() -> None:
    street, sensor, watcher = Street(), Sensor(), Watcher()
    made, _ = stream(watcher)

    def expose(n_frames: int, first: int, brighter_by: float) -> None:
        for index in range(first, first + n_frames):
            made.show(frame_of(sensor(street.seen() + brighter_by), index, RATE_HZ))

    expose(250, 0, 0.0)
    expose(250, 250, 45.0)
    events = [event for seen in watcher.seen for event in seen.events]
    assert [event.kind for event in events] == ["scene changed"]
    assert made.state["last_event"]["kind"] == "scene changed"


def test_events_of_the_source_come_with_the_next_frame_once() -> None:
    watcher = Watcher()
    made, _ = stream(watcher)
    made.events.add(CaptureEvent("stalled", 1.0, None, "nothing from rtsp://user:secret@camera/"))
    show(made, 2)
    (event,), nothing = watcher.seen[0].events, watcher.seen[1].events
    assert event.kind == "stalled"
    assert "secret" not in event.detail
    assert nothing == ()


def test_an_observer_that_fails_costs_the_others_nothing() -> None:
    broken, watcher, clock = Watcher(error=RuntimeError("injected")), Watcher(), FakeClock()
    made, _ = stream(broken, watcher, clock=clock)
    show(made, 20)
    assert len(watcher.seen) == 20
    assert len(broken.seen) == 1, "it rests after a failure"
    clock.advance(5)
    show(made, 1, first=20)
    assert len(broken.seen) == 2


class Confused(Watcher):
    """Cannot say what it needs."""

    @property
    def needs_motion(self) -> bool:  # type: ignore[override]
        raise RuntimeError("injected")

    @needs_motion.setter
    def needs_motion(self, value: bool) -> None:
        pass


def test_an_observer_that_cannot_say_what_it_needs_costs_no_frame() -> None:
    watcher = Watcher()
    made, _ = stream(watcher, Confused())
    show(made, 20)
    assert all(seen.motion is not None for seen in watcher.seen)


def test_a_gate_that_fails_leaves_the_motion_out(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = Watcher(needs_motion=True)
    made, _ = stream(watcher)

    def fail(frame: Frame) -> None:
        raise RuntimeError("injected")

    monkeypatch.setattr(made._gate, "look", fail)
    show(made, 5)
    assert [seen.motion for seen in watcher.seen] == [None] * 5
    assert watcher.seen[0].found is not None


def test_a_source_that_is_opened_again_starts_with_an_unknown_background() -> None:
    watcher = Watcher(needs_motion=True)
    made, _ = stream(watcher)
    show(made, 20)
    made.restart()
    show(made, 1)
    motion = watcher.seen[-1].motion
    assert motion is not None
    assert not motion.background_known


def test_objects_of_before_are_not_met_again_when_a_source_is_opened_again() -> None:
    watcher, objects = Watcher(), CameraObjects(TrackingRules(1))
    made, model = stream(watcher, objects=objects)
    found = Detections(as_boxes([[10, 10, 20, 30]]), np.array([0.9], np.float32), np.array([0]))
    model.look = lambda *_: ModelFindings("street", LABELS, found)  # type: ignore[method-assign,misc]
    show(made, 1)
    made.restart()
    show(made, 1, first=1)
    kinds = [event.kind for seen in watcher.seen if seen.tracked is not None for event in seen.tracked.events]
    assert kinds == ["appeared", "left", "appeared"]


def test_observations_change_nothing() -> None:
    luma: ImageArray = np.random.default_rng(0).integers(0, 255, (60, 80), np.uint8)
    before = luma.copy()
    made, _ = stream(Watcher(needs_motion=True))
    made.show(frame_of(luma, 0))
    np.testing.assert_array_equal(luma, before)


@pytest.mark.parametrize(
    ("times_s", "expected"),
    [
        pytest.param([0.0, 0.1, 0.2, 0.3, 0.4], [True, False, True, False, True], id="even"),
        pytest.param([0.0, 1.0, 1.1, 1.2], [True, True, False, True], id="gap"),
        pytest.param([5.0, 0.0, 0.1], [True, True, False], id="backwards"),
    ],
)
def test_limit(times_s: list[float], expected: list[bool]) -> None:
    pace = RateLimit(5.0)
    assert [pace.is_due(time_s) for time_s in times_s] == expected


def test_a_model_that_needs_motion_gets_it_with_every_frame_that_it_looks_at() -> None:
    observations, model = stream(Watcher(), detect={"max_rate_hz": 5})
    model.needs_motion = True
    for index in range(25):
        observations.show(frame_of(scene_with_square(index, 10).luma, index, RATE_HZ))
    assert len(model.shown) == model.looks == 5
    assert all(motion is not None for motion in model.shown)


def test_regions_that_fail_end_in_looks_at_whole_frames() -> None:
    watcher = Watcher()
    observations, model = stream(watcher, detect={"max_rate_hz": 5})
    model.needs_motion = model.fails_at_regions = True
    for index in range(25):
        observations.show(frame_of(scene_with_square(index, 10).luma, index, RATE_HZ))
    assert model.looks == sum(one.found is not None for one in watcher.seen) == 5
