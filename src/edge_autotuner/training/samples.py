"""Training pictures and their labels, with unseen areas, and the augmentation of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge_autotuner.config import AugmentationConfig
from edge_autotuner.core.boxes import as_boxes, box_areas
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray, IntArray, SizeWH
from edge_autotuner.models.detector_spec import Resize
from edge_autotuner.training.patches import Patch, compose, draw_patch_in_place, pixel_warp, placement
from edge_autotuner.training.schedule import Origin

PAD_VALUE = 114  # grey around letterboxed pictures, as the off-the-shelf weights were trained
_MIN_VISIBLE = 0.35  # of a labelled box inside the picture; below, it becomes "unknown"
_MIN_SIDE_PX = 2.0

_Labels = tuple[FloatArray, IntArray, FloatArray]  # boxes, classes, weights


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """One picture with a teacher's labels.

    Attributes:
        read_image: returns the (H, W, 3) uint8 BGR picture; called each time it is needed.
        size_wh: its size, pixels.
        boxes_xyxy: (G, 4) labelled objects, picture pixels.
        class_ids: (G,) their classes.
        ignored_xyxy: (I, 4) uncertain boxes, neither object nor background.
        looked_xyxy: (R, 4) rectangles that the teacher looked at.
        weights: (G,) how much each labelled object counts, in [0, 1]; None: all fully.
        origin: where it comes from; decides how often an epoch shows it.
        time_s: seconds since the start of the recording; None: unknown.
    """

    read_image: Callable[[], ImageArray]
    size_wh: SizeWH
    boxes_xyxy: FloatArray
    class_ids: IntArray
    ignored_xyxy: FloatArray
    looked_xyxy: FloatArray
    weights: FloatArray | None = None
    origin: Origin = "camera"
    time_s: float | None = None

    @property
    def label_weights(self) -> FloatArray:
        """(G,) how much each labelled object counts."""
        return np.ones(len(self.boxes_xyxy), np.float32) if self.weights is None else self.weights


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


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture with pasted patches.

    Attributes:
        sample: its labels, including those of the patches.
        image_bgr: (H, W, 3), at any resolution of the aspect of `sample.size_wh`.
        patches: drawn over it, the last on top.
    """

    sample: TrainingSample
    image_bgr: ImageArray
    patches: tuple[Patch, ...] = ()


@dataclass(frozen=True, eq=False)
class Tile:
    """A scene on a part of the canvas.

    Attributes:
        scene: the scene.
        to_canvas: (2, 3) map from the sample's pixels to canvas pixels.
        area_xyxy: filled area, whole canvas pixels.
    """

    scene: Scene
    to_canvas: FloatArray
    area_xyxy: tuple[int, int, int, int]


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
    patches: tuple[Patch, ...] = (),
) -> PreparedSample:
    """Place an augmented picture and its labels on the canvas.

    Args:
        sample: the labels.
        image_bgr: its picture, at any resolution of the same aspect.
        canvas_wh: from `canvas_size`.
        input_size_wh: the network's input, which sets the scale.
        centres_xy: (N, 2) cell centres on the canvas, pixels.
        augmentation: None places the picture as at run time.
        rng: source of randomness.
        resize: of frames at run time.
        patches: drawn over the picture; their labels are in the sample.
    """
    ratios = fit_ratios(sample.size_wh, input_size_wh, resize)
    matrix = _placement(sample.size_wh, canvas_wh, ratios, augmentation, rng)
    tile = Tile(Scene(sample, image_bgr, patches), matrix, (0, 0, *canvas_wh))
    return prepare_tiles([tile], canvas_wh=canvas_wh, centres_xy=centres_xy, augmentation=augmentation, rng=rng)


def prepare_tiles(
    tiles: Sequence[Tile],
    *,
    canvas_wh: SizeWH,
    centres_xy: FloatArray,
    augmentation: AugmentationConfig | None,
    rng: np.random.Generator,
) -> PreparedSample:
    """Draw tiles on the canvas, vary the light of the whole, and collect the labels.

    The tiles fill the canvas, of a size from `canvas_size`, without overlap. `centres_xy` are (N, 2) cell centres on
    it, pixels. Without an augmentation the light stays as it is.
    """
    image = np.empty((canvas_wh[1], canvas_wh[0], 3), np.uint8)
    for tile in tiles:
        x1, y1, x2, y2 = tile.area_xyxy
        image[y1:y2, x1:x2] = _draw(tile)
    if augmentation is not None:
        image = _change_light(image, augmentation, rng)
    nearest = np.clip(centres_xy, 0, np.nextafter(np.array(canvas_wh, np.float32), np.float32(0)))
    is_known = np.zeros(len(centres_xy), bool)
    parts: list[_Labels] = []
    for tile in tiles:
        labels, ignored = _labels_on(tile)
        parts.append(labels)
        cells = np.flatnonzero(_inside_any(nearest, as_boxes([tile.area_xyxy])))
        is_known[cells] = _known_cells(centres_xy[cells], tile, ignored)
    boxes, class_ids, weights = (np.concatenate(values) for values in zip(*parts, strict=True))
    return PreparedSample(np.ascontiguousarray(image.transpose(2, 0, 1)), boxes, class_ids, weights, is_known)


def _placement(
    size_wh: SizeWH,
    canvas_wh: SizeWH,
    ratios: tuple[float, float],
    augmentation: AugmentationConfig | None,
    rng: np.random.Generator,
) -> FloatArray:
    """Return the (2, 3) map from picture pixels to canvas pixels."""
    if augmentation is None:
        return placement(ratios, (0, 0), 0, is_mirrored=False)
    factor = rng.uniform(1 - augmentation.scale, 1 + augmentation.scale)
    sx, sy = ratios[0] * factor, ratios[1] * factor
    width, height = size_wh[0] * sx, size_wh[1] * sy
    dx, dy = rng.uniform(-augmentation.translate, augmentation.translate, 2) * canvas_wh
    dx, dy = dx + (size_wh[0] * ratios[0] - width) / 2, dy + (size_wh[1] * ratios[1] - height) / 2
    return placement((sx, sy), (dx, dy), width, is_mirrored=rng.random() < augmentation.flip)


def _draw(tile: Tile) -> ImageArray:
    """Return the tile's area as a picture: the scene and its patches, grey elsewhere."""
    x1, y1, x2, y2 = tile.area_xyxy
    to_area = tile.to_canvas - np.array([[0, 0, x1], [0, 0, y1]], np.float32)
    image, (width, height) = tile.scene.image_bgr, tile.scene.sample.size_wh
    from_stored = np.array([[width / image.shape[1], 0, 0], [0, height / image.shape[0], 0]], np.float32)
    warped = cv2.warpAffine(
        image,
        pixel_warp(compose(to_area, from_stored)),
        (x2 - x1, y2 - y1),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(PAD_VALUE,) * 3,
    )
    drawn = np.asarray(warped, np.uint8)
    for patch in tile.scene.patches:
        draw_patch_in_place(drawn, patch, to_area)
    return drawn


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


def _labels_on(tile: Tile) -> tuple[_Labels, FloatArray]:
    """Return the labels that are visible enough, canvas pixels, and the uncertain boxes."""
    sample = tile.scene.sample
    boxes = _move(sample.boxes_xyxy, tile.to_canvas)
    visible = _clip_to(boxes, tile.area_xyxy)
    areas = box_areas(boxes)
    share = np.divide(box_areas(visible), areas, out=np.zeros(len(boxes), np.float32), where=areas > 0)
    is_big = np.all(visible[:, 2:] - visible[:, :2] >= _MIN_SIDE_PX, axis=1)
    keep = (share >= _MIN_VISIBLE) & is_big
    ignored = np.concatenate([_move(sample.ignored_xyxy, tile.to_canvas), visible[~keep]])
    return (visible[keep], sample.class_ids[keep], sample.label_weights[keep]), ignored


def _move(boxes_xyxy: FloatArray, matrix: FloatArray) -> FloatArray:
    if len(boxes_xyxy) == 0:
        return as_boxes([])
    x = boxes_xyxy[:, [0, 2]] * matrix[0, 0] + matrix[0, 2]
    y = boxes_xyxy[:, [1, 3]] * matrix[1, 1] + matrix[1, 2]
    x.sort(axis=1)  # a mirror image swaps left and right
    return np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1).astype(np.float32)


def _clip_to(boxes_xyxy: FloatArray, area_xyxy: tuple[int, int, int, int]) -> FloatArray:
    x1, y1, x2, y2 = (np.float32(value) for value in area_xyxy)
    return np.clip(boxes_xyxy, np.array([x1, y1, x1, y1]), np.array([x2, y2, x2, y2]))


def _known_cells(centres_xy: FloatArray, tile: Tile, ignored_xyxy: FloatArray) -> BoolArray:
    """Mask the cells that may count as background: looked at and not uncertain, or grey padding."""
    sample = tile.scene.sample
    frame = _move(as_boxes([[0, 0, *sample.size_wh]]), tile.to_canvas)
    is_padding = ~_inside_any(centres_xy, frame)
    is_seen = is_padding | _inside_any(centres_xy, _move(sample.looked_xyxy, tile.to_canvas))
    return np.asarray(is_seen & ~_inside_any(centres_xy, ignored_xyxy), bool)


def _inside_any(points_xy: FloatArray, boxes_xyxy: FloatArray) -> BoolArray:
    """Return (N,) whether each point lies in any of the boxes."""
    x, y = points_xy[None, :, 0], points_xy[None, :, 1]
    x1, y1, x2, y2 = (boxes_xyxy[:, i, None] for i in range(4))
    return np.asarray(((x >= x1) & (x < x2) & (y >= y1) & (y < y2)).any(axis=0), bool)
