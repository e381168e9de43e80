"""Finds parts of the scene that a teacher takes for objects: a sign, a stone, a cone.

Such a box stands in one place from the first frame to the last. So does a parked car, but a detector is certain of a
car and uncertain about a stone. Measured on PETS 0-499: the two parked cars have mean scores of .76 to .84, the sign
and the stone that street-nano takes for people .46 and .34, though single scores of theirs reach .72. Real people come
and go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_autotuner.annotation.views import was_looked_at
from edge_autotuner.config import RefinementConfig
from edge_autotuner.core import Detections, covered_fraction, iou_matrix
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.sampling import evenly_spread
from edge_autotuner.core.types import BoolArray, FloatArray, IntArray
from edge_autotuner.models.nms import best_boxes

_SAME_PLACE_IOU = 0.5
_MIN_STEADINESS = 0.8
"""Median overlap of a still object's boxes with their median: measured .83 to .98. Cars that happen to drive through
one place on a busy motorway (NGSIM): .61 to .73."""

_MIN_FRAMES = 10  # fewer say nothing about "always"
_N_SAMPLED = 40  # a place that holds a box in most frames holds one in some of these
_ROUGH = 0.5  # share of the wanted presence that the first guess of a place needs
_UNUSUAL_STDS = 3.0
_MOVING_FRACTION = 0.5


@dataclass(frozen=True, eq=False)
class StaticPlaces:
    """Places of things that are no objects.

    Attributes:
        boxes_xyxy: (P, 4) median boxes, frame pixels.
        usual_score: (P,) mean scores of the boxes there.
        score_std: (P,) their standard deviations.
        presence: (P,) shares of the frames that have a box there.
    """

    boxes_xyxy: FloatArray
    usual_score: FloatArray
    score_std: FloatArray
    presence: FloatArray

    def __len__(self) -> int:
        return len(self.boxes_xyxy)

    @classmethod
    def none(cls) -> StaticPlaces:
        """Return no places."""
        nothing = np.zeros(0, np.float32)
        return cls(as_boxes([]), nothing, nothing, nothing)


def find_static_places(
    detections: Sequence[Detections], looked_xyxy: Sequence[FloatArray], config: RefinementConfig, *, span_s: float
) -> StaticPlaces:
    """Find where boxes stand all the time without ever being sure. The order of the frames does not matter.

    Args:
        detections: one per frame, uncertain boxes included, of pictures of one size.
        looked_xyxy: what the teacher has seen of each frame; a place counts only where it was seen.
        config: how often a box must be there, and how sure is sure.
        span_s: time from the first frame to the last, seconds.

    Returns:
        No places when there are fewer than 10 frames, or the time is shorter than `static_min_s`: in the seconds of a
        red light, a motorcycle far away is as still and as unsure as a stone.
    """
    if len(detections) < _MIN_FRAMES or span_s < config.static_min_s:
        return StaticPlaces.none()
    sampled = _sampled_boxes(detections)
    guesses = _visit(sampled, detections, looked_xyxy, min_presence=_ROUGH * config.static_presence)
    places = _distinct(
        as_boxes([one.median_xyxy for one in guesses]), np.array([one.presence for one in guesses], np.float32)
    )
    found = [
        one
        for one in _visit(places, detections, looked_xyxy, min_presence=config.static_presence)
        if one.usual_score <= config.static_max_score and one.steadiness >= _MIN_STEADINESS
    ]
    return StaticPlaces(
        as_boxes([one.median_xyxy for one in found]),
        np.array([one.usual_score for one in found], np.float32),
        np.array([one.score_std for one in found], np.float32),
        np.array([one.presence for one in found], np.float32),
    )


def is_static(detections: Detections, places: StaticPlaces, moving_xyxy: FloatArray) -> BoolArray:
    """Return (N,) whether each box of a frame shows one of its camera's static places and nothing else.

    Where one of the (R, 4) regions moves, a box may show a person passing in front: it does so if its score is much
    higher than usual.
    """
    shows = iou_matrix(detections.boxes_xyxy, places.boxes_xyxy) >= _SAME_PLACE_IOU  # (N, P)
    is_unusual = detections.scores[:, None] > places.usual_score + _UNUSUAL_STDS * places.score_std
    moves = covered_fraction(detections.boxes_xyxy, moving_xyxy).max(axis=1, initial=0.0) >= _MOVING_FRACTION
    return np.asarray((shows & ~(is_unusual & moves[:, None])).any(axis=1), np.bool_)


@dataclass(frozen=True)
class _Visits:
    """What was found at one place in at least 10 frames; the attributes are those of `StaticPlaces`."""

    median_xyxy: FloatArray
    usual_score: float
    score_std: float
    presence: float
    steadiness: float


def _visit(
    places_xyxy: FloatArray, detections: Sequence[Detections], looked_xyxy: Sequence[FloatArray], *, min_presence: float
) -> list[_Visits]:
    """Look at (P, 4) places in every frame; leave out those that hold a box too rarely."""
    which = np.stack([_box_at(places_xyxy, found) for found in detections])  # (F, P)
    is_there = which >= 0
    was_seen = np.stack([was_looked_at(places_xyxy, looked) for looked in looked_xyxy]) | is_there
    presence = is_there.sum(axis=0) / np.maximum(was_seen.sum(axis=0), 1)
    visits = []
    for place in np.flatnonzero((is_there.sum(axis=0) >= _MIN_FRAMES) & (presence >= min_presence)).tolist():
        frames = np.flatnonzero(is_there[:, place]).tolist()
        boxes = np.stack([detections[frame].boxes_xyxy[which[frame, place]] for frame in frames])
        scores = np.array([detections[frame].scores[which[frame, place]] for frame in frames])
        median = np.median(boxes, axis=0)
        steadiness = float(np.median(iou_matrix(median[None], boxes)))
        usual, std = float(scores.mean()), float(scores.std())
        visits.append(_Visits(median, usual, std, float(presence[place]), steadiness))
    return visits


def _sampled_boxes(detections: Sequence[Detections]) -> FloatArray:
    """Return the (P, 4) boxes of some frames, spread evenly, each place once."""
    sampled = Detections.concatenate([detections[i] for i in evenly_spread(len(detections), _N_SAMPLED)])
    return _distinct(sampled.boxes_xyxy, sampled.scores)


def _distinct(boxes_xyxy: FloatArray, scores: FloatArray) -> FloatArray:
    """Return the best boxes of each place, whatever their classes."""
    one_class = np.zeros(len(scores), np.int64)
    return boxes_xyxy[best_boxes(boxes_xyxy, scores, one_class, _SAME_PLACE_IOU)]


def _box_at(places_xyxy: FloatArray, found: Detections) -> IntArray:
    """Return (P,) which box of a frame lies best at each place, -1 where none does."""
    if len(found) == 0:
        return np.full(len(places_xyxy), -1, np.int64)
    overlap = iou_matrix(places_xyxy, found.boxes_xyxy)
    return np.where(overlap.max(axis=1) >= _SAME_PLACE_IOU, overlap.argmax(axis=1), -1)
