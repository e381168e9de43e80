"""Annotates every stored frame that a teacher has not seen, and summarizes the labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import takewhile
from typing import Any

import numpy as np

from edge_autotuner.annotation.ahead import look_ahead
from edge_autotuner.annotation.background_labels import BackgroundLabels
from edge_autotuner.annotation.privacy import without_hidden
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.core import Annotation, Deadline, LabelMap, Progress, Scene, Teacher
from edge_autotuner.core.json_fields import Fields
from edge_autotuner.core.sampling import spread_order
from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset import DatasetStore, FrameRecord
from edge_autotuner.errors import ConfigError, DatasetError, NoLabelsFound, TeacherTimeout

NOTE_KEY = "annotation"
N_SCORE_BINS = 20


@dataclass(frozen=True)
class AnnotationSummary:
    """Totals of an annotation, over all runs with this fingerprint.

    Attributes:
        teacher: its name.
        fingerprint: of the teacher and its settings.
        n_frames: split -> frames with an annotation.
        n_left: split -> frames without one, because a deadline passed.
        n_calls: how often the detector ran.
        n_pixels: pixels of frames that were sent to it, before its own resizing.
        boxes_per_class: class -> labels (from `min_score` on) in the training frames.
        n_uncertain: boxes of the training frames below `min_score`.
        n_negatives: training frames without a label: what is not uncertain in them is taught as background.
        score_histogram: boxes of all frames by score, 20 bins from 0 to 1.
        seconds: time spent.
        test_teacher: who labelled the test frames; empty: the teacher, as it labels training frames.
    """

    teacher: str
    fingerprint: str
    n_frames: dict[str, int]
    n_left: dict[str, int]
    n_calls: int
    n_pixels: int
    boxes_per_class: dict[str, int]
    n_uncertain: int
    n_negatives: int
    score_histogram: tuple[int, ...]
    seconds: float
    test_teacher: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self) | {"score_histogram": list(self.score_histogram)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> AnnotationSummary:
        """Read what `to_json` returned, for example from the note "annotation" of a dataset.

        Raises:
            FieldError: a value is missing, or makes no sense.
        """
        read = Fields(values, "")
        counts = {name: read.inner(name) for name in ("n_frames", "n_left", "boxes_per_class")}
        return cls(
            teacher=read.text("teacher"),
            fingerprint=read.text("fingerprint"),
            **{name: {key: of.whole(key, at_least=0) for key in of.values} for name, of in counts.items()},
            n_calls=read.whole("n_calls", at_least=0),
            n_pixels=read.whole("n_pixels", at_least=0),
            n_uncertain=read.whole("n_uncertain", at_least=0),
            n_negatives=read.whole("n_negatives", default=0, at_least=0),  # older datasets lack it
            score_histogram=tuple(read.wholes("score_histogram")),
            seconds=read.number("seconds", at_least=0),
            test_teacher=read.text("test_teacher", default="", may_be_empty=True),  # older datasets lack it
        )


@dataclass(frozen=True, eq=False)
class Labeller:
    """Who labels the frames of a split.

    Attributes:
        teacher: its classes are the dataset's.
        fingerprint: of its labels; changes when the teacher, or how it looks, does.
    """

    teacher: Teacher
    fingerprint: str


def annotate_dataset(
    store: DatasetStore,
    teacher: Teacher,
    config: AnnotationConfig,
    *,
    fingerprint: str,
    deadline: Deadline,
    progress: Progress,
    n_parallel: int = 1,
    stop: Callable[[], object] = lambda: None,
    for_test: Labeller | None = None,
) -> AnnotationSummary:
    """Label all frames; frames that have an annotation of this fingerprint are left as they are.

    Test frames come first, in tiles, because an evaluation needs every object; a teacher that may only see moving
    regions gets those. Training frames follow in an order that covers the recording evenly at any moment, so that a
    deadline or an interruption leaves a representative part. Each annotation is on disk before the next begins.

    Args:
        store: the dataset; the summary is stored as its note "annotation".
        teacher: its classes must be the dataset's.
        config: how it looks and which boxes count.
        fingerprint: changes when the teacher or a setting does.
        deadline: no frame is begun after it.
        progress: hears of every frame.
        n_parallel: frames annotated in parallel. Motion crops are annotated one by one: the labels of a background are
            made once for all frames that have it.
        stop: makes calls of the teacher that wait for a service end soon; called when an error or Ctrl-C ends the work.
        for_test: labels the test frames, which are stored under its fingerprint; None: the teacher does.

    Raises:
        ConfigError: the teacher has other classes than the dataset.
        DatasetError: there are no frames, or a picture is damaged.
        NoLabelsFound: no training frame has a label; what was stored stays.
        TeacherError: the teacher cannot label a frame; stored annotations are kept, and a later call continues.
    """
    if teacher.labels != store.labels:
        raise ConfigError(
            f"teacher {teacher.name} has the classes {', '.join(teacher.labels)}, but the dataset has "
            f"{', '.join(store.labels)}; use a new dataset folder for other classes"
        )
    tested = for_test or Labeller(teacher, fingerprint)
    by_split = {"train": Labeller(teacher, fingerprint), "test": tested}
    frames = _in_order(store)
    if not frames:
        raise DatasetError(f"the dataset in {store.folder} has no frames; run `edge-autotuner capture` first")
    spent_before_s = _seconds_before(store, fingerprint)
    started_s = deadline.elapsed_s
    use = partial(
        store.use_annotations,
        fingerprint,
        teacher=teacher.name,
        min_score=config.min_score,
        uncertain_score=config.uncertain_score,
    )
    if store.fingerprint in (None, fingerprint):  # other labels remain in use until these are complete
        use()
    left = [frame for frame in frames if store.annotation_of(frame, by_split[frame.split].fingerprint) is None]
    look = _Looker(store, teacher, tested.teacher, config)
    in_time = takewhile(lambda _: not deadline.has_passed, left)
    progress.start("annotate", len(left))
    try:
        n_threads = n_parallel if look.is_parallel else 1
        for frame, annotation in look_ahead(in_time, look.at, n_threads=n_threads, stop=stop):
            by = by_split[frame.split]
            store.add_annotation(frame, annotation, teacher=by.teacher.name, fingerprint=by.fingerprint)
            progress.advance()
    except TeacherTimeout:
        if not deadline.has_passed:
            raise
    finally:
        progress.finish()
        seconds = spent_before_s + deadline.elapsed_s - started_s
        summary = _summarize(store, by_split, config, seconds)
        store.set_note(NOTE_KEY, summary.to_json())
    use()
    store.export()
    _require_labels(summary, config)
    return summary


class _Looker:
    """Decides how to look at a frame by its split."""

    def __init__(self, store: DatasetStore, teacher: Teacher, for_test: Teacher, config: AnnotationConfig) -> None:
        self._store = store
        self._teacher = teacher
        self._in_tiles = teacher.looking("tiles")
        self._for_test, self._test_in_tiles = for_test, for_test.looking("tiles")
        self._crops_only = config.look == "crops"
        self._background = BackgroundLabels(store, self._in_tiles, config)

    @property
    def is_parallel(self) -> bool:
        """Whether frames may be looked at in any order, and at the same time."""
        return not self._crops_only

    def at(self, record: FrameRecord) -> Annotation:
        return without_hidden(self._look_at(record), record.hidden)

    def _look_at(self, record: FrameRecord) -> Annotation:
        image_bgr = self._store.read_image(record)
        if record.split == "test":
            return self._look_at_test(image_bgr, record)
        if not self._teacher.may_see_whole_frames or (self._crops_only and not self._teacher.may_see_backgrounds):
            return self._teacher.annotate(image_bgr, record.sent, scene=self._scene_of(record))
        if not self._crops_only:
            return self._teacher.annotate(image_bgr, None)
        if record.background is None and len(record.sent) == 0:
            return self._in_tiles.annotate(image_bgr, None)  # otherwise no place would have been looked at
        return self._background.complete(self._teacher.annotate(image_bgr, record.sent), record)

    def _look_at_test(self, image_bgr: ImageArray, record: FrameRecord) -> Annotation:
        if not self._for_test.may_see_whole_frames:
            return self._for_test.annotate(image_bgr, record.regions, scene=self._scene_of(record))
        return self._test_in_tiles.annotate(image_bgr, None)

    def _scene_of(self, record: FrameRecord) -> Scene:
        name = record.background
        return Scene(record.regions, lambda: None if name is None else self._store.read_background(name))


def _in_order(store: DatasetStore) -> list[FrameRecord]:
    ordered: list[FrameRecord] = []
    for split in ("test", "train"):
        records = store.frames(split)
        ordered += [records[i] for i in spread_order(len(records))]
    return ordered


def _seconds_before(store: DatasetStore, fingerprint: str) -> float:
    note = store.note(NOTE_KEY)
    if not isinstance(note, dict) or note.get("fingerprint") != fingerprint:
        return 0.0
    return float(note["seconds"])


def _summarize(
    store: DatasetStore, by_split: Mapping[str, Labeller], config: AnnotationConfig, seconds: float
) -> AnnotationSummary:
    by, tested = by_split["train"], by_split["test"]
    done = {split: [a for _, a in store.labelled(split, one.fingerprint)] for split, one in by_split.items()}
    everything = [*done["train"], *done["test"]]
    scores = np.concatenate([np.zeros(0, np.float32), *(a.detections.scores for a in everything)])
    histogram, _ = np.histogram(scores, bins=N_SCORE_BINS, range=(0.0, 1.0))
    return AnnotationSummary(
        teacher=by.teacher.name,
        fingerprint=by.fingerprint,
        n_frames={split: len(annotations) for split, annotations in done.items()},
        n_left={split: len(store.frames(split)) - len(annotations) for split, annotations in done.items()},
        n_calls=sum(a.n_calls for a in everything),
        n_pixels=sum(a.n_pixels for a in everything),
        boxes_per_class=_count_labels(done["train"], store.labels, config.min_score),
        n_uncertain=sum(int((a.detections.scores < config.min_score).sum()) for a in done["train"]),
        n_negatives=sum(len(a.detections.above(config.min_score)) == 0 for a in done["train"]),
        score_histogram=tuple(int(count) for count in histogram),
        seconds=seconds,
        test_teacher="" if tested.fingerprint == by.fingerprint else tested.teacher.name,
    )


def _count_labels(annotations: Sequence[Annotation], labels: LabelMap, min_score: float) -> dict[str, int]:
    class_ids = [a.detections.above(min_score).class_ids for a in annotations]
    counts = np.bincount(np.concatenate([np.zeros(0, np.int64), *class_ids]), minlength=len(labels))
    return {name: int(count) for name, count in zip(labels, counts, strict=True)}


def _require_labels(summary: AnnotationSummary, config: AnnotationConfig) -> None:
    if sum(summary.boxes_per_class.values()) or not summary.n_frames["train"] + summary.n_left["train"]:
        return
    if not summary.n_frames["train"]:
        raise NoLabelsFound(
            "the deadline passed before any training frame was annotated; allow more time and run again"
        )
    raise NoLabelsFound(
        f"teacher {summary.teacher} found no {', '.join(summary.boxes_per_class)} with a score of at least "
        f"{config.min_score} in {summary.n_frames['train']} training frames ({summary.n_uncertain} boxes below it); "
        "lower annotation.min_score, or choose another teacher or other classes"
    )
