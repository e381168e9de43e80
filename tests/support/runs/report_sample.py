"""A realistic report: frames of PETS where the shared data is there, drawn ones elsewhere; no model runs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np

from edge_autotuner.capture.statistics import chart_edges
from edge_autotuner.core import STREET_6, CaptureEvent, Detections, SourceInfo
from edge_autotuner.evaluation import (
    AGAINST_HUMAN,
    AGAINST_TEACHER,
    OFF_THE_SHELF,
    SPECIALIZED,
    TEACHER,
    ClassScores,
    Comparison,
    FoundObjects,
    PromotionDecision,
    Scores,
)
from edge_autotuner.evaluation.report import (
    Costs,
    FrameComparison,
    LearningCurve,
    MotionExample,
    MotionFacts,
    RefinementFacts,
    ReportData,
    SecondLookFacts,
    SentFacts,
    TimelineFrame,
)
from helpers import data_root

PETS = "scenes/pets2009_s2l1"


def sample_report(*, real_frames: bool = True, with_human: bool = True) -> ReportData:
    """Return a full page of a good run."""
    frames = _pets_frames() if real_frames else []
    frames = frames or [_drawn_frame(i) for i in range(6)]
    rng = np.random.default_rng(3)
    pairs = tuple(
        FrameComparison(caption, image, _perturbed(boxes, rng, 0.45), _perturbed(boxes, rng, 0.97))
        for caption, image, boxes in frames
    )
    rng = np.random.default_rng(4)
    labels_scores = np.concatenate([rng.beta(6, 2.2, 2600), rng.uniform(0.05, 0.35, 700)]).astype(np.float32)
    return ReportData(
        title="vtest.avi",
        source=SourceInfo("video", "vtest.avi", (768, 576), 795, 10.0, "0" * 64),
        labels=STREET_6,
        edge_model="street-nano, 320 x 320",
        teacher="deimv2-femto, full frame and 2 x 2 tiles",
        comparison=sample_comparison(with_human=with_human),
        found_before=FoundObjects(1021, 552, 38),
        found_after=FoundObjects(1021, 931, 54),
        promotion=sample_promotion(),
        frames=pairs,
        background=np.median(np.stack([image for _, image, _ in frames]), axis=0).astype(np.uint8)[..., 1],
        motion_examples=tuple(
            MotionExample(f"{caption}: new motion", image, boxes + np.array([-20, -20, 20, 20], np.float32))
            for caption, image, boxes in frames[:2]
        ),
        selection_counts={
            "background unknown": 70,
            "no motion": 83,
            "selected": 240,
            "too soon": 31,
            "nothing new": 197,
            "empty": 15,
        },
        motion=sample_motion(),
        sent=SentFacts(431, 12_100_000, 795 * 768 * 576, 212_000_000, (320, 320)),
        events=(
            CaptureEvent("scene changed", 31.4, None, "82% of the picture is new; the background is learnt again"),
            CaptureEvent("background recalled", 52.0, None, "the scene looks as it did before"),
        ),
        timeline=tuple(
            TimelineFrame(i / 10, "test" if i >= 636 else "train" if i % 5 in (0, 2) else "skipped") for i in range(795)
        ),
        teacher_scores=labels_scores,
        refinement=RefinementFacts(
            n_static_places=2,
            n_static_labels=345,
            n_labels=2_741,
            n_empty_frames=15,
            is_followed=True,
            n_tracks=57,
            n_smoothed=2_204,
            n_filled=33,
            n_flickers=12,
            n_raised=96,
            n_lowered=0,
            n_reclassified=4,
        ),
        learning=LearningCurve(
            (5.9, 4.7, 4.2, 3.9, 3.72, 3.6, 3.5, 3.44, 3.4, 3.37),
            (0.31, 0.42, 0.48, 0.53, 0.551, 0.574, 0.588, 0.591, 0.589, 0.59),
            best_epoch=8,
            start_ap=0.283,
            second_look=SecondLookFacts(after_epoch=4, n_frames=471, n_labels_before=3120, n_labels_after=3354),
        ),
        costs=Costs(
            {"capture": 9.4, "annotation": 61.2, "training": 158.9, "evaluation": 21.7, "export": 6.1},
            teacher_calls=1560,
            pixels_sent=212_000_000,
            pixels_captured=352_000_000,
            edge_ms_before=9.8,
            edge_ms_after=9.8,
        ),
        settings={"input": "320 x 320", "trained layers": "all", "labels from": "0.30", "seed": "0"},
        command="edge-autotuner run vtest.avi --input-size 320 --teacher deimv2-femto --output runs/vtest",
        versions={"edge-autotuner": "0.1.0", "torch": "2.13.0", "onnxruntime": "1.31.1"},
        hashes={"vtest.avi": "9a4c1f" + "0" * 58, "model.onnx": "1b7e22" + "0" * 58},
        created_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    )


def sample_motion() -> MotionFacts:
    """Return numbers of a recording in which most frames show motion."""
    centres = np.arange(32)
    counts = (116 * np.exp(-(((centres - 20.5) / 3.1) ** 2))).astype(int).tolist()
    return MotionFacts(
        size_wh=(768, 576),
        n_frames=795,
        n_compared=725,
        n_with_motion=sum(counts),
        covered_fraction=0.046,
        covered_fraction_with_motion=0.068,
        enclosing_fraction=0.281,
        histogram=tuple(counts),
        histogram_edges=chart_edges(),
        region_fractions=(0.0105, 0.0187, 0.052),
        gate_ms=1.94,
        decode_ms=2.31,
        watched_s=79.4,
    )


def sample_live_motion() -> MotionFacts:
    """Return the same numbers as if a camera had been watched for an hour."""
    began_at = datetime(2026, 1, 2, 2, 3, 4, tzinfo=UTC)
    return replace(
        sample_motion(),
        n_frames=89_412,
        n_compared=89_342,
        decode_ms=None,
        watched_s=3600.2,
        is_live=True,
        n_dropped=588,
        began_at=began_at,
        ended_at=began_at + timedelta(seconds=3600),
    )


def sample_comparison(*, with_human: bool = True) -> Comparison:
    teacher = {OFF_THE_SHELF: _scores(0.61, 0.283), SPECIALIZED: _scores(0.902, 0.614)}
    human = {OFF_THE_SHELF: _scores(0.68, 0.29), SPECIALIZED: _scores(0.9, 0.42), TEACHER: _scores(0.922, 0.429)}
    return Comparison({AGAINST_TEACHER: teacher} | ({AGAINST_HUMAN: human} if with_human else {}))


def sample_promotion() -> PromotionDecision:
    reason = "promoted: AP50:75 changes by +0.331 on 159 later frames, with 95% confidence by at least +0.302"
    return PromotionDecision(True, reason, 0.614, 0.283, 0.331, 0.302, 0.359, 1.0, 0.95, 159, "AP50:75")


def refused(data: ReportData) -> ReportData:
    """Return the page of a run whose model was not promoted."""
    reason = "not promoted: AP50:75 changes by +0.004 on 40 later frames, but with 95% confidence by at least -0.021"
    decision = PromotionDecision(False, reason, 0.287, 0.283, 0.004, -0.021, 0.027, 0.61, 0.95, 40, "AP50:75")
    comparison = Comparison(
        {AGAINST_TEACHER: {OFF_THE_SHELF: _scores(0.61, 0.283), SPECIALIZED: _scores(0.611, 0.287)}}
    )
    return replace(data, promotion=decision, comparison=comparison, found_after=FoundObjects(1021, 548, 40))


def _scores(ap50: float, ap: float) -> Scores:
    per_class = {
        "person": ClassScores(min(1.0, ap50 + 0.03), ap + 0.02, 912),
        "bicycle": ClassScores(ap50 - 0.08, ap - 0.05, 41),
        "car": ClassScores(ap50 + 0.01, ap + 0.03, 68),
    }
    return Scores(ap50, ap, per_class, 159, 1021)


def _pets_frames() -> list[tuple[str, np.ndarray, np.ndarray]]:
    folder = data_root() / PETS
    if not (folder / "vtest.avi").exists():
        return []
    truth = json.loads((folder / "gt_coco.json").read_text())
    index_of = {image["id"]: image.get("frame_index", image["id"]) for image in truth["images"]}
    wanted, frames = {510, 560, 610, 660, 710, 760}, []
    video = cv2.VideoCapture(str(folder / "vtest.avi"))
    for index in range(761):
        if not video.grab():
            break
        if index in wanted:
            image = video.retrieve()[1]
            boxes = [a["bbox"] for a in truth["annotations"] if index_of[a["image_id"]] == index]
            xywh = np.array(boxes, np.float32).reshape(-1, 4)
            frames.append((f"0:{index // 10:02d}", image, np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], 1)))
    video.release()
    return frames


def _drawn_frame(number: int) -> tuple[str, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(number)
    image = np.full((240, 320, 3), 110, np.uint8)
    corners = rng.integers(10, 180, (5, 2))
    boxes = np.concatenate([corners, corners + rng.integers(20, 50, (5, 2))], axis=1).astype(np.float32)
    for x1, y1, x2, y2 in boxes.astype(int):
        image[y1:y2, x1:x2] = rng.integers(0, 255, 3)
    return f"0:{number:02d}", image, boxes


def _perturbed(boxes: np.ndarray, rng: np.random.Generator, share: float) -> Detections:
    keep = rng.random(len(boxes)) < share
    moved = boxes[keep] + rng.normal(0, 1.5, (int(keep.sum()), 4))
    return Detections(moved, rng.uniform(0.32, 0.96, len(moved)), np.where(rng.random(len(moved)) < 0.07, 1, 0))
