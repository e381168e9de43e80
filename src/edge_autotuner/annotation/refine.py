"""Refines a teacher's labels by comparing all frames.

The teacher's own answers stay in the dataset under their fingerprint. The refined labels are stored under another one,
so that a rule can be changed without asking the teacher again, and everything that reads labels sees the refined ones.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from edge_autotuner.annotation.labels import as_uncertain
from edge_autotuner.annotation.spurious import DroppedClass, find_spurious, without_classes
from edge_autotuner.annotation.static_places import StaticPlaces, find_static_places, is_static
from edge_autotuner.annotation.temporal import TemporalCounts, refine_over_time
from edge_autotuner.annotation.tracks import is_film
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, Detections, LabelMap
from edge_autotuner.core.json_fields import Fields
from edge_autotuner.core.types import BoolArray
from edge_autotuner.dataset import DatasetStore, LabelledFrame, SplitName
from edge_autotuner.dataset.records import SPLIT_NAMES
from edge_autotuner.errors import NoLabelsFound

NOTE_KEY = "refinement"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RefinementSummary:
    """What the rules changed in all frames together.

    Attributes:
        fingerprint: of the refined labels.
        is_film: split -> whether its frames are close enough in time, and in order, to follow objects.
        n_static_places: places where something is taken for an object that is none.
        n_static_labels: labels that stood there.
        n_labels: labels (from `min_score` on) in the training frames afterwards.
        n_negatives: training frames without a label afterwards.
        temporal: boxes that each rule about time changed.
        dropped: classes that the teacher named although nothing of the kind is there.
    """

    fingerprint: str
    is_film: dict[str, bool]
    n_static_places: int
    n_static_labels: int
    n_labels: int
    n_negatives: int
    temporal: TemporalCounts
    dropped: tuple[DroppedClass, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RefinementSummary:
        """Read what `to_json` returned, for example from the note "refinement" of a dataset.

        Raises:
            FieldError: a value is missing, or makes no sense.
        """
        read = Fields(values, "")
        film, temporal = read.inner("is_film"), read.inner("temporal")
        names = ("n_static_places", "n_static_labels", "n_labels", "n_negatives")
        rules = [rule.name for rule in fields(TemporalCounts)]
        return cls(
            fingerprint=read.text("fingerprint"),
            is_film={split: film.flag(split) for split in film.values},
            **{name: read.whole(name, at_least=0) for name in names},
            temporal=TemporalCounts(**{rule: temporal.whole(rule, default=0, at_least=0) for rule in rules}),
            dropped=tuple(DroppedClass.from_json(one) for one in read.each("dropped")) if read.has("dropped") else (),
        )


def refine_dataset(
    store: DatasetStore,
    config: AnnotationConfig,
    *,
    teacher: str,
    raw_fingerprint: str,
    fingerprint: str,
    test_fingerprint: str | None = None,
) -> RefinementSummary:
    """Apply the rules of `config.refine` to all annotated frames and store the result under a fingerprint of its own.

    The result depends only on the teacher's answers, stored under `raw_fingerprint`, those about the test frames under
    `test_fingerprint` (None: the same), and the settings. Frames whose
    refined labels are stored and unchanged are not stored again. What stands still is learned from training frames
    alone; objects are not followed from one split to the other. The summary becomes the dataset's note "refinement".

    Raises:
        ValueError: the refined labels have the fingerprint of the teacher's answers.
        NoLabelsFound: the rules leave no label in the training frames; what was stored stays.
    """
    answers = {"train": raw_fingerprint, "test": test_fingerprint or raw_fingerprint}
    if fingerprint in answers.values():
        raise ValueError("refined labels need a fingerprint of their own")
    raw = {split: annotated_by_time(store, split, answers[split]) for split in SPLIT_NAMES}
    places = find_places(raw["train"], config)
    results = {split: refine_frames(frames, places, config) for split, frames in raw.items()}
    dropped = find_dropped(raw["train"], results["train"], config, store.labels)
    results = {
        s: replace(r, detections=without_dropped(r, dropped, store.labels, config, s)) for s, r in results.items()
    }
    for split, frames in raw.items():
        for (record, annotation), found in zip(frames, results[split].detections, strict=True):
            refined = replace(annotation, detections=found)
            if not _is_same(store.annotation_of(record, fingerprint), refined):
                store.add_annotation(record, refined, teacher=teacher, fingerprint=fingerprint)
    store.use_annotations(
        fingerprint, teacher=teacher, min_score=config.min_score, uncertain_score=config.uncertain_score
    )
    summary = _summarize(fingerprint, places, results, config, dropped)
    store.set_note(NOTE_KEY, summary.to_json())
    store.export()
    if summary.n_labels == 0 and raw["train"]:
        raise NoLabelsFound(
            f"refinement removed all labels of teacher {teacher}: {summary.n_static_labels} stay in one place all the "
            f"time with a mean score below {config.refine.static_max_score}; if these are real objects, set "
            "annotation.refine.static_objects to keep"
        )
    return summary


@dataclass(frozen=True, eq=False)
class RefinedFrames:
    """The frames of one split afterwards.

    Attributes:
        detections: one item per frame.
        n_static_labels: labels that stood in a static place.
        is_film: whether the frames are close enough in time, and in order, to follow objects.
        temporal: what the rules about time changed.
    """

    detections: list[Detections]
    n_static_labels: int
    is_film: bool
    temporal: TemporalCounts


def annotated_by_time(store: DatasetStore, split: str, fingerprint: str) -> list[LabelledFrame]:
    """Return the frames of a split that have an annotation of this fingerprint, in order of time."""
    return sorted(store.labelled(split, fingerprint), key=lambda pair: (pair[0].time_s, pair[0].index))


def find_places(frames: Sequence[LabelledFrame], config: AnnotationConfig) -> StaticPlaces:
    """Return what is taken for an object in these frames, in order of time, although it is part of the scene."""
    if config.refine.static_objects == "keep" or not frames:
        return StaticPlaces.none()
    found = [annotation.detections for _, annotation in frames]
    looked = [annotation.looked_xyxy for _, annotation in frames]
    return find_static_places(found, looked, config.refine, span_s=frames[-1][0].time_s - frames[0][0].time_s)


def find_dropped(
    frames: Sequence[LabelledFrame], refined: RefinedFrames, config: AnnotationConfig, names: LabelMap
) -> tuple[DroppedClass, ...]:
    """Return the classes to drop, from the training frames, in order of time, and their refined labels."""
    if config.refine.spurious_classes == "keep" or not config.refine.is_on:
        return ()
    dropped = find_spurious(
        [record.time_s for record, _ in frames],
        [found.above(config.min_score) for found in refined.detections],
        [record.regions for record, _ in frames],
        names,
        is_film=refined.is_film,
    )
    for one in dropped:
        logger.info("dropped: %s", one)
    return dropped


def without_dropped(
    refined: RefinedFrames, dropped: Sequence[DroppedClass], names: LabelMap, config: AnnotationConfig, split: SplitName
) -> list[Detections]:
    """Return the boxes of refined frames without labels of dropped classes; see `without_classes`."""
    gone, is_test = [one.name for one in dropped], split == "test"
    return [without_classes(found, gone, names, config, is_test=is_test) for found in refined.detections]


def refine_frames(frames: Sequence[LabelledFrame], places: StaticPlaces, config: AnnotationConfig) -> RefinedFrames:
    """Apply the rules to frames, in order of time, of one split; a pure function."""
    static = [is_static(annotation.detections, places, record.regions) for record, annotation in frames]
    n_static_labels = sum(
        int((annotation.detections.scores[mask] >= config.min_score).sum())
        for (_, annotation), mask in zip(frames, static, strict=True)
    )
    rest = [replace(a, detections=a.detections.select(~mask)) for (_, a), mask in zip(frames, static, strict=True)]
    times_s = [record.time_s for record, _ in frames]
    film = config.refine.follows_objects and is_film(times_s, [a.detections.above(config.min_score) for a in rest])
    moved, counts = [annotation.detections for annotation in rest], TemporalCounts()
    if film:
        moved, counts = refine_over_time(times_s, rest, config, size_wh=frames[0][0].size_wh)
    moved = [found.clipped(record.size_wh) for found, (record, _) in zip(moved, frames, strict=True)]
    if config.refine.static_objects == "ignore":
        moved = [_with_uncertain(*parts, config) for parts in zip(moved, frames, static, strict=True)]
    return RefinedFrames(moved, n_static_labels, film, counts)


def _with_uncertain(found: Detections, frame: LabelledFrame, static: BoolArray, config: AnnotationConfig) -> Detections:
    """Return the boxes of a frame with those of static places, as uncertain ones."""
    ignored = as_uncertain(frame[1].detections.select(static), config)
    return Detections.concatenate([found, ignored]).sorted_by_score(config.max_detections)


def _is_same(stored: Annotation | None, refined: Annotation) -> bool:
    return (
        stored is not None
        and stored.detections.equals(refined.detections)
        and np.array_equal(stored.looked_xyxy, refined.looked_xyxy)
    )


def _summarize(
    fingerprint: str,
    places: StaticPlaces,
    results: Mapping[SplitName, RefinedFrames],
    config: AnnotationConfig,
    dropped: tuple[DroppedClass, ...],
) -> RefinementSummary:
    n_labels = [int((found.scores >= config.min_score).sum()) for found in results["train"].detections]
    counts = [asdict(result.temporal) for result in results.values()]
    return RefinementSummary(
        fingerprint=fingerprint,
        is_film={str(split): result.is_film for split, result in results.items()},
        n_static_places=len(places),
        n_static_labels=sum(result.n_static_labels for result in results.values()),
        n_labels=sum(n_labels),
        n_negatives=sum(n == 0 for n in n_labels),
        temporal=TemporalCounts(**{name: sum(count[name] for count in counts) for name in counts[0]}),
        dropped=dropped,
    )
