"""Pictures of a folder as the frames of a camera; their names give the order."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from edge_autotuner.core import Frame, SourceInfo
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.dataset.picture_bounds import check_foreign, pixel_bytes
from edge_autotuner.dataset.picture_header import BadPicture
from edge_autotuner.errors import VideoError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
"""File name endings, lower case, that count as pictures."""

_RATE_HZ = 1.0  # a folder has no clock


class PictureFolder:
    """The jpg, png, webp and bmp files of a folder and its subfolders, as a `FrameSource`.

    Hidden files and folders are ignored.
    """

    def __init__(self, folder: Path) -> None:
        """List the pictures and decode the first one.

        Raises:
            VideoError: the folder is missing or unreadable, holds no picture, or the first is undecodable.
        """
        self._folder = folder
        self._names = _list_pictures(folder)
        height, width = self._read(self._names[0]).shape[:2]
        self._info = SourceInfo(
            "folder", folder.resolve().name, (width, height), len(self._names), _RATE_HZ, self._hash()
        )

    @property
    def info(self) -> SourceInfo:
        """Facts about the folder; `size_wh` is the size of its first picture."""
        return self._info

    @property
    def names(self) -> tuple[str, ...]:
        """The pictures in order, paths below the folder; a frame's index is the position here."""
        return tuple(self._names)

    def frames(self) -> Iterator[Frame]:
        """Yield the pictures in the order of their names, numbers as numbers.

        Raises:
            VideoError: a picture cannot be decoded or has another size than the first.
        """
        for index, name in enumerate(self._names):
            image_bgr = self._read(name)
            _require_size(image_bgr, self._info.size_wh, self._folder / name)
            luma = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY)
            yield Frame(index, index / _RATE_HZ, luma, lambda image=image_bgr: image, name)  # type: ignore[misc]

    def original_path(self, frame: Frame) -> Path:
        """Return the file of a frame, whose bytes a dataset may copy."""
        return self._folder / self._names[frame.index]

    def indices_of(self, names: Collection[str]) -> list[int]:
        """Return the frame indices, sorted, of those names (relative to the folder) that exist."""
        return sorted(self._index_of_name[name] for name in names if name in self._index_of_name)

    @cached_property
    def _index_of_name(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self._names)}

    def _read(self, name: str) -> ImageArray:
        path = self._folder / name
        try:
            data = path.read_bytes()
            check_foreign(data)
        except OSError as exc:
            raise VideoError(f"{path} cannot be read: {exc.strerror}; check the file's rights and the disk") from exc
        except BadPicture as exc:
            raise VideoError(f"{path} would take too long to decode: {exc}; remove it from the folder") from exc
        image = cv2.imdecode(np.frombuffer(pixel_bytes(data), np.uint8), cv2.IMREAD_COLOR) if data else None
        if image is None:
            raise VideoError(f"{path} cannot be decoded as a picture; remove it from the folder or copy it again")
        return np.asarray(image, np.uint8)

    def _hash(self) -> str:
        digest = hashlib.sha256()
        for name in self._names:
            digest.update(f"{name}\0{(self._folder / name).stat().st_size}\n".encode())
        return digest.hexdigest()


def name_order(name: str) -> tuple[object, ...]:
    """Return a sort key that compares folder by folder, numbers by value and letters without case.

    >>> sorted(["10.jpg", "2.jpg", "a/1.jpg"], key=name_order)
    ['2.jpg', '10.jpg', 'a/1.jpg']
    """
    parts = tuple(
        tuple(
            (0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in re.split(r"(\d+)", part) if piece
        )
        for part in name.casefold().split("/")
    )
    return parts, name


def _list_pictures(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise VideoError(f"{folder} is not a folder; give a video file or a folder of pictures")
    try:
        relative = [path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES]
        visible = [path for path in relative if not any(part.startswith(".") for part in path.parts)]
        names = [path.as_posix() for path in visible if (folder / path).is_file()]
    except OSError as exc:
        raise VideoError(f"{folder} cannot be read: {exc.strerror}; check the folder's rights") from exc
    if not names:
        kinds = ", ".join(sorted(suffix[1:] for suffix in PICTURE_SUFFIXES))
        raise VideoError(f"{folder} holds no pictures ({kinds}); give a folder of pictures or a video file")
    return sorted(names, key=name_order)


def _require_size(image_bgr: ImageArray, size_wh: SizeWH, path: Path) -> None:
    height, width = image_bgr.shape[:2]
    if (width, height) != size_wh:
        raise VideoError(
            f"{path} is {width}x{height}, the pictures before are {size_wh[0]}x{size_wh[1]}; "
            "all pictures must come from one fixed camera: remove it or resize it"
        )
