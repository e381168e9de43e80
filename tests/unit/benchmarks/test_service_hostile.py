"""The benchmark of hostile requests knows every operation, and its tables say what is above the aims."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.service import hostile, hostile_tables
from benchmarks.service.bodies import FIELDS, PLAIN, datasets, hostile_bodies, largest_bodies
from edge_autotuner.errors import DatasetError
from edge_autotuner.server.api_page import describe_api
from edge_autotuner.wire.run_description import parse_description


def operations_with_a_body() -> set[str]:
    paths = describe_api()["paths"].values()
    return {operation["operationId"] for path in paths for operation in path.values() if "requestBody" in operation}


def test_every_body_is_attacked() -> None:
    assert set(FIELDS) | set(PLAIN) == operations_with_a_body()
    assert set(largest_bodies()) == operations_with_a_body()
    assert all(hostile_bodies(operation.name) for operation in hostile.operations())


def test_a_dataset_is_taken_and_hostile_ones_are_not() -> None:
    for name, make in datasets().items():
        if name == "valid":
            assert len(parse_description(make()).frames) == 6000
        else:
            with pytest.raises(DatasetError):
                parse_description(make())


def row(cpu_s: float, memory_mb: float, sent_mb: float, token: str = "no") -> dict[str, Any]:
    return {
        "operation": "find_missing", "token": token, "body": "numbers", "status": 401, "sent_mb": sent_mb,
        "cpu_s": cpu_s, "seconds": 0.1, "memory_mb": memory_mb,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("measured", "is_above"),
    [
        pytest.param(row(0.2, 40.0, 10.0), False, id="at the aims"),
        pytest.param(row(0.21, 1.0, 10.0), True, id="slow"),
        pytest.param(row(0.1, 41.0, 10.0), True, id="large"),
        pytest.param(row(0.1, 2.0, 0.001), False, id="small"),
    ],
)
def test_aims(measured: dict[str, Any], is_above: bool) -> None:
    assert hostile_tables.is_above(measured) == is_above


def test_tables_show_the_most_expensive_request() -> None:
    results = {"refused": [row(0.1, 1.0, 14.0), row(0.3, 0.5, 14.0), row(0.0, 0.0, 1.0, "another")]}
    table = hostile_tables.refused_table(results).splitlines()
    assert len(table) == 3
    assert "0.300" in table[2]
    assert "1.0" in table[2]
    assert "2 of 3 requests" in hostile_tables.refused_line(results)
