"""Puts labelled frames of a dataset into a replay reservoir."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_autotuner.annotation import split_labels
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation
from edge_autotuner.core.types import FloatArray
from edge_autotuner.dataset import DatasetStore, FrameRecord
from edge_autotuner.dataset.pictures import read_file
from edge_autotuner.dataset.replay import ReplayOffer, ReplayReservoir
from edge_autotuner.dataset.replay_records import ReplayLabels, ReplayOrigin, ReplayPicture, era_of, frame_id_of
from edge_autotuner.errors import DatasetError
from edge_autotuner.storage.journal import JOURNAL_NAME


@dataclass(frozen=True)
class AddedPictures:
    """What came of offering a dataset to a reservoir.

    Attributes:
        n_offered: labelled training frames of the dataset.
        n_taken: how many of them were new and found a place.
        n_held: pictures in the reservoir now.
    """

    n_offered: int
    n_taken: int
    n_held: int


def add_dataset(
    reservoir_folder: Path,
    folder: Path,
    *,
    origin: ReplayOrigin = "generic",
    max_pictures: int | None = None,
    max_mb: float | None = None,
) -> AddedPictures:
    """Offer the annotated training frames of a run or dataset to a reservoir; test frames never.

    Args:
        reservoir_folder: created where needed.
        folder: of a run, or of a dataset itself.
        origin: "generic" for another scene, "replay" for the camera's own.
        max_pictures: new limit of the reservoir; None: as it is.
        max_mb: likewise.

    Raises:
        DatasetError: no dataset, no annotated training frames, or either folder is damaged.
        StorageError: the disk refused.
    """
    with DatasetStore.open(_dataset_in(folder)) as store:
        config = _thresholds(store)
        labelled = store.labelled("train")
        if not labelled:
            raise DatasetError(f"{folder} has no annotated training frames; run `edge-autotuner annotate` on it first")
        offers = [offer_of(store, record, annotation, config, origin=origin) for record, annotation in labelled]
        reservoir = ReplayReservoir(reservoir_folder)
        n_taken = reservoir.offer(offers, max_pictures=max_pictures, max_mb=max_mb)
    return AddedPictures(len(offers), n_taken, len(reservoir.pictures()))


def offer_of(
    store: DatasetStore,
    record: FrameRecord,
    annotation: Annotation,
    config: AnnotationConfig,
    *,
    origin: ReplayOrigin,
    weights: FloatArray | None = None,
) -> ReplayOffer:
    """Return a frame of a dataset as a reservoir takes it; (G,) `weights` say how much each label counts, by default 1.

    Raises:
        DatasetError: its picture cannot be read.
    """
    labels = split_labels(annotation, config)
    path = store.picture_path(record.file)
    source = store.source.sha256
    picture = ReplayPicture(
        frame_id=frame_id_of(source, record),
        origin=origin,
        era=era_of(source, record),
        size_wh=record.size_wh,
        suffix=path.suffix,
        sha256=record.sha256,
        n_bytes=len(read_file(path)),
        labels=ReplayLabels(
            objects=labels.objects,
            ignored_xyxy=labels.ignored_xyxy,
            looked_xyxy=labels.looked_xyxy,
            weights=weights,
            labels=store.labels,
        ),
    )
    return ReplayOffer(picture, lambda: read_file(path))


def _dataset_in(folder: Path) -> Path:
    inside = folder / "dataset"
    return inside if (inside / JOURNAL_NAME).is_file() else folder


def _thresholds(store: DatasetStore) -> AnnotationConfig:
    """Return the settings under which the dataset's annotations are labels."""
    run = store.annotation_run
    if run is None or run.min_score is None or run.uncertain_score is None:
        return AnnotationConfig()
    return AnnotationConfig(min_score=run.min_score, uncertain_score=run.uncertain_score)
