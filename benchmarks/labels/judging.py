"""What the labels of test frames are worth, and whether a worse teacher is noticed, against the exact truth.

Models off the shelf, at several input sizes, stand for teachers, start models and candidates. Each looks at some test
frames of every simulated camera, in several ways.

judging  how often labels that a way to look gives order two models otherwise than the truth, where the truth is clear
check    how often the comparison of teacher and start model warns, where the teacher is clearly worse or better
"""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.labels.cameras import SIMULATED, LabelCamera
from benchmarks.labels.collect import Collection
from benchmarks.markdown import table
from benchmarks.scenes import data_folder
from benchmarks.simulation.accuracy import AS_CAR
from edge_autotuner.annotation import MirroredTeacher, RegionTeacher, fuse_boxes
from edge_autotuner.config import AnnotationConfig, resolve_config
from edge_autotuner.core import STREET_6, Annotation, Detections, Detector
from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.evaluation import Truth, merge_classes, score_detections, truth_from_annotation
from edge_autotuner.models import OnnxDetector, find_model
from edge_autotuner.pipeline.edge_model import open_edge_model
from edge_autotuner.pipeline.teacher_check import compare_looks

N_FRAMES, CLEAR = 16, 0.03  # frames of a camera; difference of AP50:95 that is an order
JUDGES = ("street-nano", "deimv2-femto", "picodet-s")
EVERY_PAIR = 3  # of the pairs of models, which are compared in both directions
_EDGE_SIZES = {"street-nano": (224, 320, 416), "yolox-nano": (256, 320, 416)}
_OTHERS = ("deimv2-femto", "deimv2-atto", "picodet-s", "ssdlite-mobilenet-v2")
_CONFIG = AnnotationConfig()

Look = tuple[str, str]
"""Model and way to look: plain, mirrored, finer."""

WAYS: Mapping[str, Sequence[Look]] = {
    "street-nano (zoom)": [("street-nano", "plain")],
    "street-nano, mirrored": [("street-nano", "plain"), ("street-nano", "mirrored")],
    "street-nano, finer": [("street-nano", "plain"), ("street-nano", "finer")],
    "street-nano, mirrored, finer": [("street-nano", look) for look in ("plain", "mirrored", "finer")],
    "deimv2-femto": [("deimv2-femto", "plain")],
    "deimv2-femto, mirrored": [("deimv2-femto", "plain"), ("deimv2-femto", "mirrored")],
    "deimv2-femto, finer": [("deimv2-femto", "plain"), ("deimv2-femto", "finer")],
    "deimv2-femto, mirrored, finer": [("deimv2-femto", look) for look in ("plain", "mirrored", "finer")],
    "picodet-s": [("picodet-s", "plain")],
    "street-nano + deimv2-femto": [("street-nano", "plain"), ("deimv2-femto", "plain")],
    "street-nano + picodet-s": [("street-nano", "plain"), ("picodet-s", "plain")],
    "deimv2-femto + picodet-s": [("deimv2-femto", "plain"), ("picodet-s", "plain")],
    "all three": [(name, "plain") for name in JUDGES],
}


@dataclass(frozen=True)
class Looks:
    """What was seen of one camera.

    Attributes:
        truths: the true boxes of each frame.
        teachers: by look, in tiles.
        models: by name and input size, full frame; "NAME|mirrored" is mirrored back.
    """

    truths: list[Truth]
    teachers: dict[Look, list[Annotation]]
    models: dict[str, list[Detections]]


def run_judging(collection: Collection, *, quick: bool) -> list[dict[str, Any]]:
    """Return one row per way to label: clear pairs of models, and those that its labels order wrongly."""
    seen = _seen(collection, quick=quick)
    exact = [{name: _ap(found, one.truths) for name, found in _plain(one).items()} for one in seen]
    rows = []
    for way, looks in WAYS.items():
        of_way = [_orders(one, truth, looks) for one, truth in zip(seen, exact, strict=True)]
        pairs = [pair for pairs, _ in of_way for pair in pairs]
        own = {name for name, _ in looks}
        shared = [p for p in pairs if _is_of(p[0], own) != _is_of(p[1], own)]
        rows.append(
            {"way": way, "n_calls": _n_calls(seen[0], looks), "ap": float(np.mean([ap for _, ap in of_way])),
             "all": _counts(pairs), "with its own model": _counts(shared)}
        )  # fmt: skip
    return rows


def run_check(collection: Collection, *, quick: bool) -> list[dict[str, Any]]:
    """Return one row per camera and pair of models: how much better the one is, and what the comparison says."""
    return [
        {"camera": camera.name, **row}
        for camera, one in zip(_cameras(quick=quick), _seen(collection, quick=quick), strict=True)
        for row in _compared(one)
    ]


def judging_table(results: Mapping[str, Any]) -> str:
    """Return wrong orders by way to label."""
    rows = results.get("judging", {}).get("measured", [])
    if not rows:
        return "Not measured yet."
    head = ["labels by", "calls per frame", "AP50:95 of the labels", "wrong orders", "of pairs with its own model"]
    lines = [[r["way"], str(r["n_calls"]), f"{r['ap']:.3f}", _of(r["all"]), _of(r["with its own model"])] for r in rows]
    return table(head, lines)


def check_table(results: Mapping[str, Any]) -> str:
    """Return warnings by how much better or worse the teacher is."""
    rows = results.get("check", {}).get("measured", [])
    if not rows:
        return "Not measured yet."
    lines = []
    for title, low, high in (
        ("worse by .05 or more", -math.inf, -0.05),
        ("worse by .02 to .05", -0.05, -0.02),
        ("equal within .02", -0.02, 0.02),
        ("better by .02 or more", 0.02, math.inf),
    ):
        own = [r["warned"] for r in rows if low <= r["exact"] < high]
        lines.append([title, f"{sum(own)} of {len(own)}" + (f" ({sum(own) / len(own):.0%})" if own else "")])
    return table(["the teacher is, by AP50:95 against the truth", "warnings"], lines)


def _of(counts: Sequence[int]) -> str:
    wrong, n = counts
    return f"{wrong} of {n}" + (f" ({wrong / n:.1%})" if n else "")


def _cameras(*, quick: bool) -> Sequence[LabelCamera]:
    return SIMULATED[:1] if quick else SIMULATED


def _seen(collection: Collection, *, quick: bool) -> list[Looks]:
    return [_looks(collection, camera) for camera in _cameras(quick=quick)]


def _looks(collection: Collection, camera: LabelCamera) -> Looks:
    """Return what was seen of a camera; made where it is not there yet."""
    path = collection.folder / camera.name / f"looks-{N_FRAMES}.pickle"
    if not path.is_file():
        path.write_bytes(pickle.dumps(_look(collection, camera)))
    return Looks(*pickle.loads(path.read_bytes()))  # our own file


def _look(collection: Collection, camera: LabelCamera) -> tuple[Any, ...]:
    labelled = collection.labelled(camera, "zoom")
    frames = labelled.test[:: max(1, len(labelled.test) // N_FRAMES)][:N_FRAMES]
    with DatasetStore.open(collection.run_folder(camera, "zoom") / "dataset") as store:
        images = [store.read_image(record) for record, _ in frames]
    teachers = {}
    for name in JUDGES:
        teacher = RegionTeacher(_detector(collection, name, 416, 0.1), _CONFIG, labels=STREET_6, name=name)
        for look, way in (
            ("plain", teacher),
            ("mirrored", MirroredTeacher(teacher)),
            ("finer", teacher.in_finer_tiles()),
        ):
            teachers[name, look] = [way.annotate(image, None) for image in images]
    return collection.truths(camera, frames), teachers, dict(_models_on(collection, images))


def _models_on(collection: Collection, images: Sequence[ImageArray]) -> Iterator[tuple[str, list[Detections]]]:
    sizes = {f"{name} {side}": (name, side) for name, sides in _EDGE_SIZES.items() for side in sides}
    sizes |= {name: (name, find_model(name).input_size_wh[0]) for name in _OTHERS}
    for key, (name, side) in sizes.items():
        detector = _detector(collection, name, side, 0.05)
        yield key, [detector.detect(image).relabelled(detector.labels, STREET_6) for image in images]
        turned = [detector.detect(np.ascontiguousarray(image[:, ::-1])) for image in images]
        back = [d.mirrored(image.shape[1]) for d, image in zip(turned, images, strict=True)]
        yield f"{key}|mirrored", [d.relabelled(detector.labels, STREET_6) for d in back]


def _detector(collection: Collection, name: str, side: int, min_score: float) -> Detector:
    model, data = find_model(name), data_folder() / "models"
    if model.detector is not None:
        return OnnxDetector(data / str(model.files[0].mirror), model.detector, min_score=min_score, n_threads=1)
    settings = {
        "edge_model": name, "annotation.teacher": "deimv2-femto", "training.second_look.enabled": False,
        "input_size": str(side), "models_dir": data,
    }  # fmt: skip
    path = collection.folder / "models" / f"{name}-{side}.onnx"
    edge = open_edge_model(resolve_config(None, settings))
    return edge.as_detector((side, side), path, min_score=min_score, n_threads=1)


def _plain(one: Looks) -> dict[str, list[Detections]]:
    return {name: found for name, found in one.models.items() if "|" not in name}


def _orders(one: Looks, exact: Mapping[str, float], looks: Sequence[Look]) -> tuple[list[tuple[str, str, bool]], float]:
    """Return the clear pairs of a camera, each with whether the labels order it wrongly, and the labels' own AP."""
    labels = _join([_join([one.teachers[n, look] for n, look in looks if n == name]) for name in _names(looks)])
    judged = [truth_from_annotation(label, min_score=_CONFIG.min_score) for label in labels]
    by_labels = {name: _ap(found, judged) for name, found in _plain(one).items()}
    clear = [(a, b) for a, b in itertools.combinations(exact, 2) if abs(exact[a] - exact[b]) >= CLEAR]
    pairs = [(a, b, (exact[a] - exact[b]) * (by_labels[a] - by_labels[b]) <= 0) for a, b in clear]
    return pairs, _ap([label.detections for label in labels], one.truths)


def _names(looks: Sequence[Look]) -> list[str]:
    return list(dict.fromkeys(name for name, _ in looks))


def _n_calls(one: Looks, looks: Sequence[Look]) -> int:
    return sum(one.teachers[look][0].n_calls for look in looks)


def _counts(pairs: Sequence[tuple[str, str, bool]]) -> list[int]:
    return [sum(wrong for _, _, wrong in pairs), len(pairs)]


def _is_of(model: str, names: set[str]) -> bool:
    return any(model.startswith(name) for name in names)


def _join(answers: Sequence[list[Annotation]]) -> list[Annotation]:
    if len(answers) == 1:
        return answers[0]
    knows = np.ones((len(answers), len(STREET_6)), np.bool_)
    joined = []
    for said in zip(*answers, strict=True):
        boxes = fuse_boxes(
            [one.detections for one in said], weights=(1.0,) * len(said), knows=knows,
            fusion_iou=_CONFIG.fusion_iou, same_object_iou=_CONFIG.same_object_iou,
        )  # fmt: skip
        joined.append(Annotation(boxes.above(_CONFIG.uncertain_score), said[0].looked_xyxy))
    return joined


def _ap(found: Sequence[Detections], truths: Sequence[Truth]) -> float:
    """Return AP50:95, classes weighted by their objects; car, bus and truck are one class."""
    merge = merge_classes(STREET_6, AS_CAR)
    scores = score_detections([merge.detections(d) for d in found], [merge.truth(t) for t in truths], merge.labels)
    of = scores.per_class.values()
    return sum(c.ap * c.n_truths for c in of) / max(sum(c.n_truths for c in of), 1)


def _compared(one: Looks) -> Iterator[dict[str, Any]]:
    plain = {f"{name}, tiles": [a.detections for a in one.teachers[name, "plain"]] for name in JUDGES} | _plain(one)
    turned = {f"{name}, tiles": [a.detections for a in one.teachers[name, "mirrored"]] for name in JUDGES}
    turned |= {name: one.models[f"{name}|mirrored"] for name in _plain(one)}
    exact = {name: _ap(found, one.truths) for name, found in plain.items()}
    for teacher, start in list(itertools.combinations(plain, 2))[::EVERY_PAIR]:
        looks = plain[teacher], turned[teacher], plain[start], turned[start]
        check = compare_looks(*looks, labels=STREET_6, config=_CONFIG)
        if check is not None:
            back = replace(check, teacher_ap=check.start_ap, start_ap=check.teacher_ap)
            for a, b, said in ((teacher, start, check), (start, teacher, back)):
                difference = round(exact[a] - exact[b], 4)
                yield {"teacher": a, "start": b, "exact": difference, "warned": said.may_be_worse}
