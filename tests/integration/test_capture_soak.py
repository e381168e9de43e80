"""A short simulated day through the code of a live camera: nothing grows, nothing drifts, nothing is left open."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import pytest

from benchmarks.capture.soak import growth, soak

MINUTES = 2


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return soak(tmp_path_factory.mktemp("soak") / "dataset", hours=MINUTES / 60)


def test_every_picture_is_looked_at(day: dict[str, Any]) -> None:
    assert day["n_dropped"] == 0
    lost_s = 12 * 1.5  # the camera is away twelve times
    assert MINUTES * 60 * 25 - lost_s * 25 <= day["n_frames"] <= MINUTES * 60 * 25
    assert day["n_train"] >= 100
    assert day["n_test"] == pytest.approx(200, abs=20)


def test_stamps_do_not_drift(day: dict[str, Any]) -> None:
    assert MINUTES * 60 - 2.0 <= day["last_s"] < MINUTES * 60
    assert day["time_error_ms"] < 1e-3
    assert day["wall_error_ms"] < 1e-2  # wall times count microseconds


def test_files_and_threads_are_as_many_in_every_hour(day: dict[str, Any]) -> None:
    assert len(day["samples"]) == 24
    assert {sample["threads"] for sample in day["samples"]} == {day["samples"][0]["threads"]}
    n_files = [sample["open_files"] for sample in day["samples"]]
    assert max(n_files) - min(n_files) <= 1  # a picture that is being written
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("camera ")]


def test_memory_grows_with_what_is_stored_only(day: dict[str, Any]) -> None:
    n_stored = day["n_train"] + day["n_test"]
    assert growth(day, "blocks") <= 45 * n_stored  # the index of the dataset
    assert growth(day, "rss_mb") <= 25.0  # the pictures that were seen are 170 MB
    quiet = [second["blocks"] - first["blocks"] for first, second in pairwise(day["samples"][1:4])]
    assert max(quiet) <= 600  # hours 3 and 4, in which nobody passes


def test_what_happened_is_in_the_dataset(day: dict[str, Any]) -> None:
    assert day["events"]["connection lost"] in {11, 12}
    assert day["events"]["connected"] in {12, 13}
