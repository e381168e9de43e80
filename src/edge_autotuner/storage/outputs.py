"""Checks of output paths: a command never writes over, into or around what it reads.

Two names may mean one file (links, `..`, case, bind mounts, /dev/fd), so files are compared by the system, not by
their text. A file of another command is replaced only with `overwrite`.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from edge_autotuner.core.file_names import utf8_text
from edge_autotuner.errors import ConfigError
from edge_autotuner.storage.atomic import storage_errors, sync_folder, temporary_name

STANDARD_OUTPUT = Path("-")
"""Stands for standard output, for every command that writes a file of text."""

BUNDLE_FILE = "bundle.json"
_RUN_FILES = {"settings.yaml", "state.json"}
_RUN_NAMES = {
    "settings.yaml", "state.json", "evaluation.json", "report.html", "job.json", "bundle", "bundles", "dataset",
    "training", "student", "teacher", "outcome.json", "annotations.coco.json", "manifest.json",
}  # fmt: skip

_OF_FILE_SYSTEMS = "lost+found"

_ADDRESS = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")  # of a camera; a path with such a folder begins otherwise

Reads = Mapping[str, "Path | str | None"]
"""What a command reads, by the user's name of it; None and addresses of cameras are ignored."""


def check_output_file(
    path: Path,
    *,
    option: str,
    reads: Reads,
    overwrite: bool = False,
    is_own: Callable[[Path], bool] | None = None,
) -> None:
    """Check that a file can be written without losing anything; nothing is written or opened for writing.

    Args:
        path: the file; "-" is standard output.
        option: the user's name of it.
        reads: what the command reads.
        overwrite: whether another existing file may be replaced.
        is_own: whether an existing file was written by the same command, and may be replaced in any case.

    Raises:
        ConfigError: it is part of something that is read, a folder, a device, or an existing file.
    """
    if path == STANDARD_OUTPUT:
        return
    _refuse_inputs(path, option, reads)
    _refuse_parts_of_folders(path, option)
    mode = _mode(path)
    if mode is None:
        return
    if stat.S_ISDIR(mode):
        raise ConfigError(f"{option} {path} is a folder; give a file name")
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise ConfigError(f"{option} {path} is not a file; give a file name, or - for standard output")
    if not stat.S_ISREG(mode) or overwrite or path.stat().st_size == 0:
        return
    if is_own is None or not is_own(path):
        raise ConfigError(f"{option} {path} already exists; choose another name, or add --overwrite")


def check_output_place(path: Path, *, option: str) -> None:
    """Raise `ConfigError` for a file inside a bundle or run; for files that are never replaced."""
    _refuse_parts_of_folders(path, option)


def check_output_folder(path: Path, *, option: str, reads: Reads, own: Collection[str] | None = None) -> None:
    """Check that a folder can be filled without touching what is read, or files of others.

    Args:
        path: the folder.
        option: the user's name of it.
        reads: what the command reads.
        own: names of which the command makes at least one: a folder that is neither empty nor has any of them belongs
            to others and is refused; None: it is allowed.

    Raises:
        ConfigError: it is a file, part of what is read, a bundle or part of a run; an input is among its own files; or
            it belongs to others.
    """
    _refuse_inputs(path, option, reads)
    _refuse_parts_of_folders(path, option)
    if (path / BUNDLE_FILE).is_file():
        raise ConfigError(f"{option} {path} is a bundle; choose another folder")
    mode = _mode(path)
    if mode is not None and not stat.S_ISDIR(mode):
        raise ConfigError(f"{option} {path} is a file; give a folder name")
    if own is not None and mode is not None:
        _refuse_foreign(path, option, own)
    for name, read in _files(reads):
        for parent in read.resolve().parents:
            if is_same_file(parent, path):
                below = read.resolve().relative_to(parent).parts[0]
                if below in _RUN_NAMES:
                    raise ConfigError(
                        f"{name} {read} is inside {option} {path}, where this command writes its own {below}; move it"
                    )
                break


def check_outputs_differ(outputs: Mapping[str, Path | None]) -> None:
    """Raise `ConfigError` if two outputs are the same file."""
    given = [(option, path) for option, path in outputs.items() if path is not None]
    for number, (option, path) in enumerate(given):
        for other_option, other in given[:number]:
            if is_same_file(path, other):
                raise ConfigError(f"{option} {path} and {other_option} {other} are the same file; use different names")


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two names mean the same file or folder, which need not exist."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):  # one of them does not exist
        return _real(one) == _real(other)


def write_output(path: Path, text: str) -> None:
    """Write text to a path from `check_output_file`: to a file in one step, else to standard output, pipe or device.

    Raises:
        StorageError: the disk refused.
    """
    with open_output(path) as file:
        file.write(utf8_text(text).decode("utf-8"))


@contextmanager
def open_output(path: Path) -> Iterator[TextIO]:
    """Open a path from `check_output_file` for text that comes piece by piece.

    A file has its name, and a link leads to it, only when all of it is there and the block has ended without an error.
    Standard output, a pipe or a device is written to as it is.

    Raises:
        StorageError: the disk refused.
    """
    mode = _mode(path)
    if path == STANDARD_OUTPUT:
        yield sys.stdout
        sys.stdout.flush()
    elif mode is not None and not stat.S_ISREG(mode):
        with path.open("w", encoding="utf-8") as file:
            yield file
    else:
        with storage_errors(path), _file_in_one_step(path.resolve()) as file:
            yield file


@contextmanager
def _file_in_one_step(path: Path) -> Iterator[TextIO]:
    temporary = temporary_name(path)
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _refuse_foreign(path: Path, option: str, own: Collection[str]) -> None:
    try:
        there = {entry.name for entry in path.iterdir()}
    except OSError as exc:
        raise ConfigError(f"{option} {path} cannot be read: {exc.strerror}; choose another folder") from exc
    visible = sorted(name for name in there if not name.startswith(".") and name != _OF_FILE_SYSTEMS)
    if visible and not there.intersection(own):
        raise ConfigError(f"{option} {path} is not empty, it contains e.g. {visible[0]}; choose a new or empty folder")


def _refuse_inputs(path: Path, option: str, reads: Reads) -> None:
    for name, read in _files(reads):
        if is_same_file(path, read):
            raise ConfigError(f"{option} {path} is {name} itself, which would be overwritten; choose another name")
        if read.is_dir() and any(is_same_file(parent, read) for parent in _parents(path)):
            raise ConfigError(f"{option} {path} is inside {name} {read}; choose another folder")


def _refuse_parts_of_folders(path: Path, option: str) -> None:
    """Refuse a path in a bundle, and names of a run's own files."""
    for parent in _parents(path):
        if (parent / BUNDLE_FILE).is_file():
            raise ConfigError(f"{option} {path} is inside the bundle {parent}; choose another folder")
        if all((parent / name).is_file() for name in _RUN_FILES):
            below = _real(path).relative_to(parent).parts[0]
            if below in _RUN_NAMES:
                raise ConfigError(f"{option} {path} is part of the run {parent}; choose another name")


def _files(reads: Reads) -> list[tuple[str, Path]]:
    return [(name, Path(read)) for name, read in reads.items() if read is not None and not _ADDRESS.match(str(read))]


def _parents(path: Path) -> list[Path]:
    return list(_real(path).parents)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return None
