"""Packed targets come back as they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from edge_autotuner.training import Target
from edge_autotuner.training.targets import pack_target, unpack_target


def drawn_target(seed: int, n_objects: int, n_places: int, has_weights: bool) -> Target:
    rng = np.random.default_rng(seed)
    boxes = rng.normal(0, 1000, (n_objects, 4)).astype(np.float32)
    return Target(
        torch.from_numpy(boxes),
        torch.from_numpy(rng.integers(0, 2**40, n_objects)),
        torch.from_numpy(rng.random(n_places) < 0.5),
        torch.from_numpy(rng.random(n_objects).astype(np.float32)) if has_weights else None,
    )


@given(st.integers(0, 2**32), st.integers(0, 30), st.integers(0, 3000), st.booleans())
@example(seed=0, n_objects=0, n_places=0, has_weights=False)
@example(seed=0, n_objects=0, n_places=9, has_weights=True)
@example(seed=0, n_objects=1, n_places=8, has_weights=True)
def test_a_target_comes_back_bit_for_bit(seed: int, n_objects: int, n_places: int, has_weights: bool) -> None:
    target = drawn_target(seed, n_objects, n_places, has_weights)
    back = unpack_target(pack_target(target))
    for name in ("boxes_xyxy", "class_ids", "is_known", "weights"):
        before, after = getattr(target, name), getattr(back, name)
        if before is None:
            assert after is None
        else:
            assert (after.dtype, after.shape) == (before.dtype, before.shape)
            assert torch.equal(after, before)


@given(st.integers(0, 5), st.integers(0, 40), st.integers(0, 200))
def test_a_part_of_a_target_is_refused(n_objects: int, n_places: int, n_kept: int) -> None:
    data = pack_target(drawn_target(0, n_objects, n_places, True))
    wrong = data + b"\0" if n_kept >= len(data) else data[:n_kept]
    with pytest.raises(ValueError, match=r"packed target|a target of"):
        unpack_target(wrong)


def test_what_is_known_takes_a_bit_for_each_place() -> None:
    sizes = [len(pack_target(drawn_target(0, 0, n_places, False))) for n_places in (0, 800, 8000)]
    assert [size - sizes[0] for size in sizes] == [0, 100, 1000]
