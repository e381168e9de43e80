"""What all configuration models share."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from edge_autotuner.core.clock import parse_duration_s
from edge_autotuner.errors import ConfigError


class FrozenConfig(BaseModel):
    """Settings that cannot change after they were read; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def fingerprint(self) -> str:
        """Return a short hash that changes when any setting does."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _to_seconds(value: object) -> object:
    if isinstance(value, str):
        try:
            return parse_duration_s(value)
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
    return value


def _to_frame_range(value: object) -> object:
    if isinstance(value, str):
        start, colon, stop = value.partition(":")
        if not colon or not (start.isdigit() or not start) or not (stop.isdigit() or not stop):
            raise ValueError(f"'{value}' is not a frame range; write START:STOP, for example 0:500")
        return int(start or 0), int(stop) if stop else None
    return value


def _to_size(value: object) -> object:
    if isinstance(value, str):
        width, cross, height = value.lower().partition("x")
        if not width.isdigit() or (cross and not height.isdigit()):
            raise ValueError(f"'{value}' is not a size; write 416 or 640x384")
        return int(width), int(height or width)
    if isinstance(value, int):
        return value, value
    return value


Seconds = Annotated[float, BeforeValidator(_to_seconds)]
"""Seconds; text such as "10min" or "1h30m" is understood."""

FrameRange = Annotated[tuple[int, int | None], BeforeValidator(_to_frame_range)]
"""First frame and the one after the last (None: to the end); text "0:500" is understood."""

InputSize = Annotated[tuple[int, int], BeforeValidator(_to_size)]
"""Width and height in pixels; "416" and "640x384" are understood."""
