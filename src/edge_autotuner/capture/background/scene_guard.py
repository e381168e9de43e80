"""Notices that the scene itself has changed: a switched light, the infrared filter of the night, a bumped camera.

Brightness is compared with the background in every frame, structure (which a switched light leaves in place, and a
bumped camera does not) twice a second. What looks new must then stay as it is for two seconds: traffic, crowds and
automatic exposure do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_autotuner.capture.background.scene_view import (
    SceneView,
    Shift,
    changed_fraction,
    find_shift,
    mean_difference,
    structure_match,
)
from edge_autotuner.core.types import ImageArray

# Grey levels of a cell. The motion gate takes off what most of the picture became brighter or darker by. Measured on
# seven recordings made brighter or darker, by factors of 0.7 to 1.2 or evenly: where this keeps the guard silent, at
# most 11 % of the pixels still differ by the gate's threshold of 15, and at factors of 0.87 to 1.1 less than 0.1 %.
_MIN_CHANGE = 20
_MAX_UNREST = 0.35  # share of cells that may change while the new scene is watched: dense traffic reaches 0.3 in 2 s
_SETTLE_S = 2.0
_MIN_SETTLE_FRAMES = 6  # of a slow or interrupted source two seconds may be a single frame
_STRUCTURE_EVERY_S = 0.5
_MIN_STRUCTURE = 0.3  # a background with structure in less of the picture says nothing when that is hidden
_BLANK = 0.2  # a picture with less than this share of the background's structure is covered, or dark
_MIN_STEADY = 0.3  # match with a picture of the same scene below which structure is noise, or all of it moves

# Measured on ten recordings at a width of 480: pictures moved by 10 pixels gain 0.13 to 1.1, those of the steady
# camera 0.05 at most, apart from a hovering drone with 0.36 at a shift of one cell (4 pixels).
_MIN_SHIFT_CELLS = 1.5
_MIN_SHIFT_GAIN = 0.12
_MIN_SHIFT_MATCH = 0.3

# What an earlier background may differ from a rough one of now, made within two seconds of traffic.
_MAX_CHANGED = 0.25
_MAX_STRUCTURE_GONE = 0.6


@dataclass(frozen=True)
class SceneChange:
    """How a picture differs from the background.

    Attributes:
        changed_fraction: share of the picture, 0..1, whose brightness is another one.
        structure_fraction: share of the background's structure, 0..1, that is not where it was, apart from what moves
            all the time; None where there is too little structure, or only noise.
        brightness_levels: change of the mean brightness, grey levels; positive is brighter.
        shift: how far the whole picture has moved; None if it has not.
    """

    changed_fraction: float
    structure_fraction: float | None
    brightness_levels: float
    shift: Shift | None

    @property
    def fraction(self) -> float:
        """The larger of both shares."""
        return max(self.changed_fraction, self.structure_fraction or 0.0)

    def __str__(self) -> str:
        """Say in one line how much has changed and what it looks like."""
        side = "brighter" if self.brightness_levels > 0 else "darker"
        text = f"{self.changed_fraction:.0%} of the picture differs, {abs(self.brightness_levels):.0f} levels {side}"
        if self.shift is not None:
            x_px, y_px = round(self.shift.x_px), round(self.shift.y_px)
            return f"{text}, all of it moved by about {x_px}, {y_px} working pixels (right, down)"
        return (
            text if self.structure_fraction is None else f"{text}, {self.structure_fraction:.0%} of its structure gone"
        )


SceneState = Literal["usual", "suspicious", "settling"]
"""usual: compare on; suspicious: from this frame on the scene may be a new one; settling: it may still be."""


class SceneGuard:
    """Compares each frame with the background.

    It says that the scene has changed when, against the background and for two seconds (and six frames), the
    brightness of most of the picture differs by more than 20 levels, or most of its structure has gone, or all of
    it has moved, while no more than a third of the picture goes on changing.

    So these count: a cloud that dims most of the picture by more than 20 levels within seconds and stays, as more
    and more of it looks like motion to the gate; and a vehicle that stops and hides most of the picture. These do not:
    slow light, which the background follows; automatic exposure that comes back; and a turn of less than about ten
    degrees around the middle of the picture, which moves little of it.

    Args:
        min_changed: share of the picture or of its structure, (0, 1].
    """

    def __init__(self, min_changed: float) -> None:
        if not 0 < min_changed <= 1:
            raise ValueError(f"min_changed must be in (0, 1], got {min_changed}")
        self._min_changed = min_changed
        self._background: ImageArray | None = None
        self._old: SceneView | None = None
        self.reset()

    def reset(self) -> None:
        """Forget all suspicions, as when the background is replaced."""
        self._suspicion: _Suspicion | None = None
        self._checked: SceneView | None = None  # the picture whose structure was looked at last
        self._checked_s = 0.0

    def look(self, luma: ImageArray, background: ImageArray, time_s: float) -> SceneState | SceneChange:
        """Compare the next frame with the background.

        Args:
            luma: (h, w) uint8; not kept and not changed.
            background: (h, w) uint8; must not change in place.
            time_s: seconds since the start; after a jump backwards, watching starts anew.

        Returns:
            The change, once, when it is certain; what the scene looks like so far otherwise.
        """
        new, old = SceneView(luma), self._view_of(background)
        suspicion = self._suspicion
        if suspicion is not None and self._is_settling(suspicion, new, time_s):
            suspicion.n_frames += 1
            if suspicion.n_frames < _MIN_SETTLE_FRAMES or time_s - suspicion.since_s < _SETTLE_S:
                return "settling"
            self.reset()
            change = compare_scenes(old, new, suspicion.view)
            return change if self._is_another(change) else "usual"
        self._suspicion = self._suspect(old, new, time_s)
        return "usual" if self._suspicion is None else "suspicious"

    def _view_of(self, background: ImageArray) -> SceneView:
        if self._old is None or background is not self._background:
            self._background, self._old = background, SceneView(background)
        return self._old

    def _is_settling(self, suspicion: _Suspicion, new: SceneView, time_s: float) -> bool:
        if time_s < suspicion.since_s or changed_fraction(suspicion.view, new, _MIN_CHANGE) > _MAX_UNREST:
            return False
        if suspicion.by_brightness or not self._is_time_to_check(time_s):
            return True
        self._checked_s = time_s
        return _shift_between(suspicion.view, new) is None  # else the camera sways

    def _suspect(self, old: SceneView, new: SceneView, time_s: float) -> _Suspicion | None:
        if changed_fraction(old, new, _MIN_CHANGE) >= self._min_changed:
            return _Suspicion(new, time_s, by_brightness=True)
        if not self._is_time_to_check(time_s):
            return None
        before, self._checked, self._checked_s = self._checked, new, time_s
        if before is None or not self._is_another(compare_scenes(old, new, before)):
            return None
        return _Suspicion(new, time_s, by_brightness=False)

    def _is_time_to_check(self, time_s: float) -> bool:
        return self._checked is None or not 0 <= time_s - self._checked_s < _STRUCTURE_EVERY_S

    def _is_another(self, change: SceneChange) -> bool:
        return change.shift is not None or change.fraction >= self._min_changed


@dataclass
class _Suspicion:
    """The picture from which on the scene may be a new one.

    Attributes:
        view: that picture.
        since_s: its time.
        by_brightness: whether its brightness is suspicious; if not, its structure is.
        n_frames: frames that looked like it, itself included.
    """

    view: SceneView
    since_s: float
    by_brightness: bool
    n_frames: int = 1


def compare_scenes(old: SceneView, new: SceneView, steady: SceneView) -> SceneChange:
    """Return how a picture differs from a background.

    Args:
        old: the background.
        new: the picture.
        steady: another picture of the same time as `new`; what moves between these two does not count.
    """
    return SceneChange(
        changed_fraction(old, new, _MIN_CHANGE),
        _structure_fraction(old, new, steady),
        float(new.cells.mean()) - float(old.cells.mean()),
        _shift_between(old, new),
    )


def misfit(earlier: ImageArray, background: ImageArray) -> float | None:
    """Return how far an earlier background is from one of now; None unless both clearly show the same scene.

    Args:
        earlier: (h, w) uint8 background.
        background: (h, w) uint8 background, or a picture.

    Returns:
        Mean difference of brightness, grey levels.
    """
    then, now = SceneView(earlier), SceneView(background)
    change = compare_scenes(then, now, now)
    is_same = change.changed_fraction <= _MAX_CHANGED and (change.structure_fraction or 0.0) <= _MAX_STRUCTURE_GONE
    return mean_difference(then, now) if is_same and change.shift is None else None


def _structure_fraction(old: SceneView, new: SceneView, steady: SceneView) -> float | None:
    if old.structure_energy < _MIN_STRUCTURE:
        return None
    if new.structure_energy < _BLANK * old.structure_energy:
        return 1.0
    match = structure_match(steady, new)
    return None if match < _MIN_STEADY else max(0.0, 1 - max(0.0, structure_match(old, new)) / match)


def _shift_between(old: SceneView, new: SceneView) -> Shift | None:
    if structure_match(old, new) > 1 - _MIN_SHIFT_GAIN:
        return None  # no shift can gain so much: saves most of the time for a quiet scene
    shift = find_shift(old, new)
    is_certain = shift.match >= _MIN_SHIFT_MATCH and shift.gain >= _MIN_SHIFT_GAIN
    return shift if is_certain and shift.n_cells >= _MIN_SHIFT_CELLS else None
