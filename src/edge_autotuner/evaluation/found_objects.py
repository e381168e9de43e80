"""Counts the objects that a detector finds at its display threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge_autotuner.core import Detections
from edge_autotuner.core.json_fields import FieldError, Fields
from edge_autotuner.errors import EvaluationError
from edge_autotuner.evaluation.matching import match_frame
from edge_autotuner.evaluation.truth import Truth


@dataclass(frozen=True)
class FoundObjects:
    """Counts at one score threshold and one overlap.

    Attributes:
        n_truths: objects that count.
        n_found: of these, found by a box of the right class.
        n_false: boxes that found neither an object nor an ignored region.
    """

    n_truths: int
    n_found: int
    n_false: int

    @property
    def found_fraction(self) -> float:
        """Recall in [0, 1]; nan without objects."""
        return self.n_found / self.n_truths if self.n_truths else float("nan")

    def to_json(self) -> dict[str, int]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> FoundObjects:
        """Read what `to_json` wrote.

        Raises:
            EvaluationError: a value is missing or unknown.
        """
        try:
            fields = Fields(values, "")
            fields.refuse_unknown({"n_truths", "n_found", "n_false"})
            return cls(*(fields.whole(key, at_least=0) for key in ("n_truths", "n_found", "n_false")))
        except FieldError as exc:
            raise EvaluationError(f"counts of found objects cannot be read from JSON: {exc}") from exc


def count_found(
    detections: Sequence[Detections], truths: Sequence[Truth], *, min_score: float, min_iou: float = 0.5
) -> FoundObjects:
    """Count found objects and false alarms over frames; detections and truths are in the same order.

    Boxes below `min_score` are not shown, so they do not count. `min_iou`, in (0, 1], is the smallest overlap that
    counts as found.

    Raises:
        EvaluationError: the two have different lengths.
    """
    if len(detections) != len(truths):
        raise EvaluationError(f"got detections of {len(detections)} frames but truths of {len(truths)}")
    n_found = n_false = 0
    for found, truth in zip(detections, truths, strict=True):
        shown = found.above(min_score)
        for class_id in np.unique(shown.class_ids).tolist():
            match = match_frame(
                shown.select(shown.class_ids == class_id),
                truth.of_class(class_id),
                max_detections=len(shown),
                iou_thresholds=np.array([min_iou]),
            )
            n_found += int(match.is_right.sum())
            n_false += int(match.is_wrong.sum())
    return FoundObjects(sum(truth.n_counted for truth in truths), n_found, n_false)
