"""Runs a bundle over a source and writes COCO result records; needs no torch."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_autotuner.capture import MotionGate, is_live_address, open_source, parse_live_address
from edge_autotuner.config import CaptureConfig
from edge_autotuner.config.feeding import FEEDING_MODES
from edge_autotuner.core import (
    COCO_CATEGORY_IDS,
    Detections,
    Detector,
    Frame,
    LabelMap,
    NoProgress,
    OperatingPoint,
    Progress,
)
from edge_autotuner.core.arguments import check_choice, check_share, checked_arguments
from edge_autotuner.core.tasks import task_of
from edge_autotuner.core.types import BoolArray, SizeWH
from edge_autotuner.dataset import load_coco_truth
from edge_autotuner.deployment import bundle_folder, load_edge_detector, read_bundle
from edge_autotuner.deployment.runtime import feeding_of
from edge_autotuner.errors import ConfigError, EvaluationError, StorageError
from edge_autotuner.models.regions import RegionDetector
from edge_autotuner.models.shown import is_shown
from edge_autotuner.storage.outputs import check_output_file, write_output

logger = logging.getLogger(__name__)


@checked_arguments
def detect(
    bundle: Path,
    source_path: Path | str,
    output: Path,
    *,
    min_score: float = 0.05,
    only_operating_point: bool = False,
    mode: str | None = None,
    ground_truth: Path | None = None,
    n_threads: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> int:
    """Write the detections of a bundle on every frame of a source.

    The file is a list of COCO result records, {"image_id", "category_id", "bbox", "score"}, each with
    "file_name" or "frame_index" beside, and "image_size", [width, height], where a frame has another size than the
    first. With a bundle that has an operating point, each also has "shown": whether the point shows the box to people;
    all boxes are written, so that average precision can be computed.

    Without a ground truth, `image_id` is the frame's index and `category_id` COCO's own (person 1, car 3, truck 8);
    classes that COCO does not have come after its last.
    With a ground truth both are those of that file, and only its frames and classes are written, so that any
    COCO tool scores the result as it is.

    Args:
        bundle: folder of a bundle, or of a run (then its deployed bundle).
        source_path: a video file or a folder of pictures.
        output: JSON file.
        min_score: lower scores are left out.
        only_operating_point: write only the boxes that the bundle's operating point shows.
        mode: full: the model sees whole frames; regions: what moves, as the motion gate finds it with default settings,
            and whole frames now and then; auto: regions where what moves is small. None: as the bundle says.
        ground_truth: COCO file whose ids are used.
        n_threads: CPU threads; None for all.
        overwrite: replace a file that is there, even one that is no list of such records.
        progress: told of every frame.

    Returns:
        The number of frames that were looked at.

    Raises:
        ModelBundleError, VideoError, EvaluationError: what is wrong with the inputs.
        ConfigError: the source is a camera, the output would replace something, or the bundle has no operating point
            where only its boxes are wanted.
        StorageError: the output cannot be written.
        ValueError: the score is outside of 0..1, or there is no such mode.
    """
    check_share(min_score, "min_score")
    wanted = None if mode is None else check_choice(mode, FEEDING_MODES, "mode")
    if is_live_address(str(source_path)):
        parse_live_address(str(source_path))  # says what is wrong with an address that is none of a camera
        raise ConfigError(
            "detect writes its file when the source ends, and a camera never does. For one line of JSON per "
            "detection, run `edge-autotuner edge` with learns: false and outputs.json_lines. To use a recording on a "
            "web server, download it first"
        )
    reads = {"the source": source_path, "the ground truth": ground_truth}
    check_output_file(output, option="--output", reads=reads, overwrite=overwrite, is_own=_holds_records)
    if not output.parent.is_dir():
        raise StorageError(f"the folder of {output} does not exist; create it, or choose another --output")
    detector = load_edge_detector(bundle, n_threads, min_score=min_score)
    point = _operating_point(bundle, is_needed=only_operating_point)
    feeding = feeding_of(read_bundle(bundle_folder(bundle)), wanted)
    regions = None if feeding.mode == "full" else RegionDetector(detector, feeding)
    look = _way_to_look(detector, regions)
    source = open_source(source_path)
    ids = _Ids(detector.labels, ground_truth)
    progress = progress or NoProgress()
    progress.start("detect", source.info.n_frames)
    records: list[dict[str, Any]] = []
    n_frames = 0
    for frame in source.frames():
        progress.advance()
        image_id = ids.image_id(frame)
        boxes = look(frame, image_id is not None)
        if image_id is not None:
            where = _where(frame, source.info.size_wh)
            found = _Marked.by(point, boxes, detector.labels)
            records += _records(found.only_shown() if only_operating_point else found, image_id, ids, where)
            n_frames += 1
    progress.finish()
    _tell_mode(regions)
    if n_frames == 0:
        raise EvaluationError(f"the ground truth {ground_truth} lists no frame of {source.info.name}")
    text = json.dumps(records, separators=(",", ":"), allow_nan=False, ensure_ascii=True) + "\n"
    write_output(output, text)
    return n_frames


def _way_to_look(detector: Detector, regions: RegionDetector | None) -> Callable[[Frame, bool], Detections]:
    """Return what looks at the next frame, given whether its boxes are wanted."""
    if regions is None:
        return lambda frame, is_wanted: detector.detect(frame.image_bgr) if is_wanted else Detections.empty()
    capture = CaptureConfig()
    gate = MotionGate(capture.motion, capture.background)
    return lambda frame, _: regions.detect(frame, gate.look(frame)).detections


def _tell_mode(regions: RegionDetector | None) -> None:
    if regions is None:
        return
    if regions.is_doubtful:
        logger.warning("%s; whole frames may be more accurate: compare with --mode full", regions.explanation)
    else:
        logger.info("%s", regions.explanation)


def _holds_records(path: Path) -> bool:
    """Whether a file is what an earlier detection wrote."""
    with path.open("rb") as file:
        beginning = file.read(64)
    return beginning.strip() == b"[]" or beginning.startswith(b'[{"image_id":')


class _Ids:
    """Image and category ids of the records: COCO's own, or those of a ground-truth file."""

    def __init__(self, labels: LabelMap, ground_truth: Path | None) -> None:
        self.labels = labels
        self._truth = load_coco_truth(ground_truth, labels=labels, map_classes={}) if ground_truth else None
        known = self._truth.category_ids if self._truth else COCO_CATEGORY_IDS
        beyond = max(COCO_CATEGORY_IDS.values()) + 1
        self.category_ids = {i: known[name] for i, name in enumerate(labels) if name in known}
        if self._truth is None:
            self.category_ids |= {i: beyond + i for i in range(len(labels)) if i not in self.category_ids}

    def image_id(self, frame: Frame) -> int | None:
        """Return the id of a frame; None when the ground truth does not have it."""
        if self._truth is None:
            return frame.index
        picture = self._truth.picture_for(frame.index, frame.file_name)
        return None if picture is None else picture.image_id


def _where(frame: Frame, usual_wh: SizeWH) -> dict[str, Any]:
    """Return a frame's identity, and its size if it differs from the usual one."""
    where: dict[str, Any] = {"frame_index": frame.index}
    if frame.file_name is not None:
        where = {"file_name": frame.file_name}
    return where if frame.size_wh == usual_wh else where | {"image_size": list(frame.size_wh)}


@dataclass(frozen=True)
class _Marked:
    """Detections, and whether each is shown; None where there is no operating point."""

    detections: Detections
    is_shown: BoolArray | None

    @classmethod
    def by(cls, point: OperatingPoint | None, detections: Detections, labels: LabelMap) -> _Marked:
        return cls(detections, None if point is None else is_shown(detections, point, labels))

    def only_shown(self) -> _Marked:
        if self.is_shown is None:
            return self
        return _Marked(self.detections.select(self.is_shown), self.is_shown[self.is_shown])

    @property
    def marks(self) -> list[dict[str, bool]]:
        if self.is_shown is None:
            return [{}] * len(self.detections)
        return [{"shown": shown} for shown in self.is_shown.tolist()]


def _operating_point(folder: Path, *, is_needed: bool) -> OperatingPoint | None:
    bundle = read_bundle(bundle_folder(folder))
    if bundle.operating_point is None and is_needed:
        raise ConfigError(
            f"{bundle.folder} has no operating point: an earlier version made it, or too few objects were labelled; "
            "use --min-score"
        )
    return bundle.operating_point


def _records(found: _Marked, image_id: int, ids: _Ids, where: dict[str, Any]) -> list[dict[str, Any]]:
    """Return COCO result records."""
    results = task_of(ids.labels).codec.to_coco_results(found.detections)
    return [
        {"image_id": image_id, "category_id": ids.category_ids[class_id], **result, **mark, **where}
        for result, mark, class_id in zip(results, found.marks, found.detections.class_ids.tolist(), strict=True)
        if class_id in ids.category_ids
    ]
