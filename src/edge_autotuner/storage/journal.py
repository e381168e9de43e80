"""The append-only journal of a dataset: one JSON record a line, synced before it counts.

A line is `{"crc32":"xxxxxxxx","record":{...}}`; the checksum covers the record's text. A kill can only leave an
unfinished last line, which readers ignore and the next writer cuts off. Any other line that does not match its checksum
is damage, reported with its line number and never skipped.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_autotuner.core.json_limits import load_json
from edge_autotuner.errors import DatasetError
from edge_autotuner.storage.atomic import storage_errors, sync_folder, write_all

logger = logging.getLogger(__name__)

JOURNAL_NAME = "journal.jsonl"

LINE_START = b'{"crc32":"'
_MIDDLE, _END = b'","record":', b"}"
_CRC_DIGITS = 8


@dataclass(frozen=True)
class JournalPart:
    """A part of a journal.

    Attributes:
        records: in the order of writing.
        end: byte offset after the last complete line.
        n_lines: number of the last complete line, 1-based; 0 for an empty journal.
    """

    records: tuple[dict[str, Any], ...]
    end: int
    n_lines: int


def read_journal(path: Path, *, start: int = 0, n_lines_before: int = 0) -> JournalPart:
    """Read the records from byte `start` on, which must be the beginning of a line.

    An unfinished last line (no line end, or holes where blocks never reached the disk) is left out.

    Raises:
        DatasetError: the file cannot be read, has become shorter than `start`, or is damaged.
    """
    data = _read_from(path, start)
    lines = data.split(b"\n")
    tail = lines.pop()  # what stands behind the last line end
    if lines and b"\0" in lines[-1]:
        tail = lines.pop() + b"\n" + tail
    if tail:
        logger.warning("ignored an incomplete last line of %d bytes in %s", len(tail), path)
    numbered = enumerate(lines, start=n_lines_before + 1)
    records = tuple(_parse_line(line, f"{path}:{number}") for number, line in numbered)
    return JournalPart(records, start + len(data) - len(tail), n_lines_before + len(lines))


class JournalWriter:
    """Appends records; the only writer of its file.

    Args:
        path: the journal; created when missing.
        end: byte offset after the last complete line; the rest is cut off.
    """

    def __init__(self, path: Path, *, end: int) -> None:
        self._path = path
        self._end = end
        with storage_errors(path):
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            sync_folder(path.parent)

    @property
    def end(self) -> int:
        """Byte offset after the last record on disk."""
        return self._end

    def append(self, record: dict[str, Any]) -> None:
        """Write one record; when this returns, it survives a kill and a power cut.

        Raises:
            ValueError: the record holds NaN, or is not JSON.
            StorageError: the disk refused; the journal is unchanged.
        """
        line = encode_line(record)
        with storage_errors(self._path):
            if os.fstat(self._handle).st_size != self._end:
                os.ftruncate(self._handle, self._end)
            os.lseek(self._handle, self._end, os.SEEK_SET)
            try:
                write_all(self._handle, line)
                os.fsync(self._handle)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._handle, self._end)
                raise
        self._end += len(line)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def encode_line(record: dict[str, Any]) -> bytes:
    """Return the journal line of a record, with its line end."""
    text = json.dumps(record, separators=(",", ":"), allow_nan=False).encode("ascii")
    return LINE_START + _checksum(text) + _MIDDLE + text + _END + b"\n"


def _parse_line(line: bytes, where: str) -> dict[str, Any]:
    crc_end = len(LINE_START) + _CRC_DIGITS
    text = line[crc_end + len(_MIDDLE) : -len(_END)]
    framed = line.startswith(LINE_START) and line[crc_end:].startswith(_MIDDLE) and line.endswith(_END)
    if not framed or line[len(LINE_START) : crc_end] != _checksum(text):
        raise DatasetError(
            f"{where}: this line is damaged or was edited; restore the file from a copy, "
            "or start again in another folder"
        )
    try:
        record = load_json(text)
    except ValueError as exc:
        raise DatasetError(f"{where}: this line cannot be read: {exc}; restore the file from a copy") from exc
    if not isinstance(record, dict):
        raise DatasetError(f"{where}: expected a record, got {type(record).__name__}")
    return record


def _checksum(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)


def _read_from(path: Path, start: int) -> bytes:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < start:
                raise DatasetError(f"{path} shrank while in use; open the dataset again")
            file.seek(start)
            return file.read()
    except OSError as exc:
        raise DatasetError(f"cannot read {path}: {exc.strerror or exc}") from exc
