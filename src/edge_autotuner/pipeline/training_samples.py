"""What a training is shown: labelled frames and replayed pictures; and what it leaves in the replay reservoir."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_autotuner.annotation import split_labels
from edge_autotuner.config import AnnotationConfig, RunConfig
from edge_autotuner.core import Annotation, LabelMap
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.dataset import DatasetStore, FrameRecord
from edge_autotuner.dataset.replay import ReplayReservoir
from edge_autotuner.dataset.replay_records import ReplayPicture
from edge_autotuner.pipeline.replay_offers import offer_of
from edge_autotuner.pipeline.session import Session
from edge_autotuner.training import TrainingSample


def make_samples(
    config: RunConfig, store: DatasetStore, frames: Sequence[tuple[FrameRecord, Annotation]]
) -> list[TrainingSample]:
    """Return frames with their labels as the training wants them."""
    return [
        make_sample(store, record, annotation, config.annotation, score_weight=config.training.score_weight)
        for record, annotation in frames
    ]


def make_sample(
    store: DatasetStore,
    record: FrameRecord,
    annotation: Annotation,
    config: AnnotationConfig,
    *,
    score_weight: float = 0.0,
) -> TrainingSample:
    """Return a frame with its labels as the training wants it.

    A label counts 1 - `score_weight` * (1 - the teacher's score), with `score_weight` in [0, 1].
    """
    labels = split_labels(annotation, config)
    return TrainingSample(
        read_image=lambda: store.read_image(record),
        size_wh=record.size_wh,
        boxes_xyxy=labels.objects.boxes_xyxy,
        class_ids=labels.objects.class_ids,
        ignored_xyxy=labels.ignored_xyxy,
        looked_xyxy=labels.looked_xyxy,
        weights=1 - score_weight * (1 - labels.objects.scores) if score_weight else None,
        time_s=record.time_s,
    )


def replayed_samples(snapshot: ReplayReservoir, store: DatasetStore) -> list[TrainingSample]:
    """Return the pictures of a reservoir as training samples for a student with the dataset's classes.

    Frames of the dataset itself are left out, whatever their split, and so is everything else of its recording: its
    test frames must stay unseen. A live camera remains one source; there only the very frames are left out.

    Raises:
        DatasetError: the reservoir's index is damaged.
    """
    own_hashes = {record.sha256 for record in store.frames()}
    own_source = None if store.source.is_live else f"{store.source.sha256}:"
    samples = []
    for picture in snapshot.pictures():
        is_own = picture.sha256 in own_hashes or (own_source is not None and picture.frame_id.startswith(own_source))
        sample = None if is_own else sample_for(snapshot, picture, store.labels)
        if sample is not None:
            samples.append(sample)
    return samples


def sample_for(reservoir: ReplayReservoir, picture: ReplayPicture, labels: LabelMap) -> TrainingSample | None:
    """Return a picture with its labels in the student's classes, mapped by name; None if nothing can be learned.

    Classes that the student does not have are dropped. If the student has a class that the picture's teacher never
    looked for, nothing in the picture counts as background, as it could be that class: its labelled objects are
    trained on, and distillation says the rest.
    """
    known = picture.labels
    is_ours = np.isin(known.objects.class_ids, np.flatnonzero(labels.positions_of(known.labels) >= 0))
    objects = known.objects.relabelled(known.labels, labels)
    covers_all = all(name in known.labels for name in labels)
    looked = known.looked_xyxy if covers_all else as_boxes([])
    if not is_ours.any() and len(looked) == 0:
        return None
    return TrainingSample(
        read_image=lambda: reservoir.read_image(picture),
        size_wh=picture.size_wh,
        boxes_xyxy=objects.boxes_xyxy,
        class_ids=objects.class_ids,
        ignored_xyxy=known.ignored_xyxy,
        looked_xyxy=looked,
        weights=None if known.weights is None else known.weights[is_ours],
        origin=picture.origin,
    )


def is_kept_for_replay(session: Session, fingerprint: str) -> bool:
    """Whether the reservoir of the settings, if there is one, was offered the pictures of a finished training.

    Raises:
        DatasetError: the reservoir is damaged.
    """
    folder = session.config.training.replay.folder
    return folder is None or ReplayReservoir(folder).has_offer(fingerprint)


def keep_for_replay(
    session: Session,
    store: DatasetStore,
    trained: Sequence[tuple[FrameRecord, Annotation, TrainingSample]],
    fingerprint: str,
) -> None:
    """Offer what a finished training was trained on to the reservoir; asked again, do nothing.

    Raises:
        DatasetError, StorageError: as `ReplayReservoir.offer`.
    """
    replay, config = session.config.training.replay, session.config.annotation
    if replay.folder is None:
        return
    offers = [
        offer_of(store, record, annotation, config, origin="replay", weights=sample.weights)
        for record, annotation, sample in trained
    ]
    ReplayReservoir(replay.folder).offer(
        offers, offer_id=fingerprint, max_pictures=replay.max_pictures, max_mb=replay.max_mb
    )
