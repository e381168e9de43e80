"""`python -m edge_autotuner.server.annotation.decoder_process PARENT MAX_PIXELS`: decodes pictures.

The kernel ends a decoding in this process that takes more CPU time than its pixels can need, and limits its memory. A
decoder that crashes ends nothing else.

    request   width, height, milliseconds of CPU time, bytes: 4 unsigned 32-bit numbers; the file
    answer    0 and the (H, W, 3) pixels, or the length of an error message, and the message
"""

from __future__ import annotations

import resource
import signal
import struct
import sys
from typing import BinaryIO

import cv2

from edge_autotuner.dataset.picture_bounds import decode_as_stored
from edge_autotuner.dataset.picture_header import BadPicture
from edge_autotuner.storage.child_process import die_with

REQUEST = struct.Struct("<4I")
ANSWER = struct.Struct("<I")

_BASE_BYTES = 256 << 20
_BYTES_PER_PIXEL = 24  # a PNG of 16 bits with alpha: 8 for its rows, as much for their source, 3 for the picture
_PAGE_BYTES = resource.getpagesize()


def main(parent: int, max_pixels: int) -> int:
    """Answer until the input ends; return the exit code."""
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which ends this process
    cv2.setNumThreads(1)
    _limit_memory(_BASE_BYTES + _BYTES_PER_PIXEL * max_pixels)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        width, height, cpu_ms, n_bytes = REQUEST.unpack(head)
        _answer(answers, requests.read(n_bytes), (width, height), cpu_ms)
    return 0


def _answer(answers: BinaryIO, data: bytes, size_wh: tuple[int, int], cpu_ms: int) -> None:
    signal.setitimer(signal.ITIMER_PROF, cpu_ms / 1000)  # SIGPROF ends the process, also inside a decoder
    try:
        image = decode_as_stored(data, size_wh)
        answers.write(ANSWER.pack(0))
        answers.write(image.data)
    except (BadPicture, MemoryError) as exc:
        text = (str(exc) or "decoding takes too much memory").encode()
        answers.write(ANSWER.pack(len(text)) + text)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    answers.flush()


def _limit_memory(n_bytes: int) -> None:
    """Limit memory to this much above what the libraries use."""
    with open("/proc/self/statm", encoding="ascii") as file:
        taken = int(file.read().split()[0]) * _PAGE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (taken + n_bytes, taken + n_bytes))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
