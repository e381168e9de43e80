"""Keeps training pictures in memory within a budget, and makes batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from edge_autotuner.config import AugmentationConfig
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.models.detector_spec import Resize
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.training.objectives import objective_for
from edge_autotuner.training.samples import PreparedSample, TrainingSample, canvas_size, fit_ratios, prepare_sample
from edge_autotuner.training.targets import Target

_OVERSIZE = 1.25  # stored pictures keep this much more detail than the input shows


@dataclass(frozen=True)
class Batch:
    """Pictures and targets ready for the network.

    Attributes:
        images: (B, 3, H, W) float32, BGR 0-255, channels last.
        targets: one per picture.
    """

    images: Tensor
    targets: list[Target]


class PictureCache:
    """Decoded pictures, shrunk only when the originals do not fit the budget."""

    def __init__(
        self,
        samples: Sequence[TrainingSample],
        input_size_wh: SizeWH,
        *,
        budget_bytes: int,
        resize: Resize = "letterbox",
    ) -> None:
        self._samples = samples
        self._input_size_wh = input_size_wh
        self._resize = resize
        self._left_bytes = budget_bytes
        self._shrink = sum(3 * w * h for w, h in (s.size_wh for s in samples)) > budget_bytes
        self._pictures: dict[int, ImageArray] = {}

    def picture(self, index: int) -> ImageArray:
        """Return the BGR picture of a sample, at its own size or shrunk with the same aspect."""
        if index in self._pictures:
            return self._pictures[index]
        picture = self._samples[index].read_image()
        if self._shrink:
            picture = self._shrunk(picture)
        if picture.nbytes <= self._left_bytes:
            self._left_bytes -= picture.nbytes
            self._pictures[index] = picture
        return picture

    def _shrunk(self, picture: ImageArray) -> ImageArray:
        height, width = picture.shape[:2]
        ratio = _OVERSIZE * max(fit_ratios((width, height), self._input_size_wh, self._resize))
        if ratio >= 1:
            return picture
        size = max(1, round(width * ratio)), max(1, round(height * ratio))
        return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


class BatchMaker:
    """Draws reproducible batches: the same seed, epoch and step give the same pictures.

    Attributes:
        canvas_wh: size of the pictures, pixels.
        objective: what the network is trained for on pictures of that size.
    """

    def __init__(
        self,
        samples: Sequence[TrainingSample],
        input_size_wh: SizeWH,
        *,
        network: TrainableNetwork,
        augmentation: AugmentationConfig,
        seed: int,
        cache_bytes: int = 512 << 20,
    ) -> None:
        self._samples = samples
        self._input_size_wh = input_size_wh
        self._augmentation = augmentation
        self._seed = seed
        self._resize = network.resize
        self._cache = PictureCache(samples, input_size_wh, budget_bytes=cache_bytes, resize=network.resize)
        step_px = network.size_step_px
        sizes = [canvas_size(s.size_wh, input_size_wh, resize=network.resize, step_px=step_px) for s in samples]
        self.canvas_wh: SizeWH = max(w for w, _ in sizes), max(h for _, h in sizes)
        self.objective = objective_for(network, self.canvas_wh)
        self._centres = self.objective.centres.numpy()

    def epoch_order(self, epoch: int, n_wanted: int) -> list[int]:
        """Return `n_wanted` sample indices for one epoch; each comes once before any comes again."""
        rng = np.random.default_rng((self._seed, epoch))
        rounds = -(-n_wanted // len(self._samples))
        order = np.concatenate([rng.permutation(len(self._samples)) for _ in range(rounds)])
        return [int(i) for i in order[:n_wanted]]

    def batch(self, indices: Sequence[int], *, epoch: int, step: int) -> Batch:
        """Read, change and stack the pictures."""
        rng = np.random.default_rng((self._seed, epoch, step))
        prepared = [self._prepare(index, rng) for index in indices]
        images = torch.from_numpy(np.stack([p.image for p in prepared])).float()
        return Batch(images.contiguous(memory_format=torch.channels_last), [_as_target(p) for p in prepared])

    def _prepare(self, index: int, rng: np.random.Generator) -> PreparedSample:
        return prepare_sample(
            self._samples[index],
            self._cache.picture(index),
            canvas_wh=self.canvas_wh,
            input_size_wh=self._input_size_wh,
            centres_xy=self._centres,
            augmentation=self._augmentation,
            rng=rng,
            resize=self._resize,
        )


def _as_target(sample: PreparedSample) -> Target:
    return Target(
        torch.from_numpy(sample.boxes_xyxy),
        torch.from_numpy(sample.class_ids),
        torch.from_numpy(sample.is_known),
        torch.from_numpy(sample.weights),
    )
