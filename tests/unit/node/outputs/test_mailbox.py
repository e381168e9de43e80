"""The queue between the detection and slow outputs."""

from __future__ import annotations

import threading
import time

import pytest

from edge_autotuner.node.outputs.mailbox import Mailbox


def test_the_oldest_is_lost_when_it_is_full() -> None:
    mailbox: Mailbox[int] = Mailbox(3)
    assert [mailbox.put(number) for number in range(5)] == [0, 0, 0, 1, 1]
    assert mailbox.take_all() == [2, 3, 4]
    assert mailbox.take_all() == []


def test_it_can_be_waited_for() -> None:
    mailbox: Mailbox[int] = Mailbox(3)
    mailbox.put(1)
    mailbox.put(2)
    mailbox.wait(None)
    mailbox.take_all()
    mailbox.wake()
    mailbox.wait(None)
    started_s = time.monotonic()
    mailbox.wait(0.05)
    assert time.monotonic() - started_s >= 0.05


def test_a_closed_one_wakes_its_reader_for_good() -> None:
    mailbox: Mailbox[int] = Mailbox(3)
    mailbox.put(1)
    reader = threading.Thread(target=mailbox.wait, args=(None,))
    mailbox.close()
    mailbox.close()
    reader.start()
    reader.join(60)
    assert not reader.is_alive()
    assert mailbox.put(2) == 1
    assert mailbox.take_all() == [1]


def test_nothing_is_lost_between_threads() -> None:
    mailbox: Mailbox[int] = Mailbox(10_000)
    writers = [
        threading.Thread(target=lambda start: [mailbox.put(start + n) for n in range(500)], args=(start,))
        for start in (0, 500, 1000)
    ]
    for writer in writers:
        writer.start()
    got: list[int] = []
    while len(got) < 1500:
        mailbox.wait(60)
        taken = mailbox.take_all()
        assert taken, "woken for nothing"
        got += taken
    for writer in writers:
        writer.join()
    assert sorted(got) == list(range(1500))


def test_a_capacity_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity"):
        Mailbox(0)
