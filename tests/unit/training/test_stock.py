"""The objects of a camera, cut out once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_autotuner.core.types import ImageArray
from edge_autotuner.training import TrainingSample
from edge_autotuner.training import stock as stock_module
from edge_autotuner.training.stock import Stock, collect
from support.cameras.simulated_samples import SIZE_WH, camera_samples

SAMPLES = list(camera_samples())


def collected(samples: list[TrainingSample], detail: float = 1.0) -> Stock | None:
    def read(index: int) -> ImageArray:
        return samples[index].read_image()

    return collect(samples, range(len(samples)), read, detail=detail, rng=np.random.default_rng(0))


def test_moving_objects_of_all_classes_are_collected() -> None:
    stock = collected(SAMPLES)
    assert stock is not None
    assert set(stock.cutouts) == {0, 2}  # people and cars
    assert stock.n_cutouts > 30
    assert set(stock.window_of) == set(range(len(SAMPLES)))
    for cutout in stock.cutouts[0]:
        opaque = (cutout.image_bgra[..., 3] > 127).mean()
        assert 0.2 < opaque < 0.9
        corners = cutout.to_frame @ [[0, cutout.image_bgra.shape[1]], [0, cutout.image_bgra.shape[0]], [1, 1]]
        assert corners.T.ravel() == pytest.approx(cutout.box_xyxy, abs=5)
        assert len(cutout.spots) == len(cutout.resizes) >= 1


def test_a_rare_class_is_drawn_more_often_than_it_is_seen() -> None:
    stock, rng = collected(SAMPLES), np.random.default_rng(0)
    assert stock is not None
    drawn = [stock.draw(rng).class_id for _ in range(1000)]
    assert drawn.count(0) > drawn.count(2) > 1.5 * 1000 * len(stock.cutouts[2]) / stock.n_cutouts


def test_coarse_masks_cut_from_the_full_picture() -> None:
    fine, coarse = collected(SAMPLES), collected(SAMPLES, detail=0.6)
    assert fine is not None
    assert coarse is not None
    tallest = [max(c.image_bgra.shape[0] for c in stock.cutouts[0]) for stock in (fine, coarse)]
    assert tallest[1] >= tallest[0] - 4


def test_the_number_and_the_size_of_cut_outs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_module, "_MAX_CANDIDATES", 10)
    few = collected(SAMPLES)
    assert few is not None
    assert few.n_cutouts <= 10
    monkeypatch.setattr(stock_module, "_MAX_BYTES", 8000)
    fewer = collected(SAMPLES)
    assert fewer is not None
    assert fewer.n_cutouts < few.n_cutouts


def test_each_hour_has_its_own_plate() -> None:
    """An evening at half the light: with one plate for all, nothing there would look like the empty street."""
    samples = []
    for number in range(30):
        sample = SAMPLES[number]
        image = sample.read_image() if number % 2 else np.asarray(sample.read_image() * 0.7, np.uint8)
        samples.append(replace(sample, read_image=lambda i=image: i, time_s=number * 10.0 + (number % 2) * 8000))
    stock = collected(samples)
    assert stock is not None
    assert [stock.window_of[i] for i in range(4)] == [0, 1, 0, 1]
    assert {cutout.window for cutout in stock.cutouts[0]} == {0, 1}
    box = np.array([0, 0, *SIZE_WH], np.float32)
    assert stock.lights.gain(0, box, 1, box) == pytest.approx(1 / 0.7, rel=0.05)
    assert stock.lights.gain(1, box, 0, box) == pytest.approx(0.7, rel=0.05)
    assert stock.lights.gain(1, box, 1, box) == pytest.approx(1)


def test_without_pictures_labels_or_motion_there_is_nothing() -> None:
    assert collected(SAMPLES[:7]) is None
    no_labels = [replace(s, boxes_xyxy=s.boxes_xyxy[:0], class_ids=s.class_ids[:0]) for s in SAMPLES]
    assert collected(no_labels) is None
    assert collected([SAMPLES[12]] * 10) is None
