"""What is exactly true of a frame: boxes, tracks, masks, joints and visibility, computed when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edge_autotuner.core import Detections
from edge_autotuner.core.types import BoolArray, SizeWH
from edge_autotuner.simulation.world.people import N_PHASES, joints_of
from edge_autotuner.simulation.world.sprite import Sprite, View
from edge_autotuner.simulation.world.traffic import NO_CLASS, Thing

MIN_VISIBLE = 0.25
"""Share of its pixels that must be seen of an object that a detector has to find."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A picture at its place in one frame.

    Attributes:
        sprite: the picture.
        xy: pixel of its anchor.
        depth_m: distance.
        thing: what it shows; None for a tree or post.
        view: from where it is seen.
        rectangle: corners of the picture, partly outside the frame perhaps.
    """

    sprite: Sprite
    xy: tuple[int, int]
    depth_m: float
    thing: Thing | None = None
    view: View | None = None
    rectangle: tuple[int, int, int, int] = field(init=False)

    def __post_init__(self) -> None:
        (x, y), (ax, ay) = self.xy, self.sprite.anchor
        high, wide = self.sprite.clear.shape[:2]
        object.__setattr__(self, "rectangle", (x - ax, y - ay, x - ax + wide, y - ay + high))


@dataclass(frozen=True, eq=False)
class TrueObject:
    """One object of one frame.

    Attributes:
        track_id: the same in all frames.
        class_id: in `STREET_6`; `NO_CLASS` for what nobody has a class for.
        kind: name of the class, or of what has none: `dog` or `pushchair`.
        box_xyxy: the whole of it, hidden parts included, cut at the border; whole frame pixels.
        visible: share of its pixels that are seen: not outside, not behind another.
        joints: (17, 3) x, y, and 0 outside the frame, 1 hidden, 2 seen; None for vehicles.
    """

    track_id: int
    class_id: int
    box_xyxy: tuple[int, int, int, int]
    visible: float
    joints: npt.NDArray[np.float32] | None = None
    kind: str = ""


class WorldTruth:
    """What is in one frame, exactly."""

    def __init__(self, placed: list[Placed], size_wh: SizeWH) -> None:
        self._placed, self._size_wh = placed, size_wh

    @cached_property
    def owners(self) -> npt.NDArray[np.int16]:
        """(H, W): position of the nearest thing at each pixel, -1 for none."""
        width, height = self._size_wh
        owners = np.full((height, width), -1, np.int16)
        for number, one in enumerate(self._placed):
            x1, y1, x2, y2 = one.rectangle
            cx1, cy1, cx2, cy2 = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
            if cx1 < cx2 and cy1 < cy2:
                solid = one.sprite.solid[cy1 - y1 : cy2 - y1, cx1 - x1 : cx2 - x1]
                owners[cy1:cy2, cx1:cx2][solid] = number
        return owners

    def objects(self, min_visible: float = MIN_VISIBLE) -> list[TrueObject]:
        """Return the objects of which at least this share of the pixels is seen, from far to near."""
        return [one for one in self._seen(min_visible) if one.class_id != NO_CLASS]

    def strangers(self, min_visible: float = MIN_VISIBLE) -> list[TrueObject]:
        """Return the same of the objects that nobody has a class for; they are in no other list."""
        return [one for one in self._seen(min_visible) if one.class_id == NO_CLASS]

    def _seen(self, min_visible: float) -> list[TrueObject]:
        found = (self._object(number, one) for number, one in enumerate(self._placed) if one.thing is not None)
        return [one for one in found if one is not None and one.visible >= min_visible]

    def mask(self, track_id: int) -> BoolArray:
        """Return (H, W): the pixels of an object that are seen.

        Raises:
            ValueError: it is not in this frame.
        """
        for number, one in enumerate(self._placed):
            if one.thing is not None and one.thing.track_id == track_id:
                return np.asarray(self.owners == number)
        raise ValueError(f"track {track_id} is not in this frame")

    def detections(self, min_visible: float = MIN_VISIBLE) -> Detections:
        """Return the boxes of `objects`, scores 1."""
        objects = self.objects(min_visible)
        boxes = np.array([one.box_xyxy for one in objects], np.float32).reshape(-1, 4)
        class_ids = np.array([one.class_id for one in objects], np.int64)
        return Detections(boxes, np.ones(len(objects), np.float32), class_ids)

    def _object(self, number: int, one: Placed) -> TrueObject | None:
        extent, thing = one.sprite.extent, one.thing
        assert thing is not None, "asked for things only"
        if extent is None:
            return None
        width, height = self._size_wh
        x1, x2 = (min(max(one.xy[0] + v, 0), width) for v in (extent[0], extent[2]))
        y1, y2 = (min(max(one.xy[1] + v, 0), height) for v in (extent[1], extent[3]))
        if x1 >= x2 or y1 >= y2:
            return None
        seen = int(np.count_nonzero(self.owners[y1:y2, x1:x2] == number))
        visible = seen / int(np.count_nonzero(one.sprite.solid))
        return TrueObject(
            thing.track_id, thing.class_id, (x1, y1, x2, y2), visible, self._joints(number, one), thing.kind
        )

    def _joints(self, number: int, one: Placed) -> npt.NDArray[np.float32] | None:
        thing = one.thing
        if thing is None or thing.body is None or one.view is None:
            return None
        drawn = joints_of(thing.body, thing.gait, phase_of(thing), one.view)
        width, height = self._size_wh
        joints = np.zeros((17, 3), np.float32)
        for row, (offset, faces) in enumerate(zip(drawn.offsets_xy, drawn.faces_camera, strict=True)):
            x, y = float(one.xy[0] + offset[0]), float(one.xy[1] + offset[1])
            if not (0 <= x < width and 0 <= y < height):
                continue
            owner = int(self.owners[int(y), int(x)])
            is_seen = bool(faces) and (owner <= number)
            joints[row] = x, y, 2 if is_seen else 1
        return joints


def phase_of(thing: Thing) -> int:
    """Return the number of the picture of a stride."""
    return 0 if thing.gait == "stand" else int((thing.stride * N_PHASES) // 1) % N_PHASES
