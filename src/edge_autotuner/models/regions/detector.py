"""Runs a model on what moves: the crops of a frame in one input, the whole frame now and then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_autotuner.config.feeding import FeedingConfig
from edge_autotuner.core import Detections, Detector, Frame, LabelMap, MotionResult
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.tasks import task_of
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.models.nms import nms_per_class
from edge_autotuner.models.regions.choice import ModeChoice
from edge_autotuner.models.regions.plan import plan_cells
from edge_autotuner.models.regions.standing import StandingObjects
from edge_autotuner.models.regions.things import MovingThings, moving_things

_MERGE_IOU = 0.5  # boxes of two looks that overlap more are one object, as for tiles in the protocol of the benchmarks
_MAX_RECHECKED = 16  # standing objects in one canvas


@dataclass(frozen=True, eq=False)
class RegionFindings:
    """What was found in one frame.

    Attributes:
        detections: in frame pixels, by falling score, remembered ones among them.
        n_looks: how often the model ran.
        n_cells: crops that it was shown.
        n_remembered: detections that were found in earlier frames.
    """

    detections: Detections
    n_looks: int
    n_cells: int
    n_remembered: int


class RegionDetector:
    """Finds objects of one fixed camera in frames that come in order, by the settings of how the model is fed.

    Args:
        detector: the model; its labels are those of the findings.
        feeding: how.
    """

    def __init__(self, detector: Detector, feeding: FeedingConfig) -> None:
        self._detector, self._feeding = detector, feeding
        self._choice = ModeChoice(feeding, detector.input_size_wh)
        self._standing = StandingObjects(feeding.remember_s or 0.0)
        self._last_s: float | None = None
        self._last_whole_s: float | None = None
        self._size_wh: SizeWH | None = None

    @property
    def labels(self) -> LabelMap:
        """Classes of the model."""
        return self._detector.labels

    @property
    def explanation(self) -> str:
        """Which mode is in use, and why."""
        return self._choice.explanation

    @property
    def is_doubtful(self) -> bool:
        """Whether regions are set where what moves is large enough in whole frames."""
        return self._choice.is_doubtful

    def reset(self) -> None:
        """Forget the camera: frames of another one, or of another time, follow."""
        self._standing.forget()
        self._last_s = self._last_whole_s = None

    def detect(self, frame: Frame, motion: MotionResult | None) -> RegionFindings:
        """Look at the next frame.

        Args:
            frame: of any size; when it changes, or time runs backwards, what stood still is forgotten.
            motion: what the gate saw in it; None, or without a known background: the whole frame is looked at.
        """
        self._begin(frame)
        things = moving_things(motion, frame.size_wh) if motion is not None and motion.background_known else None
        if things is not None:
            self._choice.see(things, frame.size_wh)
        if motion is None or things is None or self._choice.mode == "full":
            found = self._look_at_whole(frame)
            return RegionFindings(found, 1, 0, 0)
        return self._look_at_regions(frame, motion, things)

    def _begin(self, frame: Frame) -> None:
        is_other = self._size_wh not in (None, frame.size_wh)
        if is_other or (self._last_s is not None and frame.time_s < self._last_s):
            self.reset()
        self._size_wh, self._last_s = frame.size_wh, frame.time_s

    def _look_at_whole(self, frame: Frame) -> Detections:
        self._last_whole_s = frame.time_s
        return self._detector.detect(frame.image_bgr)

    def _look_at_regions(self, frame: Frame, motion: MotionResult, things: MovingThings) -> RegionFindings:
        due = MovingThings.of_boxes(self._standing.due_xyxy[:_MAX_RECHECKED])
        wanted = [MovingThings.together([things, due]), things] if len(due) else [things]
        plans = (plan_cells([one], [frame.size_wh], self._detector.input_size_wh, self._feeding) for one in wanted)
        cells = next((plan for plan in plans if plan is not None), None)
        parts: list[Detections] = []
        close = as_boxes([])
        if cells is not None and len(cells):
            parts, close = cells.read(self._detector.detect(cells.draw([frame.image_bgr]))), cells.source_xyxy
        is_whole = cells is None or self._whole_is_due(frame.time_s)
        if is_whole:
            parts.append(self._look_at_whole(frame))
        found = merged(parts) if parts else task_of(self.labels).value.empty()
        still = self._standing.update(
            found, motion, time_s=frame.time_s, size_wh=frame.size_wh, close_xyxy=close, saw_whole=is_whole
        )
        both = Detections.concatenate([found, still]) if len(still) else found
        return RegionFindings(both.sorted_by_score(), len(parts), 0 if cells is None else len(cells), len(still))

    def _whole_is_due(self, time_s: float) -> bool:
        every_s = self._feeding.full_frame_every_s
        return self._last_whole_s is None or time_s - self._last_whole_s >= every_s


def detect_once(detector: Detector, image_bgr: ImageArray, things: MovingThings, feeding: FeedingConfig) -> Detections:
    """Return what a model finds in one (H, W, 3) frame without history: in its regions and in the whole of it."""
    size_wh = image_bgr.shape[1], image_bgr.shape[0]
    cells = plan_cells([things], [size_wh], detector.input_size_wh, feeding)
    parts = [detector.detect(image_bgr)]
    if cells is not None and len(cells):
        parts += cells.read(detector.detect(cells.draw([image_bgr])))
    return merged(parts)


def merged(parts: Sequence[Detections]) -> Detections:
    """Return what at least one look at a frame found, each object once, by falling score."""
    return nms_per_class(Detections.concatenate(parts), _MERGE_IOU)
