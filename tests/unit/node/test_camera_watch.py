"""A camera is watched whatever happens to it, and its observers are shown every frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_autotuner.config.node import NodeConfig
from edge_autotuner.core import Observation, SystemClock
from edge_autotuner.deployment import deploy
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.node.camera_health import CameraState
from edge_autotuner.node.camera_watch import CameraWatch, WatchEnded
from edge_autotuner.node.fault_domain import FaultDomains
from unit.deployment.test_bundle import made

N_FRAMES = 10
LIMIT_S = 20.0


class Watched:
    """A watch of a folder of pictures, and what its outputs and its health told."""

    needs_motion = False

    def __init__(self, folder: Path, **node: Any) -> None:
        pictures = folder / "pictures"
        pictures.mkdir(parents=True)
        for number in range(N_FRAMES):
            picture = np.random.default_rng(number).integers(0, 255, (64, 128, 3), np.uint8)
            cv2.imwrite(str(pictures / f"{number:04d}.png"), picture)
        config = NodeConfig.model_validate(
            {
                "cameras": [{"name": "gate", "source": str(pictures)}],
                "run": {"capture": {"stream": {"first_retry_s": 0.01}, "background": {"method": "first"}}},
                "storage": {"min_free_mb": 0},
            }
            | node
        )
        self.folder = CameraFolder(folder / "gate")
        made(self.folder.path / "bundles" / "start", name="start")
        deploy(self.folder.path, "start")
        self.faults = FaultDomains(SystemClock())
        self.seen: list[Observation] = []
        self.told: list[CameraState] = []
        self.error: Exception | None = None
        self.watch = CameraWatch(
            config.cameras[0],
            config.run_of(config.cameras[0]),
            config,
            self.folder,
            clock=SystemClock(),
            faults=self.faults,
            outputs=self,
            on_change=self.told.append,
        )

    def observe(self, observation: Observation) -> None:
        self.seen.append(observation)
        if self.error is not None:
            raise self.error

    def run(self) -> None:
        """Watch to the end of the recording."""
        self.watch.model.refresh()
        self.watch.start()
        assert self.watch.join(LIMIT_S)


def wait_for(condition: Callable[[], bool]) -> None:
    until_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.002)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_recording_is_watched_to_its_end(watched: Watched) -> None:
    watched.run()
    assert watched.watch.is_over
    assert watched.watch.n_frames == N_FRAMES
    assert [seen.frame.index for seen in watched.seen] == list(range(N_FRAMES))
    assert [state.condition for state in watched.told] == ["watched", "ended"]


def test_without_a_model_the_camera_is_not_opened(watched: Watched) -> None:
    watched.watch.start()
    watched.watch.stop()
    assert watched.watch.join(LIMIT_S)
    assert watched.seen == []


@pytest.mark.parametrize("learns", [True, False])
def test_motion_is_looked_for_whether_the_camera_learns_or_not(tmp_path: Path, learns: bool) -> None:
    watched = Watched(tmp_path, learns=learns, idle_motion_rate_hz=1000)
    watched.run()
    assert all(seen.motion is not None for seen in watched.seen)
    assert (watched.folder.collecting() is not None) == learns


def test_outputs_that_fail_cost_no_frame(watched: Watched) -> None:
    watched.error = RuntimeError("injected")
    watched.run()
    assert len(watched.seen) == watched.watch.n_frames == N_FRAMES
    assert watched.watch.state["problem"] == "unexpected RuntimeError: injected"


def test_a_camera_that_fails_is_opened_again(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([RuntimeError("injected"), *[None] * 1000])
    original = watched.watch.model.look

    def look(frame: Any) -> Any:
        error = next(looks)
        if error is not None:
            raise error
        return original(frame)

    monkeypatch.setattr(watched.watch.model, "look", look)
    watched.run()
    assert [seen.frame.index for seen in watched.seen] == list(range(N_FRAMES))
    assert [state.condition for state in watched.told] == ["watched", "lost", "watched", "ended"]
    assert watched.told[1].problem == "unexpected RuntimeError: injected"


def test_a_thread_that_died_is_started_again_and_said(watched: Watched) -> None:
    dead = threading.Thread(target=lambda: None)
    dead.start()
    dead.join()
    watched.watch._thread = dead
    watched.watch.model.refresh()
    with pytest.raises(WatchEnded, match="restarting it"):
        watched.watch.keep_alive()
    wait_for(lambda: watched.watch.is_over)
    watched.watch.keep_alive()
    assert len(watched.seen) == N_FRAMES


def test_the_state_says_what_is_watched_and_with_which_model(watched: Watched) -> None:
    watched.run()
    state = watched.watch.state
    assert state["model"] == "start"
    assert (state["n_frames"], state["state"], state["problem"]) == (N_FRAMES, "ended", None)
    assert state["has_background"] is True
