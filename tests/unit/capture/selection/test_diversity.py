"""Frames that resemble each other; what holds for both descriptors is in the contract suite."""

from __future__ import annotations

import numpy as np
import pytest

from edge_autotuner.capture import MotionResult
from edge_autotuner.capture.selection.diversity import (
    AppearanceDescriptor,
    HashDescriptor,
    SimilarFrames,
    Vector,
    make_descriptor,
)
from edge_autotuner.core import Frame
from edge_autotuner.core.types import FloatArray
from support.cameras.selection_samples import Square, frame_at, motion_of

FRAME = frame_at(0)


class _OneNumber:
    """Describes a frame by its index."""

    def describe(self, frame: Frame, motion: MotionResult) -> Vector:
        return np.array([frame.index], np.float32)

    def distances(self, one: Vector, others: Vector) -> FloatArray:
        return np.abs(others - one)[:, 0] / np.float32(10_000)


def test_names() -> None:
    assert isinstance(make_descriptor("hash"), HashDescriptor)
    assert isinstance(make_descriptor("embedding"), AppearanceDescriptor)


def test_without_a_descriptor_nothing_resembles_anything() -> None:
    similar = SimilarFrames(make_descriptor("none"), min_distance=1.0)
    for _ in range(2):
        similar.remember(similar.describe(FRAME, motion_of()))
    assert not similar.has_like(similar.describe(FRAME, motion_of()))


def _similar(min_distance: float) -> SimilarFrames:
    return SimilarFrames(_OneNumber(), min_distance=min_distance)


def _remember(similar: SimilarFrames, *indices: int) -> None:
    for index in indices:
        similar.remember(similar.describe(frame_at(index), motion_of()))


def _has_like(similar: SimilarFrames, index: int) -> bool:
    return similar.has_like(similar.describe(frame_at(index), motion_of()))


def test_nothing_remembered_resembles_nothing() -> None:
    assert not _has_like(_similar(1.0), 0)


def test_closer_than_the_smallest_distance() -> None:
    similar = _similar(0.01)
    _remember(similar, 1000, 3000)
    assert [_has_like(similar, index) for index in (1000, 1099, 1100, 2901, 2900)] == [True, True, False, True, False]


def test_smallest_distance_zero_lets_the_same_frame_pass() -> None:
    similar = _similar(0.0)
    _remember(similar, 5)
    assert not _has_like(similar, 5)


def test_memory_is_bounded_and_forgets_the_oldest() -> None:
    similar = _similar(0.0001)
    _remember(similar, *range(0, 1024, 2))
    assert _has_like(similar, 0)
    _remember(similar, 9000)
    assert not _has_like(similar, 0)
    assert _has_like(similar, 2)
    assert _has_like(similar, 9000)


def test_hash_ignores_noise_in_a_flat_object() -> None:
    descriptor = HashDescriptor()
    rng = np.random.default_rng(0)
    hashes = []
    for _ in range(5):
        motion = motion_of(Square(30, side=30))
        motion.blurred_luma[:] = np.clip(motion.blurred_luma + rng.normal(0, 1.0, motion.blurred_luma.shape), 0, 255)
        hashes.append(descriptor.describe(FRAME, motion))
    assert descriptor.distances(hashes[0], np.array(hashes[1:])).max() < 0.02


@pytest.mark.parametrize(("sign", "bit"), [(1, 0), (-1, 63)])
def test_hash_of_a_single_frequency(sign: int, bit: int) -> None:
    motion = motion_of(Square(0, 0, 32), size_wh=(32, 32))
    wave = np.cos(np.pi * (np.arange(32) + 0.5) / 32)  # half a wave from left to right: the first frequency
    motion.blurred_luma[:] = np.rint(128 + sign * 100 * wave)
    place, content = np.split(np.unpackbits(HashDescriptor().describe(FRAME, motion))[:252], 2)
    assert not place.any()
    assert np.flatnonzero(content).tolist() == [bit]


def test_appearance_sees_the_shape_of_what_is_inside() -> None:
    descriptor = AppearanceDescriptor()
    upright, lying = motion_of(Square(20, 10, 40)), motion_of(Square(20, 10, 40))
    upright.blurred_luma[10:50, 35:45] = 20
    lying.blurred_luma[25:35, 20:60] = 20
    vectors = [descriptor.describe(FRAME, motion) for motion in (upright, lying)]
    assert descriptor.distances(vectors[0], vectors[1][None])[0] > 0.2


@pytest.mark.parametrize("name", ["hash", "embedding"])
def test_changes_without_a_changed_pixel_are_described_by_the_whole_frame(name: str) -> None:
    descriptor = make_descriptor(name)  # type: ignore[arg-type]
    assert descriptor.describe(FRAME, motion_of()).shape == descriptor.describe(FRAME, motion_of(Square(30))).shape
