"""Caches training pictures within a memory budget, and makes batches of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from torch import Tensor

from edge_autotuner.config import AugmentationConfig
from edge_autotuner.config.training import ReplayConfig
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.models.detector_spec import Resize
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.training.distillation import scarce_classes
from edge_autotuner.training.mosaic import N_TILES, mosaic_tiles
from edge_autotuner.training.objectives import objective_for
from edge_autotuner.training.paste import ObjectPaster
from edge_autotuner.training.samples import (
    PreparedSample,
    Scene,
    TrainingSample,
    canvas_size,
    fit_ratios,
    prepare_sample,
    prepare_tiles,
)
from edge_autotuner.training.schedule import Origin, epoch_order, repeat_factors
from edge_autotuner.training.targets import Target

_MIN_OVERSIZE = 1.25  # stored pictures keep at least this much more detail than the input shows
_PLATE_DETAIL = 1.5  # clean plates and masks are this much finer than what the input shows
_PACKED_BYTES = 1.5  # per pixel
_FILLED = 0.98  # of the budget, as sides are rounded to whole pixels


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
    """Decoded pictures within a memory budget.

    Pictures that do not fit are stored with colours at half the resolution (4:2:0, as in JPEG and video), which halves
    the memory. If they still do not fit, they are shrunk, but keep more detail than the network's input: a picture
    resized twice is softer than what the network sees at run time.
    """

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
        sizes = [sample.size_wh for sample in samples]
        self._is_packed = sum(3 * w * h for w, h in sizes) > budget_bytes
        self._oversize = self._choose_oversize(sizes, budget_bytes)
        self._pictures: dict[int, _Stored] = {}

    def picture(self, index: int) -> ImageArray:
        """Return the read-only BGR picture of a sample, in its own size or shrunk with the same aspect."""
        stored = self._pictures.get(index)
        if stored is None:
            stored = self._store(self._samples[index].read_image())
            if stored.data.nbytes <= self._left_bytes:
                self._left_bytes -= stored.data.nbytes
                self._pictures[index] = stored
        return stored.picture()

    def _store(self, picture: ImageArray) -> _Stored:
        height, width = picture.shape[:2]
        if not self._is_packed:
            return _Stored(picture, (width, height), is_packed=False)
        ratio = self._oversize * self._ratio((width, height))
        if ratio < 1:
            width, height = max(1, round(width * ratio)), max(1, round(height * ratio))
            picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        even = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        return _Stored(np.asarray(cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420)), (width, height), is_packed=True)

    def _choose_oversize(self, sizes: Sequence[SizeWH], budget_bytes: int) -> float:
        """Return how much more detail than the input packed pictures keep; infinite: none is shrunk."""
        if sum(_PACKED_BYTES * (w + w % 2) * (h + h % 2) for w, h in sizes) <= budget_bytes:
            return math.inf
        at_input_size = sum(_PACKED_BYTES * w * h * self._ratio((w, h)) ** 2 for w, h in sizes)
        return max(_MIN_OVERSIZE, math.sqrt(_FILLED * budget_bytes / at_input_size))

    def _ratio(self, size_wh: SizeWH) -> float:
        return max(fit_ratios(size_wh, self._input_size_wh, self._resize))


@dataclass(frozen=True, eq=False)
class _Stored:
    """A picture in memory: BGR, or I420 (half-size colours) with even sides."""

    data: ImageArray
    size_wh: SizeWH
    is_packed: bool

    def picture(self) -> ImageArray:
        if not self.is_packed:
            return self.data
        width, height = self.size_wh
        return np.asarray(cv2.cvtColor(self.data, cv2.COLOR_YUV2BGR_I420)[:height, :width], np.uint8)


class BatchMaker:
    """Draws reproducible batches: the same seed, epoch and step give the same pictures.

    Attributes:
        canvas_wh: size of the pictures, pixels.
        objective: the loss for pictures of that size.
    """

    def __init__(
        self,
        samples: Sequence[TrainingSample],
        input_size_wh: SizeWH,
        *,
        network: TrainableNetwork,
        augmentation: AugmentationConfig,
        seed: int,
        cache_bytes: int = 256 << 20,
        replay: ReplayConfig | None = None,
        n_epochs: int | None = None,
        repeat_rare: float = 0.0,
    ) -> None:
        """Plan the pictures.

        Args:
            samples: the training pictures.
            input_size_wh: the network's input at run time, pixels.
            network: the student.
            augmentation: random changes.
            seed: of everything random.
            cache_bytes: memory for decoded pictures.
            replay: shares of earlier pictures.
            n_epochs: of the training, whose last epochs show no mosaics; None: all may.
            repeat_rare: threshold of `repeat_factors` for the camera's own pictures; 0: all come equally often.
        """
        self._samples = samples
        self._replay = replay or ReplayConfig()
        self._input_size_wh = input_size_wh
        self._augmentation = augmentation
        self._seed = seed
        self._repeats = repeat_factors([s.class_ids for s in samples], repeat_rare) if repeat_rare > 0 else None
        self._n_mosaic_epochs = math.inf if n_epochs is None else augmentation.mosaic_until * n_epochs
        self._resize = network.resize
        self._cache = PictureCache(samples, input_size_wh, budget_bytes=cache_bytes, resize=network.resize)
        step_px = network.size_step_px
        own = [s for s in samples if s.origin == "camera"] or samples  # a replayed picture makes itself fit
        sizes = [canvas_size(s.size_wh, input_size_wh, resize=network.resize, step_px=step_px) for s in own]
        self.canvas_wh: SizeWH = max(w for w, _ in sizes), max(h for _, h in sizes)
        scarce = scarce_classes(samples, network.n_classes)
        self.objective = objective_for(network, self.canvas_wh, scarce=scarce)
        self._centres = self.objective.centres.cpu().numpy()

    def epoch_order(self, epoch: int, n_wanted: int) -> list[int]:
        """Return `n_wanted` sample indices for one epoch; see `training.schedule`."""
        rng = np.random.default_rng((self._seed, epoch))
        origins = [sample.origin for sample in self._samples]
        return epoch_order(origins, n_wanted, replay=self._replay, rng=rng, repeats=self._repeats)

    def batch(self, indices: Sequence[int], *, epoch: int, step: int) -> Batch:
        """Read, augment and stack the pictures."""
        rng = np.random.default_rng((self._seed, epoch, step))
        mosaic = self._augmentation.mosaic if epoch < self._n_mosaic_epochs else 0.0
        prepared = [self._prepare(index, mosaic, rng) for index in indices]
        images = torch.from_numpy(np.stack([p.image for p in prepared])).float()
        return Batch(images.contiguous(memory_format=torch.channels_last), [_as_target(p) for p in prepared])

    def _prepare(self, index: int, mosaic: float, rng: np.random.Generator) -> PreparedSample:
        if mosaic > 0 and rng.random() < mosaic:
            return self._prepare_mosaic(index, rng)
        scene = self._scene(index, rng)
        return prepare_sample(
            scene.sample,
            scene.image_bgr,
            canvas_wh=self.canvas_wh,
            input_size_wh=self._input_size_wh if scene.sample.origin == "camera" else self.canvas_wh,
            centres_xy=self._centres,
            augmentation=self._augmentation,
            rng=rng,
            resize=self._resize,
            patches=scene.patches,
        )

    def _prepare_mosaic(self, index: int, rng: np.random.Generator) -> PreparedSample:
        beside = rng.choice(self._by_origin[self._samples[index].origin], N_TILES - 1)
        scenes = [self._scene(int(i), rng) for i in (index, *beside)]
        tiles = mosaic_tiles(scenes, self.canvas_wh, self._input_size_wh, self._resize, self._augmentation, rng)
        return prepare_tiles(
            tiles, canvas_wh=self.canvas_wh, centres_xy=self._centres, augmentation=self._augmentation, rng=rng
        )

    def _scene(self, index: int, rng: np.random.Generator) -> Scene:
        picture = self._cache.picture(index)
        if self._paster is None:
            return Scene(self._samples[index], picture)
        return self._paster.scene(index, picture, rng)

    @cached_property
    def _by_origin(self) -> dict[Origin, list[int]]:
        """The samples that may share a mosaic, which thus keeps the shares of the origins."""
        by_origin: dict[Origin, list[int]] = {}
        for index, sample in enumerate(self._samples):
            by_origin.setdefault(sample.origin, []).append(index)
        return by_origin

    @cached_property
    def _paster(self) -> ObjectPaster | None:
        """Created, and objects cut out, when the first picture is drawn."""
        if self._augmentation.paste == 0:
            return None
        return ObjectPaster(
            self._samples,
            self._cache.picture,
            detail=lambda size_wh: min(
                1.0, _PLATE_DETAIL * max(fit_ratios(size_wh, self._input_size_wh, self._resize))
            ),
            mean_objects=self._augmentation.paste,
            seed=self._seed,
        )


def _as_target(sample: PreparedSample) -> Target:
    return Target(
        torch.from_numpy(sample.boxes_xyxy),
        torch.from_numpy(sample.class_ids),
        torch.from_numpy(sample.is_known),
        torch.from_numpy(sample.weights),
    )
