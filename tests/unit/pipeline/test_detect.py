"""Records of a bundle with an operating point, and of one without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_autotuner.core import OperatingPoint
from edge_autotuner.errors import ConfigError
from edge_autotuner.pipeline.detect import detect
from unit.deployment.test_bundle import everything_shown, made


def _records(folder: Path, point: OperatingPoint | None, **options: Any) -> list[dict[str, Any]]:
    pictures = folder / "pictures"
    pictures.mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(pictures / name), np.zeros((64, 128, 3), np.uint8))
    made(folder / "bundle", operating_point=point)
    detect(folder / "bundle", pictures, folder / "results.json", min_score=0.01, **options)
    return list(json.loads((folder / "results.json").read_text()))


def test_all_boxes_are_written_and_marked(tmp_path: Path) -> None:
    records = _records(tmp_path, everything_shown(min_score=0.5))
    assert [record["shown"] for record in records] == [True, False] * 2
    assert all(record["shown"] == (record["score"] >= 0.5) for record in records)


def test_only_shown_boxes_may_be_written(tmp_path: Path) -> None:
    records = _records(tmp_path, everything_shown(min_score=0.5), only_operating_point=True)
    assert [record["shown"] for record in records] == [True] * 2


def test_a_bundle_without_a_point_marks_nothing(tmp_path: Path) -> None:
    assert all("shown" not in record for record in _records(tmp_path, None))


def test_shown_boxes_need_a_point(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no operating point.*--min-score"):
        _records(tmp_path, None, only_operating_point=True)
    assert not (tmp_path / "results.json").exists()
