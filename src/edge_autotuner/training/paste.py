"""Pastes moving objects of a camera into other pictures of the same camera.

At a fixed camera, light and passers-by change, and the scene does not. So an object from another time and spot is
credible where its size and light fit. Source: Cut, paste and learn, Dwibedi et al., arXiv 1708.01642. Differs: masks
come from motion, spots and sizes from the camera's own labels.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from edge_autotuner.core.boxes import box_areas, intersection_matrix, subtract_boxes
from edge_autotuner.core.types import FloatArray, ImageArray, SizeWH
from edge_autotuner.training.clean_plate import MIN_PICTURES
from edge_autotuner.training.patches import Patch, compose
from edge_autotuner.training.samples import Scene, TrainingSample
from edge_autotuner.training.spots import foot_points
from edge_autotuner.training.stock import Cutout, Stock, collect

logger = logging.getLogger(__name__)

_TRIES = 5  # spots per object before it is left out
_MAX_HIDDEN = 0.3  # share of a labelled object that pasted ones may cover
_MAX_UNSEEN = 0.05  # share of a pasted box where the teacher has not looked
_MAX_UNCERTAIN = 0.1  # share of a pasted box inside uncertain ones
_TOUCHING = 0.05  # boxes that share more have an order: the lower one is nearer


class ObjectPaster:
    """Adds objects to the pictures of one camera; those of other cameras stay unchanged."""

    def __init__(
        self,
        samples: Sequence[TrainingSample],
        read_picture: Callable[[int], ImageArray],
        *,
        detail: Callable[[SizeWH], float],
        mean_objects: float,
        seed: int,
    ) -> None:
        """Cut out moving objects.

        Args:
            samples: all training pictures.
            read_picture: returns the (H, W, 3) picture of a sample, at any resolution of its aspect.
            detail: pixels of a plate per pixel of a frame of some size, at most 1.
            mean_objects: objects tried per picture; some find no spot.
            seed: of the choice of objects.
        """
        self._samples = samples
        self._mean_objects = mean_objects
        self._stocks: dict[SizeWH, Stock] = {}
        own = [i for i, sample in enumerate(samples) if sample.origin == "camera"]
        for size_wh in sorted({samples[i].size_wh for i in own}):
            members = [i for i in own if samples[i].size_wh == size_wh]
            rng = np.random.default_rng((seed, len(members)))
            stock = collect(samples, members, read_picture, detail=detail(size_wh), rng=rng)
            if stock is not None:
                self._stocks[size_wh] = stock
        n_cutouts = sum(stock.n_cutouts for stock in self._stocks.values())
        logger.info("pasting: objects=%d", n_cutouts)
        if n_cutouts == 0:
            logger.warning(
                "pasting off: none of the camera's %d pictures has an object to paste; it needs at least %d pictures "
                "of one size, and labelled moving objects", len(own), MIN_PICTURES
            )  # fmt: skip

    def scene(self, index: int, image_bgr: ImageArray, rng: np.random.Generator) -> Scene:
        """Return a sample's picture with objects added at random."""
        sample = self._samples[index]
        stock = self._stocks.get(sample.size_wh) if sample.origin == "camera" else None
        if stock is None:
            return Scene(sample, image_bgr)
        crowd = _Crowd(sample)
        patches = []
        for _ in range(rng.poisson(self._mean_objects)):
            cutout = stock.draw(rng)
            patch = _place(cutout, stock, stock.window_of[index], crowd, rng)
            if patch is not None:
                patches.append(patch)
        return Scene(crowd.labelled(), image_bgr, tuple(patches))


class _Crowd:
    """The labels of one picture while objects are added."""

    def __init__(self, sample: TrainingSample) -> None:
        self._sample = sample
        self._boxes = sample.boxes_xyxy
        self._areas = np.maximum(box_areas(self._boxes), 1e-6)
        self._hidden = np.zeros(len(self._boxes), np.float32)
        self._places = np.concatenate([sample.ignored_xyxy, sample.looked_xyxy])
        self._added: list[Cutout] = []

    def add(self, cutout: Cutout, box_xyxy: FloatArray) -> bool:
        """Put an object into a (4,) box, in front of all that it touches; return whether it may stand there."""
        if min(box_xyxy[:2]) < 0 or box_xyxy[2] > self._sample.size_wh[0] or box_xyxy[3] > self._sample.size_wh[1]:
            return False
        box, n = box_xyxy[None], len(self._boxes)
        area = float((box_xyxy[2] - box_xyxy[0]) * (box_xyxy[3] - box_xyxy[1]))
        shared = intersection_matrix(np.concatenate([self._boxes, self._places]), box)[:, 0]
        hidden = self._hidden + shared[:n] / self._areas
        is_behind = (shared[:n] > _TOUCHING * np.minimum(self._areas, area)) & (self._boxes[:, 3] > box_xyxy[3])
        if is_behind.any() or (hidden > _MAX_HIDDEN).any() or not self._is_certain(box_xyxy, shared[n:] / area):
            return False
        self._boxes = np.concatenate([self._boxes, box])
        self._areas, self._hidden = np.append(self._areas, np.float32(area)), np.append(hidden, np.float32(0))
        self._added.append(cutout)
        return True

    def _is_certain(self, box_xyxy: FloatArray, shares: FloatArray) -> bool:
        """Whether the teacher looked at a box and was sure there, given its `shares` in each area."""
        n_ignored = len(self._sample.ignored_xyxy)
        if shares[:n_ignored].sum() > _MAX_UNCERTAIN:
            return False
        if (shares[n_ignored:] >= 1 - _MAX_UNSEEN).any():
            return True
        unseen = subtract_boxes(box_xyxy, self._sample.looked_xyxy)
        return bool(box_areas(unseen).sum() <= _MAX_UNSEEN * box_areas(box_xyxy[None])[0])

    def labelled(self) -> TrainingSample:
        """Return the sample with the labels of the added objects."""
        sample = self._sample
        if not self._added:
            return sample
        return replace(
            sample,
            boxes_xyxy=self._boxes,
            class_ids=np.append(sample.class_ids, [cutout.class_id for cutout in self._added]),
            weights=np.concatenate([sample.label_weights, np.array([c.weight for c in self._added], np.float32)]),
        )


def _place(cutout: Cutout, stock: Stock, window: int, crowd: _Crowd, rng: np.random.Generator) -> Patch | None:
    """Put an object on a free spot; None if there is none."""
    from_foot_xy = foot_points(cutout.box_xyxy[None])[0]
    for _ in range(_TRIES):
        number = int(rng.integers(len(cutout.spots)))
        foot_xy = stock.spots[cutout.class_id].foot_near(int(cutout.spots[number]), rng)
        factor = cutout.resizes[number]
        shift = foot_xy - factor * from_foot_xy
        box = cutout.box_xyxy * factor + np.concatenate([shift, shift])
        gain = stock.lights.gain(cutout.window, cutout.box_xyxy, window, box)
        if gain is not None and crowd.add(cutout, box):
            to_place = np.array([[factor, 0, shift[0]], [0, factor, shift[1]]], np.float32)
            return Patch(cutout.image_bgra, compose(to_place, cutout.to_frame), gain)
    return None
