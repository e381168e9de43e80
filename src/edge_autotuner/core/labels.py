"""Class names and their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge_autotuner.core.json_fields import Fields
from edge_autotuner.core.types import IntArray
from edge_autotuner.errors import ConfigError


@dataclass(frozen=True)
class LabelMap:
    """Class names in the order of a model's outputs; a class id is the position in `names`.

    Attributes:
        names: each once.
        task: what the model says about an object of a class; see `core.tasks`.

    >>> labels = LabelMap(("person", "car"))
    >>> labels.id_of("car")
    1
    """

    names: tuple[str, ...]
    task: str = "boxes"

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"class names must be unique, got {self.names}")

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, class_id: int) -> str:
        return self.names[class_id]

    def id_of(self, name: str) -> int:
        """Return the class id of a name.

        Raises:
            ConfigError: there is no such class; the message lists the known ones.
        """
        try:
            return self.names.index(name)
        except ValueError:
            known = ", ".join(self.names)
            raise ConfigError(f"unknown class '{name}'; known classes: {known}") from None

    def positions_of(self, other: LabelMap) -> IntArray:
        """Return (C,) the class id here of each of another map's names; -1 where there is no such name."""
        return np.array([self.names.index(name) if name in self else -1 for name in other], np.int64)

    def to_json(self) -> dict[str, Any]:
        """Return the keys "labels" and, for any task but "boxes", "task"."""
        task = {} if self.task == "boxes" else {"task": self.task}
        return {"labels": list(self.names), **task}

    @classmethod
    def from_json(cls, fields: Fields) -> LabelMap:
        """Read what `to_json` returned, beside other keys.

        Raises:
            ValueError: a key is missing or of another type.
        """
        return cls(tuple(fields.texts("labels")), fields.text("task", default="boxes"))

    def with_names(self, names: Iterable[str]) -> LabelMap:
        """Return other classes of the same task."""
        return replace(self, names=tuple(names))

    def ids_of(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the class ids of several names, in their order."""
        return tuple(self.id_of(name) for name in names)


STREET_6 = LabelMap(("person", "bicycle", "car", "motorcycle", "bus", "truck"))
"""The target classes of the paper (section 5.1 and its public code)."""

_COCO_NAMES = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, "
    "parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, "
    "handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, "
    "surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, "
    "broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, "
    "laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, "
    "scissors, teddy bear, hair drier, toothbrush"
)

COCO_80 = LabelMap(tuple(_COCO_NAMES.split(", ")))
"""The 80 COCO classes in the contiguous order that detectors use."""

_IDS_THAT_COCO_SKIPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}

COCO_CATEGORY_IDS = dict(zip(COCO_80, (i for i in range(1, 91) if i not in _IDS_THAT_COCO_SKIPS), strict=True))
"""The category ids of COCO's own files, 1 to 90 with gaps, by class name."""
