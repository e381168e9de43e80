"""A client takes every list of what it may add: `LONG_LIST` is what it reads at most."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from edge_autotuner.core.json_limits import check_json
from edge_autotuner.server.registry_rows import MAX_BUNDLES, MAX_BYTES, MAX_CAMERAS, MAX_VALUES, ShownMetrics
from edge_autotuner.wire.messages import LONG_LIST
from edge_autotuner.wire.registry_messages import (
    BundleFileInfo,
    BundleInfo,
    BundleList,
    CameraInfo,
    CameraList,
    DeployedBundle,
)

WIDE = "\u4e00"  # three bytes


def worst_bundle(metrics: dict[str, Any]) -> dict[str, Any]:
    file = BundleFileInfo(name="m" * 100, n_bytes=1 << 30, sha256="0" * 64)
    return {
        "id": "b" * 100,
        "camera": "c" * 100,
        "stage": "candidate",
        "name": WIDE * 200,
        "metrics": metrics,
        "files": (file, file),
        "description_sha256": "0" * 64,
        "is_signed": False,
        "parent": "b" * 100,
        "data_sha256": "0" * 64,
        "added_at": datetime.now(UTC),
        "added_by": "c" * 100,
    }


@pytest.mark.parametrize(
    "metrics",
    [
        {str(i): i for i in range(9000)},
        {str(i): i for i in range(MAX_VALUES - 1)},
        {f"{i}": {f"{j}": WIDE for j in range(10)} for i in range(40)},
        {f"{i}": [[1.25, 2.5]] for i in range(100)},
        {"a": "x" * (MAX_BYTES - 20)},
        {"a": '"' * 1900},
        {"against": {"teacher": {"ap50": 0.5, "ap50_95": 0.25}}, "ms_per_frame": 7.5, "n_test_frames": 60},
    ],
)
def test_the_longest_list_of_bundles_is_one_that_a_client_takes(metrics: dict[str, Any]) -> None:
    shown = ShownMetrics()
    bundles = tuple(BundleInfo(**worst_bundle(shown.of(metrics))) for _ in range(MAX_BUNDLES))
    check_json(BundleList(bundles=bundles).model_dump_json().encode(), LONG_LIST)


def test_the_longest_list_of_cameras_is_one_that_a_client_takes() -> None:
    camera = CameraInfo(camera="c" * 100, place=WIDE * 200, shows=WIDE * 200, deployed="b" * 100)
    check_json(CameraList(cameras=(camera,) * MAX_CAMERAS).model_dump_json().encode(), LONG_LIST)


def test_the_largest_bundle_that_can_be_added_is_one_that_a_node_takes() -> None:
    """A request has 3 MB, so a description has no more, its escapes included."""
    metrics = ShownMetrics().of({str(i): i for i in range(19_000)})
    facts = worst_bundle(metrics) | {"description": WIDE * (1 << 20), "signature": "A" * 86 + "=="}
    check_json(DeployedBundle(**facts).model_dump_json().encode(), DeployedBundle.json_limits)


def test_usual_metrics_are_shown_and_the_newest_first() -> None:
    usual = {"against": {"teacher": {"ap50": 0.5}}, "n_test_frames": 60}
    shown = ShownMetrics()
    assert [shown.of(usual) for _ in range(1000)] == [usual] * 1000
    assert shown.of({"a": "x" * MAX_BYTES}) == {}
    assert shown.of({"a": "\x1b[2J"}) == {}
    large = {str(i): i for i in range(MAX_VALUES - 1)}
    found = [ShownMetrics.of(shown, large) for _ in range(MAX_BUNDLES)]
    n_shown = found.index({})
    assert n_shown > 100
    assert found == [large] * n_shown + [{}] * (MAX_BUNDLES - n_shown)
