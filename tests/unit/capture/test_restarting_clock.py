"""Five pieces of six seconds, put together with `cat`: each starts at 0, and time must still be right."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from edge_autotuner.capture import EventLog, VideoFile, collect_frames
from edge_autotuner.capture.live import LiveSource, RealtimeFeed
from edge_autotuner.capture.live.connection import CameraConnection
from edge_autotuner.config import CaptureConfig, StreamConfig
from edge_autotuner.core import STREET_6, Deadline, FakeClock, NoProgress
from edge_autotuner.dataset import DatasetStore
from support.cameras.capture_samples import write_video
from support.cameras.stated_videos import moving_square, write_stated


@pytest.fixture
def joined(tmp_path: Path) -> VideoFile:
    """Return 300 frames at 10 Hz whose stamps start again after every 60."""
    pictures = moving_square(300)
    for number in range(5):
        part = pictures[60 * number : 60 * number + 60]
        write_video(tmp_path / f"{number}.ts", part, codec="libx264", pix_fmt="yuv420p")
    (tmp_path / "all.ts").write_bytes(b"".join((tmp_path / f"{number}.ts").read_bytes() for number in range(5)))
    return VideoFile(tmp_path / "all.ts")


def test_selected_frames_are_spread_over_all_of_it(joined: VideoFile, tmp_path: Path) -> None:
    config = CaptureConfig.model_validate(
        {"max_images": 10, "background": {"method": "first"}, "motion": {"min_region_px": 8}, "max_test_images": 4}
    )
    settings = config.model_dump(mode="json")
    events = EventLog()
    video = VideoFile(tmp_path / "all.ts", on_event=events.add)
    with DatasetStore.create(tmp_path / "data", source=video.info, labels=STREET_6, settings=settings) as store:
        summary = collect_frames(
            video, store, config, events=events, deadline=Deadline(clock=FakeClock()), progress=NoProgress()
        )
        times_s = [frame.time_s for frame in store.frames("train")]
        kinds = [event.kind for event in store.events()]
    assert len(times_s) == 10
    assert max(later - earlier for earlier, later in itertools.pairwise(times_s)) < 4
    assert times_s[-1] > 20
    assert summary.watched_s == pytest.approx(29.0, abs=1.0)
    assert summary.n_times_repaired == 4
    assert kinds.count("times repaired") == 3  # at 6, 12 and 24 s: more and more rarely


def test_it_is_played_for_thirty_seconds_and_nothing_is_dropped(joined: VideoFile) -> None:
    clock = FakeClock(elapsed_s=5.0)
    with LiveSource(RealtimeFeed(joined, clock=clock), clock=clock, lossless=True) as source:
        assert source.length_s == pytest.approx(30.0)
        times_s = [frame.time_s for frame in source.frames()]
        assert source.n_dropped == 0
    assert times_s == pytest.approx([number / 10 for number in range(300)], abs=0.001)


def test_a_recording_of_a_web_server_is_upright_and_deep_grey_visible(tmp_path: Path) -> None:
    """What comes over the network is shown as what comes from a file."""
    deep = [picture.astype(np.uint16) // 4 + 30000 for picture in moving_square(3)]
    turned = tmp_path / "turned.mp4"
    write_stated(turned, moving_square(3), state=lambda stream: stream.set_display_rotation(90))
    write_stated(tmp_path / "deep.mkv", deep, codec="ffv1", pix_fmt="gray16le")
    for path, shape, contrast in ((turned, (64, 48), 100), (tmp_path / "deep.mkv", (48, 64), 60)):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            connection = CameraConnection(
                container, stream, StreamConfig(), FakeClock(), lambda: None, None, threading.Event()
            )
            pictures = list(itertools.islice(connection.pictures(), 2))
        assert pictures[0].luma.shape == pictures[0].to_bgr().shape[:2] == shape
        assert int(pictures[0].luma.max()) - int(pictures[0].luma.min()) > contrast
