"""Corrects a teacher's boxes with those of the same object in neighbouring frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_autotuner.annotation.fusion import voted_class
from edge_autotuner.annotation.tracks import Track, can_link_after, link_boxes
from edge_autotuner.annotation.views import was_looked_at
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, Detections, iou_matrix
from edge_autotuner.core.annotations import highest_uncertain_score
from edge_autotuner.core.types import FloatArray, IntArray, SizeWH

Float64Array = npt.NDArray[np.float64]

_MIN_LENGTH = 3  # two boxes that overlap by chance are no object that moves steadily
_REACH = 3.0  # standard deviations after which a weight is nothing
_SAME_PLACE_IOU = 0.5


@dataclass(frozen=True)
class TemporalCounts:
    """How many boxes each rule changed.

    Attributes:
        n_tracks: objects that were followed through at least three frames.
        n_smoothed: boxes that were averaged with those of other frames.
        n_raised: boxes that became labels because the frames around them are sure.
        n_lowered: labels that became uncertain because the frames around them are unsure.
        n_reclassified: boxes that got the class that their object has in other frames.
        n_filled: boxes added where an object was missed.
        n_flickers: labels that became uncertain because no neighbouring frame shows them.
    """

    n_tracks: int = 0
    n_smoothed: int = 0
    n_raised: int = 0
    n_lowered: int = 0
    n_reclassified: int = 0
    n_filled: int = 0
    n_flickers: int = 0


def refine_over_time(
    times_s: Sequence[float], annotations: Sequence[Annotation], config: AnnotationConfig, *, size_wh: SizeWH
) -> tuple[list[Detections], TemporalCounts]:
    """Follow the objects of a film and make what is said about each consistent.

    There is one annotation per frame, and the times rise. Returns one item per frame, by falling score, and what was
    changed. Frames that are too far from others in time stay as they are.
    """
    work = _Work.of(times_s, annotations, size_wh, config)
    tracks = link_boxes(times_s, [a.detections for a in annotations], sure_score=config.min_score)
    long = [track for track in tracks if len(track) >= _MIN_LENGTH]
    rules = config.refine
    n_flickers = _doubt_flickers(work, tracks, annotations) if rules.flicker_max_score > 0 else 0
    n_reclassified = sum(_unify_class(work, track) for track in long) if rules.one_class_per_object else 0
    n_smoothed = sum(_smooth_boxes(work, track) for track in long) if rules.smooth_boxes_s > 0 else 0
    changes = [_smooth_scores(work, track) for track in long] if rules.smooth_scores_s > 0 else []
    n_filled = _fill_gaps(work, long) if rules.fill_gaps != "keep" else 0
    counts = TemporalCounts(
        n_tracks=len(long),
        n_smoothed=n_smoothed,
        n_raised=sum(raised for raised, _ in changes),
        n_lowered=sum(lowered for _, lowered in changes),
        n_reclassified=n_reclassified,
        n_filled=n_filled,
        n_flickers=n_flickers,
    )
    return work.results(), counts


@dataclass
class _Work:
    """The boxes while they are being changed; lists have one item per frame."""

    config: AnnotationConfig
    size_wh: SizeWH
    times_s: Float64Array
    found: list[Detections]
    boxes: list[FloatArray]
    scores: list[FloatArray]
    class_ids: list[IntArray]
    added: list[list[Detections]]

    @classmethod
    def of(
        cls, times_s: Sequence[float], annotations: Sequence[Annotation], size_wh: SizeWH, config: AnnotationConfig
    ) -> _Work:
        found = [annotation.detections for annotation in annotations]
        return cls(
            config,
            size_wh,
            np.asarray(times_s, np.float64),
            found,
            [one.boxes_xyxy.copy() for one in found],
            [one.scores.copy() for one in found],
            [one.class_ids.copy() for one in found],
            [[] for _ in found],
        )

    def results(self) -> list[Detections]:
        joined = [Detections.concatenate([self.changed(frame), *more]) for frame, more in enumerate(self.added)]
        return [found.sorted_by_score(self.config.max_detections) for found in joined]

    def changed(self, frame: int) -> Detections:
        changed = self.found[frame].with_boxes(self.boxes[frame]).with_scores(self.scores[frame])
        return changed.with_classes(self.class_ids[frame])

    def boxes_of(self, track: Track) -> Float64Array:
        return np.array([self.boxes[f][b] for f, b in _members(track)], np.float64)

    def scores_of(self, track: Track) -> Float64Array:
        return np.array([self.scores[f][b] for f, b in _members(track)], np.float64)


def _members(track: Track) -> list[tuple[int, int]]:
    return list(zip(track.frames.tolist(), track.boxes.tolist(), strict=True))


def _doubt_flickers(work: _Work, tracks: Sequence[Track], annotations: Sequence[Annotation]) -> int:
    """Make middling labels uncertain that neither the frame before nor the one after shows, though it was looked at."""
    low, high = work.config.min_score, work.config.refine.flicker_max_score
    n_changed = 0
    for track in tracks:
        frame, box = int(track.frames[0]), int(track.boxes[0])
        if len(track) > 1 or not low <= work.scores[frame][box] <= high:
            continue
        neighbours = [n for n in (frame - 1, frame + 1) if 0 <= n < len(annotations)]
        place = work.boxes[frame][box][None]
        if len(neighbours) == 2 and all(
            can_link_after(abs(work.times_s[n] - work.times_s[frame]))
            and was_looked_at(place, annotations[n].looked_xyxy).all()
            for n in neighbours
        ):
            work.scores[frame][box] = highest_uncertain_score(work.config.min_score)
            n_changed += 1
    return n_changed


def _unify_class(work: _Work, track: Track) -> int:
    """Give all boxes of an object the class with the largest sum of scores (the smallest id of equal ones)."""
    class_ids = np.array([work.class_ids[f][b] for f, b in _members(track)])
    best = voted_class(class_ids, work.scores_of(track))
    for frame, box in _members(track):
        work.class_ids[frame][box] = best
    return int(np.count_nonzero(class_ids != best))


def _smooth_boxes(work: _Work, track: Track) -> int:
    """Replace each box by a parabola through those around it (local regression, sure boxes count more).

    Centres and logarithms of sides are smoothed: what comes nearer grows by a factor. Boxes at the border of the frame
    are cut, so that they say nothing about the others, and stay.

    Source: LOESS, Cleveland, Journal of the American Statistical Association 74, 1979; with a Gaussian kernel.
    """
    members = np.array(_members(track))
    boxes, scores = work.boxes_of(track), work.scores_of(track)
    whole = ((boxes[:, :2] > 0) & (boxes[:, 2:] < np.array(work.size_wh))).all(axis=1)
    times_s, shapes, scores = work.times_s[track.frames[whole]], _to_shapes(boxes[whole]), scores[whole]
    std_s = work.config.refine.smooth_boxes_s
    for (frame, box), time_s in zip(members[whole].tolist(), times_s.tolist(), strict=True):
        near, weights = _kernel(times_s, time_s, std_s)
        shape = _parabola_at_zero((times_s[near] - time_s) / std_s, shapes[near], weights * scores[near])
        work.boxes[frame][box] = _from_shapes(shape)
    return int(whole.sum())


def _to_shapes(boxes_xyxy: Float64Array) -> Float64Array:
    """Return (N, 4): centres and logarithms of the sides."""
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    return np.concatenate([boxes_xyxy[:, :2] + sides / 2, np.log(sides)], axis=1)


def _from_shapes(shape: Float64Array) -> Float64Array:
    """Return the (4,) corners of one box."""
    half = np.exp(shape[2:]) / 2
    return np.concatenate([shape[:2] - half, shape[:2] + half])


def _smooth_scores(work: _Work, track: Track) -> tuple[int, int]:
    """Replace each score by the weighted mean of those around it; return how many crossed `min_score` up and down."""
    times_s, scores, limit = work.times_s[track.frames], work.scores_of(track), np.float32(work.config.min_score)
    n_raised = n_lowered = 0
    for (frame, box), time_s, before in zip(_members(track), times_s.tolist(), scores.tolist(), strict=True):
        near, weights = _kernel(times_s, time_s, work.config.refine.smooth_scores_s)
        after = np.float32(np.average(scores[near], weights=weights))
        work.scores[frame][box] = after
        n_raised += int(before < limit <= after)
        n_lowered += int(after < limit <= before)
    return n_raised, n_lowered


def _kernel(times_s: Float64Array, centre_s: float, std_s: float) -> tuple[slice, Float64Array]:
    """Return the indices of the times near the centre, and their Gaussian weights."""
    first, last = np.searchsorted(times_s, [centre_s - _REACH * std_s, centre_s + _REACH * std_s])
    near = slice(int(first), int(last))
    return near, np.exp(-0.5 * ((times_s[near] - centre_s) / std_s) ** 2)


def _parabola_at_zero(x: Float64Array, y: Float64Array, weights: Float64Array) -> Float64Array:
    """Return the value at x = 0 of the weighted parabola through (N,) x, all different, and (N, C) y.

    Two points give a line, one its own value.
    """
    powers = np.vander(x, min(3, len(x)), increasing=True)  # (N, 1, 2 or 3)
    root = np.sqrt(weights)[:, None]
    return np.asarray(np.linalg.lstsq(powers * root, y * root)[0][0])


def _fill_gaps(work: _Work, tracks: Sequence[Track]) -> int:
    """Add boxes in the frames between two labels of an object, on the way from the one to the other."""
    return sum(
        _fill_gap(work, (int(f0), int(b0)), (int(f1), int(b1)))
        for track in tracks
        for (f0, b0), (f1, b1) in zip(_members(track), _members(track)[1:], strict=False)
        if f1 - f0 > 1
    )


def _fill_gap(work: _Work, before: tuple[int, int], after: tuple[int, int]) -> int:
    (f0, b0), (f1, b1) = before, after
    score = min(work.scores[f0][b0], work.scores[f1][b1])
    if score < work.config.min_score:
        return 0
    if work.config.refine.fill_gaps == "ignore":
        score = np.float32(highest_uncertain_score(work.config.min_score))
    n_added = 0
    for frame in range(f0 + 1, f1):
        share = (work.times_s[frame] - work.times_s[f0]) / (work.times_s[f1] - work.times_s[f0])
        box = ((1 - share) * work.boxes[f0][b0] + share * work.boxes[f1][b1])[None]
        labelled = work.boxes[frame][work.scores[frame] >= work.config.min_score]
        if iou_matrix(box.astype(np.float32), labelled).max(initial=0.0) < _SAME_PLACE_IOU:
            work.added[frame].append(work.changed(f0).select(np.array([b0])).with_boxes(box).with_scores([score]))
            n_added += 1
    return n_added
