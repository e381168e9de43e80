"""Accuracy figures of one detector, and their JSON form. All are fractions in [0, 1], never percent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_autotuner.errors import EvaluationError


@dataclass(frozen=True)
class ClassScores:
    """Average precision of one class.

    Attributes:
        ap50: at IoU .50.
        ap: mean over IoU .50, .55, ... .95.
        n_truths: objects of the class that count.
    """

    ap50: float
    ap: float
    n_truths: int


@dataclass(frozen=True)
class Scores:
    """COCO's average precision, each the mean over the classes that have a truth.

    Attributes:
        ap50: at IoU .50; nan when there are no truths at all.
        ap: mean over IoU .50, .55, ... .95; nan when there are no truths at all.
        per_class: class name -> its scores, in label order; only classes that have a truth.
        n_frames: frames that were scored.
        n_truths: objects that count, over all classes.
    """

    ap50: float
    ap: float
    per_class: dict[str, ClassScores] = field(default_factory=dict)
    n_frames: int = 0
    n_truths: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; nan becomes null."""
        return {
            "ap50": _or_none(self.ap50),
            "ap": _or_none(self.ap),
            "per_class": {
                name: {"ap50": _or_none(s.ap50), "ap": _or_none(s.ap), "n_truths": s.n_truths}
                for name, s in self.per_class.items()
            },
            "n_frames": self.n_frames,
            "n_truths": self.n_truths,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Scores:
        """Read what `to_json` wrote.

        Raises:
            EvaluationError: a value is missing or of another type.
        """
        try:
            per_class = {
                str(name): ClassScores(_or_nan(s["ap50"]), _or_nan(s["ap"]), int(s["n_truths"]))
                for name, s in values["per_class"].items()
            }
            return cls(
                _or_nan(values["ap50"]),
                _or_nan(values["ap"]),
                per_class,
                int(values["n_frames"]),
                int(values["n_truths"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise EvaluationError(f"scores cannot be read from JSON: {type(exc).__name__}: {exc}") from exc


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)
