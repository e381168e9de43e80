"""Accuracy figures of one detector, and their JSON form. All are fractions in [0, 1], never percent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_autotuner.core.json_fields import FieldError, Fields
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
            fields = Fields(values, "")
            classes = fields.inner("per_class")
            per_class = {}
            for name in classes.values:
                one = classes.inner(name)
                per_class[name] = ClassScores(_fraction(one, "ap50"), _fraction(one, "ap"), _count(one, "n_truths"))
            return cls(
                _fraction(fields, "ap50"),
                _fraction(fields, "ap"),
                per_class,
                _count(fields, "n_frames"),
                _count(fields, "n_truths"),
            )
        except FieldError as exc:
            raise EvaluationError(f"scores cannot be read from JSON: {exc}") from exc


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _fraction(fields: Fields, key: str) -> float:
    """Return a score; nan for null, which stands for one that could not be measured."""
    if key in fields.values and fields.values[key] is None:
        return math.nan
    return fields.number(key, at_least=0, at_most=1)


def _count(fields: Fields, key: str) -> int:
    return fields.whole(key, at_least=0)
