"""What a user may name as a source."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_autotuner.capture import PictureFolder, VideoFile, open_source
from edge_autotuner.capture.live import LiveSource
from edge_autotuner.config import StreamConfig
from edge_autotuner.core import FakeClock
from edge_autotuner.errors import ConfigError, VideoError
from support.cameras.capture_samples import grey_pictures, write_video
from support.cameras.live_feeds import EventList


def test_file_is_a_video_and_folder_is_pictures(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", grey_pictures(1, (64, 48)), codec="ffv1", pix_fmt="gray")
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures" / "1.png"), np.zeros((24, 32, 3), np.uint8))
    assert isinstance(open_source(tmp_path / "a.avi"), VideoFile)
    assert isinstance(open_source(str(tmp_path / "pictures")), PictureFolder)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"no\.avi does not exist; give"):
        open_source(tmp_path / "no.avi")


def test_single_picture(tmp_path: Path) -> None:
    (tmp_path / "1.JPG").write_bytes(b"any")
    with pytest.raises(VideoError, match="single picture; give the folder"):
        open_source(tmp_path / "1.JPG")


def test_a_recording_at_its_own_pace(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", grey_pictures(5, (64, 48)), codec="ffv1", pix_fmt="gray")
    clock, events = FakeClock(), EventList()
    source = open_source(
        tmp_path / "a.avi",
        StreamConfig(realtime=True),
        clock=clock,
        on_event=events,
        lossless=True,
        start_index=100,
        start_time_s=10.0,
        end_time_s=10.35,
    )
    assert isinstance(source, LiveSource)
    with source:
        frames = list(source.frames())
    assert [frame.index for frame in frames] == [100, 101, 102, 103]
    assert [frame.time_s for frame in frames] == pytest.approx([10.0, 10.1, 10.2, 10.3])
    assert (source.info.kind, source.info.name, source.info.rate_hz) == ("live", "a.avi", 10.0)
    assert events.kinds[0] == "connected"


@pytest.mark.parametrize("address", ["webcam:987", "/dev/video987"])
def test_a_camera(address: str) -> None:
    with pytest.raises(VideoError, match="/dev/video987: no such device"):
        open_source(address)


def test_an_address_that_makes_no_sense() -> None:
    with pytest.raises(ConfigError, match="is not supported"):
        open_source("rtps://cam/1")


def test_an_address_is_no_path() -> None:
    with pytest.raises(TypeError, match="pass a camera address as str") as caught:
        open_source(Path("rtsp://me:geheim@cam/1"))
    assert "geheim" not in str(caught.value)
