"""What must hold for every sequence of boxes, however its frames lie in time."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_autotuner.annotation import refine_over_time
from edge_autotuner.annotation.tracks import link_boxes
from edge_autotuner.config import AnnotationConfig, RefinementConfig
from edge_autotuner.core import Annotation, Detections

SIZE = (200, 150)
few = settings(max_examples=60)


@st.composite
def sequences(draw: st.DrawFn) -> tuple[list[float], list[Annotation]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_frames, n_objects = draw(st.integers(0, 8)), draw(st.integers(1, 4))
    gaps = rng.choice([0.1, 0.2, 3.0], n_frames)
    corners, speeds = rng.uniform(0, 100, (n_objects, 2)), rng.uniform(-4, 4, (n_objects, 2))
    frames = []
    for index in range(n_frames):
        seen = rng.random(n_objects) < 0.8
        top_left = np.clip(corners + index * speeds + rng.normal(0, 1, (n_objects, 2)), 0, 120)[seen]
        boxes = np.concatenate([top_left, top_left + 30], axis=1)
        found = Detections(boxes, rng.uniform(0.1, 0.95, len(boxes)), rng.integers(0, 2, len(boxes)))
        frames.append(Annotation(found, np.array([[0, 0, *SIZE]], np.float32)))
    return np.cumsum(gaps).tolist(), frames


@few
@given(sequences())
def test_every_box_is_in_one_track(sequence: tuple[list[float], list[Annotation]]) -> None:
    times_s, frames = sequence
    tracks = link_boxes(times_s, [frame.detections for frame in frames], sure_score=0.3)
    members = [pair for track in tracks for pair in zip(track.frames.tolist(), track.boxes.tolist(), strict=True)]
    assert sorted(members) == [(f, b) for f, frame in enumerate(frames) for b in range(len(frame.detections))]
    assert all((np.diff(track.frames) > 0).all() for track in tracks)


@few
@given(sequences(), st.sampled_from(["keep", "ignore", "label"]))
def test_refined_boxes_are_well_formed(sequence: tuple[list[float], list[Annotation]], fill_gaps: str) -> None:
    times_s, frames = sequence
    config = AnnotationConfig(max_detections=5, refine=RefinementConfig.model_validate({"fill_gaps": fill_gaps}))
    refined, counts = refine_over_time(times_s, frames, config, size_wh=SIZE)
    assert len(refined) == len(frames)
    for before, after in zip(frames, refined, strict=True):
        assert len(before.detections) <= len(after) <= 5
        assert np.isfinite(after.boxes_xyxy).all()
        assert (after.boxes_xyxy[:, 2:] > after.boxes_xyxy[:, :2]).all()
        assert ((after.scores >= 0.1 - 1e-6) & (after.scores <= 0.95 + 1e-6)).all()
        assert (np.diff(after.scores) <= 0).all()
    n_added = sum(len(a) - len(b.detections) for a, b in zip(refined, frames, strict=True))
    assert n_added <= counts.n_filled
    assert fill_gaps != "keep" or n_added == 0
