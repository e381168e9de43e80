"""Everything that the report page shows, as plain values; every part may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from edge_autotuner.core import CaptureEvent, Detections, LabelMap, OperatingPoint, SourceInfo
from edge_autotuner.core.types import FloatArray, ImageArray, SizeWH
from edge_autotuner.evaluation.comparison import Comparison
from edge_autotuner.evaluation.found_objects import FoundObjects
from edge_autotuner.evaluation.point_result import PointResult
from edge_autotuner.evaluation.promotion import PromotionDecision


@dataclass(frozen=True, eq=False)
class FrameComparison:
    """One test frame as two detectors see it.

    Attributes:
        caption: where the frame is from, for example "0:51".
        image_bgr: (H, W, 3) uint8, or (H, W) brightness.
        before: of the off-the-shelf model, frame pixels; None when it did not run.
        after: of the specialized model; None when there is none.
    """

    caption: str
    image_bgr: ImageArray
    before: Detections | None = None
    after: Detections | None = None


@dataclass(frozen=True, eq=False)
class MotionExample:
    """A frame with the regions in which something moved.

    Attributes:
        caption: where the frame is from and why it was selected.
        image_bgr: (H, W, 3) uint8, or (H, W) brightness.
        regions_xyxy: (R, 4) frame pixels.
    """

    caption: str
    image_bgr: ImageArray
    regions_xyxy: FloatArray


@dataclass(frozen=True)
class TimelineFrame:
    """What became of one frame of the source."""

    time_s: float
    kind: Literal["train", "test", "skipped"]


@dataclass(frozen=True)
class MotionFacts:
    """What the motion gate saw. Shares are shares of a frame, 0..1.

    Attributes:
        size_wh: of a frame, pixels.
        n_frames: frames that were taken from the source.
        n_compared: of those, frames that were compared with a background.
        n_with_motion: of those, frames in which something moved.
        covered_fraction: share that regions cover, mean over the compared frames.
        covered_fraction_with_motion: the same, mean over the frames with motion.
        enclosing_fraction: share of one box around all regions of a frame, mean over the frames with motion.
        histogram: frames with motion by the share that their regions cover.
        histogram_edges: the shares between which `histogram` counts, one more than counts.
        region_fractions: sizes of single regions that a tenth, half and nine tenths of them do not exceed.
        gate_ms: milliseconds of the gate per frame; None where it was not measured.
        decode_ms: milliseconds per frame until it was there; None for a live source, which is waited for.
        watched_s: how much of the source's time was watched, seconds.
        is_live: the source was watched as it happened.
        n_dropped: frames of a live source that were dropped.
        n_lost: frames of a recording that could not be decoded.
        n_times_repaired: frames of a recording whose stamp could not be right.
        began_at: aware UTC time of a live source's first frame.
        ended_at: of its last frame.
    """

    size_wh: SizeWH
    n_frames: int
    n_compared: int
    n_with_motion: int
    covered_fraction: float = 0.0
    covered_fraction_with_motion: float = 0.0
    enclosing_fraction: float = 0.0
    histogram: tuple[int, ...] = ()
    histogram_edges: tuple[float, ...] = ()
    region_fractions: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gate_ms: float | None = None
    decode_ms: float | None = None
    watched_s: float = 0.0
    is_live: bool = False
    n_dropped: int = 0
    n_lost: int = 0
    n_times_repaired: int = 0
    began_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class SentFacts:
    """What a teacher should look at, and what it was shown.

    Attributes:
        n_regions: regions of the selected frames.
        pixels_in_regions: pixels inside them.
        pixels_of_frames: pixels of all frames that were taken from the source.
        pixels_shown: pixels that the teacher was shown, test frames included; None before the annotation.
        input_wh: size that the teacher resizes every picture to; None before the annotation.
    """

    n_regions: int
    pixels_in_regions: int
    pixels_of_frames: int
    pixels_shown: int | None = None
    input_wh: SizeWH | None = None


@dataclass(frozen=True)
class RefinementFacts:
    """What the rules changed in the teacher's boxes, over all frames, test frames included.

    Attributes:
        n_static_places: places where a part of the scene was taken for an object.
        n_static_labels: labels that stood there.
        n_labels: labels in the training frames afterwards.
        n_empty_frames: training frames without a label afterwards.
        is_followed: whether objects were followed from frame to frame; if not, the counts below are 0.
        n_tracks: objects that were followed.
        n_smoothed: boxes that were averaged with those of other frames.
        n_filled: boxes added where an object was missed between two frames.
        n_flickers: labels that became uncertain because no neighbouring frame shows them.
        n_raised: boxes that became labels because the frames around them are sure.
        n_lowered: labels that became uncertain because the frames around them are unsure.
        n_reclassified: boxes that got the class that their object has in other frames.
        dropped: one phrase for each class that was named although nothing of the kind is there.
    """

    n_static_places: int
    n_static_labels: int
    n_labels: int
    n_empty_frames: int
    is_followed: bool = False
    n_tracks: int = 0
    n_smoothed: int = 0
    n_filled: int = 0
    n_flickers: int = 0
    n_raised: int = 0
    n_lowered: int = 0
    n_reclassified: int = 0
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class SecondLookFacts:
    """Labels that the student helped to improve.

    Attributes:
        after_epoch: last epoch with the teacher's own labels.
        n_frames: frames that the student has looked at.
        n_labels_before: labels in the training frames until then.
        n_labels_after: labels in them afterwards.
    """

    after_epoch: int
    n_frames: int
    n_labels_before: int
    n_labels_after: int


@dataclass(frozen=True)
class LearningCurve:
    """Training, one value per epoch.

    Attributes:
        train_loss: mean loss of each epoch.
        val_ap: AP50:95 on the validation slice after each epoch; None where it was not measured.
        best_epoch: 1-based epoch whose weights are kept; None when no epoch was better than the start.
        start_ap: AP50:95 on the validation slice before training.
        second_look: what changed the labels on the way; None where nothing did.
    """

    train_loss: tuple[float, ...]
    val_ap: tuple[float | None, ...] = ()
    best_epoch: int | None = None
    start_ap: float | None = None
    second_look: SecondLookFacts | None = None


@dataclass(frozen=True)
class Costs:
    """What the run took.

    Attributes:
        stage_seconds: stage name -> seconds, in order.
        teacher_calls: how often the teacher's detector ran.
        pixels_sent: pixels that the teacher was shown.
        pixels_captured: pixels of all frames of the source that were looked at.
        edge_ms_before: milliseconds per frame of the off-the-shelf model.
        edge_ms_after: of the specialized model.
    """

    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    teacher_calls: int | None = None
    pixels_sent: int | None = None
    pixels_captured: int | None = None
    edge_ms_before: float | None = None
    edge_ms_after: float | None = None


@dataclass(frozen=True, eq=False)
class ReportData:
    """The whole page.

    Attributes:
        title: name of the source; shown as text, never as markup.
        source: facts about the source.
        labels: classes of all detections here.
        edge_model: name of the model that was specialized.
        teacher: name of the teacher.
        display_score: boxes from this score on are shown and counted as found.
        comparison: accuracy on the test frames.
        found_before: objects that the off-the-shelf model finds at `display_score`, against the teacher's labels.
        found_after: the same of the specialized model.
        at_point: truth -> what the off-the-shelf model and the specialized one show at their operating points; empty
            where one has none. The boxes of `frames` are then those.
        point: operating point of the specialized model.
        promotion: the verdict.
        frames: test frames before and after; about six.
        background: (H, W) brightness or (H, W, 3) picture of the empty scene.
        motion_examples: about three frames with their motion regions.
        selection_counts: reason -> number of frames; why frames were selected or skipped.
        timeline: what became of the frames, in time order; of a long recording not every skipped one.
        motion: what the gate saw.
        sent: what is sent to the teacher.
        events: what happened to the camera, in time order.
        teacher_scores: (N,) scores of the teacher's boxes on the training frames.
        min_score: teacher's boxes from here on are labels.
        uncertain_score: teacher's boxes from here to `min_score` are neither object nor background.
        refinement: what the rules about labels changed; None when they are switched off.
        learning: the training.
        costs: time and pixels.
        settings: name -> value, the settings worth showing.
        command: what reproduces this page.
        versions: package -> version.
        hashes: file -> SHA-256.
        notes: further remarks, one sentence each.
        created_at: aware UTC time.
    """

    title: str
    source: SourceInfo | None = None
    labels: LabelMap = field(default_factory=lambda: LabelMap(()))
    edge_model: str = ""
    teacher: str = ""
    display_score: float = 0.3
    comparison: Comparison | None = None
    found_before: FoundObjects | None = None
    found_after: FoundObjects | None = None
    at_point: Mapping[str, tuple[PointResult, PointResult]] = field(default_factory=dict)
    point: OperatingPoint | None = None
    promotion: PromotionDecision | None = None
    frames: tuple[FrameComparison, ...] = ()
    background: ImageArray | None = None
    motion_examples: tuple[MotionExample, ...] = ()
    selection_counts: Mapping[str, int] = field(default_factory=dict)
    timeline: tuple[TimelineFrame, ...] = ()
    motion: MotionFacts | None = None
    sent: SentFacts | None = None
    events: tuple[CaptureEvent, ...] = ()
    teacher_scores: FloatArray | None = None
    min_score: float = 0.3
    uncertain_score: float = 0.1
    refinement: RefinementFacts | None = None
    learning: LearningCurve | None = None
    costs: Costs | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    created_at: datetime | None = None
