"""Frames keep their numbers where others are lost, however late or early the decoder says so."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.capture import VideoFile
from edge_autotuner.capture.video_packets import FrameNumbers, PacketTimes, read_packet_times
from edge_autotuner.core import Damage
from edge_autotuner.core.types import ImageArray
from support.cameras.stated_videos import write_stated


def numbers_of(shown: list[int], errors_before: dict[int, int], n_packets: int = 200) -> tuple[list[int], Damage]:
    """Return the numbers that pictures get, given which packets are shown and what errors came before them."""
    stamps_s = np.arange(n_packets) / 10
    damage = Damage()
    numbers = FrameNumbers(PacketTimes(stamps_s, stamps_s, 10.0, False, 10.0, 10.0), damage)
    found = []
    for packet in shown:
        damage.n_errors += errors_before.get(packet, 0)
        found.append(numbers.next(float(stamps_s[packet])))
    return found, damage


@pytest.mark.parametrize("ahead", [0, 1, 4, 16, 30])
def test_an_error_may_be_told_before_its_picture_is_missed(ahead: int) -> None:
    shown = [packet for packet in range(100) if packet not in (50, 51)]
    found, damage = numbers_of(shown, {(52 if ahead == 0 else 50 - ahead): 2})
    assert found == shown
    assert damage.n_lost == 2


def test_packets_that_hold_no_picture_do_no_harm() -> None:
    shown = [packet for packet in range(180) if packet != 150]
    found, damage = numbers_of(shown, {})
    assert (found, damage.n_lost) == (list(range(179)), 0)
    found, damage = numbers_of(shown, {20: 1})  # an error whose picture was shown all the same, long ago
    assert (found, damage.n_lost) == (list(range(179)), 0)


def test_frames_of_a_damaged_video_are_those_of_their_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures: list[ImageArray] = [rng.integers(0, 255, (48, 64), np.uint8) for _ in range(60)]
    write_stated(tmp_path / "a.mp4", pictures, codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    starts = [at for at in range(len(data) - 1) if data[at : at + 3] == b"\xff\xd8\xff"]
    for lost in (20, 21, 40):
        data[starts[lost] : starts[lost + 1]] = bytes(starts[lost + 1] - starts[lost])
    (tmp_path / "a.mp4").write_bytes(data)
    video = VideoFile(tmp_path / "a.mp4")
    frames = list(video.frames())
    assert [frame.index for frame in frames] == [round(frame.time_s * 10) for frame in frames]
    assert [frame.index for frame in frames] == [number for number in range(60) if number not in (20, 21, 40)]
    assert video.damage.n_lost == 3


def test_stamps_are_put_in_order_where_the_first_ones_are_missing(tmp_path: Path) -> None:
    pictures: list[ImageArray] = [np.full((48, 64), number, np.uint8) for number in range(100)]
    stamps = [100 * number - 5000 for number in range(100)]
    write_stated(
        tmp_path / "a.mkv", pictures, stamps_ms=stamps, options={"bf": "3"}, container={"avoid_negative_ts": "disabled"}
    )
    packets = read_packet_times(tmp_path / "a.mkv")
    known = [stamp for stamp in packets.stamps_s.tolist() if not math.isnan(stamp)]
    assert known == sorted(known)
    assert packets.rate_hz == pytest.approx(10.0)
