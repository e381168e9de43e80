"""Videos written picture by picture: at a rate or at given times, whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from edge_autotuner.core.types import ImageArray
from edge_autotuner.errors import StorageError
from edge_autotuner.storage.video_writer import VideoWriter


def grey(level: int) -> ImageArray:
    return np.full((48, 64, 3), level, np.uint8)


def times_of(video: Path) -> list[float]:
    with av.open(str(video)) as container:
        return [float(picture.time or 0) for picture in container.decode(video=0)]


@pytest.mark.parametrize(
    ("is_timed", "expected"),
    [
        pytest.param(False, [0.0, 0.2, 0.4], id="by the rate"),
        pytest.param(True, [0.1, 0.7, 0.701], id="at their times, which rise by at least a millisecond"),
    ],
)
def test_pictures_have_their_times(is_timed: bool, expected: list[float], tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mkv", (64, 48), rate_hz=5.0, is_timed=is_timed) as video:
        for time_s in (0.1, 0.7, 0.3):
            video.add(grey(90), time_s)
        video.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]
    assert times_of(tmp_path / "a.mkv") == pytest.approx(expected)


def write_and_fail(path: Path) -> None:
    with VideoWriter(path, (64, 48), rate_hz=5.0) as video:
        video.add(grey(90))
        raise KeyboardInterrupt


def test_without_its_end_there_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt):
        write_and_fail(tmp_path / "a.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"before"


def test_no_folder_to_write_to(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*a\.mp4: .*; check the folder's permissions"):
        VideoWriter(tmp_path / "none" / "a.mp4", (64, 48), rate_hz=5.0)
    assert list(tmp_path.iterdir()) == []


def test_a_suffix_that_no_container_has(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format"):
        VideoWriter(tmp_path / "a.xyz", (64, 48), rate_hz=5.0)
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_one_and_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    link, pipe = tmp_path / "link.mp4", tmp_path / "pipe.mp4"
    link.symlink_to("far.mp4")
    with VideoWriter(link, (64, 64), rate_hz=10) as video:
        video.add(np.zeros((64, 64, 3), np.uint8))
        video.finish()
    assert link.is_symlink()
    assert (tmp_path / "far.mp4").stat().st_size > 0
    os.mkfifo(pipe)
    with pytest.raises(StorageError, match="pipe or device"):
        VideoWriter(pipe, (64, 64), rate_hz=10)
    assert {one.name for one in tmp_path.iterdir()} == {"link.mp4", "far.mp4", "pipe.mp4"}


def test_what_a_killed_process_left_of_the_same_video_is_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    ours, others = f".unfinished-{dead.pid}-a.mp4", {f".unfinished-{dead.pid}-b.mp4", ".unfinished-1-a.mp4"}
    for name in (ours, *others):
        (tmp_path / name).write_bytes(b"half")
    with VideoWriter(tmp_path / "a.mp4", (64, 64), rate_hz=10) as video:
        video.finish()
    assert {one.name for one in tmp_path.iterdir()} == {"a.mp4", *others}
