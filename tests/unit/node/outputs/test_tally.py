"""Counts of an output, and what of them is logged."""

from __future__ import annotations

import logging

import pytest

from edge_autotuner.node.outputs.tally import OutputStatus, Tally


def test_counts() -> None:
    tally = Tally("mqtt")
    tally.add_sent()
    tally.add_sent(2)
    tally.add_dropped(4)
    tally.add_failure("no route")
    assert tally.status == OutputStatus("mqtt", 3, 4, 1, "no route", "no route")
    tally.set_working()
    assert tally.status == OutputStatus("mqtt", 3, 4, 1, None, "no route")


def test_a_problem_is_logged_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    tally = Tally("mqtt")
    tally.add_dropped(7)
    with caplog.at_level(logging.INFO):
        tally.set_working()
        for _ in range(3):
            tally.add_failure("no route")
            tally.add_dropped()
        tally.add_failure("refused")
        tally.set_working()
        tally.set_working()
        tally.add_failure("no route")
    assert [record.message.partition(";")[0] for record in caplog.records] == [
        "output mqtt: no route",
        "output mqtt: refused",
        "output mqtt works again",
        "output mqtt: no route",
    ]
    assert "3 reports were dropped meanwhile" in caplog.text
