"""Pictures are shown the way up that their file says."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_autotuner.capture import VideoFile
from edge_autotuner.capture.upright import UPRIGHT, Orientation, orientation_of_matrix
from edge_autotuner.core.types import ImageArray
from support.cameras.stated_videos import moving_square, write_stated

_TURNS = [(degrees, hflip, vflip) for degrees in (0, 90, 180, 270) for hflip, vflip in ((False, False), (True, False))]


def _matrix(a: float, b: float, c: float, d: float) -> bytes:
    ones = [round(value * 65536) for value in (a, b, 0, c, d, 0, 0, 0)]
    return struct.pack("=9i", *ones, 1 << 30)


@pytest.mark.parametrize(("degrees", "hflip", "vflip"), _TURNS)
def test_every_orientation_of_a_file_is_followed(tmp_path: Path, degrees: int, hflip: bool, vflip: bool) -> None:
    stored = moving_square(3)
    write_stated(
        tmp_path / "a.mp4", stored, state=lambda stream: stream.set_display_rotation(degrees, hflip=hflip, vflip=vflip)
    )
    shown = np.rot90(stored[0], degrees // 90)  # counterclockwise, as FFmpeg states it
    shown = np.fliplr(shown) if hflip else shown
    video = VideoFile(tmp_path / "a.mp4")
    frame = next(video.frames())
    assert video.info.size_wh == frame.size_wh == (shown.shape[1], shown.shape[0])
    assert frame.image_bgr.shape[:2] == shown.shape
    assert float(np.abs(frame.image_bgr[..., 0].astype(int) - shown).mean()) < 4
    assert _corner(frame.luma) == _corner(shown)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_opencv_shows_the_same(tmp_path: Path, degrees: int) -> None:
    write_stated(tmp_path / "a.mp4", moving_square(3), state=lambda stream: stream.set_display_rotation(degrees))
    done, picture = cv2.VideoCapture(str(tmp_path / "a.mp4")).read()
    assert done
    ours = next(VideoFile(tmp_path / "a.mp4").frames()).image_bgr
    assert float(np.abs(ours.astype(int) - picture).mean()) < 2


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        pytest.param(_matrix(1, 0, 0, 1), UPRIGHT, id="as stored"),
        pytest.param(_matrix(2, 0, 0, 1), UPRIGHT, id="scaled only"),
        pytest.param(_matrix(-1, 0, 0, -1), Orientation(False, True, True), id="half a turn"),
        pytest.param(_matrix(0, -1, 1, 0), Orientation(True, False, True), id="a quarter to the left"),
        pytest.param(_matrix(0, 1, -1, 0), Orientation(True, True, False), id="a quarter to the right"),
        pytest.param(_matrix(0.985, 0.174, -0.174, 0.985), Orientation(is_exact=False), id="ten degrees"),
        pytest.param(_matrix(0, 0, 0, 0), Orientation(is_exact=False), id="nothing"),
        pytest.param(b"", Orientation(is_exact=False), id="empty"),
        pytest.param(b"\xff" * 35, Orientation(is_exact=False), id="cut off"),
    ],
)
def test_matrices(matrix: bytes, expected: Orientation) -> None:
    assert orientation_of_matrix(matrix) == expected


def test_size_and_pixels_of_an_orientation() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert UPRIGHT.apply(image) is image
    assert UPRIGHT.size_of((3, 2)) == (3, 2)
    left = Orientation(True, False, True)
    assert left.size_of((3, 2)) == (2, 3)
    np.testing.assert_array_equal(left.apply(image), np.rot90(image))


def _corner(picture: ImageArray) -> tuple[int, int]:
    """Return which corner (row, column: 0 or 1) is the one that is brighter than the plane."""
    height, width = picture.shape
    means = {
        (row, column): float(
            picture[row * height * 7 // 8 :, column * width * 7 // 8 :][: height // 8, : width // 8].mean()
        )
        for row in (0, 1)
        for column in (0, 1)
    }
    return max(means, key=lambda corner: means[corner])
