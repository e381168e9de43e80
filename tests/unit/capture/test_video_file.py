"""A video file as a source, intact and damaged."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.capture import VideoFile
from edge_autotuner.core import CaptureEvent
from edge_autotuner.core.file_names import text_of_name
from edge_autotuner.errors import VideoError
from support.cameras.capture_samples import grey_pictures, write_video
from support.cameras.stated_videos import moving_square, write_stated


@pytest.mark.parametrize("size_wh", [(64, 48), (70, 50)], ids=["unpadded", "padded rows"])
def test_grey_video_comes_back_exactly(tmp_path: Path, size_wh: tuple[int, int]) -> None:
    pictures = grey_pictures(5, size_wh)
    write_video(tmp_path / "a.mkv", pictures, codec="ffv1", pix_fmt="gray")
    frames = list(VideoFile(tmp_path / "a.mkv").frames())
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.time_s for frame in frames] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    for frame, picture in zip(frames, pictures, strict=True):
        np.testing.assert_array_equal(frame.luma, picture)
        assert frame.image_bgr.shape == (*picture.shape, 3)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p"])
def test_luma_is_the_decoders_plane_and_read_only(tmp_path: Path, pix_fmt: str) -> None:
    white = np.full((50, 70, 3), 255, np.uint8)
    write_video(tmp_path / "a.mkv", [white], codec="ffv1", pix_fmt=pix_fmt)
    (frame,) = VideoFile(tmp_path / "a.mkv").frames()
    assert frame.luma.shape == (50, 70)
    assert not frame.luma.flags.owndata
    assert not frame.luma.flags.writeable
    assert set(np.unique(frame.luma)) <= {234, 235}  # white in the range of video
    assert int(frame.image_bgr.min()) >= 248


def test_formats_without_byte_luma_are_converted(tmp_path: Path) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 2] = 255
    write_video(tmp_path / "rgb.mkv", [red], codec="ffv1", pix_fmt="bgr0")
    (frame,) = VideoFile(tmp_path / "rgb.mkv").frames()
    assert frame.luma.shape == (48, 64)
    assert 60 <= int(frame.luma[0, 0]) <= 90  # red weighs 0.299, in full or video range
    np.testing.assert_array_equal(frame.image_bgr, red)


def test_colour_is_of_the_same_frame_even_when_asked_late(tmp_path: Path) -> None:
    pictures = [np.full((48, 64, 3), level, np.uint8) for level in range(20, 220, 20)]
    write_video(tmp_path / "a.mkv", pictures, codec="ffv1", pix_fmt="yuv444p")
    frames = list(VideoFile(tmp_path / "a.mkv").frames())
    levels = [float(frame.image_bgr.mean()) for frame in frames]
    assert levels == pytest.approx([float(picture.mean()) for picture in pictures], abs=2)


def test_info_tells_the_facts(tmp_path: Path) -> None:
    path = tmp_path / "camera.avi"
    write_video(path, grey_pictures(7, (64, 48)), codec="ffv1", pix_fmt="gray", rate=25)
    info = VideoFile(path).info
    assert (info.kind, info.name, info.size_wh, info.n_frames, info.rate_hz) == (
        "video",
        "camera.avi",
        (64, 48),
        7,
        25.0,
    )
    assert len(info.sha256) == 64


def test_hash_changes_with_the_content(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_video(tmp_path / f"{seed}.avi", grey_pictures(2, (64, 48), seed=seed), codec="ffv1", pix_fmt="gray")
    assert VideoFile(tmp_path / "0.avi").info.sha256 != VideoFile(tmp_path / "1.avi").info.sha256


def test_number_of_frames_of_video_with_b_frames(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", grey_pictures(12, (64, 48)), codec="libx264", pix_fmt="yuv420p")
    video = VideoFile(tmp_path / "a.mp4")
    frames = list(video.frames())
    assert len(frames) == video.info.n_frames == 12
    assert [frame.time_s for frame in frames] == pytest.approx([i / 10 for i in range(12)])


def test_truncated_video_gives_all_intact_frames_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = grey_pictures(20, (64, 48))
    whole, cut = tmp_path / "whole.avi", tmp_path / "cut.avi"
    write_video(whole, pictures, codec="ffv1", pix_fmt="gray")
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    video = VideoFile(cut)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        frames = list(video.frames())
    assert 8 <= len(frames) <= 12
    assert len(frames) == video.info.n_frames
    for frame, picture in zip(frames, pictures, strict=False):
        np.testing.assert_array_equal(frame.luma, picture)
    assert len(caplog.records) == 1
    assert "truncated" in caplog.text


def _join(folder: Path, sizes: list[tuple[int, int]], n_each: int, suffix: str) -> Path:
    """Write one file after the other into one, as recorders and `cat` do."""
    parts = []
    for number, size_wh in enumerate(sizes):
        part = folder / f"{number}.{suffix}"
        write_video(part, moving_square(n_each, size_wh), codec="libx264", pix_fmt="yuv420p")
        parts.append(part.read_bytes())
    joined = folder / f"joined.{suffix}"
    joined.write_bytes(b"".join(parts))
    return joined


@pytest.mark.parametrize("suffix", ["h264", "ts"])
def test_the_size_may_change_midway(tmp_path: Path, suffix: str) -> None:
    events: list[CaptureEvent] = []
    video = VideoFile(_join(tmp_path, [(64, 48), (96, 64)], 4, suffix), on_event=events.append)
    frames = list(video.frames())
    assert [frame.size_wh for frame in frames] == [(64, 48)] * 4 + [(96, 64)] * 4
    assert [frame.image_bgr.shape[:2] for frame in frames] == [(48, 64)] * 4 + [(64, 96)] * 4
    assert [frame.index for frame in frames] == list(range(8))
    assert [event.detail for event in events if event.kind == "size changed"] == ["96x64, was 64x48"]
    assert video.info.n_frames == 8


def test_stamps_that_start_again_give_times_that_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    events: list[CaptureEvent] = []
    video = VideoFile(_join(tmp_path, [(64, 48)] * 5, 60, "ts"), on_event=events.append)
    frames = list(video.frames())
    assert [frame.index for frame in frames] == list(range(300))  # as many as `ffprobe -count_frames` says
    assert [frame.time_s for frame in frames] == pytest.approx([number / 10 for number in range(300)])
    assert (video.info.n_frames, video.info.rate_hz) == (300, pytest.approx(10.0))
    assert video.span_s(range(100, 200)) == pytest.approx(10.0)
    assert video.span_s(range(250, 300)) == pytest.approx(5.0)
    assert (video.damage.n_lost, video.damage.n_times_repaired) == (0, 4)
    assert [event.time_s for event in events if event.kind == "times repaired"] == pytest.approx([6, 12, 24])
    assert "repaired 4 time stamps" in caplog.text


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_times_are_those_of_the_file_where_the_rate_varies(tmp_path: Path, suffix: str) -> None:
    stamps = [5000, 5040, 5080, 6000, 9000, 9040]
    write_stated(tmp_path / f"a.{suffix}", moving_square(6), stamps_ms=stamps, rate=25)
    video = VideoFile(tmp_path / f"a.{suffix}")
    assert [frame.time_s for frame in video.frames()] == pytest.approx([0, 0.04, 0.08, 1.0, 4.0, 4.04], abs=0.002)
    assert video.info.rate_hz == pytest.approx(5 / 4.04, rel=0.06)
    assert video.span_s(range(3)) == pytest.approx(1.0, abs=0.002)
    assert video.damage.n_times_repaired == 0


def test_a_stated_rate_that_is_wrong_is_not_believed(tmp_path: Path) -> None:
    write_stated(tmp_path / "a.mkv", moving_square(11), stamps_ms=[100 * i for i in range(11)], rate=1000)
    assert VideoFile(tmp_path / "a.mkv").info.rate_hz == pytest.approx(10.0, rel=0.01)


def test_lost_frames_keep_their_number(tmp_path: Path) -> None:
    pictures = grey_pictures(9, (64, 48))
    write_video(tmp_path / "a.avi", pictures, codec="png", pix_fmt="gray")
    data = bytearray((tmp_path / "a.avi").read_bytes())
    starts = [match.start() for match in re.finditer(b"\x89PNG", data)]
    for lost in (3, 4):
        data[starts[lost] + 60 : starts[lost] + 260] = bytes(200)  # of its compressed pixels
    (tmp_path / "a.avi").write_bytes(data)
    video = VideoFile(tmp_path / "a.avi")
    frames = list(video.frames())
    assert [frame.index for frame in frames] == [0, 1, 2, 5, 6, 7, 8]
    for frame in frames:
        np.testing.assert_array_equal(frame.luma, pictures[frame.index])
    assert frames[-1].time_s == pytest.approx(0.8)
    assert video.damage.n_lost == 2


@pytest.mark.parametrize("pix_fmt", ["gray16le", "gray12le", "gray10le"])
def test_deep_grey_keeps_a_narrow_range(tmp_path: Path, pix_fmt: str) -> None:
    bits = int(pix_fmt[4:6])
    deep = [(picture.astype(np.uint16) // 4 + 300) << (16 - bits) for picture in moving_square(4)]
    write_stated(tmp_path / "a.mkv", deep, codec="ffv1", pix_fmt=pix_fmt)
    frames = list(VideoFile(tmp_path / "a.mkv").frames())
    for frame in frames:
        assert int(frame.luma.max()) - int(frame.luma.min()) > 60
        np.testing.assert_array_equal(frame.image_bgr[..., 1], frame.luma)
    still = {int(frame.luma[40, 60]) for frame in frames}
    assert len(still) == 1  # the same value looks the same in every frame


@pytest.mark.parametrize("name", ["cam1:front.mp4", "-a.mp4", "a%d#?*.mp4", "a\nb.mp4", "caf\udce9.mp4", "http:x.mp4"])
def test_any_name_that_a_file_can_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(Path("plain.mp4"), moving_square(3), codec="libx264", pix_fmt="yuv420p")
    Path("plain.mp4").rename(name)
    video = VideoFile(Path(name))
    assert len(list(video.frames())) == 3
    assert video.info.name == text_of_name(name)


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "broken link", "circle", "too long"])
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.mp4"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
            listener.bind(str(path)[-100:] if len(str(path)) > 100 else str(path))
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "too long":
        path = tmp_path / ("a" * 300)
    else:
        path.symlink_to(path if kind == "circle" else "nowhere")
    with pytest.raises(VideoError) as caught:
        VideoFile(path)
    words = {"pipe": "is a pipe", "socket": "is a socket", "device": "is a device", "broken link": "a link to nowhere"}
    assert words.get(kind, "cannot be read") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("empty.mp4", b"", "the file is empty", id="empty"),
        pytest.param("noise.mp4", bytes(range(256)) * 20, "not a video", id="noise"),
        pytest.param("notes.txt", b"hello\nworld\n" * 50, "not a video|no pictures", id="text"),
    ],
)
def test_not_a_video(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(VideoError, match=words) as caught:
        VideoFile(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="does not exist"):
        VideoFile(tmp_path / "no.avi")


def test_video_without_frames(tmp_path: Path) -> None:
    whole, bare = tmp_path / "whole.avi", tmp_path / "bare.avi"
    write_video(whole, grey_pictures(1, (64, 48)), codec="ffv1", pix_fmt="gray")
    data = whole.read_bytes()
    bare.write_bytes(data[: data.index(b"movi") + 4])
    with pytest.raises(VideoError, match=r"no decodable frame|not a video"):
        VideoFile(bare)


def test_frames_can_be_read_again(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", grey_pictures(3, (64, 48)), codec="ffv1", pix_fmt="gray")
    video = VideoFile(tmp_path / "a.avi")
    first = [frame.luma.copy() for frame in video.frames()]
    again = [frame.luma.copy() for frame in video.frames()]
    np.testing.assert_array_equal(first, again)
