"""Pictures are decoded where that can be ended, and one that is ended costs the others nothing."""

from __future__ import annotations

import os
import signal
import sys

import cv2
import numpy as np
import pytest

from benchmarks.service.hostile_pictures import png_bomb, text_bomb
from edge_autotuner.server.annotation import decoders
from edge_autotuner.server.annotation.decoders import SMALL_PIXELS, Decoders
from edge_autotuner.server.annotation.pictures import CheckedPicture, Upload, check_picture
from edge_autotuner.server.problems import Problem
from support.service.service_samples import MIME, WAIT_S, encoded, noise

LARGE = (1000, 700)
MAX_PIXELS = 25_000_000


def checked(content: bytes, suffix: str = ".png") -> CheckedPicture:
    return check_picture(Upload(content, MIME[suffix]), max_pixels=MAX_PIXELS)


@pytest.fixture
def some() -> Decoders:
    return Decoders(max_pixels=MAX_PIXELS, max_wait_s=WAIT_S)


def process_of(some: Decoders) -> decoders._DecoderProcess:
    found: decoders._DecoderProcess = some._own.process
    return found


def test_a_small_picture_needs_no_process(some: Decoders) -> None:
    image = noise((500, 500))
    assert image.shape[0] * image.shape[1] == SMALL_PIXELS
    assert (some.decode(checked(encoded(image))) == image).all()
    assert not hasattr(some._own, "process")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_large_picture_comes_out_of_a_process_as_it_is(some: Decoders, suffix: str) -> None:
    content = encoded(noise(LARGE), suffix)
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    for _ in range(2):
        assert (some.decode(checked(content, suffix)) == expected).all()
    assert process_of(some)._process.pid != os.getpid()


def test_a_bomb_is_refused_and_its_process_goes_on(some: Decoders) -> None:
    with pytest.raises(Problem, match="decompresses to more") as refused:
        some.decode(checked(png_bomb(LARGE, 64)))
    assert refused.value.status == 422
    pid = process_of(some)._process.pid
    assert some.decode(checked(text_bomb(LARGE, 3))).max() == 0
    assert process_of(some)._process.pid == pid


def test_a_picture_that_takes_too_much_time_ends_its_process_only(
    some: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encoded(noise((3000, 3000)), ".jpg")
    with monkeypatch.context() as patched:
        patched.setattr(decoders, "_BASE_CPU_S", 0.001)
        patched.setattr(decoders, "_CPU_S_PER_MEGAPIXEL", 0.0)
        with pytest.raises(Problem, match="decoding takes too long for its size"):
            some.decode(checked(content, ".jpg"))
    assert process_of(some).has_ended
    assert some.decode(checked(content, ".jpg")).shape == (3000, 3000, 3)


def test_a_process_that_does_not_run_is_not_waited_for(some: Decoders) -> None:
    content = encoded(noise(LARGE), ".jpg")
    some.decode(checked(content, ".jpg"))
    os.kill(process_of(some)._process.pid, signal.SIGSTOP)
    some._max_wait_s = 0.05
    with pytest.raises(Problem, match="decoding takes too long"):
        some.decode(checked(content, ".jpg"))
    some._max_wait_s = WAIT_S
    assert some.decode(checked(content, ".jpg")).shape == (700, 1000, 3)


def test_a_decoder_that_is_killed_is_replaced(some: Decoders) -> None:
    content = encoded(noise(LARGE), ".jpg")
    some.decode(checked(content, ".jpg"))
    process = process_of(some)
    os.kill(process._process.pid, signal.SIGSEGV)
    process._process.wait()
    assert some.decode(checked(content, ".jpg")).shape == (700, 1000, 3)
    assert process_of(some) is not process


def test_memory_is_bounded() -> None:
    some = Decoders(max_pixels=-10_000_000, max_wait_s=WAIT_S)  # leaves 28 MB
    huge = encoded(np.zeros((5000, 5000, 3), np.uint8), ".jpg")
    with pytest.raises(Problem) as refused:
        some.decode(checked(huge, ".jpg"))
    assert refused.value.status == 422
    assert some.decode(checked(encoded(noise(LARGE), ".jpg"), ".jpg")).shape == (700, 1000, 3)


def test_where_no_process_can_be_started_the_client_may_come_again(
    some: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    with pytest.raises(Problem) as refused:
        some.decode(checked(encoded(noise(LARGE), ".jpg"), ".jpg"))
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "5"})


def test_a_picture_whose_decoder_is_killed_from_outside_may_be_sent_again(
    some: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel kills what it likes where memory is short; that says nothing about the picture."""
    content = encoded(noise(LARGE), ".jpg")
    some.decode(checked(content, ".jpg"))
    receive = decoders._DecoderProcess._receive

    def killed(process: decoders._DecoderProcess, n_bytes: int, ends_at_s: float) -> bytearray:
        process._process.kill()
        process._process.wait()
        return receive(process, 1 << 30, ends_at_s)

    with monkeypatch.context() as patched:
        patched.setattr(decoders._DecoderProcess, "_receive", killed)
        with pytest.raises(Problem) as refused:
            some.decode(checked(content, ".jpg"))
    assert (refused.value.status, refused.value.kind) == (503, "decoder-ended")
    assert "Retry-After" in refused.value.headers
    assert some.decode(checked(content, ".jpg")).shape == (700, 1000, 3)
