"""The pictures of a run as another machine may see them.

DIR/outgoing/HASH/    a dataset like that of the run, with the privacy settings carried out
"""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

from edge_autotuner.annotation import without_hidden
from edge_autotuner.config import RunConfig
from edge_autotuner.core import Frame
from edge_autotuner.core.fingerprints import fingerprint_of
from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset import DatasetStore, FrameRecord
from edge_autotuner.errors import ConfigError
from edge_autotuner.pipeline.loop import ANNOTATION, TRAINING
from edge_autotuner.pipeline.privacy import open_filter, stored_settings
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.storage import remove_folder

logger = logging.getLogger(__name__)

OUTGOING_FOLDER = "outgoing"


def outgoing_dataset(folder: RunFolder, config: RunConfig) -> Path:
    """Return the dataset of an annotated run that may leave as a whole: the run's own, or a treated copy of it.

    The copy is made once; one that a kill cut short is continued, and copies of earlier settings are deleted.

    Raises:
        ConfigError: the settings forbid that whole frames leave, or what is to be hidden cannot be found.
        DatasetError: the run is not annotated, or its dataset is damaged.
        StorageError: the disk refused.
    """
    privacy = config.privacy
    if privacy.send == "crops" and privacy.outside == "keep":
        raise ConfigError(
            "privacy.send crops forbids training at a service, which needs whole frames; also set privacy.outside to "
            "blur or background, or train here"
        )
    if not privacy.changes_pictures:
        return folder.dataset
    with DatasetStore.open(folder.dataset) as store:
        rules = stored_settings(config.model_copy(update={"privacy": privacy.model_copy(update={"apply": "at_rest"})}))
        if privacy.treats_stored_pictures and store.settings.get("privacy") == rules["privacy"]:
            return folder.dataset
        annotated = folder.require(ANNOTATION.name, before=TRAINING.name)
        n_frames = folder.result(ANNOTATION, before=TRAINING.name).numbers.n_frames
        name = fingerprint_of(rules, config.edge_model, annotated.fingerprint, n_frames)
        copy = folder.path / OUTGOING_FOLDER / name
        _delete_others(copy)
        _copy(store, copy, config, folder.path)
    return copy


def _copy(store: DatasetStore, to: Path, config: RunConfig, run: Path) -> None:
    treatment = open_filter(config, run)
    settings = {**store.settings, "outgoing": to.name}
    with DatasetStore.create(
        to, source=store.source, labels=store.labels, settings=settings, treatment=treatment
    ) as copy:
        backgrounds: dict[str, str] = {}
        for record in store.frames():
            if record.background is not None and record.background not in backgrounds:
                backgrounds[record.background] = copy.add_background(store.read_background(record.background))
            if not copy.has_frame(record.index, record.split):
                _copy_frame(store, copy, record, backgrounds.get(record.background or ""))
        for event in store.events()[len(copy.events()) :]:
            copy.add_event(event)
        _copy_labels(store, copy)


def _copy_frame(store: DatasetStore, copy: DatasetStore, record: FrameRecord, background: str | None) -> None:
    copy.add_frame(
        _frame(record, store.read_image(record)),
        split=record.split,
        regions_xyxy=record.regions,
        motion_fraction=record.motion_fraction,
        background=background,
        reason=record.reason,
        picture_format="jpg" if record.file.endswith((".jpg", ".jpeg")) else "png",
        sent_xyxy=None if record.sent_xyxy is None else record.sent,
    )


def _frame(record: FrameRecord, image_bgr: ImageArray) -> Frame:
    return Frame(
        record.index,
        record.time_s,
        image_bgr[:, :, 1],
        lambda: image_bgr,
        record.file_name,
        None if record.captured_at is None else datetime.fromisoformat(record.captured_at),
    )


def _copy_labels(store: DatasetStore, copy: DatasetStore) -> None:
    """Copy the frames' labels, except for places that the copy hides."""
    originals = {record.key: record for record in store.frames()}
    for run in store.annotation_runs:
        if run not in copy.annotation_runs:
            copy.use_annotations(
                run.fingerprint, teacher=run.teacher, min_score=run.min_score, uncertain_score=run.uncertain_score
            )
        for record in copy.frames():
            said = store.annotation_of(originals[record.key], run.fingerprint)
            if said is not None and copy.annotation_of(record, run.fingerprint) is None:
                visible = without_hidden(said, record.hidden)
                copy.add_annotation(record, visible, teacher=run.teacher, fingerprint=run.fingerprint)


def _delete_others(copy: Path) -> None:
    if copy.parent.is_dir():
        for other in copy.parent.iterdir():
            if other != copy and remove_folder(other, below=copy.parent):
                logger.info("deleted %s: replaced by a new copy", other)
