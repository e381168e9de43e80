"""The numbers of a capture as JSON."""

from __future__ import annotations

import json

import pytest

from edge_autotuner.capture import CaptureSummary
from edge_autotuner.errors import DatasetError

SUMMARY = CaptureSummary(10, {"selected": 3, "no motion": 5}, 3, 2, 0.1, 0.02, 1.5, 0.5, 1, 4000, False)


def test_round_trip_through_json() -> None:
    assert CaptureSummary.from_json(json.loads(json.dumps(SUMMARY.to_json()))) == SUMMARY


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_other_fields_are_refused(change: str) -> None:
    values = SUMMARY.to_json()
    if change == "missing":
        del values["n_train"]
    else:
        values["n_other"] = 1
    with pytest.raises(DatasetError, match="n_train" if change == "missing" else "n_other"):
        CaptureSummary.from_json(values)
