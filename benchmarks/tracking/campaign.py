"""Follows the people of PETS with boxes of several detectors, and scores ids against the human tracks.

TrackEval (MIT) scores, and ByteTrack of `supervision` (MIT) is the rival. Both need a second OpenCV, so they come from
an environment of their own. ByteTrack runs on the same boxes, and again with those below the threshold beside.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine, machine_line
from benchmarks.markdown import table
from benchmarks.result_file import store_result
from benchmarks.scenes import PETS, data_folder
from benchmarks.simulation.accuracy import open_detector
from edge_autotuner.capture import open_source
from edge_autotuner.core import Detections, Detector, iou_matrix
from edge_autotuner.core.types import FloatArray, ImageArray
from edge_autotuner.deployment import load_edge_detector
from edge_autotuner.errors import ConfigError
from edge_autotuner.models import nms_per_class
from edge_autotuner.tracking import NO_ID, ObjectTracker

RESULTS = Path(__file__).parent.parent / "results" / "tracking.json"
CHOOSE, TEST = (0, 500), (504, 795)
"""Frames that chose every setting, of both trackers, and frames that are reported."""

_TEACHER = "deimv2-femto"
_SHOWN_SCORE, _LOW_SCORE, _NMS_IOU = 0.5, 0.1, 0.45
_RATE_HZ = 10
_STEPS = {"10": 1, "5": 2}  # frames per second: every n-th frame
_BYTE_MATCHING = (0.8, 0.9)  # its default, and a laxer one

Tracks = dict[int, list[tuple[int, list[float]]]]  # frame -> id and box


@dataclass(frozen=True)
class _Clip:
    """The frames of PETS with the people in them."""

    times_s: Mapping[int, float]
    images: Mapping[int, ImageArray]
    truth: Tracks

    @classmethod
    def read(cls, data: Path) -> _Clip:
        frames = {f.index: (f.time_s, f.image_bgr.copy()) for f in open_source(data / PETS.source).frames()}
        values = json.loads((data / PETS.ground_truth).read_text(encoding="utf-8"))
        frame_of = {image["id"]: image["frame_index"] for image in values["images"]}
        truth: Tracks = {}
        for one in values["annotations"]:
            x, y, width, height = one["bbox"]
            truth.setdefault(frame_of[one["image_id"]], []).append((one["track_id"], [x, y, x + width, y + height]))
        return cls({i: t for i, (t, _) in frames.items()}, {i: image for i, (_, image) in frames.items()}, truth)


def run(bundle: Path, tools: Path, *, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure, and keep the results unless `quick`.

    Args:
        bundle: specialized on PETS, for example by the demo; or the folder of its run.
        tools: site-packages with trackeval and supervision.
        quick: keep nothing.
        say: is told every row.

    Raises:
        ConfigError: the tools or the scenes are not there.
    """
    rival = _Rival(tools)
    data = data_folder()
    clip = _Clip.read(data)
    detectors = {
        "specialized (demo)": load_edge_detector(bundle, 1, min_score=_LOW_SCORE),
        _TEACHER: open_detector(_TEACHER, n_threads=1, min_score=_LOW_SCORE),
    }
    rows = []
    for name, detector in detectors.items():
        found = _people(detector, clip)
        for rate, step in _STEPS.items():
            new = _rows(clip, found, rival, step, {"boxes": name, "rate": rate})
            say("\n".join(map(_line, new)))
            rows += new
    if not quick:
        store_result(RESULTS, "pets", {"machine": describe_machine(), "measured": rows})
    return rows


def tracking_table(results: Mapping[str, Any]) -> str:
    """Return the scores of both trackers."""
    if "pets" not in results:
        return "Not measured yet."
    head = [
        "boxes by",
        "frames/s",
        "tracker",
        "MOTA",
        "IDF1",
        "HOTA",
        "id switches",
        "ids for 11 people",
        "ms per frame",
    ]
    rows = [
        [row["boxes"], row["rate"], row["tracker"], *(f"{row[key]:.3f}" for key in ("MOTA", "IDF1", "HOTA")),
         str(row["switches"]), str(row["ids"]), f"{row['ms']:.2f}"]
        for row in results["pets"]["measured"]
    ]  # fmt: skip
    return f"{table(head, rows)}\n\n{machine_line(results['pets']['machine'])}"


def _rows(
    clip: _Clip, found: Mapping[int, Detections], rival: _Rival, step: int, what: dict[str, str]
) -> list[dict[str, Any]]:
    test = range(*TEST, step)
    shown = {index: one.above(_SHOWN_SCORE) for index, one in found.items()}
    rows = [_row(clip, rival, {**what, "tracker": "ours"}, *_follow(clip, shown, test))]
    for boxes, name in ((shown, "ByteTrack"), (found, "ByteTrack, low scores too")):
        matching = max(_BYTE_MATCHING, key=lambda value: _idf1(clip, rival, boxes, step, value))
        rows.append(_row(clip, rival, {**what, "tracker": name}, *rival.follow(boxes, test, step, matching)))
    return rows


def _row(clip: _Clip, rival: _Rival, what: dict[str, str], tracks: Tracks, ms: float) -> dict[str, Any]:
    return {**what, "ms": ms, **rival.score(clip.truth, tracks)}


def _idf1(clip: _Clip, rival: _Rival, boxes: Mapping[int, Detections], step: int, matching: float) -> float:
    """Return how well ByteTrack does on the frames that choose."""
    return float(rival.score(clip.truth, rival.follow(boxes, range(*CHOOSE, step), step, matching)[0])["IDF1"])


def _people(detector: Detector, clip: _Clip) -> dict[int, Detections]:
    person = detector.labels.id_of("person")
    return {
        index: nms_per_class(_of_class(detector.detect(image), person), _NMS_IOU)
        for index, image in clip.images.items()
    }


def _of_class(found: Detections, class_id: int) -> Detections:
    return found.select(found.class_ids == class_id)


def _follow(clip: _Clip, found: Mapping[int, Detections], frames: Sequence[int]) -> tuple[Tracks, float]:
    class_ids = [one.class_ids.max(initial=0) for one in found.values()]
    tracker = ObjectTracker(int(max(class_ids)) + 1)
    tracks: Tracks = {}
    began_s = time.process_time()
    for index in frames:
        shown = found[index]
        ids = tracker.update(clip.times_s[index], clip.images[index], shown).ids
        tracks[index] = [(i, box) for i, box in zip(ids.tolist(), shown.boxes_xyxy.tolist(), strict=True) if i != NO_ID]
    return tracks, (time.process_time() - began_s) * 1000 / len(frames)


class _Rival:
    """ByteTrack and TrackEval, from a folder of their own."""

    def __init__(self, tools: Path) -> None:
        sys.path.append(str(tools))  # behind ours: only what is missing here comes from there
        warnings.simplefilter("ignore")
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                supervision = import_module("supervision")
                metrics = import_module("trackeval.metrics")
        except ImportError as exc:
            raise ConfigError(
                f"{tools} has no {exc.name}; make it with `python -m venv TOOLS && TOOLS/bin/pip install "
                "trackeval==1.3.0 supervision==0.26.1`, and pass TOOLS/lib/python3.11/site-packages"
            ) from exc
        self._supervision, self._metrics = supervision, metrics

    def follow(
        self, found: Mapping[int, Detections], frames: Sequence[int], step: int, matching: float
    ) -> tuple[Tracks, float]:
        tracker = self._supervision.ByteTrack(
            track_activation_threshold=_SHOWN_SCORE,
            lost_track_buffer=30,
            minimum_matching_threshold=matching,
            frame_rate=_RATE_HZ // step,
        )
        tracks: Tracks = {}
        began_s = time.process_time()
        for index in frames:
            one = found[index]
            boxes = self._supervision.Detections(xyxy=one.boxes_xyxy, confidence=one.scores, class_id=one.class_ids)
            kept = tracker.update_with_detections(boxes)
            tracks[index] = [(int(i), box) for i, box in zip(kept.tracker_id, kept.xyxy.tolist(), strict=True)]
        return tracks, (time.process_time() - began_s) * 1000 / len(frames)

    def score(self, truth: Tracks, tracks: Tracks) -> dict[str, Any]:
        values = _evaluation_values(truth, tracks)
        with contextlib.redirect_stdout(io.StringIO()):
            clear = self._metrics.CLEAR().eval_sequence(values)
            identity = self._metrics.Identity().eval_sequence(values)
            hota = self._metrics.HOTA().eval_sequence(values)
        return {
            "MOTA": float(clear["MOTA"]),
            "IDF1": float(identity["IDF1"]),
            "HOTA": float(hota["HOTA"].mean()),
            "switches": int(clear["IDSW"]),
            "precision": float(clear["CLR_Pr"]),
            "recall": float(clear["CLR_Re"]),
            "ids": values["num_tracker_ids"],
            "people": values["num_gt_ids"],
        }


def _evaluation_values(truth: Tracks, tracks: Tracks) -> dict[str, Any]:
    """Return the frames of `tracks` in the form of TrackEval."""
    people, found = _renumbered(truth, tracks), _renumbered(tracks, tracks)
    return {
        "gt_ids": [ids for ids, _ in people],
        "tracker_ids": [ids for ids, _ in found],
        "similarity_scores": [
            iou_matrix(a, b).astype(np.float64) for (_, a), (_, b) in zip(people, found, strict=True)
        ],
        "num_gt_dets": sum(len(ids) for ids, _ in people),
        "num_tracker_dets": sum(len(ids) for ids, _ in found),
        "num_gt_ids": len({i for ids, _ in people for i in ids}),
        "num_tracker_ids": len({i for ids, _ in found for i in ids}),
        "num_timesteps": len(tracks),
    }


def _renumbered(of: Tracks, frames: Tracks) -> list[tuple[np.ndarray[Any, Any], FloatArray]]:
    """Return ids from 0 on without gaps, and (N, 4) boxes, for each frame."""
    new_ids: dict[int, int] = {}
    return [
        (
            np.array([new_ids.setdefault(i, len(new_ids)) for i, _ in of.get(index, [])], np.int64),
            np.array([box for _, box in of.get(index, [])], np.float32).reshape(-1, 4),
        )
        for index in frames
    ]


def _line(row: Mapping[str, Any]) -> str:
    return f"{row['boxes']}, {row['rate']}/s, {row['tracker']}: MOTA {row['MOTA']:.3f}, IDF1 {row['IDF1']:.3f}"
