"""Settings of the random changes that training pictures go through."""

from __future__ import annotations

from pydantic import Field

from edge_autotuner.config.base import FrozenConfig


class AugmentationConfig(FrozenConfig):
    """Random changes of the training pictures; all are off at 0."""

    flip: float = Field(0.5, ge=0, le=1, description="Probability of a mirror image.")
    scale: float = Field(0.3, ge=0, lt=1, description="Size varies by a factor between 1-scale and 1+scale.")
    translate: float = Field(0.1, ge=0, le=0.5, description="Shift, as a share of the picture.")
    brightness: float = Field(0.2, ge=0, lt=1, description="Brightness factor varies by this much.")
    contrast: float = Field(0.2, ge=0, lt=1, description="Contrast factor varies by this much.")
    saturation: float = Field(0.2, ge=0, lt=1, description="Saturation factor varies by this much.")
    noise: float = Field(0.0, ge=0, le=50, description="Standard deviation of added noise, grey levels.")
    paste: float = Field(
        2.0,
        ge=0,
        le=50,
        description="Mean number of moving objects per picture that are cut out of other pictures of the camera and "
        "pasted in, at the size that belongs to the place; needs at least 8 pictures.",
    )
    mosaic: float = Field(0.0, ge=0, le=1, description="Probability that parts of four pictures are joined to one.")
    mosaic_until: float = Field(
        0.7, ge=0, le=1, description="Share of the epochs with mosaics; the last ones show whole pictures, as in YOLOX."
    )
