"""Prepares a detector's input, and maps boxes back to the picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.types import FloatArray, ImageArray, SizeWH
from edge_autotuner.models.detector_spec import DetectorSpec


@dataclass(frozen=True)
class Placement:
    """Placement of a scaled picture in a detector's input, at the top left.

    Attributes:
        frame_size_wh: size of the picture, pixels.
        resized_size_wh: its size in the input, without padding.
    """

    frame_size_wh: SizeWH
    resized_size_wh: SizeWH

    @property
    def scale_xyxy(self) -> FloatArray:
        """(4,) factors from picture to input; the axes differ slightly, because sizes are whole pixels."""
        sx = self.resized_size_wh[0] / self.frame_size_wh[0]
        sy = self.resized_size_wh[1] / self.frame_size_wh[1]
        return np.array([sx, sy, sx, sy], np.float32)

    def to_frame(self, boxes_xyxy: FloatArray) -> FloatArray:
        """Map (N, 4) boxes from the input to the picture; they may exceed its border."""
        return np.asarray(as_boxes(boxes_xyxy) / self.scale_xyxy, np.float32)


@dataclass(frozen=True, eq=False)
class ResizedPicture:
    """A picture in the size of a network's input.

    Attributes:
        image_bgr: (H, W, 3) uint8, padded.
        placement: position of the original in it.
    """

    image_bgr: ImageArray
    placement: Placement


def prepare_input(image_bgr: ImageArray, spec: DetectorSpec) -> tuple[FloatArray, Placement]:
    """Return the (1, 3, H, W) float32 input of a picture, and its placement.

    Args:
        image_bgr: (H, W, 3) uint8 picture of any size; not changed.
        spec: the detector's input.

    Raises:
        ValueError: the picture has another shape or type, or no pixels.
    """
    resized, placement = resized_picture(image_bgr, spec)
    return input_of_resized(resized, spec), placement


def resized_picture(image_bgr: ImageArray, spec: DetectorSpec) -> tuple[ImageArray, Placement]:
    """Return a picture in the input's size, uint8 BGR, and its placement.

    Raises:
        ValueError: the picture has another shape or type, or no pixels.
    """
    placement = place(_checked_size(image_bgr), spec)
    return resize_and_pad(image_bgr, placement, spec), placement


def input_of_resized(resized_bgr: ImageArray, spec: DetectorSpec) -> FloatArray:
    """Return the (1, 3, H, W) float32 input of a picture from `resized_picture`."""
    resized = resized_bgr[:, :, ::-1] if spec.colour == "rgb" else resized_bgr
    planes = np.ascontiguousarray(resized.transpose(2, 0, 1)).astype(np.float32)  # (3, H, W)
    return _normalised(planes, spec)[None]


def place(frame_size_wh: SizeWH, spec: DetectorSpec) -> Placement:
    """Return the placement of a picture of this size.

    The letterbox rounds down as YOLOX does: `int(width * ratio)`.
    """
    if spec.resize == "stretch":
        return Placement(frame_size_wh, spec.input_size_wh)
    ratio = min(side / frame for side, frame in zip(spec.input_size_wh, frame_size_wh, strict=True))
    width, height = (max(1, int(frame * ratio)) for frame in frame_size_wh)
    return Placement(frame_size_wh, (width, height))


def resize_and_pad(image_bgr: ImageArray, placement: Placement, spec: DetectorSpec) -> ImageArray:
    """Return the picture in the input's size, uint8 BGR."""
    same_size = placement.resized_size_wh == placement.frame_size_wh
    resized = image_bgr if same_size else cv2.resize(image_bgr, placement.resized_size_wh)
    if placement.resized_size_wh == spec.input_size_wh:
        return np.asarray(resized, np.uint8)
    width, height = spec.input_size_wh
    canvas = np.full((height, width, 3), spec.pad_value, np.uint8)
    canvas[: placement.resized_size_wh[1], : placement.resized_size_wh[0]] = resized
    return canvas


def _checked_size(image_bgr: ImageArray) -> SizeWH:
    if not isinstance(image_bgr, np.ndarray):
        raise TypeError(f"image_bgr must be an array of shape (H, W, 3), got {type(image_bgr).__name__}")
    if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.size == 0:
        raise ValueError(f"image_bgr must have shape (H, W, 3), got {image_bgr.shape}")
    if image_bgr.dtype != np.uint8:
        raise ValueError(f"image_bgr must be uint8, got {image_bgr.dtype}")
    return image_bgr.shape[1], image_bgr.shape[0]


def _normalised(planes: FloatArray, spec: DetectorSpec) -> FloatArray:
    """Return `((pixel * scale) - mean) / std` of (3, H, W) planes, as one multiplication and one subtraction."""
    std = np.array(spec.std, np.float64)
    factor = (spec.scale / std).astype(np.float32)[:, None, None]
    offset = (np.array(spec.mean) / std).astype(np.float32)[:, None, None]
    if (factor != 1).any():
        planes = planes * factor
    return planes - offset if offset.any() else planes
