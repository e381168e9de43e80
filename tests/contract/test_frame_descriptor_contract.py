"""Every description of what moves in a frame, the same expectations."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from edge_autotuner.capture import MotionResult
from edge_autotuner.capture.selection import FrameDescriptor, make_descriptor
from edge_autotuner.capture.selection.diversity import Vector
from support.cameras.selection_samples import Square, frame_at, motion_of

FRAME = frame_at(0)
CAR = Square(20, 20, 20)


@pytest.fixture(params=["hash", "embedding"])
def descriptor(request: pytest.FixtureRequest) -> FrameDescriptor:
    name: Literal["hash", "embedding"] = request.param
    return make_descriptor(name)


def _textured(*squares: Square, seed: int = 0) -> MotionResult:
    """Return a result in which every square has a pattern of its own."""
    motion = motion_of(*squares)
    rng = np.random.default_rng(seed)
    for square in squares:
        pattern = rng.integers(0, 256, (4, 4)).astype(np.uint8).repeat(square.side // 4, 0).repeat(square.side // 4, 1)
        motion.blurred_luma[square.top : square.top + len(pattern), square.left : square.left + len(pattern)] = pattern
    return motion


def _distance(descriptor: FrameDescriptor, a: MotionResult, b: MotionResult) -> float:
    one, other = descriptor.describe(FRAME, a), descriptor.describe(FRAME, b)
    (distance,) = descriptor.distances(one, other[None])
    return float(distance)


def _vectors(descriptor: FrameDescriptor, n: int = 30) -> Vector:
    rng = np.random.default_rng(1)
    motions = [
        _textured(Square(int(rng.integers(0, 70)), int(rng.integers(0, 40)), int(rng.integers(4, 24))), seed=seed)
        for seed in range(n)
    ]
    return np.array([descriptor.describe(FRAME, motion) for motion in motions])


def test_vectors_of_one_form(descriptor: FrameDescriptor) -> None:
    cases = [motion_of(), motion_of(CAR), motion_of(Square(0, 0, 1)), motion_of(Square(5), size_wh=(40, 300))]
    assert len({(vector.shape, vector.dtype) for vector in (descriptor.describe(FRAME, case) for case in cases)}) == 1


def test_distances_are_between_zero_and_one_and_symmetric(descriptor: FrameDescriptor) -> None:
    vectors = _vectors(descriptor)
    matrix = np.array([descriptor.distances(vector, vectors) for vector in vectors])
    assert matrix.dtype == np.float32
    assert matrix.min() >= 0
    assert matrix.max() <= 1
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    np.testing.assert_allclose(np.diag(matrix), 0, atol=1e-6)


def test_deterministic_and_arguments_unchanged(descriptor: FrameDescriptor) -> None:
    motion, same = _textured(CAR), _textured(CAR)
    for array in (motion.mask, motion.blurred_luma, motion.regions_xyxy):
        array.flags.writeable = False
    np.testing.assert_array_equal(descriptor.describe(FRAME, motion), descriptor.describe(FRAME, same))
    np.testing.assert_array_equal(motion.blurred_luma, same.blurred_luma)


def test_a_small_step_is_closer_than_a_large_one(descriptor: FrameDescriptor) -> None:
    start = _textured(CAR)
    near, far = _textured(Square(22, 20, 20)), _textured(Square(60, 40, 20))
    assert _distance(descriptor, start, near) < 0.5 * _distance(descriptor, start, far)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(_textured(Square(70, 40, 20)), id="elsewhere"),
        pytest.param(_textured(CAR, seed=5), id="looks different"),
        pytest.param(_textured(CAR, Square(70, 0, 20)), id="one more object"),
        pytest.param(_textured(Square(4, 4, 52)), id="larger"),
    ],
)
def test_different_scenes_are_apart(descriptor: FrameDescriptor, other: MotionResult) -> None:
    assert _distance(descriptor, _textured(CAR), other) > 0.1


def test_a_little_noise_changes_little(descriptor: FrameDescriptor) -> None:
    noisy = _textured(CAR)
    noise = np.random.default_rng(0).normal(0, 1.5, noisy.blurred_luma.shape)
    noisy.blurred_luma[:] = np.clip(np.rint(noisy.blurred_luma + noise), 0, 255)
    assert _distance(descriptor, _textured(CAR), noisy) < 0.05
