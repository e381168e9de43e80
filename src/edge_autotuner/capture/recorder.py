"""Writes single frames with their motion regions and the background they were compared with."""

from __future__ import annotations

import numpy as np

from edge_autotuner.core import Frame, FrameSource, MotionResult
from edge_autotuner.core.types import FloatArray, ImageArray
from edge_autotuner.dataset import DatasetStore, SplitName
from edge_autotuner.dataset.pictures import PictureFormat

_NOTICEABLE_LEVELS = 3.0  # a background is stored again when it differs by more grey levels, on average


class FrameRecorder:
    """Gives frames to a dataset once, and backgrounds only when they have changed noticeably.

    Args:
        picture_format: "jpg" or "png", for frames that have no file of their own.
        source: of the frames; the bytes of its picture files are copied.

    Attributes:
        n_test: test frames written, those of an earlier run included.
    """

    def __init__(self, store: DatasetStore, picture_format: PictureFormat, source: FrameSource) -> None:
        self._store = store
        self._picture_format = picture_format
        self._source = source
        self._known_backgrounds = {(record.split, record.index): record.background for record in store.frames()}
        self._name: str | None = None
        self._luma: ImageArray | None = None
        self._names: set[str] = set()
        self.n_test = 0

    @property
    def n_backgrounds(self) -> int:
        """Different backgrounds of the frames so far."""
        return len(self._names)

    def write(
        self,
        frame: Frame,
        split: SplitName,
        motion: MotionResult | None,
        reason: str,
        *,
        sent_xyxy: FloatArray | None = None,
    ) -> None:
        """Write a frame, unless the dataset has it.

        The (S, 4) `sent_xyxy` are the motion regions that a teacher should look at; None: all.
        """
        self.n_test += split == "test"
        if self._store.has_frame(frame.index, split):
            self._follow(motion, self._known_backgrounds.get((split, frame.index)))
            return
        self._store.add_frame(
            frame,
            split=split,
            regions_xyxy=np.zeros((0, 4), np.float32) if motion is None else motion.regions_xyxy,
            sent_xyxy=sent_xyxy,
            motion_fraction=0.0 if motion is None else motion.motion_fraction,
            background=self._store_background(motion),
            reason=reason,
            picture_format=self._picture_format,
            original=self._source.original_path(frame),
        )

    def _store_background(self, motion: MotionResult | None) -> str | None:
        """Return the name of the background that fits, storing it if there is none."""
        if motion is None or motion.background is None:
            return None
        if self._luma is None or _is_noticeably_other(motion.background, self._luma):
            self._remember(motion.background, self._store.add_background(motion.background))
        return self._name

    def _follow(self, motion: MotionResult | None, name: str | None) -> None:
        """Repeat what was decided when the frame was written in an earlier run."""
        if motion is not None and motion.background is not None and name is not None and name != self._name:
            self._remember(motion.background, name)

    def _remember(self, luma: ImageArray, name: str) -> None:
        self._luma, self._name = luma, name
        self._names.add(name)


def _is_noticeably_other(a: ImageArray, b: ImageArray) -> bool:
    return a.shape != b.shape or float(np.abs(a.astype(np.int16) - b).mean()) > _NOTICEABLE_LEVELS
