"""Several classes scored as one, for example car, bus and truck where the truth knows only cars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.core.types import IntArray
from edge_autotuner.errors import ConfigError
from edge_autotuner.evaluation.truth import Truth


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


def merge_classes(labels: LabelMap, map_classes: Mapping[str, str]) -> ClassMerge:
    """Prepare the scoring of several classes as one.

    >>> merge = merge_classes(LabelMap(("person", "car", "bus", "truck")), {"bus": "car", "truck": "car"})
    >>> merge.labels.names, merge.new_ids.tolist()
    (('person', 'car'), [0, 1, 1, 1])

    Args:
        labels: classes of the detections and truths.
        map_classes: class -> the class that it is scored as; the latter may be a new name.

    Raises:
        ConfigError: an unknown class, or a class that others become is itself mapped away.
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
