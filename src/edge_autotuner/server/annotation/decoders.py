"""Decodes pictures in processes that can be killed, one for each calling thread."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import threading
import time
from typing import IO

import numpy as np

from edge_autotuner.core.types import ImageArray
from edge_autotuner.server.annotation.decoder_process import ANSWER, REQUEST
from edge_autotuner.server.annotation.pictures import CheckedPicture, damaged, decode_picture
from edge_autotuner.server.problems import Problem
from edge_autotuner.storage.child_process import ChildProcess, module_command, wait_or_kill

logger = logging.getLogger(__name__)

SMALL_PIXELS = 250_000
"""Up to this size a picture is decoded in the calling thread: its pixels and bytes bound the work.

`scripts/bench decoding` measures the worst known picture of each format.
"""

_BASE_CPU_S = 2.0
_CPU_S_PER_MEGAPIXEL = 0.4  # ten times what PNG takes on a slow core
_RETRY_S = "5"
_ENDING_S = 0.5


class Decoders:
    """Decodes for any number of threads, each with its own process.

    Args:
        max_wait_s: time limit of one picture, also if its process does not get to run.
    """

    def __init__(self, *, max_pixels: int, max_wait_s: float) -> None:
        self._max_pixels, self._max_wait_s = max_pixels, max_wait_s
        self._own = threading.local()

    def decode(self, picture: CheckedPicture) -> ImageArray:
        """Return the (H, W, 3) uint8 picture.

        Raises:
            Problem: 422 it cannot be decoded, or not within the CPU time that its pixels can need; 503 no process can
                be started, or it was killed from outside.
        """
        if picture.header.n_pixels <= SMALL_PIXELS:
            return decode_picture(picture)
        process: _DecoderProcess | None = getattr(self._own, "process", None)
        if process is None or process.has_ended:
            process = self._own.process = _DecoderProcess(self._max_pixels)
        return process.decode(picture, self._max_wait_s)


class _DecoderProcess:
    """A decoding process, which ends with this object and with its thread."""

    def __init__(self, max_pixels: int) -> None:
        try:
            self._process = ChildProcess(
                module_command("edge_autotuner.server.annotation.decoder_process", os.getpid(), max_pixels),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # decoders warn of every picture that is slightly wrong
                environment={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
        except OSError as exc:
            logger.error("cannot start a decoder process: %s", exc)
            text = "the service cannot start a decoder now; try again"
            raise Problem(503, "no-decoder", text, headers={"Retry-After": _RETRY_S}) from exc
        for pipe in (self._requests, self._answers):
            os.set_blocking(pipe.fileno(), False)

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            self._process.kill()
            self._end()

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.has_ended

    def decode(self, picture: CheckedPicture, max_wait_s: float) -> ImageArray:
        """Return a picture; raises as `Decoders.decode`. A process that does not answer in time is killed."""
        width, height = picture.header.size_wh
        cpu_ms = round(1000 * (_BASE_CPU_S + _CPU_S_PER_MEGAPIXEL * picture.header.n_pixels / 1e6))
        ends_at_s = time.monotonic() + max_wait_s
        try:
            self._send(REQUEST.pack(width, height, cpu_ms, len(picture.content)), ends_at_s)
            self._send(picture.content, ends_at_s)
            length = ANSWER.unpack(self._receive(ANSWER.size, ends_at_s))[0]
            if length == 0:
                image = np.frombuffer(self._receive(width * height * 3, ends_at_s), np.uint8)
                return image.reshape(height, width, 3)
            text = bytes(self._receive(length, ends_at_s)).decode()
        except (TimeoutError, OSError) as exc:
            raise self._given_up(picture, exc) from exc
        raise damaged(picture.header.type, text)

    @property
    def _requests(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _answers(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _send(self, data: bytes, ends_at_s: float) -> None:
        rest = memoryview(data)
        while rest:
            _wait(self._requests, select.POLLOUT, ends_at_s)
            rest = rest[os.write(self._requests.fileno(), rest) :]

    def _receive(self, n_bytes: int, ends_at_s: float) -> bytearray:
        data = bytearray(n_bytes)
        rest = memoryview(data)
        while rest:
            _wait(self._answers, select.POLLIN, ends_at_s)
            n = os.readv(self._answers.fileno(), [rest])
            if n == 0:
                raise BrokenPipeError("the process has ended")
            rest = rest[n:]
        return data

    def _given_up(self, picture: CheckedPicture, exc: Exception) -> Problem:
        """End the process, and return the refusal of the picture."""
        is_late = isinstance(exc, TimeoutError)
        if is_late:
            self._process.kill()
        code = self._end()
        logger.warning("picture %s crashed its decoder (%s, exit code %s)", picture.sha256, exc, code)
        if is_late or code == -signal.SIGPROF:
            return damaged(picture.header.type, "decoding takes too long for its size")
        if code == -signal.SIGKILL:  # by the kernel without memory, or a user: not the fault of the picture
            text = "its decoder was killed; send the picture again"
            return Problem(503, "decoder-ended", text, headers={"Retry-After": _RETRY_S})
        return damaged(picture.header.type, "its decoder crashed")

    def _end(self) -> int:
        """End the process, and return its exit code."""
        for pipe in (self._requests, self._answers):
            pipe.close()
        return wait_or_kill(self._process, _ENDING_S)  # a waiting one sees the end of its input


def _wait(pipe: IO[bytes], event: int, ends_at_s: float) -> None:
    poll = select.poll()
    poll.register(pipe, event)
    left_s = ends_at_s - time.monotonic()
    if left_s <= 0 or not poll.poll(left_s * 1000):
        raise TimeoutError("no answer in time")
