"""Pre- and post-processing of a detector: everything that an ONNX file does not contain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from edge_autotuner.core.json_fields import is_number
from edge_autotuner.core.labels import LabelMap
from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import ModelBundleError

Resize = Literal["stretch", "letterbox"]
Colour = Literal["bgr", "rgb"]
Decode = Literal["deim", "picodet", "yolox", "boxes_scores"]
Triple = tuple[float, float, float]

_MAX_SIDE_PX = 8192


@dataclass(frozen=True)
class DetectorSpec:
    """Pre- and post-processing of one detector.

    A pixel becomes `((pixel * scale) - mean) / std`, in planes of `colour` order (NCHW float32).

    Attributes:
        name: in reports.
        labels: classes in the order of the outputs.
        input_size_wh: input size, pixels.
        resize: stretch fills the input; letterbox keeps the aspect ratio, top left, and pads the rest.
        colour: order of the input planes; `mean` and `std` are in the same order.
        scale: factor for pixels of 0..255.
        mean: subtracted after scaling, one per plane.
        std: divided by, one per plane.
        decode: deim: labels, boxes in source pixels, scores; picodet: score and distance maps; yolox: raw
            grid cells; boxes_scores: our own export, (1, N, 4) corners in input pixels and (1, N, C) scores.
        nms_iou: per-class non-maximum suppression above this overlap; None for none.
        pad_value: grey level of the letterbox padding.
    """

    name: str
    labels: LabelMap
    input_size_wh: SizeWH
    resize: Resize
    colour: Colour
    decode: Decode
    scale: float = 1.0
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    nms_iou: float | None = None
    pad_value: int = 114

    def __post_init__(self) -> None:
        _check(len(self.labels) > 0, "labels", "at least one class", self.labels.names)
        sides_fit = len(self.input_size_wh) == 2 and all(1 <= side <= _MAX_SIDE_PX for side in self.input_size_wh)
        _check(sides_fit, "input_size_wh", f"two sides of 1 to {_MAX_SIDE_PX} pixels", self.input_size_wh)
        for key, choices in (("resize", Resize), ("colour", Colour), ("decode", Decode)):
            value = getattr(self, key)
            _check(value in get_args(choices), key, f"one of {', '.join(get_args(choices))}", value)
        _check(math.isfinite(self.scale) and self.scale > 0, "scale", "a positive number", self.scale)
        _check(len(self.mean) == 3 and all(map(math.isfinite, self.mean)), "mean", "three numbers", self.mean)
        std_fits = len(self.std) == 3 and all(math.isfinite(value) and value > 0 for value in self.std)
        _check(std_fits, "std", "three positive numbers", self.std)
        _check(self.nms_iou is None or 0 < self.nms_iou <= 1, "nms_iou", "a number in (0, 1] or null", self.nms_iou)
        _check(0 <= self.pad_value <= 255, "pad_value", "a grey level of 0 to 255", self.pad_value)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), **self.labels.to_json()}

    @classmethod
    def from_json(cls, values: object) -> DetectorSpec:
        """Parse the values of `to_json`.

        Raises:
            ModelBundleError: a key is missing or unknown, or a value is of the wrong kind or out of range.
        """
        if not isinstance(values, Mapping):
            raise ModelBundleError(f"detector: expected keys and values, got {type(values).__name__}")
        known = {field.name for field in fields(cls)}
        if missing := sorted(known - set(values)):
            raise ModelBundleError(f"detector: missing {', '.join(missing)}")
        if unknown := sorted(map(str, set(values) - known - {"task"})):
            raise ModelBundleError(f"detector: unknown {', '.join(unknown):.200}; expected {', '.join(sorted(known))}")
        try:
            return cls(**_parsed(values))
        except ValueError as exc:
            raise ModelBundleError(f"detector: {exc}") from exc


def _check(holds: bool, key: str, expected: str, got: object) -> None:
    if not holds:
        raise ValueError(f"{key} must be {expected}, got {got!r}")


def _parsed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the constructor's arguments; ValueError for a value of the wrong kind."""
    parsed = dict(values)
    for key in ("name", "resize", "colour", "decode"):
        _check(isinstance(values[key], str), key, "text", values[key])
    labels = values["labels"]
    _check(isinstance(labels, list) and all(isinstance(name, str) for name in labels), "labels", "names", labels)
    task = parsed.pop("task", "boxes")
    _check(isinstance(task, str), "task", "text", task)
    parsed["labels"] = LabelMap(tuple(labels), task)
    for key, n_items, kind in (("input_size_wh", 2, int), ("mean", 3, float), ("std", 3, float)):
        items = values[key]
        fits = isinstance(items, list | tuple) and len(items) == n_items and all(_is(item, kind) for item in items)
        _check(fits, key, f"a list of {n_items} numbers", items)
        parsed[key] = tuple(kind(item) for item in items)
    _check(_is(values["scale"], float), "scale", "a number", values["scale"])
    _check(values["nms_iou"] is None or _is(values["nms_iou"], float), "nms_iou", "a number", values["nms_iou"])
    _check(_is(values["pad_value"], int), "pad_value", "a whole number", values["pad_value"])
    return parsed


def _is(value: object, kind: type[int] | type[float]) -> bool:
    """Whether a JSON value is a finite number of this kind; true and false are not numbers."""
    return is_number(value) and isinstance(value, int if kind is int else (int, float))
