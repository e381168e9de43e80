"""Which classes of a teacher are dropped, and whether these are really not there: both error rates.

A class is spurious where nothing of the kind is there, by the exact truth (fewer than a tenth of its labels lie on an
object of its kind) or by the pictures of a clip; it is real where at least half of its labels are right. A truck that
is called a bus is neither: such look-alikes are counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.labels.cameras import CAMERAS, LabelCamera
from benchmarks.labels.collect import PAIRS, Collection, Labelled
from benchmarks.markdown import table
from edge_autotuner.annotation.refine import find_dropped, find_places, refine_frames
from edge_autotuner.core import STREET_6, Detections, iou_matrix
from edge_autotuner.evaluation import Truth

_KINDS = {"car": "vehicle", "bus": "vehicle", "truck": "vehicle", "bicycle": "two wheels", "motorcycle": "two wheels"}
_KIND_OF = np.array([sorted({*_KINDS.values(), "person"}).index(_KINDS.get(name, name)) for name in STREET_6])
_RARE = 0.03  # of the labels of a camera
_SAME_IOU = 0.5


def run_spurious(collection: Collection, *, quick: bool) -> list[dict[str, Any]]:
    """Return one row per camera, teacher and class with labels."""
    cameras = CAMERAS[:1] if quick else CAMERAS
    return [
        {"camera": camera.name, "teacher": teacher, **row}
        for camera in cameras
        for teacher in PAIRS
        for row in _rows(collection, collection.labelled(camera, teacher))
    ]


def _rows(collection: Collection, labelled: Labelled) -> Iterable[dict[str, Any]]:
    if not labelled.train:
        return
    config, frames = labelled.config.annotation, labelled.train
    refined = refine_frames(frames, find_places(frames, config), config)
    dropped = {one.name: str(one) for one in find_dropped(frames, refined, config, STREET_6)}
    labels = [found.above(config.min_score) for found in refined.detections]
    truths = collection.truths(labelled.camera, frames) if labelled.camera.source is None else None
    n_all = sum(map(len, labels))
    for class_id, name in enumerate(STREET_6):
        n = sum(int((found.class_ids == class_id).sum()) for found in labels)
        if n and name not in labelled.camera.unclear:
            what = _by_pictures(labelled.camera, name) if truths is None else _by_truth(labels, truths, class_id)
            yield {"class": name, "n": n, "is_rare": n < _RARE * n_all, "is": what, "dropped": dropped.get(name)}


def _by_pictures(camera: LabelCamera, name: str) -> str:
    there = camera.classes or ()
    if name in there:
        return "real"
    return "look-alike" if any(_KINDS.get(one, one) == _KINDS.get(name, name) for one in there) else "spurious"


def _by_truth(labels: Sequence[Detections], truths: Sequence[Truth], class_id: int) -> str:
    right, of_kind = (np.concatenate(values) for values in zip(*map(_hits(class_id), labels, truths), strict=True))
    if right.mean() >= 0.5:
        return "real"
    return "spurious" if of_kind.mean() < 0.1 else "look-alike"


def _hits(class_id: int) -> Any:  # noqa: ANN401
    def hits(found: Detections, truth: Truth) -> tuple[Any, Any]:
        overlap = iou_matrix(found.boxes_xyxy[found.class_ids == class_id], truth.boxes_xyxy) >= _SAME_IOU
        of_kind = _KIND_OF[truth.class_ids] == _KIND_OF[class_id]
        return (overlap & (truth.class_ids == class_id)).any(axis=1), (overlap & of_kind).any(axis=1)

    return hits


def spurious_table(results: Mapping[str, Any]) -> str:
    """Return how many classes of each sort are dropped, by teacher, on simulated cameras and clips."""
    rows = results.get("spurious", {}).get("measured", [])
    if not rows:
        return "Not measured yet."
    simulated = {camera.name for camera in CAMERAS if camera.source is None}
    lines = []
    for title, is_simulated in (("simulated cameras", True), ("clips", False)):
        for teacher in PAIRS:
            own = [r for r in rows if r["teacher"] == teacher and (r["camera"] in simulated) == is_simulated]
            lines.append([title, teacher, *(_share(own, *sort) for sort in _SORTS)])
    head = ["spurious: dropped", "rare and real: kept", "frequent and real: kept", "look-alikes: kept"]
    return table(["cameras", "teacher", *head], lines)


_SORTS: tuple[tuple[str, bool | None, bool], ...] = (
    ("spurious", None, True), ("real", True, False), ("real", False, False), ("look-alike", None, False),
)  # fmt: skip


def _share(rows: Sequence[Mapping[str, Any]], what: str, is_rare: bool | None, is_dropped: bool) -> str:
    own = [r for r in rows if r["is"] == what and is_rare in (None, r["is_rare"])]
    return f"{sum((r['dropped'] is not None) == is_dropped for r in own)} of {len(own)}"
