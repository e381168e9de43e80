"""Pictures of a folder as the frames of a camera; their names give the order."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from edge_autotuner.capture.events import EventTeller
from edge_autotuner.capture.levels import DeepImage, Levels, as_bgr, find_levels, is_grey
from edge_autotuner.capture.picture_listing import list_pictures
from edge_autotuner.core import Damage, Frame, OnEvent, SourceBase, SourceInfo, ignore_event
from edge_autotuner.core.file_names import text_of_name
from edge_autotuner.core.sources import do_nothing
from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset.picture_bounds import check_foreign, pixel_bytes
from edge_autotuner.dataset.picture_header import BadPicture
from edge_autotuner.errors import VideoError

logger = logging.getLogger(__name__)

_RATE_HZ = 1.0  # a folder has no clock
_LEVEL_SAMPLES = 16  # pictures, evenly spread, that show which of its 65,536 values a thermal camera uses
_DEEP_MODE = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH  # follows the EXIF orientation; no transparency


class PictureFolder(SourceBase):
    """The pictures of a folder and its subfolders, as a `FrameSource`.

    Hidden files and folders are ignored. Pictures are upright, as their EXIF data state it; of a file with several
    the first is used. One that cannot be decoded is left out, and the others keep their numbers.

    Attributes:
        info: facts about the folder; `size_wh` is the size of its first intact picture.
        names: the pictures in order, paths below the folder; a frame's index is the position here.
        damage: what the last call of `frames` had to leave out.
    """

    def __init__(self, folder: Path, *, on_event: OnEvent = ignore_event) -> None:
        """List the pictures and decode the first one that is intact.

        Raises:
            VideoError: the folder is missing or unreadable, or holds no picture that can be decoded.
        """
        self._folder = folder
        self._on_event = on_event
        self._pictures = list_pictures(folder)
        self.names = tuple(picture.name for picture in self._pictures)
        self.damage = Damage()
        height, width = self._first_intact().shape[:2]
        self.info = SourceInfo(
            "folder", text_of_name(folder.resolve().name), (width, height), len(self.names), _RATE_HZ, self._hash()
        )

    def frames(self, *, while_waiting: Callable[[], None] = do_nothing) -> Iterator[Frame]:
        """Yield the pictures in the order of their names, numbers as numbers.

        Raises:
            VideoError: a picture may not be read.
        """
        self.damage = Damage()
        teller = EventTeller(self._folder, self._on_event)
        size_wh = self.info.size_wh
        for index, name in enumerate(self.names):
            time_s = index / _RATE_HZ
            try:
                image_bgr = self._read(index)
            except BadPicture as exc:
                self.damage.n_lost += 1
                logger.warning("skipped %s: %s", self._pictures[index].path, exc)
                teller.tell("frames lost", time_s, f"frame {index}: {exc}")
                continue
            luma = np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), np.uint8)
            frame = Frame(index, time_s, luma, lambda image=image_bgr: image, name)  # type: ignore[misc]
            teller.note_size(frame, size_wh)
            size_wh = frame.size_wh
            yield frame

    def original_path(self, frame: Frame) -> Path | None:
        """Return the file of a frame, whose bytes a dataset may copy; None where it looks other than the frame."""
        path = self._pictures[frame.index].path
        image = _decode_if_intact(path)
        return path if image is not None and image.dtype == np.uint8 else None

    @cached_property
    def _levels(self) -> Levels:
        """How grey pictures of more than 8 bits become visible."""
        n_chosen = min(_LEVEL_SAMPLES, len(self._pictures))
        chosen = (_decode_if_intact(self._pictures[i * len(self._pictures) // n_chosen].path) for i in range(n_chosen))
        deep = [image[..., 0] for image in chosen if image is not None and _is_deep_grey(image)]
        scale_max = None if any(image.dtype.kind == "f" for image in deep) else 65535.0
        levels = find_levels(deep, scale_max=scale_max)
        if levels.is_stretched:
            logger.warning("%s: grey pictures of more than 8 bits: %s", self._folder, levels)
        return levels

    def _first_intact(self) -> ImageArray:
        reason = ""
        for index in range(len(self._pictures)):
            try:
                return self._read(index)
            except BadPicture as exc:
                reason = reason or str(exc)
        raise VideoError(
            f"none of the {len(self._pictures)} pictures in {self._folder} is usable; the first, "
            f"{self._pictures[0].path}: {reason}; open it with a viewer, or copy the pictures again"
        )

    def _read(self, index: int) -> ImageArray:
        """Return a picture in 8 bits.

        Raises:
            BadPicture: it is damaged or gone.
            VideoError: it may not be read.
        """
        image = _decode(self._pictures[index].path)
        if image.dtype == np.uint8:
            return np.asarray(image, np.uint8)
        if _is_deep_grey(image):
            return as_bgr(self._levels.apply(image[..., 0]))
        return Levels(0.0, 1.0 if image.dtype.kind == "f" else 65535.0).apply(image)

    def _hash(self) -> str:
        digest = hashlib.sha256()
        for picture in self._pictures:
            digest.update(f"{picture.name}\0{picture.n_bytes}\n".encode())
        return digest.hexdigest()


def _is_deep_grey(image: DeepImage) -> bool:
    return image.dtype != np.uint8 and is_grey(image)


def _decode_if_intact(path: Path) -> DeepImage | None:
    with suppress(BadPicture):
        return _decode(path)
    return None


def _decode(path: Path) -> DeepImage:
    """Return the (H, W, 3) BGR picture in the depth of its file.

    Raises:
        BadPicture: it is damaged or gone, or would take too long to decode.
        VideoError: it may not be read, or the disk fails.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as exc:
        raise BadPicture("the file no longer exists") from exc
    except OSError as exc:
        raise VideoError(f"{path} cannot be read: {exc.strerror}; check the file's permissions and the disk") from exc
    if not data:
        raise BadPicture("the file is empty")
    check_foreign(data)
    with suppress(cv2.error):  # larger than OpenCV allows
        image = cv2.imdecode(np.frombuffer(pixel_bytes(data), np.uint8), _DEEP_MODE)
        if image is not None:
            return np.asarray(image)
    raise BadPicture("it cannot be decoded as a picture")
