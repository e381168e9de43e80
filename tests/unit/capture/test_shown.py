"""Brightness and colours of decoded pictures, for every layout that cameras use."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest

from edge_autotuner.capture.shown import bgr_of, luma_of


def sample_bgr(size_wh: tuple[int, int]) -> np.ndarray:
    ramp = np.linspace(30, 220, size_wh[0])[None, :] * np.ones((size_wh[1], 1))
    return np.repeat(ramp.astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize("size_wh", [(64, 48), (70, 50)], ids=["unpadded", "padded rows"])
@pytest.mark.parametrize(
    ("layout", "is_view"),
    [
        ("yuv420p", True),  # H.264, H.265
        ("yuvj422p", True),  # webcams' and cameras' JPEG
        ("nv12", True),
        ("gray", True),
        ("yuyv422", False),  # webcams, uncompressed: brightness and colour alternate
        ("bgr24", False),
        ("yuv420p10le", False),
    ],
)
def test_luma(layout: str, is_view: bool, size_wh: tuple[int, int]) -> None:
    image = sample_bgr(size_wh)
    picture = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format=layout)
    luma = luma_of(picture)
    assert luma.shape == (size_wh[1], size_wh[0])
    assert luma.dtype == np.uint8
    if is_view:
        assert luma.base is not None
        assert not luma.flags.writeable
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    # PyAV 18.1 converts in threads: in 1 of 70 conversions of 10 bits with padded rows, 8 pixels where two slices meet
    # are wrong (correlation 0.997)
    assert np.corrcoef(grey.ravel(), luma.ravel())[0, 1] > 0.99


def test_the_view_keeps_the_picture_alive() -> None:
    luma = luma_of(av.VideoFrame.from_ndarray(np.full((48, 64), 77, np.uint8), format="gray"))
    others = [av.VideoFrame.from_ndarray(np.zeros((48, 64), np.uint8), format="gray") for _ in range(20)]
    assert len(others) == 20
    np.testing.assert_array_equal(luma, 77)


def test_colours() -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[..., 2] = 200
    np.testing.assert_array_equal(bgr_of(av.VideoFrame.from_ndarray(image, format="bgr24")), image)
