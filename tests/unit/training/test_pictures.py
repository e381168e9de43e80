"""Reproducible batches, and a cache that keeps to its budget."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from edge_autotuner.config import AugmentationConfig
from edge_autotuner.core.types import ImageArray
from edge_autotuner.training import Batch, BatchMaker
from edge_autotuner.training.pictures import PictureCache
from support.cameras.coloured_scene import coloured_sample, fresh_network, sample_of
from support.cameras.simulated_samples import camera_samples
from support.runs.trainable_cases import add_narrow_networks, fresh_ssdlite

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


def test_pasting_and_mosaics_are_as_reproducible() -> None:
    def fresh() -> BatchMaker:
        augmentation = AugmentationConfig(paste=3, mosaic=0.5)
        return BatchMaker(camera_samples(), (128, 128), network=fresh_network(6), augmentation=augmentation, seed=0)

    used = fresh()
    used.batch([4, 3], epoch=0, step=0)
    assert same(fresh().batch([0, 1, 2, 3], epoch=3, step=4), used.batch([0, 1, 2, 3], epoch=3, step=4))


def test_pasting_adds_labels() -> None:
    def n_labels(paste: float) -> int:
        augmentation = AugmentationConfig(paste=paste, scale=0, translate=0)
        batches = BatchMaker(camera_samples(), (128, 128), network=fresh_network(6), augmentation=augmentation, seed=0)
        return sum(len(t.class_ids) for t in batches.batch(range(20), epoch=0, step=0).targets)

    assert n_labels(0) + 20 < n_labels(3) < n_labels(0) + 100


def test_pasting_and_mosaics_suit_stretched_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    add_narrow_networks(monkeypatch)
    augmentation = AugmentationConfig(paste=3, mosaic=0.5)
    samples = [s for s in camera_samples() if set(s.class_ids.tolist()) <= {0}]  # the narrow network has two classes
    network = fresh_ssdlite()
    batch = BatchMaker(samples, (70, 45), network=network, augmentation=augmentation, seed=0).batch(
        range(8), epoch=0, step=0
    )
    assert sum(len(target.class_ids) for target in batch.targets) > 8
    assert network(batch.images).shape[1] == len(batch.targets[0].is_known)


def mosaics_by_epoch(n_epochs: int | None, n_seen: int = 6) -> list[bool]:
    """Return for each epoch whether one of its pictures shows more than one of four plain pictures."""
    levels = [sample_of(np.full((64, 64, 3), level, np.uint8)) for level in (20, 80, 140, 200)]
    augmentation = AugmentationConfig(
        mosaic=1, mosaic_until=0.5, scale=0, translate=0, brightness=0, contrast=0, saturation=0
    )
    batches = BatchMaker(levels, (64, 64), network=NETWORK, augmentation=augmentation, seed=1, n_epochs=n_epochs)
    seen = [batches.batch([0, 1, 2, 3], epoch=epoch, step=0).images for epoch in range(n_seen)]
    return [bool(images.flatten(1).std(dim=1).max() > 0) for images in seen]


def test_the_last_epochs_show_whole_pictures() -> None:
    assert mosaics_by_epoch(6) == [True] * 3 + [False] * 3
    assert mosaics_by_epoch(5) == [True] * 3 + [False] * 3
    assert mosaics_by_epoch(None) == [True] * 6


def test_a_mosaic_joins_pictures_of_one_origin() -> None:
    own = [sample_of(np.full((64, 64, 3), 20, np.uint8))] * 2
    replayed = [replace(sample_of(np.full((64, 64, 3), 200, np.uint8)), origin="replay")] * 2
    augmentation = AugmentationConfig(mosaic=1, brightness=0, contrast=0, saturation=0)
    batches = BatchMaker([*own, *replayed], (64, 64), network=NETWORK, augmentation=augmentation, seed=0)
    images = batches.batch([0, 1, 2, 3], epoch=0, step=0).images
    assert images[:2].max() < 100  # at the edges, something of the grey around a picture is mixed in
    assert images[2:].min() > 120


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
    cache = PictureCache(pictures.samples, (32, 32), budget_bytes=3 * 2700)
    for _ in range(2):
        # brightness and half-size colours of 51 x 34 pixels, padded to even sides, are 2652 bytes
        assert [cache.picture(i).shape for i in range(3)] == [(34, 51, 3)] * 3
    assert pictures.n_reads == [1, 1, 1]


def test_colours_are_kept_at_half_the_resolution_before_pictures_are_shrunk() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (41, 60, 3), dtype=np.uint8)
    image = np.asarray(cv2.resize(noise, (121, 81), interpolation=cv2.INTER_CUBIC), np.uint8)
    samples = [sample_of(image) for _ in range(3)]
    cache = PictureCache(samples, (32, 32), budget_bytes=3 * 81 * 121 * 2)
    stored = cache.picture(0)
    assert stored.shape == image.shape
    grey, stored_grey = (cv2.cvtColor(i, cv2.COLOR_BGR2GRAY).astype(int) for i in (image, stored))
    assert np.abs(grey - stored_grey).mean() < 2  # saturated colours lose some brightness, soft ones do not
    uniform = PictureCache([sample_of(np.full((40, 60, 3), (10, 120, 200), np.uint8))] * 2, (32, 32), budget_bytes=9000)
    assert np.abs(uniform.picture(0).astype(int) - (10, 120, 200)).max() <= 2


def test_stretched_pictures_keep_the_detail_of_both_sides() -> None:
    pictures = CountedPictures(1)
    cache = PictureCache(pictures.samples, (30, 60), budget_bytes=0, resize="stretch")
    assert cache.picture(0).shape == (75, 112, 3)  # 1.25 times the 60 rows that the input shows


def test_the_budget_is_kept_even_when_shrinking_is_not_enough() -> None:
    pictures = CountedPictures(4)
    cache = PictureCache(pictures.samples, (32, 32), budget_bytes=2 * 28 * 40 * 3 // 2)
    for _ in range(3):
        for i in range(4):
            cache.picture(i)
    assert pictures.n_reads == [1, 1, 3, 3]  # two are kept, the others read anew


def test_pictures_below_the_input_size_are_not_enlarged() -> None:
    pictures = CountedPictures(1)
    assert PictureCache(pictures.samples, (416, 416), budget_bytes=0).picture(0).shape == (80, 120, 3)
