"""Runs every way to look over every clip, in turns, and writes the table."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine, machine_line, one_core
from benchmarks.markdown import table
from benchmarks.regions.clips import N_LEARNED, Clip, all_clips
from benchmarks.result_file import store_result
from edge_autotuner.annotation.views import grid_of_tiles
from edge_autotuner.capture import MotionGate
from edge_autotuner.config import BackgroundConfig, FeedingConfig, MotionConfig, RunConfig
from edge_autotuner.core import STREET_6, Detections, Detector
from edge_autotuner.core.types import ImageArray
from edge_autotuner.evaluation import Truth, count_found, merge_classes, merges_among, score_detections
from edge_autotuner.models import nms_per_class
from edge_autotuner.models.regions import RegionDetector
from edge_autotuner.pipeline.edge_model import open_edge_model

RESULTS = Path(__file__).parent.parent / "results" / "regions.json"
MODELS = ("street-nano", "yolox-nano")
SIDES = (416, 640, 832)
REGION_SIDES = (352, 416)
REFERENCE, TILES = "full frame at 416", "full frame and 2x2 tiles at 416"
REGIONS = {side: f"regions at {side}" for side in REGION_SIDES}
_MIN_SCORE = 0.3
_LEAST_AP50 = 0.01  # of what a gain is a multiple of
_BORDER_PX = 3


def run(folder: Path, *, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure every model on every clip, and keep the rows of a model as soon as they are there."""
    results: dict[str, Any] = {}
    for name in MODELS[:1] if quick else MODELS:
        with one_core():
            detectors = {side: _opened(name, side, folder) for side in (*REGION_SIDES, *SIDES)}
            clips = all_clips()[-2:] if quick else all_clips()
            rows = [row for clip in clips for row in _measure(clip, detectors, say)]
        results[name] = {"machine": describe_machine(), "measured": rows}
        if not quick:
            store_result(RESULTS, name, results[name])
    return results


def regions_table(results: Mapping[str, Any]) -> str:
    """Return accuracy and time of every way to look."""
    if not results:
        return "Not measured yet."
    head = ["camera", "model", "looks at", "AP50 / AP50:95", "recall at score 0.3", "ms per frame", "time", "AP50"]
    lines = [
        [row["clip"], model, row["way"], _scores(row), f"{row['recall']:.3f}", f"{row['ms']:.1f}",
         f"{row['ms'] / reference['ms']:.2f}x", _gain(row, reference)]
        for model, part in results.items()
        for row in part["measured"]
        for reference in [_reference(part["measured"], row["clip"])]
    ]  # fmt: skip
    return f"{table(head, lines)}\n\n{machine_line(next(iter(results.values()))['machine'])}"


def _reference(rows: list[dict[str, Any]], clip: str) -> dict[str, Any]:
    return next(row for row in rows if row["clip"] == clip and row["way"] == REFERENCE)


def _scores(row: Mapping[str, Any]) -> str:
    return "-" if row["ap50"] is None else f"{row['ap50']:.3f} / {row['ap']:.3f}"


def _gain(row: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
    if row["ap50"] is None or reference["ap50"] < _LEAST_AP50:
        return "-"
    return f"{row['ap50'] / reference['ap50']:.2f}x"


def _opened(name: str, side: int, folder: Path) -> Detector:
    folder.mkdir(parents=True, exist_ok=True)
    edge = open_edge_model(RunConfig(edge_model=name, input_size=(side, side)))
    path = folder / f"{name}-{edge.sha256[:12]}-{side}.onnx"
    return edge.as_detector((side, side), path, n_threads=1)


def _measure(clip: Clip, detectors: Mapping[int, Detector], say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Look at one clip in all ways, in turns: each scored frame in all, every other one in regions only."""
    small = detectors[SIDES[0]]
    gate = MotionGate(MotionConfig(), BackgroundConfig())
    regions = {REGIONS[side]: RegionDetector(detectors[side], FeedingConfig(mode="regions")) for side in REGION_SIDES}
    ways: dict[str, Callable[[ImageArray], Detections]] = {
        **{f"full frame at {side}": detectors[side].detect for side in SIDES},
        TILES: lambda image: _in_tiles(small, image),
    }
    found: dict[str, list[Detections]] = {way: [] for way in (*ways, *regions)}
    times_ms: dict[str, list[float]] = {way: [] for way in found}
    truths: list[Truth] = []
    n_looks: dict[str, list[int]] = {way: [] for way in regions}
    for number, (frame, truth) in enumerate(clip.frames()):
        image = frame.image_bgr  # decoded before the clock runs
        motion = gate.look(frame)
        seen = {}
        for way, region_detector in regions.items():
            began_s = time.perf_counter()
            seen[way] = region_detector.detect(frame, motion)
            if motion.background_known and number >= N_LEARNED // 2:
                times_ms[way].append((time.perf_counter() - began_s + motion.gate_s) * 1e3)
                n_looks[way].append(seen[way].n_looks)
        if truth is None:
            continue
        truths.append(truth)
        for way, findings in seen.items():
            found[way].append(findings.detections)
        for way, look in ways.items():
            began_s = time.perf_counter()
            found[way].append(look(image))
            times_ms[way].append((time.perf_counter() - began_s) * 1e3)
    ms = {way: float(np.median(own)) for way, own in times_ms.items()}
    for way, counts in n_looks.items():  # the median hides the whole frames now and then
        ms[way] += float(np.mean(counts) - np.median(counts)) * ms[way]
    rows = [_row(clip, way, own, truths, small, ms[way]) for way, own in found.items()]
    for row in rows:
        say(f"{row['clip']}, {row['way']}: AP50 {row['ap50']}, recall {row['recall']:.3f}, {row['ms']:.1f} ms")
    return rows


def _row(
    clip: Clip, way: str, found: list[Detections], truths: list[Truth], detector: Detector, ms: float
) -> dict[str, Any]:
    merge = merge_classes(STREET_6, merges_among(STREET_6, clip.map_classes))
    boxes = [merge.detections(one.relabelled(detector.labels, STREET_6)) for one in found]
    truth = [merge.truth(one) for one in truths]
    name = "person" if clip.name.startswith("PETS") else "car"
    counted = count_found(boxes, truth, min_score=_MIN_SCORE)
    scores = score_detections(boxes, truth, merge.labels).per_class.get(name)
    rough = clip.recall_only or scores is None
    return {
        "clip": clip.name,
        "way": way,
        "ap50": None if rough or scores is None else scores.ap50,
        "ap": None if rough or scores is None else scores.ap,
        "recall": counted.n_found / max(counted.n_truths, 1),
        "ms": ms,
        "n_frames": len(truths),
    }


def _in_tiles(detector: Detector, image: ImageArray) -> Detections:
    """Return boxes of the full frame and of 2x2 tiles with 25 % overlap; those cut by an inner border are dropped."""
    height, width = image.shape[:2]
    parts = [detector.detect(image)]
    for x1, y1, x2, y2 in grid_of_tiles((0, 0, width, height), (2, 2), 0.25):
        boxes = detector.detect(np.ascontiguousarray(image[y1:y2, x1:x2]))
        left, top, right, bottom = boxes.boxes_xyxy.T
        is_cut = (left < _BORDER_PX) & (x1 > 0) | (right > x2 - x1 - _BORDER_PX) & (x2 < width)
        is_cut |= (top < _BORDER_PX) & (y1 > 0) | (bottom > y2 - y1 - _BORDER_PX) & (y2 < height)
        parts.append(boxes.select(~is_cut).shifted(x1, y1))
    return nms_per_class(Detections.concatenate(parts), 0.5)
