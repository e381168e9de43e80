"""The contenders do the same work on the same frames, and the ratios are those within a round."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.capture import speed
from benchmarks.capture.contenders import CONTENDERS, MOVING
from benchmarks.machine import describe_machine, machine_line, memory_mb, one_core
from edge_autotuner.config import BackgroundConfig
from edge_autotuner.errors import EdgeAutotunerError
from support.cameras.capture_samples import scene_with_square, write_video

N_FRAMES = 80


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    pictures = [scene_with_square(index, (index * 3) % 160).luma for index in range(N_FRAMES)]
    write_video(path, pictures, codec="ffv1", pix_fmt="yuv420p")
    return path


@pytest.mark.parametrize("name", CONTENDERS)
def test_every_contender_looks_at_every_frame(clip: Path, name: str) -> None:
    assert sum(1 for _ in CONTENDERS[name](clip)) == N_FRAMES


def test_a_clip_of_another_length_is_refused(clip: Path) -> None:
    with pytest.raises(ValueError, match="must have 79 frames"):
        speed._seconds_of_all(CONTENDERS["decode"](clip), N_FRAMES - 1)


def test_the_moving_median_has_as_many_samples_as_the_default() -> None:
    default = BackgroundConfig()
    assert (MOVING.n_frames * MOVING.n_backgrounds, MOVING.every_k_frames) == (default.n_frames, default.every_k_frames)


def test_ratios_are_taken_within_a_round() -> None:
    results = {"clip": {"n_frames": 100}, "seconds": {"gate": [1.0, 4.0, 2.5], "decode": [0.5, 3.0, 2.0]}}
    assert speed.frames_per_s(results, "gate") == 40.0
    assert speed.speed_ratio(results, "gate", "decode") == 0.75
    assert speed.gate_ms(results) == 5.0


@pytest.mark.parametrize("n_pictures", [1, 2, 15, 30])
def test_the_median_is_exact(n_pictures: int) -> None:
    stack = np.random.default_rng(1).integers(0, 256, (n_pictures, 20, 30)).astype(np.uint8)
    assert speed.is_exact(stack)


def test_a_wrong_median_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "pixel_median", lambda stack: np.asarray(stack.mean(axis=0), np.uint8))
    stack = np.random.default_rng(1).integers(0, 256, (15, 20, 30)).astype(np.uint8)
    assert not speed.is_exact(stack)


def test_memory_is_that_of_another_process(clip: Path) -> None:
    ballast = np.ones(300_000_000, np.uint8)
    memory = speed.measure_memory(clip)
    assert memory["peak_mb"] < ballast.nbytes / 1e6 < memory_mb()
    assert memory["added_mb"] == pytest.approx(memory["peak_mb"] - memory["imports_mb"])
    assert memory["imports_mb"] > 20


def test_a_failed_memory_measurement_says_why(tmp_path: Path) -> None:
    with pytest.raises(EdgeAutotunerError, match=r"the memory measurement failed: .*VideoError"):
        speed.measure_memory(tmp_path / "missing.mp4")


def test_one_core_is_given_back() -> None:
    allowed, n_threads = os.sched_getaffinity(0), cv2.getNumThreads()
    with one_core():
        assert len(os.sched_getaffinity(0)) == 1
        assert cv2.getNumThreads() == 1
    assert os.sched_getaffinity(0) == allowed
    assert cv2.getNumThreads() == n_threads


def test_the_machine_is_described_without_its_name() -> None:
    machine = describe_machine()
    assert os.uname().nodename not in str(machine)
    assert machine_line(machine).startswith(f"{machine['cpu']}, {os.cpu_count()} cores")
