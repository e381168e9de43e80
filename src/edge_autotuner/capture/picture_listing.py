"""Which pictures a folder holds: its files and those of its subfolders, links to folders included."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_autotuner.core.file_names import text_of_name
from edge_autotuner.errors import VideoError
from edge_autotuner.storage.own_folders import own_folder

logger = logging.getLogger(__name__)

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
"""File name endings, lower case, that count as pictures."""

_OTHER_PICTURES = frozenset({
    ".avif", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".dng", ".nef", ".cr2", ".cr3", ".arw", ".raw", ".exr", ".svg",
})  # fmt: skip


@dataclass(frozen=True)
class ListedPicture:
    """A picture file.

    Attributes:
        name: path below the folder, "/" as separator, as text that every program can read.
        path: the file.
        n_bytes: its size.
    """

    name: str
    path: Path
    n_bytes: int


def list_pictures(folder: Path) -> list[ListedPicture]:
    """Return the pictures below a folder in the order of their names, numbers as numbers.

    Hidden files and folders are ignored. A link to a folder is followed, but no folder is read twice, so that links
    may form circles. What is left out for another reason is logged, the pictures of a run among it.

    Raises:
        VideoError: the folder is missing or unreadable, holds no picture, or is that of a run's pictures.
    """
    if not folder.is_dir():
        raise VideoError(f"{folder} is not a folder; give a video file or a folder of pictures")
    if (own := own_folder(folder.resolve())) is not None:
        raise VideoError(
            f"{folder} contains pictures written by edge-autotuner ({own.name}), selected from a recording or "
            "annotated; use the recording instead"
        )
    found, others = [], Counter[str]()
    for entry in _files_below(folder, others):
        suffix = os.path.splitext(entry.name)[1].lower()
        if suffix in PICTURE_SUFFIXES:
            found += _as_picture(entry, folder, others)
        elif suffix in _OTHER_PICTURES:
            others[f"{suffix[1:]} (convert them to png or jpg)"] += 1
    left_out = ", ".join(f"{n} {kind}" for kind, n in sorted(others.items()))
    if not found:
        kinds = ", ".join(sorted(suffix[1:] for suffix in PICTURE_SUFFIXES))
        instead = f", only {left_out}" if left_out else ""
        raise VideoError(f"{folder} holds no pictures ({kinds}){instead}; give a folder of pictures or a video file")
    if left_out:
        logger.warning("%s: skipped: %s", folder, left_out)
    return sorted(found, key=lambda picture: name_order(picture.name))


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


def _as_picture(entry: os.DirEntry[str], folder: Path, others: Counter[str]) -> list[ListedPicture]:
    """Return the picture of an entry; none for a link to nowhere and for what is no file."""
    try:
        if not entry.is_file():
            others["links to nothing" if entry.is_symlink() else "that are no files"] += 1
            return []
        n_bytes = entry.stat().st_size
    except OSError:
        others["that cannot be read"] += 1
        return []
    path = Path(entry.path)
    return [ListedPicture(text_of_name(path.relative_to(folder).as_posix()), path, n_bytes)]


def _files_below(folder: Path, others: Counter[str]) -> Iterator[os.DirEntry[str]]:
    """Yield everything that is no folder and not hidden; real folders are read before links to folders."""
    seen: set[tuple[int, int]] = set()
    real, linked = [str(folder)], list[str]()
    while real or linked:
        path = real.pop() if real else linked.pop()
        try:
            here = os.stat(path)
            if (here.st_dev, here.st_ino) in seen:
                continue
            seen.add((here.st_dev, here.st_ino))
            if own_folder(Path(path).resolve()) is not None:
                others["folders of pictures written by edge-autotuner"] += 1
                continue
            with os.scandir(path) as entries:
                visible = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name, reverse=True)
        except OSError as exc:
            if path == str(folder):
                raise VideoError(f"{folder} cannot be read: {exc.strerror}; check the folder's permissions") from exc
            logger.warning("cannot read %s: %s; skipping its pictures", path, exc.strerror)
            continue
        for entry in visible:
            if not _is_folder(entry):
                yield entry
            elif entry.is_symlink():
                linked.append(entry.path)
            else:
                real.append(entry.path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links
        return False
