"""What an evaluation has found out, as `evaluation.json` holds it; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_autotuner.core.json_fields import Fields, parse_json
from edge_autotuner.errors import DatasetError, EvaluationError
from edge_autotuner.evaluation import Comparison, FoundObjects, PromotionDecision


@dataclass(frozen=True)
class Evaluation:
    """What `evaluation.json` holds.

    Attributes:
        comparison: scores by truth and detector.
        promotion: whether the candidate replaces the deployed model.
        found_before: objects that the old model finds at the display score, against the teacher's labels.
        found_after: the same of the new model.
        ms_before: median milliseconds per frame of the old model, pre- and post-processing included.
        ms_after: the same of the new model.
        n_frames: test frames.
        n_human_frames: those with human boxes.
    """

    comparison: Comparison
    promotion: PromotionDecision
    found_before: FoundObjects
    found_after: FoundObjects
    ms_before: float
    ms_after: float
    n_frames: int
    n_human_frames: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "comparison": self.comparison.to_json(),
            "promotion": self.promotion.to_json(),
            "found_before": self.found_before.to_json(),
            "found_after": self.found_after.to_json(),
            "ms_before": self.ms_before,
            "ms_after": self.ms_after,
            "n_frames": self.n_frames,
            "n_human_frames": self.n_human_frames,
        }


def read_evaluation(path: Path) -> Evaluation:
    """Read what the stage wrote.

    Raises:
        DatasetError: the file is damaged.
    """
    try:
        fields = Fields(parse_json(path.read_bytes()), "")
        return Evaluation(
            Comparison.from_json(fields.inner("comparison").values),
            PromotionDecision.from_json(fields.inner("promotion").values),
            FoundObjects.from_json(fields.inner("found_before").values),
            FoundObjects.from_json(fields.inner("found_after").values),
            ms_before=fields.number("ms_before", at_least=0),
            ms_after=fields.number("ms_after", at_least=0),
            n_frames=fields.whole("n_frames", at_least=0),
            n_human_frames=fields.whole("n_human_frames", at_least=0),
        )
    except (OSError, ValueError, EvaluationError) as exc:
        raise DatasetError(f"{path} is damaged ({exc}); delete it and run `edge-autotuner evaluate` again") from exc
