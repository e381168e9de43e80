"""Reproducible batches, and a cache that keeps to its budget."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from coloured_scene import coloured_sample, fresh_network, sample_of
from edge_autotuner.config import AugmentationConfig
from edge_autotuner.core.types import ImageArray
from edge_autotuner.training import Batch, BatchMaker
from edge_autotuner.training.pictures import PictureCache
from trainable_cases import add_narrow_networks, fresh_ssdlite

SAMPLES = [coloured_sample(i, (96, 72)) for i in range(5)]
NETWORK = fresh_network()


def maker(seed: int = 0, **options: int) -> BatchMaker:
    augmentation = AugmentationConfig(noise=5)
    return BatchMaker(SAMPLES, (64, 64), network=NETWORK, augmentation=augmentation, seed=seed, **options)


def same(a: Batch, b: Batch) -> bool:
    pairs = zip(a.targets, b.targets, strict=True)
    return torch.equal(a.images, b.images) and all(
        torch.equal(x.boxes_xyxy, y.boxes_xyxy)
        and torch.equal(x.class_ids, y.class_ids)
        and torch.equal(x.is_known, y.is_known)
        for x, y in pairs
    )


def test_the_same_seed_epoch_and_step_give_the_same_batch() -> None:
    fresh, used = maker(), maker()
    used.batch([4, 3], epoch=0, step=0)  # what was drawn before does not matter
    assert same(fresh.batch([0, 1, 2], epoch=3, step=4), used.batch([0, 1, 2], epoch=3, step=4))


@pytest.mark.parametrize(("seed", "epoch", "step"), [(1, 3, 4), (0, 2, 4), (0, 3, 5)])
def test_another_seed_epoch_or_step_gives_another_batch(seed: int, epoch: int, step: int) -> None:
    assert not same(maker().batch([0, 1], epoch=3, step=4), maker(seed).batch([0, 1], epoch=epoch, step=step))


def test_a_batch_is_ready_for_the_network() -> None:
    batch = maker().batch([0, 1, 2], epoch=0, step=0)
    assert batch.images.shape == (3, 3, 64, 64)  # 4:3 needs 48 rows, rounded up to 64
    assert batch.images.dtype == torch.float32
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert 0 <= batch.images.min() < batch.images.max() <= 255
    for target in batch.targets:
        assert (target.boxes_xyxy.dtype, target.class_ids.dtype) == (torch.float32, torch.int64)
        assert target.is_known.shape == (84,)
        assert target.weights is not None
        assert target.weights.tolist() == [1.0] * len(target.boxes_xyxy)


def test_the_canvas_holds_every_shape_of_picture() -> None:
    samples = [sample_of(np.zeros((h, w, 3), np.uint8)) for w, h in ((100, 50), (50, 100))]
    wide_and_high = BatchMaker(samples, (64, 64), network=NETWORK, augmentation=AugmentationConfig(), seed=0)
    assert wide_and_high.canvas_wh == (64, 64)
    wide = BatchMaker(samples[:1], (64, 64), network=NETWORK, augmentation=AugmentationConfig(), seed=0)
    assert wide.canvas_wh == (64, 32)


def test_a_network_that_is_fed_stretched_frames_learns_from_stretched_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    add_narrow_networks(monkeypatch)
    samples = [sample_of(np.zeros((h, w, 3), np.uint8)) for w, h in ((100, 50), (50, 100))]
    network = fresh_ssdlite()
    batches = BatchMaker(samples, (70, 45), network=network, augmentation=AugmentationConfig(), seed=0)
    assert batches.canvas_wh == (70, 45)
    batch = batches.batch([0, 1], epoch=0, step=0)
    assert batch.images.shape == (2, 3, 45, 70)
    assert network(batch.images).shape[1] == len(batch.targets[0].is_known)


def test_each_picture_comes_once_before_any_comes_again() -> None:
    order = maker().epoch_order(0, 13)
    assert len(order) == 13
    assert sorted(order[:5]) == sorted(order[5:10]) == [0, 1, 2, 3, 4]
    assert max(Counter(order).values()) == 3
    assert sorted(maker().epoch_order(0, 3)) == sorted(set(order[:3]))


def test_the_order_is_another_one_in_each_epoch_and_the_same_when_repeated() -> None:
    orders = [tuple(maker().epoch_order(epoch, 5)) for epoch in range(6)]
    assert len(set(orders)) > 1
    assert orders == [tuple(maker().epoch_order(epoch, 5)) for epoch in range(6)]


class CountedPictures:
    """Pictures of 120x80 pixels that count how often they are read."""

    def __init__(self, n: int) -> None:
        self.n_reads = [0] * n
        image = np.zeros((80, 120, 3), np.uint8)
        self.samples = [sample_of(image, read_image=lambda i=i: self._read(i)) for i in range(n)]

    def _read(self, index: int) -> ImageArray:
        self.n_reads[index] += 1
        return np.full((80, 120, 3), index, np.uint8)


PICTURE_BYTES = 120 * 80 * 3


def test_pictures_that_fit_are_read_once_at_their_own_size() -> None:
    pictures = CountedPictures(3)
    cache = PictureCache(pictures.samples, (32, 32), budget_bytes=3 * PICTURE_BYTES)
    for _ in range(2):
        assert [cache.picture(i)[0, 0, 0] for i in range(3)] == [0, 1, 2]
    assert pictures.n_reads == [1, 1, 1]
    assert cache.picture(0).shape == (80, 120, 3)


def test_pictures_that_do_not_fit_are_shrunk() -> None:
    pictures = CountedPictures(3)
    cache = PictureCache(pictures.samples, (32, 32), budget_bytes=3 * PICTURE_BYTES - 1)
    for _ in range(2):
        # 1.25 times what an input of 32 shows: 40 x 26.67
        assert [cache.picture(i).shape for i in range(3)] == [(27, 40, 3)] * 3
    assert pictures.n_reads == [1, 1, 1]


def test_stretched_pictures_keep_the_detail_of_both_sides() -> None:
    pictures = CountedPictures(1)
    cache = PictureCache(pictures.samples, (30, 60), budget_bytes=0, resize="stretch")
    assert cache.picture(0).shape == (75, 112, 3)  # 1.25 times the 60 rows that the input shows


def test_the_budget_is_kept_even_when_shrinking_is_not_enough() -> None:
    pictures = CountedPictures(4)
    cache = PictureCache(pictures.samples, (32, 32), budget_bytes=2 * 27 * 40 * 3)
    for _ in range(3):
        for i in range(4):
            cache.picture(i)
    assert pictures.n_reads == [1, 1, 3, 3]  # two are kept, the others read anew


def test_pictures_below_the_input_size_are_not_enlarged() -> None:
    pictures = CountedPictures(1)
    assert PictureCache(pictures.samples, (416, 416), budget_bytes=0).picture(0).shape == (80, 120, 3)
