"""Objects are pasted where they may stand, with a label each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from edge_autotuner.core.boxes import covered_fraction
from edge_autotuner.training import TrainingSample
from edge_autotuner.training.paste import ObjectPaster
from edge_autotuner.training.samples import Scene
from support.cameras.simulated_samples import SIZE_WH, camera_samples

SAMPLES = camera_samples()


def paster(samples: Sequence[TrainingSample] = SAMPLES, mean_objects: float = 4.0, seed: int = 0) -> ObjectPaster:
    return ObjectPaster(
        samples, lambda i: samples[i].read_image(), detail=lambda _: 1.0, mean_objects=mean_objects, seed=seed
    )


@pytest.fixture(scope="module", name="usual")
def usual_paster() -> ObjectPaster:
    return paster()


def scene(of: ObjectPaster, index: int, seed: int, samples: Sequence[TrainingSample] = SAMPLES) -> Scene:
    return of.scene(index, samples[index].read_image(), np.random.default_rng(seed))


def added(shown: Scene, sample: TrainingSample) -> np.ndarray:
    n = len(sample.boxes_xyxy)
    assert (shown.sample.boxes_xyxy[:n] == sample.boxes_xyxy).all()
    assert (shown.sample.class_ids[:n] == sample.class_ids).all()
    return shown.sample.boxes_xyxy[n:]


def test_every_object_has_a_label_and_a_place(usual: ObjectPaster) -> None:
    n_added = []
    for seed in range(20):
        index = seed % len(SAMPLES)
        sample, shown = SAMPLES[index], scene(usual, index, seed)
        new = added(shown, sample)
        n_added.append(len(new))
        assert len(shown.patches) == len(new)
        assert shown.sample.weights is None or shown.sample.weights.tolist() == [1] * len(shown.sample.boxes_xyxy)
        assert (new >= 0).all()
        assert (new <= [*SIZE_WH, *SIZE_WH]).all()
        assert (covered_fraction(sample.boxes_xyxy, new).sum(axis=1) <= 0.3 + 1e-5).all()
        for patch, (x1, y1, x2, y2) in zip(shown.patches, new, strict=True):
            rows, columns = np.nonzero(patch.image_bgra[..., 3] > 127)
            corners = patch.to_picture @ [[columns.min(), columns.max() + 1], [rows.min(), rows.max() + 1], [1, 1]]
            # the object fills its box, to what a mask may miss
            assert np.abs(corners.T.ravel() - [x1, y1, x2, y2]).max() <= 0.2 * max(x2 - x1, y2 - y1) + 2
    assert 1 < np.mean(n_added) < 4  # some find no place


def test_who_stands_lower_is_in_front(usual: ObjectPaster) -> None:
    for seed in range(20):
        boxes = scene(usual, 12, seed).sample.boxes_xyxy
        for number in range(len(SAMPLES[12].boxes_xyxy), len(boxes)):
            before, new = boxes[:number], boxes[number : number + 1]
            touched = np.maximum(covered_fraction(before, new)[:, 0], covered_fraction(new, before)[0]) > 0.05 + 1e-4
            assert (before[touched, 3] <= new[0, 3]).all()


def test_the_same_randomness_gives_the_same_scene(usual: ObjectPaster) -> None:
    first, again, other = scene(usual, 3, 7), scene(paster(), 3, 7), scene(usual, 3, 8)
    assert first.sample.boxes_xyxy.tolist() == again.sample.boxes_xyxy.tolist()
    for a, b in zip(first.patches, again.patches, strict=True):
        assert (a.image_bgra == b.image_bgra).all()
        assert (a.to_picture == b.to_picture).all()
    assert first.sample.boxes_xyxy.tolist() != other.sample.boxes_xyxy.tolist()


def test_a_label_keeps_its_weight() -> None:
    samples = [replace(s, weights=np.full(len(s.boxes_xyxy), 0.25, np.float32)) for s in SAMPLES]
    shown = scene(paster(samples), 0, 1, samples)
    assert shown.sample.weights is not None
    assert len(shown.sample.weights) == len(shown.sample.boxes_xyxy) > len(samples[0].boxes_xyxy)
    assert set(shown.sample.weights.tolist()) == {0.25}


def test_nothing_is_pasted_where_the_teacher_has_not_looked_or_was_unsure() -> None:
    left = np.array([[0, 0, SIZE_WH[0] / 2, SIZE_WH[1]]], np.float32)
    right = np.array([[SIZE_WH[0] / 2, 0, *SIZE_WH]], np.float32)
    strips = np.array([[x, 0, x + 4, SIZE_WH[1]] for x in range(0, SIZE_WH[0], 4)], np.float32)
    only_left = replace(SAMPLES[0], looked_xyxy=left)
    unsure = replace(SAMPLES[0], ignored_xyxy=right)
    in_strips = replace(SAMPLES[0], looked_xyxy=strips)
    samples = [only_left, unsure, in_strips, *SAMPLES]
    new = paster(samples)
    boxes = [np.concatenate([added(scene(new, i, s, samples), samples[i]) for s in range(15)]) for i in range(3)]
    for half in boxes[:2]:
        assert len(half) > 3
        assert ((half[:, 2] - SIZE_WH[0] / 2) / (half[:, 2] - half[:, 0])).max() <= 0.1 + 1e-4
    assert len(boxes[2]) > 3  # all strips together are the whole picture


def test_pictures_of_other_cameras_are_left_alone() -> None:
    samples = [*SAMPLES, *(replace(s, origin="replay") for s in SAMPLES[:3])]
    assert scene(paster(samples), len(SAMPLES), 1, samples).patches == ()
    only_earlier = [replace(s, origin="generic") for s in SAMPLES]
    assert scene(paster(only_earlier), 0, 1, only_earlier).sample is only_earlier[0]


@pytest.mark.parametrize("n_pictures", [1, 7])
def test_too_few_pictures_are_left_alone_and_said_so(n_pictures: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        few = paster(SAMPLES[:n_pictures])
    assert scene(few, 0, 1).patches == ()
    assert [
        r.message for r in caplog.records if "pasting off" in r.message and f"camera's {n_pictures} pict" in r.message
    ]


def test_pictures_without_labels_or_without_motion_give_nothing(caplog: pytest.LogCaptureFixture) -> None:
    empty = [replace(s, boxes_xyxy=s.boxes_xyxy[:0], class_ids=s.class_ids[:0]) for s in SAMPLES]
    assert scene(paster(empty), 0, 1, empty).patches == ()
    parked = [replace(SAMPLES[12]) for _ in range(10)]
    assert scene(paster(parked), 0, 1, parked).patches == ()
    assert "pasting off" in caplog.text


def test_each_frame_size_is_a_camera_of_its_own() -> None:
    halved = [
        replace(
            s,
            read_image=lambda s=s: np.ascontiguousarray(s.read_image()[::2, ::2]),
            size_wh=(SIZE_WH[0] // 2, SIZE_WH[1] // 2),
            boxes_xyxy=s.boxes_xyxy / 2,
            looked_xyxy=s.looked_xyxy / 2,
        )
        for s in SAMPLES
    ]
    samples = [*SAMPLES, *halved]
    both = paster(samples)
    small = np.concatenate([added(scene(both, len(SAMPLES) + 5, s, samples), halved[5]) for s in range(10)])
    large = np.concatenate([added(scene(both, 5, s, samples), SAMPLES[5]) for s in range(10)])
    assert np.median(small[:, 3] - small[:, 1]) == pytest.approx(np.median(large[:, 3] - large[:, 1]) / 2, rel=0.35)
    assert (small <= np.array([*SIZE_WH, *SIZE_WH]) / 2).all()
