"""What a camera's observers see: its frames, and what the motion gate and the deployed model found in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edge_autotuner.core.detections import Detections
from edge_autotuner.core.events import CaptureEvent
from edge_autotuner.core.frame import Frame
from edge_autotuner.core.labels import LabelMap
from edge_autotuner.core.types import BoolArray, FloatArray, ImageArray, IntArray


@dataclass(frozen=True, eq=False)
class MotionResult:
    """What the gate saw in one frame.

    Attributes:
        regions_xyxy: (R, 4) float32, frame pixels, sorted from left to right.
        motion_fraction: share of the frame that the regions cover, 0..1.
        mask: (h, w) bool at working size: changed pixels of the areas that the regions are made of.
        blurred_luma: (h, w) uint8: the frame at working size, blurred, as it was compared.
        background: (h, w) uint8, not blurred: what the frame was compared with; None while the scene is still
            being learned, and then there are no regions.
        gate_s: how long the gate took, seconds.
        areas_xyxy: (A, 4) float32, frame pixels: what moves, as it is, without the margins of the regions, none joined;
            None: only the regions are known.
    """

    regions_xyxy: FloatArray
    motion_fraction: float
    mask: BoolArray
    blurred_luma: ImageArray
    background: ImageArray | None
    gate_s: float = 0.0
    areas_xyxy: FloatArray | None = None

    @property
    def background_known(self) -> bool:
        """Whether the frame could be compared with anything."""
        return self.background is not None

    @property
    def moving_xyxy(self) -> FloatArray:
        """What moves, frame pixels, as tight as it is known: (A, 4) areas, or (R, 4) regions."""
        return self.regions_xyxy if self.areas_xyxy is None else self.areas_xyxy

    @property
    def has_motion(self) -> bool:
        """Whether there is anything new to see."""
        return len(self.regions_xyxy) > 0


@dataclass(frozen=True, eq=False)
class ModelFindings:
    """The objects that a deployed model found in one frame.

    Attributes:
        model: name of its bundle's folder.
        labels: its classes.
        detections: in frame pixels.
    """

    model: str
    labels: LabelMap
    detections: Detections


@dataclass(frozen=True)
class ObjectEvent:
    """Something that an object did.

    Attributes:
        kind: `appeared` and `left` the picture; `crossed` a line; `entered` and `exited` a zone.
        object_id: the object; never used again while the camera is watched.
        label: its class, the one with the highest scores so far.
        place: name of the line or zone; None: the picture.
        direction: of a crossing, seen from the line's first point to its second: `in` from its left side to its right
            side, `out` back.
    """

    kind: Literal["appeared", "left", "crossed", "entered", "exited"]
    object_id: int
    label: str
    place: str | None = None
    direction: Literal["in", "out"] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the values that are not None."""
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True, eq=False)
class TrackedObjects:
    """Which objects the boxes of one frame belong to, and what these objects did.

    Attributes:
        ids: (N,) object of each box; 0: of none that counts yet.
        events: since the frame before that was looked at.
        places: line -> direction -> class -> crossings so far, and zone -> "inside" -> class -> objects in it now.
    """

    ids: IntArray
    events: tuple[ObjectEvent, ...] = ()
    places: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Observation:
    """One frame of a watched camera, with everything that is known about it.

    Attributes:
        camera: name of the camera.
        frame: the picture; a decoder may reuse its memory, so copy what outlives the call.
        motion: what the gate saw, and the background it compared with; None: the gate did not look at this frame.
        found: None: the deployed model did not look at this frame.
        tracked: the objects that `found` shows; None: nothing was found, or objects are not followed.
        events: what happened to the camera since the observation before, oldest first, without credentials.
    """

    camera: str
    frame: Frame
    motion: MotionResult | None = None
    found: ModelFindings | None = None
    events: tuple[CaptureEvent, ...] = ()
    tracked: TrackedObjects | None = None
