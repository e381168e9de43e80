"""Detections as lines of JSON, in a file or on standard output."""

from __future__ import annotations

import os
import select
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_autotuner.config.node import CameraConfig, JsonLinesConfig
from edge_autotuner.core import Clock, LabelMap
from edge_autotuner.errors import ConfigError
from edge_autotuner.node.camera_health import CameraState
from edge_autotuner.node.outputs.queued_output import QueuedOutput
from edge_autotuner.node.outputs.report import DetectionReport
from edge_autotuner.node.outputs.tally import OutputStatus, Tally
from edge_autotuner.storage.atomic import make_folder, storage_errors, write_all

ROTATED_SUFFIX = ".1"

_NAME = "json_lines"
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC  # readable, to find a torn last line
_BYTES_PER_MB = 1e6
_STANDARD_OUTPUT = 1
_POLL_S = 0.2


def open_json_lines(
    config: JsonLinesConfig, cameras: Sequence[CameraConfig], *, clock: Clock | None
) -> JsonLinesFile | JsonLinesStream:
    """Open the file of the settings, or standard output. Raises as `JsonLinesFile`."""
    return (
        JsonLinesFile(config.path, max_bytes=int(config.max_mb * _BYTES_PER_MB)) if config.path else JsonLinesStream()
    )


class JsonLinesFile:
    """Appends one line for each report; thread-safe, but the only writer of its file.

    A line is written by one system call, without fsync. A kill tears one line at most, and the next run starts a new
    one. While the disk is full, lines are dropped and counted.

    Args:
        max_bytes: a file that a line would make larger is moved to NAME.1 first.

    Raises:
        ConfigError: there is something at `path` that is not a file.
        StorageError: the file cannot be opened.
    """

    name = _NAME

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._path, self._max_bytes = path, max_bytes
        self._tally = Tally(self.name)
        self._lock = threading.Lock()
        make_folder(path.parent)
        with storage_errors(path):
            self._handle = os.open(path, _FLAGS, 0o666)
            if not stat.S_ISREG(os.fstat(self._handle).st_mode):
                self.close()
                raise ConfigError(f"{path} is not a file; remove the path to use standard output")
            self._is_torn = _ends_within_a_line(self._handle)

    @property
    def status(self) -> OutputStatus:
        """Its counts."""
        return self._tally.status

    def announce(self, camera: str, labels: LabelMap) -> None:
        """Do nothing: each line names its classes."""

    def take(self, report: DetectionReport) -> None:
        """Write a line; one that cannot be written is dropped."""
        self._add(report.json_text)

    def tell(self, state: CameraState) -> None:
        """Write a line when a camera is lost or back."""
        if state.event_type is not None:
            self._add(state.event_text)

    def _add(self, text: str) -> None:
        line = text.encode("ascii") + b"\n"
        with self._lock, _counted(self._tally, str(self._path)):
            self._write(line)

    def close(self) -> None:
        """Close the file; later reports are dropped."""
        with self._lock:
            if self._handle >= 0:
                os.close(self._handle)
            self._handle = -1

    def _write(self, line: bytes) -> None:
        written = os.fstat(self._handle)
        if not self._is_in_place(written):
            self._begin_anew()  # the file was deleted or moved, for example by logrotate
        elif written.st_size > 0 and written.st_size + len(line) > self._max_bytes:
            with suppress(FileNotFoundError):  # an earlier attempt got as far as this
                os.replace(self._path, self._path.with_name(self._path.name + ROTATED_SUFFIX))
            self._begin_anew()
        size = os.fstat(self._handle).st_size
        try:
            write_all(self._handle, b"\n" + line if self._is_torn else line)
        except OSError:
            self._cut_back(size)
            raise
        self._is_torn = False

    def _is_in_place(self, written: os.stat_result) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), written)
        except FileNotFoundError:
            return False

    def _begin_anew(self) -> None:
        old, self._handle = self._handle, os.open(self._path, _FLAGS, 0o666)
        os.close(old)
        self._is_torn = _ends_within_a_line(self._handle)

    def _cut_back(self, size: int) -> None:
        """Remove what a failed write left behind, or remember that the line is torn."""
        try:
            os.ftruncate(self._handle, size)
        except OSError:
            self._is_torn = True


class JsonLinesStream(QueuedOutput[str]):
    """Writes one line for each report to standard output; a slow reader loses lines.

    Args:
        handle: file descriptor to write to; stays open.
    """

    name = _NAME
    close_s = 2.0

    def __init__(self, handle: int = _STANDARD_OUTPUT) -> None:
        super().__init__()
        self._handle = handle
        self._start()

    def take(self, report: DetectionReport) -> None:
        """Have a line written soon."""
        self._put(report.json_text)

    def tell(self, state: CameraState) -> None:
        """Have a line written when a camera is lost or back."""
        if state.event_type is not None:
            self._put(state.event_text)

    def _work(self) -> None:
        self._mailbox.wait(None)
        self._finish()

    def _finish(self) -> None:
        for text in self._mailbox.take_all():
            with _counted(self._tally, "to standard output"):
                self._write(text.encode("ascii") + b"\n")

    def _write(self, line: bytes) -> None:
        view = memoryview(line)
        while view:
            with suppress(BlockingIOError):
                view = view[os.write(self._handle, view) :]
                continue
            poll = select.poll()
            poll.register(self._handle, select.POLLOUT)
            poll.poll(_POLL_S * 1000)


@contextmanager
def _counted(tally: Tally, where: str) -> Iterator[None]:
    """Count the line that the block writes, as sent or as dropped."""
    try:
        yield
    except OSError as exc:
        tally.add_failure(f"cannot write {where}: {exc.strerror or type(exc).__name__}")
        tally.add_dropped()
    else:
        tally.add_sent()
        tally.set_working()


def _ends_within_a_line(handle: int) -> bool:
    size = os.fstat(handle).st_size
    return size > 0 and os.pread(handle, 1, size - 1) != b"\n"
