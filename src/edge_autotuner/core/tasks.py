"""What models are trained for, as one object per task: today boxes.

A `LabelMap` names its task, so a stage finds the task where it finds the classes: in a dataset, a bundle, a detector.
A `Task` names its parts as "module:object". They are in the packages that do the work, and loaded on first use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Generic, Protocol, TypeVar, cast

from edge_autotuner.core.detections import Detections
from edge_autotuner.core.json_fields import Fields
from edge_autotuner.core.labels import LabelMap
from edge_autotuner.core.plugins import PluginTable
from edge_autotuner.core.types import BoolArray, FloatArray

_PartT = TypeVar("_PartT")


class Codec(Protocol):
    """Writes and reads values. All forms keep every number exactly, but for the rows and records for other tools."""

    def to_json(self, found: Detections) -> dict[str, Any]:
        """Return the columns of one picture as they are on disk."""
        ...

    def from_json(self, fields: Fields) -> Detections:
        """Read what `to_json` returned, beside other keys; raise `ValueError` for anything else."""
        ...

    def to_columns(self, found: Detections) -> dict[str, Any]:
        """Return the columns of one picture as they are on the wire."""
        ...

    def from_columns(self, columns: Mapping[str, Any]) -> Detections:
        """Read columns whose types have been checked."""
        ...

    def to_bytes(self, found: Detections) -> bytes:
        """Return the form in caches."""
        ...

    def from_bytes(self, content: bytes) -> Detections:
        """Read what `to_bytes` returned; raise `ValueError` for anything else."""
        ...

    def to_rows(self, found: Detections, labels: LabelMap) -> list[dict[str, Any]]:
        """Return one object per item, for the outputs of a node."""
        ...

    def to_coco_results(self, found: Detections) -> list[dict[str, Any]]:
        """Return the fields of a COCO result record for each item, without ids."""
        ...

    def to_coco_labels(self, found: Detections) -> list[dict[str, Any]]:
        """Return the geometry that a COCO annotation holds of each item."""
        ...


class Similarity(Protocol):
    """Compares the N items of one value with the M of another."""

    def __call__(self, some: Detections, others: Detections) -> FloatArray:
        """Return (N, M) in [0, 1], symmetric; 1 for equal items."""
        ...


class Merge(Protocol):
    """Joins what one teacher saw in several views of a frame."""

    def __call__(
        self, found: Sequence[Detections], *, merge_iou: float, max_detections: int, same_object_iou: float | None
    ) -> Detections:
        """Return the best of the items that show one object, unchanged, by falling score."""
        ...


class Fuse(Protocol):
    """Averages what several teachers saw in one frame."""

    def __call__(
        self,
        found: Sequence[Detections],
        *,
        weights: Sequence[float],
        knows: BoolArray,
        fusion_iou: float,
        same_object_iou: float | None,
    ) -> Detections:
        """Return one item per object, by falling score, for (T,) weights of teachers that know (T, C) classes."""
        ...


class Draw(Protocol):
    """Draws values as SVG elements in frame pixels."""

    def __call__(self, detections: Detections, labels: LabelMap, *, highlighted: BoolArray, width: int) -> str:
        """Return the elements; the (N,) highlighted ones stand out. The frame's width sets the size of letters."""
        ...


class Score(Protocol):
    """Scores a detector over frames; truths and scores have the types of `evaluation`."""

    def __call__(
        self,
        detections: Sequence[Detections],
        truths: Sequence[Any],
        labels: LabelMap,
        *,
        max_detections: int,
        min_score: float,
    ) -> Any:  # noqa: ANN401 (evaluation's own type)
        """Return the scores."""
        ...


class _Part(Generic[_PartT]):
    """An attribute that is loaded on first use."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, task: Task, owner: type) -> _PartT:
        module, _, name = task.parts[self._name].partition(":")
        loaded = getattr(import_module(module), name)
        task.__dict__[self._name] = loaded  # found before this descriptor from now on
        return cast(_PartT, loaded)


class Task:
    """One task.

    Args:
        name: as label maps, datasets and bundles write it.
        parts: attribute -> "module:object".

    Attributes:
        value: type of what a detector says about one picture: `Detections` or a subclass.
        codec: writes and reads values.
        similarity: compares values.
        merge: joins the views of one teacher.
        fuse: averages several teachers.
        draw: draws values for a report.
        score: scores a detector.
    """

    value = _Part[type[Detections]]()
    codec = _Part[Codec]()
    similarity = _Part[Similarity]()
    merge = _Part[Merge]()
    fuse = _Part[Fuse]()
    draw = _Part[Draw]()
    score = _Part[Score]()

    def __init__(self, name: str, **parts: str) -> None:
        self.name = name
        self.parts = parts


BOXES = Task(
    "boxes",
    value="edge_autotuner.core.detections:Detections",
    codec="edge_autotuner.core.box_codec:BOX_CODEC",
    similarity="edge_autotuner.core.detections:box_similarity",
    merge="edge_autotuner.annotation.fusion:merge_views",
    fuse="edge_autotuner.annotation.fusion:fuse_boxes",
    draw="edge_autotuner.evaluation.report.pictures:boxes_svg",
    score="edge_autotuner.evaluation.average_precision:score_detections",
)

TASKS = PluginTable("task", "edge_autotuner.tasks", {"boxes": "edge_autotuner.core.tasks:BOXES"})
"""An entry point names a `Task`. `LabelMap.task` is one of these names."""


@cache
def task_named(name: str) -> Task:
    """Return a task.

    Raises:
        ConfigError: there is no such task here.
    """
    return TASKS.load(name)  # type: ignore[no-any-return]


def task_of(labels: LabelMap) -> Task:
    """Return the task of a detector, a dataset or a bundle. Raises as `task_named`."""
    return task_named(labels.task)
