"""What a user may name as a source."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from capture_samples import grey_pictures, write_video
from edge_autotuner.capture import PictureFolder, VideoFile, open_source
from edge_autotuner.errors import VideoError


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
