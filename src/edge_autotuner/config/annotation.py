"""Settings of the annotation stage: where a teacher looks and which of its boxes count."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edge_autotuner.config.base import FrozenConfig, InputSize


class AnnotationConfig(FrozenConfig):
    """How a teacher looks at frames and what becomes of its boxes."""

    teacher: str = Field(
        "zoom", description="zoom (the edge model itself on magnified views), a known model's name, or an ONNX file."
    )
    adapter: str | None = Field(None, description="How to read an unknown ONNX file: deim, picodet or yolox.")
    zoom_input: InputSize = Field(
        (416, 416), description="Input of the edge model when it looks at magnified views as the zoom teacher."
    )
    look: Literal["tiles", "crops", "full"] = Field(
        "tiles", description="tiles: full frame and overlapping tiles; crops: motion regions; full: the frame alone."
    )
    tile_grid: int = Field(2, ge=1, le=8, description="Tiles per side.")
    tile_overlap: float = Field(0.25, ge=0, lt=0.9, description="Share of a tile that its neighbour covers too.")
    crop_margin: float = Field(0.25, ge=0, le=2, description="Margin around a motion region, share of its size.")
    min_crop_px: int = Field(192, ge=16, description="Smallest side of a crop, frame pixels (paper, Fig. 5).")
    cut_border_px: float = Field(3.0, ge=0, description="Boxes this close to an inner crop border are cut: dropped.")
    merge_iou: float = Field(
        0.5, gt=0, le=1, description="Same-class boxes of several views above this overlap are one."
    )
    same_object_iou: float | None = Field(
        0.7, gt=0, le=1, description="Boxes of different classes above this overlap are one object; null: keep all."
    )
    min_score: float = Field(0.3, gt=0, lt=1, description="Boxes from this score on are labels (paper: 0.3).")
    uncertain_score: float = Field(
        0.1, gt=0, lt=1, description="Boxes from here to min_score are neither object nor background in training."
    )
    classes: tuple[str, ...] | None = Field(
        None, description="Classes to learn; null: the edge model's own, or the six street classes of a COCO model."
    )
    max_detections: int = Field(300, ge=1, description="Most boxes kept per frame.")

    @model_validator(mode="after")
    def _band_is_ordered(self) -> AnnotationConfig:
        if self.uncertain_score > self.min_score:
            raise ValueError(f"uncertain_score {self.uncertain_score} is above min_score {self.min_score}")
        return self
