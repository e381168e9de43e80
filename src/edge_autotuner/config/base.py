"""Base class and value types of all settings models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edge_autotuner.core.clock import parse_duration_s
from edge_autotuner.core.fingerprints import fingerprint_values
from edge_autotuner.errors import ConfigError
from edge_autotuner.storage import PLAIN_NAME

_MIN_INPUT_SIDE_PX, _MAX_INPUT_SIDE_PX = 32, 4096
_LONGEST_S = 36_500 * 86_400.0
_MAY_BE_PATHS = {"source", "edge_model", "teacher"}  # text that may be a path


class FrozenConfig(BaseModel):
    """Immutable settings that reject unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _require_text(cls, value: object, info: ValidationInfo) -> object:
        """Reject empty text; as a path, it would mean the working directory."""
        if value == "" and cls.model_fields[info.field_name or ""].default != "":
            raise ValueError("is empty (an unset variable?); give a value or remove the setting")
        return value

    @model_validator(mode="before")
    @classmethod
    def _expand_home(cls, values: object) -> object:
        """Expand `~` in every path, as a shell does."""
        if not isinstance(values, Mapping):
            return values
        return {
            key: _at_home(value) if isinstance(value, str) and value.startswith("~") and _is_path(cls, key) else value
            for key, value in values.items()
        }

    def fingerprint(self) -> str:
        """Return a short hash of all settings."""
        return fingerprint_values(self.model_dump(mode="json"))


def _is_path(model: type[BaseModel], key: object) -> bool:
    info = model.model_fields.get(str(key))
    if info is None:
        return False
    return Path in {info.annotation, *get_args(info.annotation)} or key in _MAY_BE_PATHS


def _at_home(text: str) -> str:
    try:
        return str(Path(text).expanduser())
    except RuntimeError as exc:
        raise ValueError(f"cannot expand {text}: no home folder; use a full path") from exc


def _to_seconds(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected a duration, e.g. 90s, 10min or 1h30m")
    if isinstance(value, str | int | float):
        try:
            return parse_duration_s(value)
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
    return value


def _not_too_long(seconds: float) -> float:
    if not seconds <= _LONGEST_S:  # also NaN
        raise ValueError("must be at most 36500 days; use null for no limit where it is allowed")
    return seconds


def _to_frame_range(value: object) -> object:
    if isinstance(value, int):
        raise ValueError(f"{value} is not a frame range; use START:STOP, e.g. 0:{value}")
    if isinstance(value, str):
        start, colon, stop = value.partition(":")
        if not colon or not (start.isdigit() or not start) or not (stop.isdigit() or not stop):
            raise ValueError(f"'{value}' is not a frame range; use START:STOP, e.g. 0:500")
        return int(start or 0), int(stop) if stop else None
    return value


def parse_size(text: str) -> tuple[int, int]:
    """Parse "416" or "640x384" as width and height; raise `ConfigError` for anything else."""
    width, cross, height = text.lower().partition("x")
    if not width.isdigit() or (cross and not height.isdigit()):
        raise ConfigError(f"'{text}' is not a size; use e.g. 416 or 640x384")
    return int(width), int(height or width)


def _not_empty(frames: tuple[int, int | None]) -> tuple[int, int | None]:
    start, stop = frames
    if start < 0 or (stop is not None and stop <= start):
        raise ValueError(f"the frame range {start}:{'' if stop is None else stop} is empty")
    return frames


def _to_size(value: object) -> object:
    if isinstance(value, str):
        try:
            return parse_size(value)
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
    if isinstance(value, int):
        return value, value
    return value


def _large_enough(size_wh: tuple[int, int]) -> tuple[int, int]:
    if any(side < _MIN_INPUT_SIDE_PX for side in size_wh):
        raise ValueError(f"both sides must be at least {_MIN_INPUT_SIDE_PX}, e.g. 416 or 640x384")
    if any(side > _MAX_INPUT_SIDE_PX for side in size_wh):
        raise ValueError(f"both sides must be at most {_MAX_INPUT_SIDE_PX}, e.g. 416 or 640x384")
    return size_wh


PlainName = Annotated[str, Field(pattern=PLAIN_NAME)]
"""Letters, digits, dots, dashes and underscores; never a path."""

Seconds = Annotated[float, BeforeValidator(_to_seconds), AfterValidator(_not_too_long)]
"""Seconds; also accepts text such as "10min" or "1h30m"."""

FrameRange = Annotated[tuple[int, int | None], BeforeValidator(_to_frame_range), AfterValidator(_not_empty)]
"""First frame, and last frame + 1 (None: to the end); also accepts text such as "0:500"."""

InputSize = Annotated[tuple[int, int], BeforeValidator(_to_size), AfterValidator(_large_enough)]
"""Width and height in pixels; also accepts "416" and "640x384". The edge model checks which sizes it supports."""
