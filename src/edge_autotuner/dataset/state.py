"""Replays the records of a journal into memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from edge_autotuner.core import Annotation, CaptureEvent, LabelMap, SourceInfo
from edge_autotuner.core.arguments import check_choice
from edge_autotuner.core.json_fields import Fields
from edge_autotuner.core.tasks import task_of
from edge_autotuner.dataset.records import (
    SPLIT_NAMES,
    FrameRecord,
    annotation_from_json,
    check_inner_path,
    event_from_json,
    source_from_json,
    source_to_json,
)
from edge_autotuner.errors import DatasetError

FORMAT_VERSION = 1

FrameKey = tuple[str, int]


@dataclass(frozen=True)
class Header:
    """The first record: what the dataset is of.

    Attributes:
        source: facts about the source of its frames.
        labels: the classes of its annotations.
        settings: what it was made with, JSON values; a dataset continues only with the same.
        created_at: ISO 8601 time, UTC.
    """

    source: SourceInfo
    labels: LabelMap
    settings: Mapping[str, Any]
    created_at: str

    def to_json(self) -> dict[str, Any]:
        """Return the first record of a journal."""
        return {
            "kind": "dataset",
            "format_version": FORMAT_VERSION,
            "source": source_to_json(self.source),
            **self.labels.to_json(),
            "settings": dict(self.settings),
            "created_at": self.created_at,
        }


@dataclass(frozen=True)
class AnnotationRun:
    """Who annotates, and from which scores on boxes count.

    Attributes:
        teacher: how reports call it.
        fingerprint: changes when the teacher or a setting does.
        min_score: boxes from here on are labels; None if unknown.
        uncertain_score: boxes from here to `min_score` are neither object nor background.
    """

    teacher: str
    fingerprint: str
    min_score: float | None = None
    uncertain_score: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the journal's record."""
        return {"kind": "annotation_run", **asdict(self)}


@dataclass
class DatasetState:
    """All records so far; `apply` adds one.

    Attributes:
        header: the first record; None until it is applied.
        frames: in the order in which they were added.
        background_hashes: name -> hash of the pixels.
        annotations: fingerprint -> frame -> newest annotation.
        runs: fingerprint -> newest facts about its teacher.
        fingerprint: whose annotations are the dataset's labels: what the newest annotation run says, not the newest
            annotation; others are kept beside them.
        notes: what stages stored.
        events: what happened to the camera, in order.
    """

    header: Header | None = None
    frames: dict[FrameKey, FrameRecord] = field(default_factory=dict)
    background_hashes: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, dict[FrameKey, Annotation]] = field(default_factory=dict)
    runs: dict[str, AnnotationRun] = field(default_factory=dict)
    fingerprint: str | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    events: list[CaptureEvent] = field(default_factory=list)

    def apply(self, record: Mapping[str, Any]) -> None:
        """Add one record of the journal.

        Raises:
            DatasetError: it is of an unknown format, or lacks a value.
        """
        kind = record.get("kind")
        if (kind == "dataset") == (self.header is not None):
            raise DatasetError(f"unexpected record of kind '{kind}'; the file is not a dataset's journal")
        try:
            _APPLY[str(kind)](self, record)
        except (KeyError, TypeError, ValueError) as exc:
            raise DatasetError(f"invalid record of kind '{kind}': {exc!r}") from exc

    @property
    def run_in_use(self) -> AnnotationRun | None:
        """Who made the dataset's labels, and from which scores on boxes count; None before the first annotation."""
        return self.runs.get(self.fingerprint or "")

    def annotation_of(self, key: FrameKey, fingerprint: str | None) -> Annotation | None:
        """Return a frame's annotation under a fingerprint (None: the one in use)."""
        return self.annotations.get(fingerprint or self.fingerprint or "", {}).get(key)


def _apply_header(state: DatasetState, record: Mapping[str, Any]) -> None:
    fields = Fields(record, "")
    version = fields.whole("format_version")
    if version != FORMAT_VERSION:
        raise DatasetError(
            f"the dataset has format {version}, but this version reads format {FORMAT_VERSION}; use the version that "
            "wrote it, or capture again into another folder"
        )
    source, labels = source_from_json(fields.inner("source").values), LabelMap.from_json(fields)
    task_of(labels)
    created_at = fields.text("created_at")
    datetime.fromisoformat(created_at)
    state.header = Header(source, labels, fields.inner("settings").values, created_at)


def _apply_frame(state: DatasetState, record: Mapping[str, Any]) -> None:
    frame = FrameRecord.from_json(record["frame"])
    state.frames[frame.key] = frame


def _apply_background(state: DatasetState, record: Mapping[str, Any]) -> None:
    fields = Fields(record, "")
    state.background_hashes[check_inner_path(fields.text("name"))] = fields.text("pixels_sha256")


def _apply_annotation(state: DatasetState, record: Mapping[str, Any]) -> None:
    fields = Fields(record, "")
    fingerprint, teacher = fields.text("fingerprint"), fields.text("teacher", may_be_empty=True)
    key = check_choice(fields.text("split"), SPLIT_NAMES, "split"), fields.whole("index", at_least=0)
    if state.header is None:
        raise ValueError("it comes before the dataset's first record")
    annotation = annotation_from_json(fields.inner("annotation").values, state.header.labels)
    annotation.detections.require_classes_of(state.header.labels)
    state.annotations.setdefault(fingerprint, {})[key] = annotation
    state.runs.setdefault(fingerprint, AnnotationRun(teacher, fingerprint))
    if state.fingerprint is None:
        state.fingerprint = fingerprint


def _apply_run(state: DatasetState, record: Mapping[str, Any]) -> None:
    fields = Fields(record, "")
    scores = [fields.number(key) if fields.has(key) else None for key in ("min_score", "uncertain_score")]
    run = AnnotationRun(fields.text("teacher", may_be_empty=True), fields.text("fingerprint"), *scores)
    state.runs[run.fingerprint] = run
    state.fingerprint = run.fingerprint


def _apply_note(state: DatasetState, record: Mapping[str, Any]) -> None:
    state.notes[Fields(record, "").text("key")] = record["value"]


def _apply_event(state: DatasetState, record: Mapping[str, Any]) -> None:
    state.events.append(event_from_json(record["event"]))


_APPLY = {
    "dataset": _apply_header,
    "frame": _apply_frame,
    "background": _apply_background,
    "annotation": _apply_annotation,
    "annotation_run": _apply_run,
    "note": _apply_note,
    "event": _apply_event,
}
