"""The scores and overlaps at which a model's boxes are shown to people, and what to expect there.

Average precision needs all boxes from a low score on. A user wants one answer: which boxes to believe.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_autotuner.core.json_fields import Fields
from edge_autotuner.core.labels import LabelMap

F1, FALSE_ALARMS = "f1", "false_alarms"
_SHARES = ("min_score", "precision", "recall")


@dataclass(frozen=True)
class ClassPoint:
    """Where the boxes of one class are shown.

    Attributes:
        min_score: boxes below this are not shown, in [0, 1].
        nms_iou: of two boxes of the class that overlap by more, the one with the lower score is not shown, in (0, 1].
        precision: share of shown boxes that are right, in [0, 1], on the frames that chose the point; nan for none.
        recall: share of objects that are found, in [0, 1]; nan without objects.
        n_objects: objects of the class in those frames.
        is_pooled: score and overlap are those of all classes together, as this class has too few objects.
    """

    min_score: float
    nms_iou: float
    precision: float
    recall: float
    n_objects: int
    is_pooled: bool = False

    def __post_init__(self) -> None:
        for name in _SHARES:
            value = getattr(self, name)
            if not (0 <= value <= 1 or (name != "min_score" and math.isnan(value))):
                raise ValueError(f"{name} must be in [0, 1], got {value}")
        if not 0 < self.nms_iou <= 1:
            raise ValueError(f"nms_iou must be in (0, 1], got {self.nms_iou}")
        if self.n_objects < 0:
            raise ValueError(f"n_objects must be at least 0, got {self.n_objects}")

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; nan becomes null."""
        return {
            "min_score": self.min_score,
            "nms_iou": self.nms_iou,
            "precision": _null_for_nan(self.precision),
            "recall": _null_for_nan(self.recall),
            "n_objects": self.n_objects,
            "is_pooled": self.is_pooled,
        }

    @classmethod
    def from_json(cls, fields: Fields) -> ClassPoint:
        """Read what `to_json` wrote.

        Raises:
            ValueError: a value is missing, unknown or out of range.
        """
        fields.refuse_unknown({*_SHARES, "nms_iou", "n_objects", "is_pooled"})
        return cls(
            min_score=fields.number("min_score", at_least=0, at_most=1),
            nms_iou=fields.number("nms_iou", at_least=1e-6, at_most=1),
            precision=_number_or_nan(fields, "precision", at_most=1),
            recall=_number_or_nan(fields, "recall", at_most=1),
            n_objects=fields.whole("n_objects", at_least=0),
            is_pooled=fields.flag("is_pooled", default=False),
        )


@dataclass(frozen=True)
class OperatingPoint:
    """Which boxes of a model are shown, class by class.

    Attributes:
        per_class: class name -> its point.
        false_alarms_per_hour: expected per hour of video, of all classes; false boxes that follow one object or place
            from frame to frame are one alarm. nan where the frames have no length.
        n_frames: frames that chose the point.
        judged_s: seconds of video that they stand for. With few, a small rate is a guess: without any alarm in T
            hours, up to 3 / T per hour are possible (95 %).
        max_false_alarms_per_hour: what the user allowed; None: the point has the best F1.
        twin_iou: of two shown boxes of different classes that overlap by more, only the better one is shown; None: both
            are.
    """

    per_class: Mapping[str, ClassPoint]
    false_alarms_per_hour: float
    n_frames: int
    judged_s: float
    max_false_alarms_per_hour: float | None = None
    twin_iou: float | None = None

    def __post_init__(self) -> None:
        if not self.per_class:
            raise ValueError("an operating point needs at least one class")
        if self.twin_iou is not None and not 0 < self.twin_iou <= 1:
            raise ValueError(f"twin_iou must be in (0, 1], got {self.twin_iou}")

    @property
    def rule(self) -> str:
        """How it was chosen, for people."""
        allowed = self.max_false_alarms_per_hour
        return "best F1" if allowed is None else f"at most {allowed:g} false alarms per hour"

    def min_scores(self, labels: LabelMap) -> npt.NDArray[np.float64]:
        """Return the (C,) float64 minimum score of each class; 1.01, above every score, for a class it has not."""
        known = self.per_class
        return np.array([known[name].min_score if name in known else 1.01 for name in labels], np.float64)

    def nms_ious(self, labels: LabelMap) -> npt.NDArray[np.float64]:
        """Return the (C,) overlap of each class; 1, which suppresses nothing, for a class it has not."""
        known = self.per_class
        return np.array([known[name].nms_iou if name in known else 1.0 for name in labels], np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; nan becomes null."""
        rule: dict[str, Any] = {"rule": F1}
        if self.max_false_alarms_per_hour is not None:
            rule = {"rule": FALSE_ALARMS, "max_false_alarms_per_hour": self.max_false_alarms_per_hour}
        return {
            "per_class": {name: point.to_json() for name, point in self.per_class.items()},
            "twin_iou": self.twin_iou,
            "false_alarms_per_hour": _null_for_nan(self.false_alarms_per_hour),
            "n_frames": self.n_frames,
            "judged_s": self.judged_s,
            **rule,
        }

    @classmethod
    def from_json(cls, fields: Fields, labels: LabelMap) -> OperatingPoint:
        """Read what `to_json` wrote; it must name each class of `labels` and no other. Unknown keys are ignored.

        Raises:
            ValueError: a value is missing or out of range, or the classes differ.
        """
        classes = fields.inner("per_class")
        if set(classes.values) != set(labels):
            raise fields.error("per_class", f"an object with a key per class ({', '.join(labels):.200})")
        rule = fields.text("rule")
        if rule not in (F1, FALSE_ALARMS):
            raise fields.error("rule", f"{F1} or {FALSE_ALARMS}")
        return cls(
            {name: ClassPoint.from_json(classes.inner(name)) for name in labels},
            false_alarms_per_hour=_number_or_nan(fields, "false_alarms_per_hour"),
            n_frames=fields.whole("n_frames", at_least=0),
            judged_s=fields.number("judged_s", at_least=0),
            max_false_alarms_per_hour=None if rule == F1 else fields.number("max_false_alarms_per_hour", at_least=0),
            twin_iou=fields.number("twin_iou", at_least=1e-6, at_most=1) if fields.has("twin_iou") else None,
        )


def _null_for_nan(value: float) -> float | None:
    return None if math.isnan(value) else value


def _number_or_nan(fields: Fields, key: str, *, at_most: float = math.inf) -> float:
    if key in fields.values and fields.values[key] is None:
        return math.nan
    return fields.number(key, at_least=0, at_most=at_most)
