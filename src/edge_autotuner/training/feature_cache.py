"""Provides the training loop with batches: features from the frozen layers, and targets.

The features of a picture do not change while layers are frozen, so `FeatureCache` keeps those of a few augmented views
of each picture on disk. A view is computed on first use: the cache takes no time before the training, and never
computes more than a training without it.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from edge_autotuner.config.training import FeatureCacheConfig
from edge_autotuner.core.clock import Deadline
from edge_autotuner.core.progress import Progress
from edge_autotuner.errors import TrainingError
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.training.feature_files import CacheFiles, CacheLayout, open_cache_files
from edge_autotuner.training.feature_store import HalfArray
from edge_autotuner.training.microbatches import Features, MicrobatchWorkers, split_batch
from edge_autotuner.training.pictures import BatchMaker
from edge_autotuner.training.targets import Target, pack_target, unpack_target

logger = logging.getLogger(__name__)

_MAX_HALF = float(np.finfo(np.float16).max)  # 65504
_SAME_SHARE = 0.01  # of the largest value; other numbers of threads change far less


@dataclass(frozen=True)
class FeatureBatch:
    """Input of the trained layers, and their targets.

    Attributes:
        features: of each map (B, C, H, W) float32, channels last, on the network's device; without a gradient.
        targets: one per picture.
    """

    features: tuple[Tensor, ...]
    targets: list[Target]


class FeatureSource(ABC):
    """Yields batches to the training loop; a context manager.

    Leaving the context deletes the files when the training is over: with a result, or with a `TrainingError`. After any
    other exception, such as an interruption by the user, they stay for the training that continues this one.
    """

    @abstractmethod
    def batch(self, indices: Sequence[int], *, epoch: int, step: int) -> FeatureBatch:
        """Return features and targets; the same arguments always give the same values."""

    @abstractmethod
    def close(self, *, keep_files: bool = False) -> None:
        """Close the files, and delete them unless a later process needs them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        self.close(keep_files=kind is not None and not issubclass(kind, TrainingError))


def open_feature_source(
    network: TrainableNetwork,
    batches: BatchMaker,
    layers: str,
    *,
    n_samples: int,
    config: FeatureCacheConfig,
    folder: Path | None,
    fingerprint: str,
    deadline: Deadline,
    progress: Progress,
    workers: MicrobatchWorkers | None = None,
) -> FeatureSource:
    """Return the source of a training's batches: a cache if possible.

    Args:
        network: its frozen layers compute the features, on its device.
        batches: makes the pictures.
        layers: "box", "top" or "all"; with "all" nothing is frozen and nothing is cached.
        n_samples: pictures in `batches`.
        config: whether and how much to cache.
        folder: for a cache that survives a kill; None: temporary files.
        fingerprint: of data and settings; features with another fingerprint are not used.
        deadline: of the training; once it has passed, nothing is prepared.
        progress: told while cached features are checked.
        workers: compute microbatches on a CPU; default: the calling thread.

    Returns:
        A `FeatureCache`, or `RecomputedFeatures` when nothing is frozen, the settings or the disk do not allow a
        cache (a warning says so), or the deadline has passed.
    """
    recomputed = RecomputedFeatures(network, batches, layers, workers)
    if layers == "all" or not config.enabled or deadline.has_passed:
        return recomputed
    maps = recomputed.view(0, 0).features
    shapes = tuple((level.shape[1], level.shape[2], level.shape[3]) for level in maps)
    wanted = CacheLayout(fingerprint, layers, shapes, n_samples, config.n_views)
    files = open_cache_files(wanted, config, folder, deadline=deadline, progress=progress)
    if files is not None and folder is not None and not _is_of_network(files, recomputed):
        logger.warning("the cached features in %s are for another network or other pictures; recomputing", folder)
        files.close(keep=False)
        files = open_cache_files(wanted, config, folder, deadline=deadline, progress=progress)
    return recomputed if files is None else FeatureCache(recomputed, files)


class RecomputedFeatures(FeatureSource):
    """Computes features in each step, from newly augmented pictures.

    Args:
        network: computes the features, on its device.
        batches: makes the pictures.
        layers: "box", "top" or "all"; with "all", the features are the pictures themselves.
        workers: compute microbatches on a CPU; default: the calling thread.
    """

    def __init__(
        self, network: TrainableNetwork, batches: BatchMaker, layers: str, workers: MicrobatchWorkers | None = None
    ) -> None:
        self._network, self._batches, self._layers = network, batches, layers
        self._workers = workers or MicrobatchWorkers()

    @property
    def device(self) -> torch.device:
        """Where features are computed."""
        return next(self._network.parameters()).device

    def batch(self, indices: Sequence[int], *, epoch: int, step: int) -> FeatureBatch:
        """Compute the features of this step's pictures."""
        batch = self._batches.batch(indices, epoch=epoch, step=step)
        images = batch.images.to(self.device)
        if self._layers == "all":
            return FeatureBatch((images,), batch.targets)
        levels = self._workers.map(self._frozen, split_batch((images,), is_cut=self.device.type == "cpu"))
        return FeatureBatch(tuple(torch.cat(level) for level in zip(*levels, strict=True)), batch.targets)

    def view(self, index: int, view: int) -> FeatureBatch:
        """Return one of the numbered views of a sample; it is always the same."""
        return self.batch([index], epoch=view, step=index)

    def close(self, *, keep_files: bool = False) -> None:
        """Do nothing: there are no files."""

    @torch.no_grad()
    def _frozen(self, images: Features) -> Features:
        return self._network.features_before(images[0], self._layers)


class FeatureCache(FeatureSource):
    """Caches the features of some augmented views of each picture, as float16.

    The views of a picture take turns, from epoch to epoch and within an epoch that shows it repeatedly. Features are
    rounded to float16 whether read or just computed, and each picture is computed alone, so that a killed training
    continues with the same numbers. Features that float16 cannot hold are computed each time.
    """

    def __init__(self, views: RecomputedFeatures, files: CacheFiles) -> None:
        self._views, self._files = views, files
        self._may_write = True
        self._has_warned_of_range = False

    @property
    def n_views(self) -> int:
        """Views of each picture."""
        return self._files.layout.n_views

    def batch(self, indices: Sequence[int], *, epoch: int, step: int) -> FeatureBatch:
        """Return the features of one view of each sample."""
        layout = self._files.layout
        features = tuple(
            torch.empty((len(indices), *shape), memory_format=torch.channels_last) for shape in layout.shapes
        )
        targets = []
        for row, index in enumerate(indices):
            n_shown = (step * len(indices) + row) // layout.n_samples  # full passes of this epoch so far
            view = (epoch + n_shown) % layout.n_views
            targets.append(self._fill(tuple(level[row] for level in features), index, view))
        return FeatureBatch(tuple(level.to(self._views.device) for level in features), targets)

    def close(self, *, keep_files: bool = False) -> None:
        """Close the files, and delete them unless a later process needs them."""
        self._files.close(keep=keep_files)

    def _fill(self, maps: Sequence[Tensor], index: int, view: int) -> Target:
        """Write a view's features into (C, H, W) maps and return its target."""
        store, slot = self._files.store, self._files.layout.slot(index, view)
        if slot in store:
            _copy_values(store.values(slot), maps)
            return unpack_target(store.note(slot))
        computed = self._views.view(index, view)
        target = computed.targets[0]
        values = _as_values(computed.features)
        if values is None:
            self._warn_of_range()
            for level, feature in zip(maps, computed.features, strict=True):
                level.copy_(feature[0])
        else:
            self._keep(slot, values, target)
            _copy_values(values, maps)
        return target

    def _keep(self, slot: int, values: HalfArray, target: Target) -> None:
        if not self._may_write:
            return
        try:
            self._files.store.write(slot, values, pack_target(target))
        except OSError as exc:
            self._may_write = False
            logger.warning("feature cache stopped; computing missing features in each step: %s", exc)

    def _warn_of_range(self) -> None:
        if not self._has_warned_of_range:
            self._has_warned_of_range = True
            logger.warning("some features exceed float16 (%g); computing them in each step", _MAX_HALF)


def _as_values(features: Sequence[Tensor]) -> HalfArray | None:
    """Return the maps of one picture, each as (H, W, C), concatenated; None if float16 cannot hold them."""
    if not all(bool((level.abs() <= _MAX_HALF).all()) for level in features):  # not, for a NaN
        return None
    flat = [level[0].permute(1, 2, 0).flatten().half().cpu().numpy() for level in features]
    return np.concatenate(flat)


def _copy_values(values: HalfArray, maps: Sequence[Tensor]) -> None:
    """Write values from `_as_values` into channels-last float32 maps (C, H, W)."""
    flat, start = torch.from_numpy(values), 0
    for level in maps:
        by_place = level.permute(1, 2, 0)  # (H, W, C)
        by_place.copy_(flat[start : start + level.numel()].view(by_place.shape))
        start += level.numel()


def _is_of_network(files: CacheFiles, views: RecomputedFeatures) -> bool:
    """Whether the first cached features belong to this network and these pictures."""
    slots, n_samples = files.store.slots, files.layout.n_samples
    if not slots:
        return True
    view, index = divmod(slots[0], n_samples)
    computed = views.view(index, view)
    values = _as_values(computed.features)
    if values is None or files.store.note(slots[0]) != pack_target(computed.targets[0]):
        return False
    difference = np.abs(values.astype(np.float32) - files.store.values(slots[0]))
    return bool(difference.max() <= _SAME_SHARE * np.abs(values).max())
