"""What happens to the simulated scene at a given frame, apart from the usual traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LightSwitch:
    """From `at_frame` on, brightness is `gain` times itself plus `offset` grey levels; gain 1 and offset 0 undo it."""

    at_frame: int
    gain: float = 0.55
    offset: float = 0.0


@dataclass(frozen=True)
class NightSwitch:
    """From `at_frame` on, the camera sees grey by its own infrared lamp, bright in the middle; or by day again."""

    at_frame: int
    is_night: bool = True


@dataclass(frozen=True)
class CameraBump:
    """From `at_frame` on, the picture is shifted right and down by these pixels; bumps add up."""

    at_frame: int
    dx_px: int
    dy_px: int


@dataclass(frozen=True)
class PassingTruck:
    """A truck close to the camera appears at `at_frame` and covers 70 % of the picture or more for `covers_s`."""

    at_frame: int
    covers_s: float = 1.5

    def __post_init__(self) -> None:
        if self.covers_s <= 0:
            raise ValueError(f"covers_s must be positive, got {self.covers_s}")


@dataclass(frozen=True)
class ParkedCar:
    """A car appears at `at_frame`, parks at the far kerb, and starts again at frame `leaves_at`."""

    at_frame: int
    leaves_at: int


SceneEvent = LightSwitch | NightSwitch | CameraBump | PassingTruck | ParkedCar


_FORMS: dict[str, tuple[str, Callable[..., SceneEvent]]] = {
    "light": ("light@FRAME:GAIN", lambda frame, gain: LightSwitch(int(frame), float(gain))),
    "night": ("night@FRAME", lambda frame: NightSwitch(int(frame))),
    "day": ("day@FRAME", lambda frame: NightSwitch(int(frame), is_night=False)),
    "bump": ("bump@FRAME:RIGHT:DOWN", lambda frame, dx, dy: CameraBump(int(frame), int(dx), int(dy))),
    "truck": ("truck@FRAME", lambda frame: PassingTruck(int(frame))),
    "parked": ("parked@FRAME:FRAME", lambda frame, leaves_at: ParkedCar(int(frame), int(leaves_at))),
}


def parse_event(text: str) -> SceneEvent:
    """Read an event as it is written on a command line.

    >>> parse_event("bump@120:8:-3")
    CameraBump(at_frame=120, dx_px=8, dy_px=-3)

    Raises:
        ValueError: it is none.
    """
    name, _, values = text.partition("@")
    if name not in _FORMS:
        raise ValueError(f"no event '{text}'; events: {', '.join(form for form, _ in _FORMS.values())}")
    form, make = _FORMS[name]
    numbers = values.split(":")
    if len(numbers) != form.count(":") + 1:
        raise ValueError(f"'{text}' is not {form}")
    try:
        return make(*numbers)
    except ValueError as exc:
        raise ValueError(f"'{text}' is not {form}") from exc


def require_in_video(events: Iterable[SceneEvent], n_frames: int) -> None:
    """Refuse events that the video does not show.

    Raises:
        ValueError: an event is outside of the video.
    """
    for event in events:
        if not 0 <= event.at_frame < n_frames:
            raise ValueError(f"the frame of an event must be in 0..{n_frames - 1}, got {event}")


def light_at(events: Sequence[SceneEvent], index: int) -> tuple[float, float]:
    """Return (gain, offset in grey levels) of the last light switch so far."""
    switches = [event for event in events if isinstance(event, LightSwitch) and event.at_frame <= index]
    last = max(switches, key=lambda switch: switch.at_frame, default=LightSwitch(0, gain=1.0))
    return last.gain, last.offset


def is_night_at(events: Sequence[SceneEvent], index: int) -> bool:
    """Whether the camera uses its infrared lamp."""
    switches = [event for event in events if isinstance(event, NightSwitch) and event.at_frame <= index]
    return max(switches, key=lambda switch: switch.at_frame, default=NightSwitch(0, is_night=False)).is_night


def shift_at(events: Sequence[SceneEvent], index: int) -> tuple[int, int]:
    """Return by how many pixels, right and down, bumps have moved the picture so far."""
    bumps = [event for event in events if isinstance(event, CameraBump) and event.at_frame <= index]
    return sum(bump.dx_px for bump in bumps), sum(bump.dy_px for bump in bumps)
