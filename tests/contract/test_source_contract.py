"""Every source of frames, the same expectations."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_autotuner.capture import PictureFolder, VideoFile
from edge_autotuner.core import Damage, FrameSource
from edge_autotuner.simulation import SimulatedCamera
from support.cameras.capture_samples import grey_pictures, write_video

N_FRAMES, SIZE_WH = 6, (80, 64)


def _video(folder: Path, codec: str, pix_fmt: str, suffix: str) -> FrameSource:
    path = folder / f"video{suffix}"
    write_video(path, grey_pictures(N_FRAMES, SIZE_WH), codec=codec, pix_fmt=pix_fmt)
    return VideoFile(path)


def _folder(folder: Path) -> FrameSource:
    for index, picture in enumerate(grey_pictures(N_FRAMES, SIZE_WH)):
        cv2.imwrite(str(folder / f"{index}.png"), picture)
    return PictureFolder(folder)


SOURCES = {
    "mpeg4": lambda folder: _video(folder, "mpeg4", "yuv420p", ".avi"),
    "h264": lambda folder: _video(folder, "libx264", "yuv420p", ".mp4"),
    "grey": lambda folder: _video(folder, "ffv1", "gray", ".mkv"),
    "rgb": lambda folder: _video(folder, "ffv1", "bgr0", ".mkv"),
    "folder": _folder,
    "simulated": lambda folder: SimulatedCamera(SIZE_WH, N_FRAMES, seed=1),
}


@pytest.fixture(params=sorted(SOURCES))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> FrameSource:
    return SOURCES[request.param](tmp_path)


def test_is_a_frame_source(source: FrameSource) -> None:
    assert isinstance(source, FrameSource)


def test_info_agrees_with_the_frames(source: FrameSource) -> None:
    frames = list(source.frames())
    assert len(frames) == source.info.n_frames == N_FRAMES
    assert {frame.size_wh for frame in frames} == {source.info.size_wh} == {SIZE_WH}
    assert source.info.kind in {"video", "folder"}
    assert source.info.rate_hz > 0
    assert len(source.info.sha256) == 64


def test_indices_and_times_rise(source: FrameSource) -> None:
    frames = list(source.frames())
    assert [frame.index for frame in frames] == list(range(N_FRAMES))
    times = [frame.time_s for frame in frames]
    assert times[0] == 0.0
    assert times == pytest.approx([index / source.info.rate_hz for index in range(N_FRAMES)])


def test_shapes_and_types(source: FrameSource) -> None:
    for frame in source.frames():
        assert frame.luma.shape == (SIZE_WH[1], SIZE_WH[0])
        assert frame.image_bgr.shape == (SIZE_WH[1], SIZE_WH[0], 3)
        assert frame.luma.dtype == frame.image_bgr.dtype == np.uint8


def test_luma_and_colour_show_the_same(source: FrameSource) -> None:
    for frame in source.frames():
        grey = cv2.cvtColor(frame.image_bgr, cv2.COLOR_BGR2GRAY)
        assert np.corrcoef(grey.ravel(), frame.luma.ravel())[0, 1] > 0.99


def test_starts_from_the_beginning_each_time(source: FrameSource) -> None:
    first = [frame.luma.copy() for frame in source.frames()]
    next(source.frames())
    np.testing.assert_array_equal([frame.luma.copy() for frame in source.frames()], first)


def test_is_closed_by_a_with_block_and_twice(source: FrameSource) -> None:
    with source as opened:
        assert opened is source
        next(source.frames())
    source.stop()
    source.close()


def test_span_follows_the_frames(source: FrameSource) -> None:
    assert source.length_s == pytest.approx(N_FRAMES / source.info.rate_hz)
    assert source.span_s(range(N_FRAMES)) == pytest.approx(source.length_s)
    assert source.span_s(range(2, 5)) == pytest.approx(3 / source.info.rate_hz)
    assert source.span_s(range(1)) > 0


def test_an_intact_recording_has_no_damage_and_drops_nothing(source: FrameSource) -> None:
    list(source.frames())
    assert source.damage == Damage()
    assert source.n_dropped == 0


def test_names_are_those_of_the_frames(source: FrameSource) -> None:
    names = [frame.file_name for frame in source.frames() if frame.file_name is not None]
    assert list(source.names) == names
    assert len(names) in (0, N_FRAMES)


def test_an_original_file_shows_the_frame(source: FrameSource) -> None:
    for frame in source.frames():
        path = source.original_path(frame)
        if path is not None:
            np.testing.assert_array_equal(cv2.imread(str(path)), frame.image_bgr)
        assert (path is None) == (frame.file_name is None)


def test_a_recording_never_waits(source: FrameSource) -> None:
    waits: list[None] = []
    assert len(list(source.frames(while_waiting=lambda: waits.append(None)))) == N_FRAMES
    assert waits == []
