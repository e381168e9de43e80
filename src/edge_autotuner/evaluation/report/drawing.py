"""Boxes on pictures: anti-aliased outlines and small labels, one colour per class."""

from __future__ import annotations

import cv2
import numpy as np

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.core.types import ImageArray

CLASS_COLOURS = ("#ffb224", "#3ec9f5", "#46d988", "#ff7ab8", "#b69cff", "#ff7d5c", "#c8e04b", "#5b9dff")
"""Bright enough for dark and light video; class ids beyond the list start again."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SUBPIXEL_BITS = 4  # cv2 takes coordinates in 1/16 pixel


def class_colour(class_id: int) -> str:
    """Return the colour of a class as "#rrggbb"."""
    return CLASS_COLOURS[class_id % len(CLASS_COLOURS)]


def draw_detections(
    image_bgr: ImageArray,
    detections: Detections,
    labels: LabelMap,
    *,
    min_score: float = 0.0,
    show_labels: bool = True,
    thickness_px: int | None = None,
) -> ImageArray:
    """Return a copy of the picture with boxes and "person .87" labels.

    Args:
        image_bgr: (H, W, 3) uint8, or (H, W) brightness; not changed.
        detections: pixels of the picture; the best score is drawn last, on top.
        labels: names of the class ids.
        min_score: boxes below are not drawn.
        show_labels: whether names and scores are written; cv2 has no letters beyond ASCII, they become "?".
        thickness_px: of the outlines; None chooses by the picture's size.
    """
    canvas = cv2.cvtColor(image_bgr, cv2.COLOR_GRAY2BGR) if image_bgr.ndim == 2 else image_bgr.copy()
    thickness = thickness_px or max(1, round(min(canvas.shape[:2]) / 320))
    shown = detections.above(min_score).sorted_by_score()
    for i in reversed(range(len(shown))):
        class_id = int(shown.class_ids[i])
        colour = _bgr(class_colour(class_id))
        _draw_box_inplace(canvas, shown.boxes_xyxy[i], colour, thickness)
        if show_labels:
            text = f"{labels[class_id]} {shown.scores[i]:.2f}".replace(" 0.", " .")
            _draw_label_inplace(canvas, text, shown.boxes_xyxy[i], colour)
    return np.asarray(canvas, dtype=np.uint8)


def _draw_box_inplace(canvas: ImageArray, box_xyxy: np.ndarray, colour: tuple[int, int, int], thickness: int) -> None:
    x1, y1, x2, y2 = (round(float(value) * (1 << _SUBPIXEL_BITS)) for value in box_xyxy)
    cv2.rectangle(canvas, (x1, y1), (x2, y2), (0, 0, 0), thickness + 2, cv2.LINE_AA, _SUBPIXEL_BITS)
    cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _draw_label_inplace(canvas: ImageArray, text: str, box_xyxy: np.ndarray, colour: tuple[int, int, int]) -> None:
    """Write above the box, or inside it where there is no room above."""
    height, width = canvas.shape[:2]
    scale = float(np.clip(min(height, width) / 1100, 0.33, 0.8))
    (text_w, text_h), baseline = cv2.getTextSize(text, _FONT, scale, 1)
    tall = text_h + baseline + 2
    x = int(np.clip(box_xyxy[0], 0, max(0, width - text_w - 6)))
    y = int(box_xyxy[1]) - tall
    y = min(int(box_xyxy[1]), height - tall) if y < 0 else y
    y = max(0, y)
    cv2.rectangle(canvas, (x, y), (x + text_w + 5, y + tall), colour, cv2.FILLED)
    cv2.putText(canvas, text, (x + 3, y + text_h + 2), _FONT, scale, (16, 16, 16), 1, cv2.LINE_AA)


def _bgr(hex_colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(hex_colour[i : i + 2], 16) for i in (1, 3, 5))
    return blue, green, red
