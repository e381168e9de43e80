"""`evaluation.json` comes back as it was, with any number of contenders, and as earlier versions wrote it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_autotuner.core import Detections
from edge_autotuner.errors import DatasetError
from edge_autotuner.evaluation import Comparison, FoundObjects, PromotionDecision
from edge_autotuner.pipeline.evaluation_result import (
    CANDIDATE,
    INCUMBENT,
    START,
    Contender,
    Evaluation,
    ShownFrame,
    read_evaluation,
)

DECISION = PromotionDecision(
    promoted=True, reason="better", ap_candidate=0.5, ap_deployed=0.25, difference=0.25, lower_bound=0.1,
    upper_bound=0.4, probability_better=1.0, confidence=0.95, n_frames=2,
)  # fmt: skip
SEEN = Detections([[1.1, 2.2, 30.3, 40.4]], [0.7], [1])


def contender(n_found: int, ms: float) -> Contender:
    return Contender(FoundObjects(9, n_found, 1), ms)


def evaluation() -> Evaluation:
    contenders = {
        START: contender(3, 1.5),
        CANDIDATE: contender(4, 1.5),
        INCUMBENT: contender(5, 1.5),
        "pruned": contender(6, 0.5),
    }
    shown = ShownFrame(7, {START: Detections.empty(), "pruned": SEEN})
    return Evaluation(Comparison(), DECISION, contenders, 2, 1, INCUMBENT, "pruned", (shown,))


def written(path: Path, values: dict[str, Any]) -> Path:
    path.write_text(json.dumps(values))
    return path


def test_an_evaluation_comes_back(tmp_path: Path) -> None:
    result = evaluation()
    found = read_evaluation(written(tmp_path / "evaluation.json", result.to_json()))
    assert found.to_json() == result.to_json()
    assert (found.before.found.n_found, found.after.found.n_found, found.after.ms) == (3, 6, 0.5)
    seen = found.shown[0].found["pruned"]
    np.testing.assert_array_equal(seen.boxes_xyxy, SEEN.boxes_xyxy)
    np.testing.assert_array_equal(seen.scores, SEEN.scores)


def test_readers_of_earlier_versions_find_their_keys() -> None:
    values = evaluation().to_json()
    assert (values["found_before"]["n_found"], values["found_after"]["n_found"]) == (3, 6)
    assert (values["ms_before"], values["ms_after"]) == (1.5, 0.5)


def test_a_file_of_an_earlier_version(tmp_path: Path) -> None:
    values = evaluation().to_json()
    for key in ("contenders", "incumbent", "candidate", "shown"):
        del values[key]
    found = read_evaluation(written(tmp_path / "evaluation.json", values))
    assert list(found.contenders) == [START, CANDIDATE]
    assert (found.before.found.n_found, found.after.found.n_found, found.incumbent, found.shown) == (3, 6, START, ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidate": "distilled"}, "the contenders lack 'distilled'"),
        ({"incumbent": "nobody"}, "the contenders lack 'nobody'"),
        ({"contenders": {}}, "the contenders lack"),
        ({"contenders": {"start": {"ms": 1}}}, r"contenders\.start: 'found' must be an object"),
        ({"shown": [{"index": 1}]}, r"shown\[0\]: 'task' must be text"),
        ({"shown": [{"index": 1, "task": "poses", "found": {}}]}, "poses"),
        ({"shown": [{"index": 1, "task": "boxes", "found": {"start": {}}}]}, "boxes_xyxy"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = written(tmp_path / "evaluation.json", evaluation().to_json() | changes)
    with pytest.raises(DatasetError, match=rf"is damaged \(.*{message}.*run `edge-autotuner evaluate` again"):
        read_evaluation(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"comparison": 3}'])
def test_a_damaged_evaluation(text: str, tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text(text)
    with pytest.raises(DatasetError, match=r"evaluation\.json is damaged \(.*\); delete it and run"):
        read_evaluation(tmp_path / "evaluation.json")
