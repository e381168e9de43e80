"""Training pictures: labels with the places that nobody looked at, and the random changes applied to both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from edge_autotuner.config import AugmentationConfig
from edge_autotuner.core.boxes import as_boxes, box_areas, clip_boxes
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray, IntArray, SizeWH
from edge_autotuner.models.detector_spec import Resize

PAD_VALUE = 114  # grey around letterboxed pictures, as the off-the-shelf weights were trained
_MIN_VISIBLE = 0.35  # labelled boxes of which less is left inside the picture become "unknown"
_MIN_SIDE_PX = 2.0


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """One picture and what a teacher said about it.

    Attributes:
        read_image: returns the (H, W, 3) uint8 BGR picture; called again each time it is needed.
        size_wh: its size, pixels.
        boxes_xyxy: (G, 4) labelled objects, picture pixels.
        class_ids: (G,) their classes.
        ignored_xyxy: (I, 4) uncertain boxes, neither object nor background.
        looked_xyxy: (R, 4) rectangles that the teacher has seen.
        weights: (G,) how much each labelled object counts, in [0, 1]; None: all fully.
    """

    read_image: Callable[[], ImageArray]
    size_wh: SizeWH
    boxes_xyxy: FloatArray
    class_ids: IntArray
    ignored_xyxy: FloatArray
    looked_xyxy: FloatArray
    weights: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class PreparedSample:
    """A sample on the network's canvas.

    Attributes:
        image: (3, H, W) uint8 BGR.
        boxes_xyxy: (G, 4) canvas pixels.
        class_ids: (G,).
        weights: (G,) how much each object counts.
        is_known: (N,) bool for the cells whose centres were given.
    """

    image: ImageArray
    boxes_xyxy: FloatArray
    class_ids: IntArray
    weights: FloatArray
    is_known: BoolArray


def canvas_size(
    frame_size_wh: SizeWH, input_size_wh: SizeWH, *, resize: Resize = "letterbox", step_px: int = 32
) -> SizeWH:
    """Return the part of the input that a frame fills, rounded up to multiples of `step_px`.

    Grey padding teaches nothing, so training leaves it out: a 4:3 frame letterboxed to 416 needs 416x320. A
    stretched frame fills the whole input.
    """
    ratios = fit_ratios(frame_size_wh, input_size_wh, resize)
    width, height = (
        int(np.ceil(side * ratio / step_px - 1e-6)) * step_px for side, ratio in zip(frame_size_wh, ratios, strict=True)
    )
    return min(width, input_size_wh[0]), min(height, input_size_wh[1])


def fit_ratios(frame_size_wh: SizeWH, input_size_wh: SizeWH, resize: Resize) -> tuple[float, float]:
    """Return input pixels per frame pixel, along x and y, at run time."""
    x, y = input_size_wh[0] / frame_size_wh[0], input_size_wh[1] / frame_size_wh[1]
    return (x, y) if resize == "stretch" else (min(x, y), min(x, y))


def prepare_sample(
    sample: TrainingSample,
    image_bgr: ImageArray,
    *,
    canvas_wh: SizeWH,
    input_size_wh: SizeWH,
    centres_xy: FloatArray,
    augmentation: AugmentationConfig | None,
    rng: np.random.Generator,
    resize: Resize = "letterbox",
) -> PreparedSample:
    """Place a picture on the canvas, randomly changed, and its labels with it.

    Args:
        sample: the labels.
        image_bgr: its picture, at any resolution of the same aspect.
        canvas_wh: from `canvas_size`.
        input_size_wh: the network's input, which sets the scale.
        centres_xy: (N, 2) cell centres on the canvas, pixels.
        augmentation: None places the picture as at run time.
        rng: source of randomness.
        resize: how frames are put into the input at run time.
    """
    ratios = fit_ratios(sample.size_wh, input_size_wh, resize)
    matrix = _placement(sample.size_wh, canvas_wh, ratios, augmentation, rng)
    image = _warp(image_bgr, sample.size_wh, matrix, canvas_wh)
    if augmentation is not None:
        image = _change_light(image, augmentation, rng)
    boxes = _move(sample.boxes_xyxy, matrix)
    visible = clip_boxes(boxes, size_wh=canvas_wh)
    share = np.divide(
        box_areas(visible), box_areas(boxes), out=np.zeros(len(boxes), np.float32), where=box_areas(boxes) > 0
    )
    is_big = np.all(visible[:, 2:] - visible[:, :2] >= _MIN_SIDE_PX, axis=1)
    keep = (share >= _MIN_VISIBLE) & is_big
    ignored = np.concatenate([_move(sample.ignored_xyxy, matrix), visible[~keep]])
    frame_rect = _move(as_boxes([[0, 0, *sample.size_wh]]), matrix)
    is_known = _known_cells(centres_xy, frame_rect, _move(sample.looked_xyxy, matrix), ignored)
    weights = np.ones(len(boxes), np.float32) if sample.weights is None else sample.weights
    return PreparedSample(
        np.ascontiguousarray(image.transpose(2, 0, 1)), visible[keep], sample.class_ids[keep], weights[keep], is_known
    )


def _placement(
    size_wh: SizeWH,
    canvas_wh: SizeWH,
    ratios: tuple[float, float],
    augmentation: AugmentationConfig | None,
    rng: np.random.Generator,
) -> FloatArray:
    """Return the (2, 3) map from picture pixels to canvas pixels."""
    if augmentation is None:
        return np.array([[ratios[0], 0, 0], [0, ratios[1], 0]], np.float32)
    factor = rng.uniform(1 - augmentation.scale, 1 + augmentation.scale)
    sx, sy = ratios[0] * factor, ratios[1] * factor
    width, height = size_wh[0] * sx, size_wh[1] * sy
    dx, dy = rng.uniform(-augmentation.translate, augmentation.translate, 2) * canvas_wh
    dx, dy = dx + (size_wh[0] * ratios[0] - width) / 2, dy + (size_wh[1] * ratios[1] - height) / 2
    if rng.random() < augmentation.flip:
        return np.array([[-sx, 0, dx + width], [0, sy, dy]], np.float32)
    return np.array([[sx, 0, dx], [0, sy, dy]], np.float32)


def _warp(image_bgr: ImageArray, size_wh: SizeWH, matrix: FloatArray, canvas_wh: SizeWH) -> ImageArray:
    """Draw the picture on a grey canvas, with cv2.resize's idea of where pixel centres are."""
    stored_scale = size_wh[0] / image_bgr.shape[1], size_wh[1] / image_bgr.shape[0]
    full = np.vstack([matrix, [0, 0, 1]]) @ np.diag([*stored_scale, 1.0])
    to_centre, from_centre = np.eye(3), np.eye(3)
    to_centre[:2, 2], from_centre[:2, 2] = 0.5, -0.5
    warp = (from_centre @ full @ to_centre)[:2]
    warped = cv2.warpAffine(
        image_bgr, warp, canvas_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(PAD_VALUE,) * 3
    )
    return np.asarray(warped, np.uint8)


def _change_light(image: ImageArray, augmentation: AugmentationConfig, rng: np.random.Generator) -> ImageArray:
    def factor(spread: float) -> float:
        return float(rng.uniform(1 - spread, 1 + spread))

    saturation, contrast, brightness = (
        factor(augmentation.saturation),
        factor(augmentation.contrast),
        factor(augmentation.brightness),
    )
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    image = cv2.addWeighted(image, saturation, grey, 1 - saturation, 0)
    mean = float(image.mean())
    image = cv2.convertScaleAbs(image, alpha=contrast * brightness, beta=mean * brightness * (1 - contrast))
    if augmentation.noise:
        noise = rng.normal(0, rng.uniform(0, augmentation.noise), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return np.asarray(image, np.uint8)


def _move(boxes_xyxy: FloatArray, matrix: FloatArray) -> FloatArray:
    if len(boxes_xyxy) == 0:
        return as_boxes([])
    x = boxes_xyxy[:, [0, 2]] * matrix[0, 0] + matrix[0, 2]
    y = boxes_xyxy[:, [1, 3]] * matrix[1, 1] + matrix[1, 2]
    x.sort(axis=1)  # a mirror image swaps left and right
    return np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1).astype(np.float32)


def _known_cells(
    centres_xy: FloatArray, frame_xyxy: FloatArray, looked_xyxy: FloatArray, ignored_xyxy: FloatArray
) -> BoolArray:
    """Return which cells may count as background: seen by the teacher and not uncertain, or grey padding."""
    is_padding = ~_inside_any(centres_xy, frame_xyxy)
    is_seen = is_padding | _inside_any(centres_xy, looked_xyxy)
    return np.asarray(is_seen & ~_inside_any(centres_xy, ignored_xyxy), bool)


def _inside_any(points_xy: FloatArray, boxes_xyxy: FloatArray) -> BoolArray:
    """Return (N,) whether each point lies in any of the boxes."""
    points = points_xy[:, None]  # (N, 1, 2)
    inside = (points >= boxes_xyxy[None, :, :2]) & (points < boxes_xyxy[None, :, 2:])
    return np.asarray(np.any(np.all(inside, axis=2), axis=1), bool)
