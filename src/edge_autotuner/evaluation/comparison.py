"""Several detectors on the same frames, against a teacher's labels and, where they exist, human boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.core.json_fields import FieldError, Fields
from edge_autotuner.core.tasks import task_of
from edge_autotuner.core.types import IntArray
from edge_autotuner.errors import ConfigError, EvaluationError
from edge_autotuner.evaluation.scores import Scores
from edge_autotuner.evaluation.truth import Truth

OFF_THE_SHELF = "off-the-shelf edge"
SPECIALIZED = "specialized edge"
TEACHER = "teacher"
AGAINST_TEACHER = "teacher"
AGAINST_HUMAN = "human"


@dataclass(frozen=True)
class Comparison:
    """Scores by truth and detector.

    Attributes:
        scores: truth name -> detector name -> scores, both in the order of the page.
    """

    scores: dict[str, dict[str, Scores]] = field(default_factory=dict)

    def get(self, truth: str, detector: str) -> Scores | None:
        """Return one entry, None when it was not measured."""
        return self.scores.get(truth, {}).get(detector)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            truth: {name: scores.to_json() for name, scores in by_detector.items()}
            for truth, by_detector in self.scores.items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Comparison:
        """Read what `to_json` wrote.

        Raises:
            EvaluationError: it is of another form.
        """
        try:
            truths = Fields(values, "")
            by_truth = {truth: truths.inner(truth) for truth in truths.values}
            return cls(
                {
                    truth: {name: Scores.from_json(found.inner(name).values) for name in found.values}
                    for truth, found in by_truth.items()
                }
            )
        except FieldError as exc:
            raise EvaluationError(f"comparison cannot be read from JSON: {exc}") from exc


def compare_detectors(
    detections: Mapping[str, Sequence[Detections]],
    truths: Mapping[str, Sequence[Truth | None]],
    labels: LabelMap,
    *,
    max_detections: int = 300,
    min_score: float = 0.05,
    map_classes: Mapping[str, str] | None = None,
) -> Comparison:
    """Score every detector against every truth.

    A teacher is not scored against its own labels: that would say 1.

    Args:
        detections: detector name -> one per frame, class ids of `labels`.
        truths: truth name -> one per frame, class ids of `labels`; None for a frame that this truth does not
            know, which is then left out.
        labels: the classes.
        max_detections: most detections per frame and class that count.
        min_score: detections below are left out.
        map_classes: classes that are scored as another class, for example {"truck": "car"}.

    Raises:
        EvaluationError: a detector or truth has another number of frames.
        ConfigError: `map_classes` names an unknown class.
    """
    _check_lengths(detections, truths)
    merge = merge_classes(labels, map_classes or {})
    table: dict[str, dict[str, Scores]] = {}
    for truth_name, per_frame in truths.items():
        known = [(i, merge.truth(truth)) for i, truth in enumerate(per_frame) if truth is not None]
        table[truth_name] = {
            name: task_of(labels).score(
                [merge.detections(found[i]) for i, _ in known],
                [truth for _, truth in known],
                merge.labels,
                max_detections=max_detections,
                min_score=min_score,
            )
            for name, found in detections.items()
            if not (name == TEACHER and truth_name == AGAINST_TEACHER)
        }
    return Comparison(table)


def _check_lengths(
    detections: Mapping[str, Sequence[Detections]], truths: Mapping[str, Sequence[Truth | None]]
) -> None:
    lengths = {f"detector '{name}'": len(frames) for name, frames in detections.items()}
    lengths |= {f"truth '{name}'": len(frames) for name, frames in truths.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name}: {count}" for name, count in lengths.items())
        raise EvaluationError(f"every detector and truth needs one entry per frame, got {counts}")


@dataclass(frozen=True, eq=False)
class ClassMerge:
    """A table from a detector's classes to the classes that are scored.

    Only the class ids change. NMS per class has run before and is not repeated, so that two boxes of one
    object, once "car" and once "truck", become two cars of which one is a false alarm: a camera's user would
    see two boxes as well.

    Attributes:
        labels: the classes that are scored.
        new_ids: (C,) int64; position = old class id, value = class id in `labels`.
    """

    labels: LabelMap
    new_ids: IntArray

    def detections(self, detections: Detections) -> Detections:
        """Return the detections with the merged classes."""
        return detections.with_classes(self.new_ids[detections.class_ids])

    def truth(self, truth: Truth) -> Truth:
        """Return the truth with the merged classes."""
        return replace(truth, class_ids=self.new_ids[truth.class_ids])


def merges_among(labels: LabelMap, map_classes: Mapping[str, str]) -> dict[str, str]:
    """Return what a table for several label maps says of the classes of one."""
    return {name: target for name, target in map_classes.items() if name in labels}


def merge_classes(labels: LabelMap, map_classes: Mapping[str, str]) -> ClassMerge:
    """Prepare the scoring of some classes as another one, which may be new.

    >>> merge = merge_classes(LabelMap(("person", "car", "bus", "truck")), {"bus": "car", "truck": "car"})
    >>> merge.labels.names, merge.new_ids.tolist()
    (('person', 'car'), [0, 1, 1, 1])

    Raises:
        ConfigError: an unknown class, or a target that is itself mapped to another class.
    """
    labels.ids_of(map_classes)  # raises for a name that does not exist
    chained = sorted(name for name in set(map_classes.values()) & set(map_classes) if map_classes[name] != name)
    if chained:
        raise ConfigError(
            f"map_classes: '{chained[0]}' is mapped to another class but is also a target; map to the final class"
        )
    new_names = [map_classes.get(name, name) for name in labels]
    merged = labels.with_names(dict.fromkeys(new_names))
    return ClassMerge(merged, np.array([merged.id_of(name) for name in new_names], dtype=np.int64))
