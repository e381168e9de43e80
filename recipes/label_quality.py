"""Measures what each rule of the label refinement is worth: `python -m recipes.label_quality`.

Labels of two teachers, and of both fused, are compared with human boxes on frames of PETS that are never tested on.
Each rule is switched on alone, then all at once. The teachers are asked once; the rules are cheap.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.scenes import PETS, data_folder
from edge_autotuner.annotation import fuse_boxes, split_labels
from edge_autotuner.annotation.refine import find_places, refine_frames
from edge_autotuner.cli.progress_bar import ProgressBar
from edge_autotuner.config import AnnotationConfig, RefinementConfig, RunConfig
from edge_autotuner.config.annotation import NO_REFINEMENT
from edge_autotuner.core import STREET_6, Annotation, Detections, iou_matrix
from edge_autotuner.core.types import BoolArray, FloatArray
from edge_autotuner.dataset import DatasetStore, LabelledFrame, load_coco_truth
from edge_autotuner.evaluation import Truth, count_found, score_detections
from edge_autotuner.pipeline import stages
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.storage.atomic import atomic_write_json

RESULT = Path(__file__).with_suffix(".json")
TEACHERS = ("zoom", "deimv2-femto")
PERSON = STREET_6.id_of("person")
N_FRAMES = 250  # of the 500: 0.2 s apart

_DEFAULT = RefinementConfig()


def _only(**rules: object) -> RefinementConfig:
    return NO_REFINEMENT.model_copy(update=rules)


VARIANTS: Mapping[str, RefinementConfig] = {
    "as the teacher gave them": NO_REFINEMENT,
    "static_objects: ignore": _only(static_objects="ignore"),
    "static_objects: background": _only(static_objects="background"),
    "smooth_boxes_s": _only(smooth_boxes_s=_DEFAULT.smooth_boxes_s),
    "smooth_scores_s": _only(smooth_scores_s=_DEFAULT.smooth_scores_s),
    "one_class_per_object": _only(one_class_per_object=True),
    "fill_gaps: ignore": _only(fill_gaps="ignore"),
    "fill_gaps: label": _only(fill_gaps="label"),
    "flicker_max_score": _only(flicker_max_score=_DEFAULT.flicker_max_score),
    "the defaults together": _DEFAULT,
}


def main(
    output: Annotated[
        Path, typer.Option(help="Folder of the frames and labels; what is there is not made again.")
    ] = Path("runs/label-quality"),
    result: Annotated[Path, typer.Option(help="Where the numbers go.")] = RESULT,
) -> None:
    """Label, refine, score, and print the table."""
    data = data_folder()
    labelled = {teacher: _label(teacher, data, output) for teacher in TEACHERS}
    labelled["both fused"] = _fuse(*labelled.values())
    truths = _human_boxes(labelled[TEACHERS[0]], data)
    numbers = {
        source: {name: _score(frames, truths, rules) for name, rules in VARIANTS.items()}
        for source, frames in labelled.items()
    }
    atomic_write_json(result, {"n_frames": len(truths), "sources": numbers}, indent=2)
    typer.echo(table(json.loads(result.read_text(encoding="utf-8"))))


def table(result: Mapping[str, Any]) -> str:
    """Return the Markdown table of the docs."""
    lines = ["| labels | rule | right | found | AP50 / AP | taught away |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {source} | {name} | {n['precision']:.3f} | {n['recall']:.3f} | {n['ap50']:.3f} / {n['ap']:.3f} "
        f"| {n['taught_away']:.3f} |"
        for source, variants in result["sources"].items()
        for name, n in variants.items()
    ]
    return "\n".join(lines)


def _label(teacher: str, data: Path, output: Path) -> list[LabelledFrame]:
    """Return the training frames with a teacher's own labels."""
    config = RunConfig.model_validate(
        {
            "models_dir": data / "models",
            "capture": {
                "train_frames": "0:500",
                "test_frames": "794:795",  # a run needs a test frame; nothing here looks at it
                "max_images": N_FRAMES,
                "picture_format": "png",
            },
            "annotation": {"teacher": teacher, "refine": NO_REFINEMENT.model_dump()},
        }
    )
    dataset = stages.capture_frames(data / PETS.source, output, config, progress=ProgressBar())
    stages.annotate(output, config, progress=ProgressBar())
    fingerprint = RunFolder(output).require("annotation", before="scoring").fingerprint
    with DatasetStore.open(dataset) as store:
        pairs = [(record, store.annotation_of(record, fingerprint)) for record in store.frames("train")]
    return [(record, annotation) for record, annotation in pairs if annotation is not None]


def _fuse(first: Sequence[LabelledFrame], second: Sequence[LabelledFrame]) -> list[LabelledFrame]:
    config = AnnotationConfig()
    knows = np.ones((2, len(STREET_6)), np.bool_)
    fused = []
    for (record, a), (_, b) in zip(first, second, strict=True):
        found = fuse_boxes(
            [a.detections, b.detections],
            weights=(1.0, 1.0),
            knows=knows,
            fusion_iou=config.fusion_iou,
            same_object_iou=config.same_object_iou,
        )
        fused.append((record, Annotation(found.above(config.uncertain_score), a.looked_xyxy)))
    return fused


def _human_boxes(frames: Sequence[LabelledFrame], data: Path) -> list[Truth]:
    truth = load_coco_truth(data / PETS.ground_truth, labels=STREET_6, map_classes={})
    found = [truth.for_frame(record.index, None) for record, _ in frames]
    return [Truth(*boxes) for boxes in found if boxes is not None]


def _score(frames: Sequence[LabelledFrame], truths: Sequence[Truth], rules: RefinementConfig) -> dict[str, float]:
    """Return how good the labels of people are.

    precision: share of the labels that are right; recall: share of the people that are labelled; taught_away: share of
    the people that are neither labelled nor inside an uncertain box, so that they are taught as background.
    """
    config = AnnotationConfig(refine=rules)
    refined = refine_frames(frames, find_places(frames, config), config)
    people = [found.select(found.class_ids == PERSON) for found in refined.detections]
    counts = count_found(people, truths, min_score=config.min_score)
    scores = score_detections(people, truths, STREET_6, max_detections=config.max_detections, min_score=0.05)
    taught_away = [
        _is_taught_away(truth.boxes_xyxy, found, annotation, config)
        for truth, found, (_, annotation) in zip(truths, refined.detections, frames, strict=True)
    ]
    return {
        "precision": counts.n_found / (counts.n_found + counts.n_false),
        "recall": counts.n_found / counts.n_truths,
        "ap50": scores.ap50,
        "ap": scores.ap,
        "taught_away": float(np.concatenate(taught_away).mean()),
    }


def _is_taught_away(
    true_xyxy: FloatArray, found: Detections, annotation: Annotation, config: AnnotationConfig
) -> BoolArray:
    labels = split_labels(Annotation(found, annotation.looked_xyxy), config)
    people = labels.objects.boxes_xyxy[labels.objects.class_ids == PERSON]
    is_labelled = iou_matrix(true_xyxy, people).max(axis=1, initial=0.0) >= 0.5
    centres = (true_xyxy[:, None, :2] + true_xyxy[:, None, 2:]) / 2  # (T, 1, 2)
    ignored = labels.ignored_xyxy
    is_inside = np.all((centres >= ignored[:, :2]) & (centres < ignored[:, 2:]), axis=2)  # (T, I)
    return np.asarray(~is_labelled & ~np.any(is_inside, axis=1), np.bool_)


if __name__ == "__main__":
    typer.run(main)
