"""Pictures and videos of what the motion gate sees: regions, changed pixels, and zones in which nothing counts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge_autotuner.capture.changes import watched_pixels
from edge_autotuner.config import MotionConfig
from edge_autotuner.core import scale_boxes
from edge_autotuner.core.types import BoolArray, ImageArray, SizeWH
from edge_autotuner.dataset.pictures import encode_picture
from edge_autotuner.errors import ConfigError, StorageError
from edge_autotuner.evaluation.report.charts import clock_text
from edge_autotuner.evaluation.report.wording import percent_text
from edge_autotuner.pipeline.watch import Sight
from edge_autotuner.storage.atomic import atomic_write_bytes, make_folder, storage_errors
from edge_autotuner.storage.own_folders import mark_if_empty
from edge_autotuner.storage.video_writer import VideoWriter

MAX_WIDTH_PX = 960
_TIMED_SUFFIXES = (".mp4", ".mkv")
_NOMINAL_RATE_HZ = 25.0  # for players that ask; the pictures have their own times

_REGION_BGR, _CHANGE_BGR, _ZONE_BGR = (77, 216, 255), (200, 60, 255), (70, 70, 230)  # yellow, pink, red
_HATCH_PX = 14
_FONT = cv2.FONT_HERSHEY_SIMPLEX


class SightPainter:
    """Draws sights of one camera in one size.

    Args:
        motion: whose zones are drawn.
        size_wh: of the first frame, pixels; wider ones are drawn smaller. The drawings keep this size when the
            camera changes its own.
    """

    def __init__(self, motion: MotionConfig, size_wh: SizeWH) -> None:
        shrink = min(1.0, MAX_WIDTH_PX / size_wh[0])
        width, height = (max(2, round(side * shrink / 2) * 2) for side in size_wh)  # video needs even sides
        self.size_wh = width, height
        self._shut_out = shut_out_mask(motion, self.size_wh)
        self._hatch = self._shut_out & (np.add.outer(np.arange(height), np.arange(width)) % _HATCH_PX < 2)

    def paint(self, sight: Sight) -> ImageArray:
        """Return the (h, w, 3) BGR drawing of a sight, of size `size_wh`."""
        canvas = np.array(cv2.resize(sight.frame.image_bgr, self.size_wh, interpolation=cv2.INTER_AREA))
        canvas[self._shut_out] = canvas[self._shut_out] // 3
        canvas[self._hatch] = _ZONE_BGR
        changed = cv2.resize(sight.motion.mask.astype(np.uint8), self.size_wh, interpolation=cv2.INTER_NEAREST) > 0
        canvas[changed] = (canvas[changed] * np.float32(0.5) + np.array(_CHANGE_BGR, np.float32) * 0.5).astype(np.uint8)
        regions = scale_boxes(sight.motion.regions_xyxy, from_size_wh=sight.frame.size_wh, to_size_wh=self.size_wh)
        for x1, y1, x2, y2 in regions.round().astype(int).tolist():
            cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), (0, 0, 0), 4)
            cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), _REGION_BGR, 2)
        _write_caption_inplace(canvas, caption(sight))
        return np.asarray(canvas, np.uint8)


def shut_out_mask(motion: MotionConfig, size_wh: SizeWH) -> BoolArray:
    """Return (H, W): where nothing counts, because a zone to ignore is there or no zone to watch is."""
    return ~watched_pixels(size_wh, ignore=motion.ignore, watch=motion.watch)


def caption(sight: Sight) -> str:
    """Return time and finding of a sight, in ASCII."""
    where = f"{clock_text(sight.frame.time_s)}  frame {sight.frame.index}"
    if not sight.motion.background_known:
        return f"{where}  learning the background"
    n_regions = len(sight.motion.regions_xyxy)
    if n_regions == 0:
        return f"{where}  no motion"
    return f"{where}  {n_regions} region{'s' * (n_regions > 1)}, {percent_text(sight.motion.motion_fraction)}"


class SightVideo:
    """Writes every sight into a video whose pictures keep their times; the file is there after `close`.

    Args:
        path: .mp4 or .mkv file.
        motion: whose zones are drawn.

    Raises:
        ConfigError: another suffix.
        StorageError: the folder does not exist.
    """

    def __init__(self, path: Path, motion: MotionConfig) -> None:
        if path.suffix.lower() not in _TIMED_SUFFIXES:
            raise ConfigError(f"--video {path}: the name must end in {' or '.join(_TIMED_SUFFIXES)}")
        if not path.parent.is_dir():
            raise StorageError(f"the folder of {path} does not exist; create it, or choose another --video")
        self.path = path
        self.n_written = 0
        self._motion = motion
        self._begun: tuple[VideoWriter, SightPainter, float] | None = None

    def add(self, sight: Sight) -> None:
        """Draw and encode a sight.

        Raises:
            StorageError: the disk is full or refuses the write.
        """
        if self._begun is None:
            painter = SightPainter(self._motion, sight.frame.size_wh)
            writer = VideoWriter(self.path, painter.size_wh, rate_hz=_NOMINAL_RATE_HZ, is_timed=True)
            self._begun = writer, painter, sight.frame.time_s
        writer, painter, start_s = self._begun
        writer.add(painter.paint(sight), sight.frame.time_s - start_s)
        self.n_written += 1

    def close(self) -> None:
        """Complete the file; without a sight there is none.

        Raises:
            StorageError: the disk is full or refuses the write; then there is no file.
        """
        if self._begun is not None:
            with self._begun[0] as writer:
                writer.finish()
            self._begun = None


class SightPictures:
    """Keeps one picture of each stretch of time: the sight with the most motion.

    Args:
        path: folder that receives frame_00000123.jpg; made if it does not exist.
        motion: whose zones are drawn.
        every_s: length of a stretch, seconds of the source.

    Raises:
        StorageError: the folder cannot be made.
    """

    def __init__(self, path: Path, motion: MotionConfig, every_s: float) -> None:
        make_folder(path)
        with storage_errors(path):
            mark_if_empty(path)
        self.path = path
        self.n_written = 0
        self._motion = motion
        self._every_s = every_s
        self._painter: SightPainter | None = None
        self._best: Sight | None = None
        self._until_s = 0.0

    def add(self, sight: Sight) -> None:
        """Remember a sight if it is the best of its stretch; at the end of a stretch the best is written.

        Raises:
            StorageError: the disk is full or refuses the write.
        """
        if self._best is None or sight.frame.time_s >= self._until_s:
            self.close()
            self._best, self._until_s = sight, sight.frame.time_s + self._every_s
        elif sight.motion.motion_fraction > self._best.motion.motion_fraction:
            self._best = sight

    def close(self) -> None:
        """Write the picture of the stretch that has begun.

        Raises:
            StorageError: the disk is full or refuses the write.
        """
        if self._best is None:
            return
        self._painter = self._painter or SightPainter(self._motion, self._best.frame.size_wh)
        name = f"frame_{self._best.frame.index:08d}.jpg"
        atomic_write_bytes(self.path / name, encode_picture(self._painter.paint(self._best), "jpg"))
        self.n_written += 1
        self._best = None


def _write_caption_inplace(canvas: ImageArray, text: str) -> None:
    scale = max(0.35, canvas.shape[1] / 1500)
    (width, height), below = cv2.getTextSize(text, _FONT, scale, 1)
    top = canvas.shape[0] - height - below - 6
    cv2.rectangle(canvas, (0, top), (width + 12, canvas.shape[0]), (20, 20, 20), cv2.FILLED)
    cv2.putText(canvas, text, (6, canvas.shape[0] - below - 2), _FONT, scale, (240, 240, 240), 1, cv2.LINE_AA)
