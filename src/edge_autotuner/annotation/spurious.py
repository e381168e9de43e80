"""Finds classes that a teacher names although nothing of the kind is there: a "person" on a motorway.

A detector of many classes calls a few things by a wrong name. Such a class is rare, never sure, and cannot be followed
from frame to frame, or it only stands. What is rare but real, one bus among 500 cars, is sure once or can be followed.
The decision looks at all training frames together. People are the one class that is expected to move: a car, or a
bicycle, may stay parked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_autotuner.annotation.labels import as_uncertain
from edge_autotuner.annotation.tracks import Track, link_boxes
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Detections, LabelMap, covered_fraction, iou_matrix
from edge_autotuner.core.json_fields import Fields
from edge_autotuner.core.sampling import evenly_spread
from edge_autotuner.core.types import BoolArray, FloatArray, IntArray

MOVES = frozenset({"person"})

_FEW, _FEW_SHARE = 10, 0.03
"""Fewer are few. Measured: "person" on NGSIM up to .9 % of the labels, on simulated motorways .6 %."""
_SURE_SCORE = 0.6
"""Of a single label. Measured best scores of spurious classes: .30 to .57; of rare ones that are there: .44 to .87."""
_FOLLOWED_FRAMES, _FOLLOWED_SCORE = 3, 0.45
_SAME_PLACE_IOU = 0.5
_STANDING_SHARE = 0.1  # of the frames that have a label of the class in one place, at least 4 of them
_MIN_STANDING = 4
_MOVING_COVER = 0.5
_STANDS_MOSTLY = 0.8  # share of the labels of a class that does not move
_SURE_SHARE = 0.05  # of the labels of a class that mostly stands; measured at posts taken for people: up to .017
_N_COMPARED = 1500  # labels of a class that are compared with each other
_INSIDE = 0.5  # share of a box that another label covers, so that its place is that label's


@dataclass(frozen=True)
class ClassEvidence:
    """What speaks for a class, over all training frames.

    Attributes:
        name: of the class.
        n_labels: its labels.
        n_all: labels of all classes.
        n_places: places of its labels; boxes that overlap by half are one place.
        n_moving: labels that neither stand nor are outside what moves.
        n_sure: of those, labels with a score of at least 0.6.
        mean_score: of all labels.
        best_score: of a label that is not in a standing place; 0 without one.
        longest: frames through which something of it was followed, with a mean score of at least .45, without standing;
            None: the frames are no film.
    """

    name: str
    n_labels: int
    n_all: int
    n_places: int
    n_moving: int
    n_sure: int
    mean_score: float
    best_score: float
    longest: int | None

    @property
    def is_few(self) -> bool:
        """Whether so few labels could be mistakes."""
        return self.n_labels < max(_FEW, _FEW_SHARE * self.n_all)

    @property
    def was_followed(self) -> bool:
        """Whether something of the class was followed from one place to another."""
        return (self.longest or 0) >= _FOLLOWED_FRAMES

    @property
    def was_sure(self) -> bool:
        """Whether the teacher was sure of the class once, elsewhere than in a standing place."""
        return self.best_score >= _SURE_SCORE

    @property
    def only_stands(self) -> bool:
        """Whether hardly a label moves, or hardly one of those that do is sure."""
        stands = self.n_moving < (1 - _STANDS_MOSTLY) * self.n_labels
        return stands and self.n_sure < max(1, _SURE_SHARE * self.n_labels)


@dataclass(frozen=True)
class DroppedClass:
    """A class whose labels are not used.

    Attributes:
        name: of the class.
        n_labels: labels that it had in the training frames.
        n_places: their places.
        reason: in words, without the numbers above.
    """

    name: str
    n_labels: int
    n_places: int
    reason: str

    def __str__(self) -> str:
        boxes = f"{self.n_labels:,} box{'' if self.n_labels == 1 else 'es'}"
        return f"{self.name}, {boxes} in {self.n_places:,} place{'' if self.n_places == 1 else 's'}, {self.reason}"

    @classmethod
    def from_json(cls, read: Fields) -> DroppedClass:
        """Read what `to_json` returned; raise `FieldError` for anything else."""
        counts = {name: read.whole(name, at_least=0) for name in ("n_labels", "n_places")}
        return cls(read.text("name"), **counts, reason=read.text("reason"))


def judge_class(evidence: ClassEvidence) -> DroppedClass | None:
    """Return why a class is dropped; None: it is kept."""
    if evidence.n_labels == 0 or evidence.was_followed:
        return None
    if evidence.name in MOVES and evidence.only_stands:
        return _dropped(evidence, f"stands where it is, {_unsure(evidence)} elsewhere")
    if evidence.is_few and not evidence.was_sure:
        return _dropped(evidence, _unsure(evidence))
    return None


def _dropped(evidence: ClassEvidence, reason: str) -> DroppedClass:
    return DroppedClass(evidence.name, evidence.n_labels, evidence.n_places, reason)


def _unsure(evidence: ClassEvidence) -> str:
    score = f"never surer than {evidence.best_score:.2f}"
    return score if evidence.longest is None else f"{score} and never followed over {_FOLLOWED_FRAMES} frames"


def find_spurious(
    times_s: Sequence[float],
    labels: Sequence[Detections],
    moving_xyxy: Sequence[FloatArray],
    names: LabelMap,
    *,
    is_film: bool,
) -> tuple[DroppedClass, ...]:
    """Decide about every class; the most frequent one always stays.

    Args:
        times_s: of the training frames, rising.
        labels: one item per frame: boxes that count as labels.
        moving_xyxy: (R, 4) motion regions of each frame.
        names: of the classes.
        is_film: whether objects can be followed.
    """
    counts = np.bincount(np.concatenate([np.zeros(0, np.int64), *(f.class_ids for f in labels)]), minlength=len(names))
    tracks = link_boxes(times_s, labels, sure_score=0.0) if is_film else None
    judged = [
        judge_class(_evidence_of(c, labels, moving_xyxy, tracks, name=names[c], n_all=int(counts.sum())))
        for c in np.flatnonzero(counts).tolist()
        if c != int(counts.argmax())
    ]
    return tuple(one for one in judged if one is not None)


def without_classes(
    found: Detections, dropped: Sequence[str], names: LabelMap, config: AnnotationConfig, *, is_test: bool
) -> Detections:
    """Return the boxes of a frame without labels of dropped classes.

    They become uncertain: something is there, or nothing, and nobody knows. In training frames, one inside a
    label of another class is deleted: its place is that label's. In test frames nothing is deleted, so that no model is
    punished for what was a label before.
    """
    ids = [c for c, name in enumerate(names) if name in dropped]
    wrong = np.isin(found.class_ids, ids)
    if not wrong.any():
        return found
    is_label = found.scores >= config.min_score
    others = found.boxes_xyxy[~wrong & is_label]
    inside = covered_fraction(found.boxes_xyxy, others).max(axis=1, initial=0.0) >= _INSIDE
    gone = wrong & inside & (not is_test)
    doubted = as_uncertain(found.select(wrong & ~gone), config)
    return Detections.concatenate([found.select(~wrong), doubted]).sorted_by_score()


def _evidence_of(
    class_id: int,
    labels: Sequence[Detections],
    moving_xyxy: Sequence[FloatArray],
    tracks: Sequence[Track] | None,
    *,
    name: str,
    n_all: int,
) -> ClassEvidence:
    own = [np.flatnonzero(found.class_ids == class_id) for found in labels]
    frames = np.repeat(np.arange(len(labels)), [len(rows) for rows in own])
    boxes = np.concatenate([found.boxes_xyxy[rows] for found, rows in zip(labels, own, strict=True)])
    scores = np.concatenate([found.scores[rows] for found, rows in zip(labels, own, strict=True)])
    covered = np.concatenate(
        [
            covered_fraction(found.boxes_xyxy[rows], regions).max(axis=1, initial=0.0)
            for found, rows, regions in zip(labels, own, moving_xyxy, strict=True)
        ]
    )
    n_there, n_places = _visits(boxes, frames)
    stands = n_there >= max(_MIN_STANDING, _STANDING_SHARE * len(labels))
    moves = ~stands & (covered >= _MOVING_COVER)
    followed = None if tracks is None else _longest(tracks, labels, class_id)
    return ClassEvidence(
        name=name,
        n_labels=len(scores),
        n_all=n_all,
        n_places=n_places,
        n_moving=int(moves.sum()),
        n_sure=int((moves & (scores >= _SURE_SCORE)).sum()),
        mean_score=round(float(scores.mean()), 4),
        best_score=round(float(scores[~stands].max(initial=0.0)), 4),
        longest=followed,
    )


def _visits(boxes_xyxy: FloatArray, frames: IntArray) -> tuple[IntArray, int]:
    """Return for each of (N, 4) labels in how many frames its place has one, and the number of places.

    Of very many labels, only some are compared; the numbers are scaled to all.
    """
    some = np.array(evenly_spread(len(frames), _N_COMPARED))
    factor = len(frames) / max(len(some), 1)
    n_there = np.zeros(len(frames), np.int64)
    for i in range(len(frames)):
        near = iou_matrix(boxes_xyxy[i : i + 1], boxes_xyxy[some])[0] >= _SAME_PLACE_IOU
        n_there[i] = round(factor * len(np.unique(frames[some[near]])))
    return n_there, _count_places(boxes_xyxy[some])


def _count_places(boxes_xyxy: FloatArray) -> int:
    overlap = iou_matrix(boxes_xyxy, boxes_xyxy) >= _SAME_PLACE_IOU
    left: BoolArray = np.ones(len(boxes_xyxy), np.bool_)
    n_places = 0
    while left.any():
        left &= ~overlap[int(np.argmax(left))]
        n_places += 1
    return n_places


def _longest(tracks: Sequence[Track], labels: Sequence[Detections], class_id: int) -> int:
    """Return the frames of the longest track of a class that is sure enough and leaves its place; 0 without one."""
    return max((len(t) for t in tracks if len(t) >= _FOLLOWED_FRAMES and _follows(t, labels, class_id)), default=0)


def _follows(track: Track, labels: Sequence[Detections], class_id: int) -> bool:
    seen = Detections.concatenate(
        [labels[f].select(np.array([b])) for f, b in zip(track.frames.tolist(), track.boxes.tolist(), strict=True)]
    )
    is_of_class = (seen.class_ids == class_id).mean() > 0.5
    return bool(is_of_class and seen.scores.mean() >= _FOLLOWED_SCORE and _leaves(seen))


def _leaves(track: Detections) -> bool:
    """Whether the boxes of a track, in order, do not all stand in one place."""
    return bool(iou_matrix(track.boxes_xyxy[:1], track.boxes_xyxy)[0].min() < _SAME_PLACE_IOU)
