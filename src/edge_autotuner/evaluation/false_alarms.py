"""False alarms: runs of false boxes that follow one object or place from frame to frame.

A parked car that is reported in a hundred frames is one alarm. Links between false boxes do not depend on the score
threshold, so the alarms of all thresholds are known at once: boxes from the threshold on, minus links whose two boxes
both reach it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from edge_autotuner.core import Detections, iou_matrix
from edge_autotuner.core.pairs import pair_off
from edge_autotuner.core.types import IntArray
from edge_autotuner.evaluation.matching import Float64Array

SAME_PLACE_IOU = 0.3
"""Overlap from which a false box continues that of the frame before, as in trackers by overlap (SORT)."""

MAX_STEP_S = 1.0
"""A frame stands for the time until the next one, but for no longer than this: nobody looked at the rest."""


def judged_seconds(times_s: Sequence[float]) -> Float64Array:
    """Return the (F,) seconds of video that each frame stands for; the last one for as much as the median frame."""
    times = np.asarray(times_s, np.float64)
    if len(times) == 0:
        return np.zeros(0)
    gaps = np.clip(np.diff(times), 0, MAX_STEP_S)
    return np.append(gaps, np.median(gaps) if len(gaps) else MAX_STEP_S)


def link_frames(false_boxes: Sequence[Detections]) -> list[tuple[IntArray, Float64Array]]:
    """Link false boxes of one class with those of the frame before.

    Pairs are taken by the falling lower score of the two, each box once, so that the links among the boxes above any
    threshold are the same as if only those had been linked.

    Returns:
        Per frame: positions of its boxes that continue an alarm, and the lower score of each link.
    """
    nothing = np.zeros(0, np.int64), np.zeros(0)
    linked = [_link(before, now) for before, now in pairwise(false_boxes)]
    return [nothing, *linked] if len(false_boxes) else []


def _link(before: Detections, now: Detections) -> tuple[IntArray, Float64Array]:
    rows, columns = np.nonzero(iou_matrix(before.boxes_xyxy, now.boxes_xyxy) >= SAME_PLACE_IOU)
    scores = np.minimum(before.scores[rows], now.scores[columns]).astype(np.float64)
    linked, continuing = pair_off(rows, columns, np.argsort(-scores, kind="stable"))
    return continuing, np.minimum(before.scores[linked], now.scores[continuing]).astype(np.float64)
