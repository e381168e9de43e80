"""A video file as a source, intact and damaged."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from capture_samples import grey_pictures, write_video
from edge_autotuner.capture import VideoFile
from edge_autotuner.errors import VideoError


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
    assert "damaged" in caplog.text


def test_size_change_midway_names_the_frame(tmp_path: Path) -> None:
    for number, size_wh in enumerate([(64, 48), (96, 64)]):
        write_video(tmp_path / f"{number}.h264", grey_pictures(4, size_wh), codec="libx264", pix_fmt="yuv420p")
    joined = tmp_path / "joined.h264"
    joined.write_bytes((tmp_path / "0.h264").read_bytes() + (tmp_path / "1.h264").read_bytes())
    frames = VideoFile(joined).frames()
    assert [next(frames).size_wh for _ in range(4)] == [(64, 48)] * 4
    with pytest.raises(VideoError, match="frame 4 is 96x64, the frames before are 64x48"):
        next(frames)


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
    with pytest.raises(VideoError, match=r"no frame that can be decoded|not a video"):
        VideoFile(bare)


def test_frames_can_be_read_again(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", grey_pictures(3, (64, 48)), codec="ffv1", pix_fmt="gray")
    video = VideoFile(tmp_path / "a.avi")
    first = [frame.luma.copy() for frame in video.frames()]
    again = [frame.luma.copy() for frame in video.frames()]
    np.testing.assert_array_equal(first, again)
