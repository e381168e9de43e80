"""Accuracy figures of one detector, and their JSON form. All are fractions in [0, 1], never percent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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
        return dict(nan_to_null(asdict(self)))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Scores:
        """Read what `to_json` wrote.

        Raises:
            EvaluationError: a value is missing or of another type.
        """
        try:
            fields = Fields(values, "")
            classes = fields.inner("per_class")
            each = {name: classes.inner(name) for name in classes.values}
            per_class = {
                name: ClassScores(*_scores(one), one.whole("n_truths", at_least=0)) for name, one in each.items()
            }
            counts = (fields.whole(key, at_least=0) for key in ("n_frames", "n_truths"))
            return cls(*_scores(fields), per_class, *counts)
        except FieldError as exc:
            raise EvaluationError(f"scores cannot be read from JSON: {exc}") from exc


def nan_to_null(value: Any) -> Any:  # noqa: ANN401 (JSON values: what comes in goes out)
    """Return values for JSON, in which null stands for a number that could not be measured."""
    if isinstance(value, Mapping):
        return {key: nan_to_null(each) for key, each in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def number_or_nan(fields: Fields, key: str, *, at_least: float) -> float:
    """Return a number from `at_least` to 1; nan for null."""
    if key in fields.values and fields.values[key] is None:
        return math.nan
    return fields.number(key, at_least=at_least, at_most=1)


def _scores(fields: Fields) -> tuple[float, float]:
    ap50, ap = (number_or_nan(fields, key, at_least=0) for key in ("ap50", "ap"))
    return ap50, ap
