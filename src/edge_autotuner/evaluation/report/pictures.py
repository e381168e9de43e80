"""Pictures inside the page: data URIs, with boxes as vector outlines that stay sharp at any zoom."""

from __future__ import annotations

import base64
import re
from html import escape

import cv2
import numpy as np

from edge_autotuner.core import Detections, LabelMap
from edge_autotuner.core.detections import box_similarity
from edge_autotuner.core.pairs import pair_off
from edge_autotuner.core.tasks import Similarity
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray
from edge_autotuner.errors import EvaluationError

MAX_WIDTH_PX = 960
WEBP_QUALITY = 82
MAX_LABELLED_BOXES = 12
"""Where a picture has more boxes, written labels would hide small objects: they appear when a box is pointed at."""


CLASS_COLOURS = ("#ffb224", "#3ec9f5", "#46d988", "#ff7ab8", "#b69cff", "#ff7d5c", "#c8e04b", "#5b9dff")
"""Bright enough for dark and light video; class ids beyond the list start again."""

_DATA_URI = re.compile(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]*")
_GONE = "data:,"  # an empty one


def class_colour(class_id: int) -> str:
    """Return the colour of a class as "#rrggbb"."""
    return CLASS_COLOURS[class_id % len(CLASS_COLOURS)]


def data_uri(image: ImageArray, *, max_width_px: int = MAX_WIDTH_PX) -> str:
    """Return a picture, (H, W, 3) BGR or (H, W) brightness, as a WebP data URI of limited width."""
    height, width = image.shape[:2]
    if width > max_width_px:
        size = max_width_px, max(1, round(height * max_width_px / width))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    ok, encoded = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
    if not ok:
        raise EvaluationError(f"a picture of shape {image.shape} for the report cannot be encoded as WebP")
    return "data:image/webp;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def without_pictures(html: str) -> str:
    """Return a report page whose pictures are gone; boxes, charts and text stay."""
    return _DATA_URI.sub(_GONE, html)


def only_here(
    found: Detections, others: Detections, similarity: Similarity = box_similarity, *, min_similarity: float = 0.5
) -> BoolArray:
    """Return (N,): which items have no partner among `others`, one of the same class that is similar enough.

    An item has one partner at most; the most similar ones find each other first.
    """
    is_alone = np.ones(len(found), dtype=np.bool_)
    same_class = found.class_ids[:, None] == others.class_ids[None, :]
    likeness = np.where(same_class, similarity(found, others), 0.0)
    rows, columns = np.nonzero(likeness >= min_similarity)
    partnered, _ = pair_off(rows, columns, np.argsort(-likeness[rows, columns], kind="stable"))
    is_alone[partnered] = False
    return is_alone


def frame_svg(image: ImageArray, *, picture_id: str, content: str, description: str, embed: bool = True) -> str:
    """Return a picture, (H, W, 3) or (H, W), with vector content above it.

    Args:
        image: the picture.
        picture_id: ID of the embedded picture in the page; letters, digits and "-" only.
        content: SVG elements in frame pixels, already escaped.
        description: text for screen readers.
        embed: False: refer to the picture that another drawing on the page embeds under the same ID.
    """
    height, width = image.shape[:2]
    picture = (
        f'<image id="{picture_id}" href="{data_uri(image)}" width="{width}" height="{height}"/>'
        if embed
        else f'<use href="#{picture_id}"/>'
    )
    return (
        f'<svg class="frame" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(description)}">'
        f"{picture}{content}</svg>"
    )


def boxes_svg(detections: Detections, labels: LabelMap, *, highlighted: BoolArray, width: int) -> str:
    """Return SVG boxes in frame pixels; each shows class and score when pointed at or tapped.

    The (N,) highlighted ones are filled. The frame's width, in pixels, sets the size of the letters.
    """
    label_all = len(detections) <= MAX_LABELLED_BOXES
    parts = []
    for i in np.argsort(detections.scores, kind="stable").tolist():
        class_id, is_new = int(detections.class_ids[i]), bool(highlighted[i])
        name = f"{labels[class_id]} {detections.scores[i]:.2f}"
        parts.append(
            f'<g class="box{" new" if is_new else ""}{"" if label_all else " quiet"}" tabindex="-1"'
            f' style="--c:{class_colour(class_id)}">'
            f"<title>{escape(name)}</title>{_rect(detections.boxes_xyxy[i])}"
            f"{_label(name, detections.boxes_xyxy[i], width)}</g>"
        )
    return "".join(parts)


def regions_svg(regions_xyxy: FloatArray) -> str:
    """Return SVG outlines of motion regions."""
    return "".join(f'<g class="region">{_rect(box)}</g>' for box in regions_xyxy)


def _rect(box_xyxy: FloatArray) -> str:
    x1, y1, x2, y2 = (float(value) for value in box_xyxy)
    shape = f'x="{x1:.1f}" y="{y1:.1f}" width="{max(0.0, x2 - x1):.1f}" height="{max(0.0, y2 - y1):.1f}" rx="1.5"'
    return f'<rect class="halo" {shape}/><rect class="line" {shape}/>'


def _label(text: str, box_xyxy: FloatArray, width: int) -> str:
    size = width * 0.0165
    wide, tall = len(text) * size * 0.61 + size * 0.5, size * 1.32
    x = max(0.0, min(float(box_xyxy[0]), width - wide))
    y = float(box_xyxy[1]) - tall
    y = y if y >= 0 else max(0.0, float(box_xyxy[1]))
    return (
        f'<rect class="tag" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" rx="{size * 0.2:.1f}"/>'
        f'<text class="tag-text" x="{x + size * 0.25:.1f}" y="{y + size * 1.0:.1f}" font-size="{size:.1f}">'
        f"{escape(text)}</text>"
    )
