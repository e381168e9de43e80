"""A folder of pictures and labels that grows safely and continues after a kill.

journal.jsonl            the truth: one record per frame, background, annotation, event and note, in order
frames/, backgrounds/    pictures; each is on disk before its record
annotations.coco.json    derived, for other tools: the labels in use
training.coco.json       derived, for other tools: what the last training was given
manifest.json            derived: source, settings, times, hashes
.lock                    held by the one process that writes
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from edge_autotuner.core import Annotation, CaptureEvent, Clock, Frame, LabelMap, SourceInfo, SystemClock
from edge_autotuner.core.arguments import check_choice
from edge_autotuner.core.box_codec import boxes_to_tuples
from edge_autotuner.core.boxes import as_boxes
from edge_autotuner.core.json_limits import load_json
from edge_autotuner.core.types import FloatArray, ImageArray
from edge_autotuner.dataset.coco_export import COCO_NAME, CocoFrame
from edge_autotuner.dataset.folder import DatasetFolder, differences, refuse_foreign_folder, refuse_other_dataset
from edge_autotuner.dataset.metadata import without_metadata
from edge_autotuner.dataset.pictures import (
    PictureFormat,
    PictureTreatment,
    decode_picture,
    decode_sized,
    encode_picture,
    hash_bytes,
    hash_pixels,
    read_file,
    read_unchanged,
)
from edge_autotuner.dataset.records import (
    SPLIT_NAMES,
    FrameRecord,
    SplitName,
    annotation_to_json,
    event_to_json,
)
from edge_autotuner.dataset.state import AnnotationRun, Header
from edge_autotuner.errors import DatasetError, StorageError
from edge_autotuner.storage.atomic import atomic_write_bytes, make_folder
from edge_autotuner.storage.journal import JOURNAL_NAME
from edge_autotuner.storage.paths import child_path

logger = logging.getLogger(__name__)

_REMEDY = "capture again into another folder"
LabelledFrame = tuple[FrameRecord, Annotation]
"""A frame and what was said about it."""

JSON = Any
"""Whatever `json` reads and writes: None, bool, numbers, text, lists, and dictionaries with text keys."""


class DatasetStore:
    """One dataset folder; made by `create` or `open`.

    Reading needs no lock. The first write takes the folder's lock, reads what another run added in the
    meantime, and keeps the lock until `close`. Also a context manager that closes. Closing, also after an error
    or Ctrl-C, brings the derived files up to date; after a kill, the next writer does.
    """

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        """Use `create` or `open`; this only prepares an empty object."""
        self.folder = folder
        self._files = DatasetFolder(folder)
        self._clock = clock
        self._treatment: PictureTreatment | None = None

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        source: SourceInfo,
        labels: LabelMap,
        settings: Mapping[str, JSON],
        treatment: PictureTreatment | None = None,
        clock: Clock | None = None,
    ) -> DatasetStore:
        """Start a dataset, or continue one of the same source, classes and settings.

        One that holds no training frame and no labels is started anew with what is given now: an attempt without
        result must not stand in the way of the next one.

        Args:
            folder: new, empty, or holding a dataset.
            source: where the frames come from; compared by its hash.
            labels: the classes of all annotations.
            settings: JSON values that decide which frames are stored.
            treatment: what pictures go through before they are stored; None: they are stored as they come.
            clock: where times in the manifest come from.

        Raises:
            DatasetError: the folder contains something else, a derived file was edited, or another run is writing.
            StorageError: the folder cannot be written.
        """
        store = cls(folder, clock=clock or SystemClock())
        store._treatment = treatment
        plain = load_json(json.dumps(dict(settings), allow_nan=False))
        make_folder(folder)
        refuse_foreign_folder(folder)
        header = Header(source, labels, plain, store._clock.now().isoformat())
        files = store._files
        try:
            files.start_writing()
            is_other = bool(differences(files.state.header, header))
            if files.state.header is None:
                files.append(header.to_json())
            elif is_other and not (store.frames("train") or files.state.runs):  # nothing was collected or labelled
                files.derived.refuse_edited(files.header)
                files.begin_anew(header)
            refuse_other_dataset(folder, files.header, header)
            files.derived.refuse_edited(files.header)
        except BaseException:
            files.release()
            raise
        return store

    @classmethod
    def open(cls, folder: Path, *, clock: Clock | None = None) -> DatasetStore:
        """Open a dataset that exists.

        Raises:
            DatasetError: there is none, it is damaged, its format is unknown, or a derived file was edited.
        """
        store = cls(folder, clock=clock or SystemClock())
        if not (folder / JOURNAL_NAME).is_file():
            raise DatasetError(
                f"{folder} is not a dataset ({JOURNAL_NAME} is missing); run `edge-autotuner capture` first"
            )
        store._files.read_new_records()
        store._files.derived.refuse_edited(store._files.header)
        return store

    @property
    def labels(self) -> LabelMap:
        """The classes of its annotations."""
        return self._files.header.labels

    @property
    def source(self) -> SourceInfo:
        """Facts about the source of its frames."""
        return self._files.header.source

    @property
    def settings(self) -> Mapping[str, JSON]:
        """What it was made with."""
        return self._files.header.settings

    @property
    def created_at(self) -> datetime:
        """When it was begun, aware UTC."""
        return datetime.fromisoformat(self._files.header.created_at)

    @property
    def fingerprint(self) -> str | None:
        """The annotation fingerprint in use; None before the first annotation."""
        return self._files.state.fingerprint

    @property
    def annotation_run(self) -> AnnotationRun | None:
        """Who made the annotations in use, and which thresholds they stand for; None before the first."""
        return self._files.state.run_in_use

    @property
    def annotation_runs(self) -> tuple[AnnotationRun, ...]:
        """Every run whose annotations it holds; the one in use comes last."""
        newest = self._files.state.fingerprint
        return tuple(sorted(self._files.state.runs.values(), key=lambda run: run.fingerprint == newest))

    def add_frame(
        self,
        frame: Frame,
        *,
        split: SplitName,
        regions_xyxy: FloatArray,
        motion_fraction: float,
        background: str | None,
        reason: str,
        picture_format: PictureFormat = "jpg",
        original: Path | None = None,
        sent_xyxy: FloatArray | None = None,
        hidden_xyxy: FloatArray | None = None,
    ) -> FrameRecord:
        """Store a frame; when this returns, it survives a kill. One that is there is left as it is.

        Args:
            frame: its picture is encoded only when it is new and `original` is None.
            split: "train" or "test".
            regions_xyxy: (R, 4) motion regions, frame pixels; may be empty.
            motion_fraction: share of the frame that they cover, 0..1.
            background: what `add_background` returned, or None.
            reason: why the frame was selected.
            picture_format: how the picture is encoded.
            original: a picture file that is stored instead, without its metadata, where pictures are not treated.
            sent_xyxy: (S, 4) the motion regions that a teacher should look at; None: all.
            hidden_xyxy: (K, 4) rectangles that the picture does not show; None: none, but those of a treatment.

        Raises:
            ValueError: split, fraction or background make no sense.
            DatasetError: another run is writing, or `original` cannot be read.
            StorageError: the disk refused; the dataset is as it was before.
        """
        key = check_choice(split, SPLIT_NAMES, "split"), frame.index
        if not 0 <= motion_fraction <= 1:
            raise ValueError(f"motion_fraction must be in 0..1, got {motion_fraction}")
        self._files.start_writing()
        if key in self._files.state.frames:
            return self._files.state.frames[key]
        if background is not None and background not in self._files.state.background_hashes:
            raise ValueError(f"background '{background}' is not in the dataset; add it first")
        if self._treatment is not None:
            luma = None if background is None else self.read_background(background)
            treated = self._treatment.treat(frame.image_bgr, as_boxes(regions_xyxy), luma)
            hidden_xyxy = treated.hidden_xyxy
            data, suffix = encode_picture(treated.image_bgr, picture_format), f".{picture_format}"
        elif original is not None:
            data, suffix = without_metadata(read_file(original), original)
        else:
            data, suffix = encode_picture(frame.image_bgr, picture_format), f".{picture_format}"
        record = FrameRecord(
            file=f"frames/{split}_{frame.index:08d}{suffix}",
            split=split,
            index=int(frame.index),
            time_s=float(frame.time_s),
            size_wh=frame.size_wh,
            sha256=hash_bytes(data),
            file_name=frame.file_name,
            regions_xyxy=boxes_to_tuples(as_boxes(regions_xyxy)),
            motion_fraction=float(motion_fraction),
            background=background,
            reason=reason,
            captured_at=frame.captured_at.isoformat() if frame.captured_at else None,
            sent_xyxy=None if sent_xyxy is None else boxes_to_tuples(as_boxes(sent_xyxy)),
            hidden_xyxy=() if hidden_xyxy is None else boxes_to_tuples(as_boxes(hidden_xyxy)),
        )
        self._write_picture(record.file, data)
        self._files.append({"kind": "frame", "frame": record.to_json()})
        self._count_addition()
        return self._files.state.frames[key]

    def add_background(self, luma: ImageArray) -> str:
        """Store a (H, W) uint8 background; return its name, the old one when the same pixels are there."""
        self._files.start_writing()
        if self._treatment is not None:
            luma = self._treatment.treat_background(luma)
        digest = hash_pixels(luma)
        known = [name for name, other in self._files.state.background_hashes.items() if other == digest]
        if known:
            return known[-1]
        name = f"backgrounds/{len(self._files.state.background_hashes):06d}.png"
        self._write_picture(name, encode_picture(luma, "png"))
        self._files.append({"kind": "background", "name": name, "pixels_sha256": digest})
        return name

    def has_frame(self, index: int, split: str) -> bool:
        """Whether a frame of the source is stored in a split."""
        return (split, index) in self._files.state.frames

    def frames(self, split: str | None = None) -> list[FrameRecord]:
        """Return the frames of a split, or of all, sorted by split and index."""
        if split is not None:
            check_choice(split, SPLIT_NAMES, "split")
        return sorted((f for f in self._files.state.frames.values() if split in (None, f.split)), key=lambda f: f.key)

    def picture_path(self, name: str) -> Path:
        """Return where a frame or a background is, by the name in its record.

        Raises:
            DatasetError: the name leads out of the dataset.
        """
        return child_path(self.folder, *name.split("/"), error=DatasetError)

    def read_image(self, record: FrameRecord) -> ImageArray:
        """Return the (H, W, 3) BGR picture of a frame.

        Raises:
            DatasetError: the file is missing, was changed, or is not a picture of the frame's size.
        """
        path = self.picture_path(record.file)
        return decode_sized(read_unchanged(path, record.sha256, remedy=_REMEDY), path, record.size_wh)

    def read_background(self, name: str) -> ImageArray:
        """Return the (H, W) brightness of a stored background.

        Raises:
            DatasetError: there is no such background, or its file is missing or was changed.
        """
        digest = self._files.state.background_hashes.get(name)
        if digest is None:
            raise DatasetError(f"the dataset in {self.folder} has no background '{name}'")
        path = self.picture_path(name)
        luma = decode_picture(read_file(path), path, grey=True)
        if hash_pixels(luma) != digest:
            raise DatasetError(f"{path} was modified after it was stored; restore it, or {_REMEDY}")
        return luma

    def use_annotations(
        self, fingerprint: str, *, teacher: str, min_score: float | None = None, uncertain_score: float | None = None
    ) -> None:
        """Make a fingerprint's annotations the labels in use, and say who and which thresholds it stands for."""
        run = AnnotationRun(teacher, fingerprint, min_score, uncertain_score)
        if self._files.state.run_in_use != run:
            self._files.append(run.to_json())

    def add_annotation(self, record: FrameRecord, annotation: Annotation, *, teacher: str, fingerprint: str) -> None:
        """Store what a teacher said about a frame; the newest of a fingerprint counts.

        Which fingerprint's annotations are the labels in use is what `use_annotations` says; before it, the first.

        Raises:
            ValueError: the frame is not in the dataset, a class id is unknown, or a number is not finite.
            DatasetError, StorageError: as `add_frame`.
        """
        self._files.start_writing()
        if record.key not in self._files.state.frames:
            raise ValueError(f"frame {record.index} of split '{record.split}' is not in the dataset")
        annotation.detections.require_classes_of(self.labels)
        self._files.append(
            {
                "kind": "annotation",
                "split": record.split,
                "index": record.index,
                "teacher": teacher,
                "fingerprint": fingerprint,
                "annotation": annotation_to_json(annotation, self.labels),
            }
        )
        self._count_addition()

    def annotation_of(self, record: FrameRecord, fingerprint: str | None = None) -> Annotation | None:
        """Return a frame's annotation under a fingerprint (None: the one in use), or None."""
        return self._files.state.annotation_of(record.key, fingerprint)

    def labelled(self, split: str, fingerprint: str | None = None) -> list[LabelledFrame]:
        """Return the frames of a split that have an annotation under a fingerprint (None: the one in use)."""
        found = ((record, self.annotation_of(record, fingerprint)) for record in self.frames(split))
        return [(record, annotation) for record, annotation in found if annotation is not None]

    def add_event(self, event: CaptureEvent) -> None:
        """Store what happened to the camera; when this returns, it survives a kill."""
        self._files.append({"kind": "event", "event": event_to_json(event)})

    def events(self) -> list[CaptureEvent]:
        """Return the camera's events, in order."""
        return list(self._files.state.events)

    def set_note(self, key: str, value: JSON) -> None:
        """Store a stage's statistics, or a fact such as "capture_complete"."""
        self._files.append({"kind": "note", "key": key, "value": value})

    def note(self, key: str) -> JSON | None:
        """Return a note, or None."""
        return self._files.state.notes.get(key)

    def export(self) -> None:
        """Write `annotations.coco.json` and `manifest.json` with the labels now in use.

        An edited file is kept under another name.
        """
        self._files.export(self._clock.now())

    def refresh(self) -> None:
        """Write the derived files if one is missing, or lacks what a killed command has stored.

        Where another command is writing, it does so when it closes the dataset.
        """
        if not self._files.is_behind:
            return
        try:
            self._files.start_writing()
        except DatasetError as exc:
            logger.info("another command writes the derived files of %s: %s", self.folder, exc)
            return
        self.export()

    def export_training(self, frames: Iterable[CocoFrame], run: AnnotationRun) -> None:
        """Write `training.coco.json`: what a training is given, which may be more than the labels in use.

        The frames are of this dataset, and "train" or "val"; `run` has the thresholds that the training uses.
        """
        self._files.export_training(frames, run)

    def close(self) -> None:
        """Free the folder for other writers; reading continues to work.

        The derived files are written where they lack something. Where the disk refuses, that is logged: the journal
        has everything.
        """
        try:
            if self._files.is_writing and self._files.derived.are_stale:
                self.export()
        except StorageError as exc:
            logger.warning("%s is older than the dataset, whose journal is complete: %s", self.folder / COCO_NAME, exc)
        finally:
            self._files.release()

    def __enter__(self) -> DatasetStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        try:
            if kind is None and self._files.is_writing and self._files.derived.are_stale:
                self.export()
        finally:
            self.close()

    def _write_picture(self, name: str, data: bytes) -> None:
        atomic_write_bytes(self.picture_path(name), data)

    def _count_addition(self) -> None:
        if self._files.derived.are_due(n_frames=len(self._files.state.frames)):
            self.export()
