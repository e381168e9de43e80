"""Opens, checks and deletes the files of a feature cache.

The training's folder contains the features, a journal with checksums and targets, and a header in JSON that identifies
the training. Without a folder they are unnamed temporary files, which no kill leaves behind.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from io import FileIO
from math import prod
from pathlib import Path

from edge_autotuner.config.training import FeatureCacheConfig
from edge_autotuner.core.clock import Deadline
from edge_autotuner.core.json_limits import load_json
from edge_autotuner.core.progress import Progress
from edge_autotuner.errors import StorageError
from edge_autotuner.storage import free_bytes
from edge_autotuner.storage.atomic import atomic_write_json, make_folder
from edge_autotuner.training.feature_store import FeatureStore, slot_bytes

logger = logging.getLogger(__name__)

Shape = tuple[int, int, int]
"""Channels, height and width of one feature map."""

HEADER, FEATURES, JOURNAL = "features.json", "features.bin", "features.journal"
_FORMAT = "edge-autotuner features 1"
_GB = 1e9


@dataclass(frozen=True)
class CacheLayout:
    """Identity and slots of a cache.

    Attributes:
        fingerprint: of data and settings.
        layers: trained layers, "box" or "top".
        shapes: of the feature maps of one picture.
        n_samples: pictures.
        n_views: views per picture; view and picture have slot `view * n_samples + index`.
    """

    fingerprint: str
    layers: str
    shapes: tuple[Shape, ...]
    n_samples: int
    n_views: int

    @property
    def n_values(self) -> int:
        """Values in the feature maps of one picture."""
        return sum(prod(shape) for shape in self.shapes)

    @property
    def n_slots(self) -> int:
        """Slots for feature maps of one picture each."""
        return self.n_samples * self.n_views

    @property
    def n_bytes(self) -> int:
        """Bytes on disk when all slots are full, without the journal (some hundred bytes per picture)."""
        return self.n_slots * slot_bytes(self.n_values)

    def slot(self, index: int, view: int) -> int:
        """Return the slot of a view of a sample."""
        return view * self.n_samples + index


@dataclass(frozen=True)
class CacheFiles:
    """An open store with its layout; `folder` is None for temporary files."""

    store: FeatureStore
    layout: CacheLayout
    folder: Path | None

    def close(self, *, keep: bool) -> None:
        """Close the files, and delete them unless `keep`."""
        self.store.close()
        if self.folder is not None and not keep:
            remove_cache_files(self.folder)


def open_cache_files(
    wanted: CacheLayout, config: FeatureCacheConfig, folder: Path | None, *, deadline: Deadline, progress: Progress
) -> CacheFiles | None:
    """Open the cache of an earlier process, or create an empty one.

    Args:
        wanted: the layout with all desired views.
        config: limits of disk space.
        folder: of the files; None: temporary files.
        deadline: ends the check of existing features.
        progress: told of that check.

    Returns:
        None when there is no room for one view of each picture, or the disk refuses; a warning says which.
    """
    try:
        if folder is None:
            return _new_files(wanted, config, None)
        make_folder(folder)
        kept = _kept_layout(wanted, config, folder)
        if kept is None:
            remove_cache_files(folder)
            return _new_files(wanted, config, folder)
        store = _store_of(folder, kept, mode="r+b")
        with _closed_on_error(store):
            store.recover(deadline, progress)
    except (OSError, StorageError) as exc:
        logger.warning("feature cache off, computing features in each step: %s", exc)
        return None
    return CacheFiles(store, kept, folder)


def remove_cache_files(folder: Path) -> None:
    """Delete a cache, the header first: without it, the rest is ignored after a kill."""
    for name in (HEADER, JOURNAL, FEATURES):
        (folder / name).unlink(missing_ok=True)


def n_views_that_fit(wanted: CacheLayout, config: FeatureCacheConfig, free_bytes: int) -> int:
    """Return how many of the wanted views fit on the disk and within the settings; may be 0."""
    budget = min(_n_bytes(config.max_gb), free_bytes - _n_bytes(config.min_free_gb))
    one_view = replace(wanted, n_views=1).n_bytes
    return max(0, min(wanted.n_views, budget // one_view))


def _n_bytes(gb: float) -> int:
    return round(gb * _GB)


def _new_files(wanted: CacheLayout, config: FeatureCacheConfig, folder: Path | None) -> CacheFiles | None:
    place = Path(tempfile.gettempdir()) if folder is None else folder
    n_free = free_bytes(place)
    n_views = n_views_that_fit(wanted, config, n_free)
    if n_views < wanted.n_views:
        logger.warning(
            "room for %d of %d views of %d pictures (%.2f GB each; features.max_gb %g, %.2f GB free in %s)%s",
            n_views,
            wanted.n_views,
            wanted.n_samples,
            replace(wanted, n_views=1).n_bytes / _GB,
            config.max_gb,
            n_free / _GB,
            place,
            "" if n_views else ": feature cache off, computing features in each step",
        )
    if n_views == 0:
        return None
    layout = replace(wanted, n_views=n_views)
    store = _store_of(folder, layout, mode="w+b")
    if folder is not None:
        with _closed_on_error(store):
            atomic_write_json(folder / HEADER, _header(layout, wanted.n_views))
    return CacheFiles(store, layout, folder)


def _store_of(folder: Path | None, layout: CacheLayout, *, mode: str) -> FeatureStore:
    """Open both files; new ones get their full length, which takes no disk space until slots are written."""
    features = _open(folder, FEATURES, mode)
    with _closed_on_error(features):
        os.ftruncate(features.fileno(), layout.n_bytes)
        journal = _open(folder, JOURNAL, mode)
    return FeatureStore(features, journal, n_slots=layout.n_slots, n_values=layout.n_values)


@contextmanager
def _closed_on_error(opened: FeatureStore | FileIO) -> Iterator[None]:
    try:
        yield
    except BaseException:
        opened.close()
        raise


def _open(folder: Path | None, name: str, mode: str) -> FileIO:
    """Open without a buffer, so that a kill loses nothing that was written."""
    if folder is None:
        return tempfile.TemporaryFile(buffering=0)
    return FileIO(folder / name, mode)


def _header(layout: CacheLayout, n_wanted: int) -> dict[str, object]:
    return {"format": _FORMAT, "n_wanted": n_wanted, **asdict(layout), "shapes": [list(s) for s in layout.shapes]}


def _kept_layout(wanted: CacheLayout, config: FeatureCacheConfig, folder: Path) -> CacheLayout | None:
    """Return the layout of the cache in a folder if it belongs to this training; it may have fewer views."""
    header_path = folder / HEADER
    if not header_path.exists():
        return None
    try:
        header = load_json(header_path.read_text(encoding="utf-8"))
        layout = replace(wanted, n_views=int(header["n_views"]))
        is_whole = (folder / FEATURES).stat().st_size == layout.n_bytes and (folder / JOURNAL).is_file()
    except (OSError, ValueError, KeyError, TypeError) as exc:
        logger.warning("the cached features in %s are damaged (%s); recomputing", folder, exc)
        return None
    is_ours = header == _header(layout, wanted.n_views) and 1 <= layout.n_views <= wanted.n_views
    if is_ours and is_whole and layout.n_bytes <= _n_bytes(config.max_gb):
        return layout
    reason = "damaged" if is_ours and not is_whole else "from another training"
    logger.warning("the cached features in %s are %s; recomputing", folder, reason)
    return None
