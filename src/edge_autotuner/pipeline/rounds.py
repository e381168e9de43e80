"""Trains a student in two rounds: on the teacher's labels, and on labels that the student has helped to improve.

The second round chooses its checkpoint by improved labels, too. The student that helped to make them does not compete:
it would choose itself.
"""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edge_autotuner.annotation import RegionTeacher, look_again, with_grid_of
from edge_autotuner.annotation.ahead import n_cores, threads_each
from edge_autotuner.core import Annotation, Deadline
from edge_autotuner.core.fingerprints import fingerprint_of
from edge_autotuner.dataset import DatasetStore, FrameRecord, LabelledFrame
from edge_autotuner.dataset.state import AnnotationRun
from edge_autotuner.errors import DeadlineTooShort, TrainingDiverged
from edge_autotuner.models.torch_weights import network_bytes, save_network
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.pipeline.edge_model import EdgeModel
from edge_autotuner.pipeline.loop import ANNOTATION, TRAINING
from edge_autotuner.pipeline.run_folder import StageRecord
from edge_autotuner.pipeline.session import Session
from edge_autotuner.pipeline.stage_results import Epoch, SecondLook, TrainingResult
from edge_autotuner.pipeline.training_samples import make_samples
from edge_autotuner.pipeline.validation import Validation
from edge_autotuner.training import TrainingSample, TuningResult, ValidationCut, load_best, tune
from edge_autotuner.training.schedule import MIN_EPOCHS, epochs_worthwhile

BEST_BEFORE_DIVERGENCE = "best-before-divergence.safetensors"
_STUDENT = "student"
_LOOK_SHARE = 0.3  # of the time that is left after the first round

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedStudent:
    """What came out of all rounds together.

    Attributes:
        result: of the last round.
        labelled: the training frames with the labels of the last round.
        samples: the same, as the training was given them.
        earlier: result of the round before, if there was one.
        look: what the second look changed; None without one.
    """

    result: TuningResult[TrainableNetwork]
    labelled: list[LabelledFrame]
    samples: list[TrainingSample]
    earlier: TuningResult[TrainableNetwork] | None = None
    look: SecondLook | None = None

    @property
    def n_labels(self) -> int:
        """Labels in the training frames."""
        return sum(len(sample.boxes_xyxy) for sample in self.samples)

    def with_samples(self) -> list[tuple[FrameRecord, Annotation, TrainingSample]]:
        """Return the training frames, each with its labels and its sample."""
        return [(record, found, sample) for (record, found), sample in zip(self.labelled, self.samples, strict=True)]

    def to_result(self, *, allowed_s: float | None, n_replayed_frames: int, n_validation_frames: int) -> TrainingResult:
        """Return the stage's result; epochs are counted across both rounds."""
        rounds = [self.earlier, self.result] if self.earlier else [self.result]
        n_before = self.earlier.history[-1].epoch if self.earlier else 0
        epochs = [*rounds[0].history]
        epochs += [replace(epoch, epoch=epoch.epoch + n_before) for one in rounds[1:] for epoch in one.history[1:]]
        return TrainingResult(
            layers=self.result.layers,
            best_epoch=self.result.best_epoch + n_before,
            best_val_ap=self.result.best_val_ap,
            stopped_by=self.result.stopped_by,
            n_steps=sum(one.n_steps for one in rounds),
            n_steps_wanted=sum(one.n_steps_wanted for one in rounds),
            n_parameters=self.result.n_parameters,
            n_training_frames=len(self.labelled),
            history=tuple(Epoch(**asdict(epoch)) for epoch in epochs),
            second_look=self.look,
            allowed_s=allowed_s,
            n_replayed_frames=n_replayed_frames,
            n_validation_frames=n_validation_frames,
            seconds=sum(one.seconds for one in rounds),
        )


@dataclass
class StudentTraining:
    """One training of a run, in one round or two.

    Attributes:
        session: settings, folder, clock and progress.
        store: the annotated dataset.
        edge: the model to start from.
        annotated: record of the annotation.
        fingerprint: of the training.
        replayed: pictures of the past, which are shown in both rounds.
        deadline: until when everything must be over.
    """

    session: Session
    store: DatasetStore
    edge: EdgeModel
    annotated: StageRecord
    fingerprint: str
    replayed: Sequence[TrainingSample]
    deadline: Deadline

    def __post_init__(self) -> None:
        annotated = self.session.folder.result(ANNOTATION, before=TRAINING.name)
        self._said, self._refinement = annotated.numbers, annotated.refinement
        self._config = self.session.config
        self._folder = self.session.folder.training(self.fingerprint)

    def train(self, training: Sequence[LabelledFrame], validation: Sequence[LabelledFrame]) -> TrainedStudent:
        """Train on these frames, and choose the checkpoint by those.

        Raises:
            TrainingError: there is nothing to train on, or too little time.
            TrainingDiverged: the loss became NaN or infinite; the message says where the best weights are.
        """
        settings, n_epochs = self._config.training.second_look, self._count_epochs(validation)
        n_first = min(max(round(settings.after * n_epochs), 1), n_epochs - 1)
        if not settings.enabled or n_first == 0:
            return self._round("only", self.edge.network, training, validation, n_epochs, self.deadline)
        try:
            until_look = self._share_of_time(settings.after)
            first = self._round("first", self.edge.network, training, validation, n_first, until_look)
        except DeadlineTooShort as exc:
            logger.warning("no time for a second look; training in one round: %s", exc)
            return self._round("only", self.edge.network, training, validation, n_epochs, self.deadline)
        improved = self._look_again(first.result.network)
        if not improved:
            logger.warning("no time was left for a second look; the student learned from the teacher's labels only")
            return _cut_short(first)
        better = _with_labels(training, improved), _with_labels(validation, improved)
        try:
            second = self._round("second", first.result.network, *better, n_epochs - n_first, self.deadline)
        except DeadlineTooShort as exc:
            logger.warning("second look failed; keeping the first round's student: %s", exc)
            self._export_labels("first", training, validation)
            return _cut_short(first)
        if second.result.best_epoch < 1:
            logger.warning("second look discarded: no time was left to validate it")
            self._export_labels("first", training, validation)
            return _cut_short(first)
        look = SecondLook(
            n_frames=len(improved),
            n_labels_before=first.n_labels,
            n_labels_after=second.n_labels,
            after_epoch=first.result.history[-1].epoch,
        )
        return replace(second, earlier=first.result, look=look)

    def _count_epochs(self, validation: Sequence[LabelledFrame]) -> int:
        """Return the number of epochs of all rounds; fewer than configured for a good start model."""
        training = self._config.training
        if training.n_epochs <= MIN_EPOCHS or training.fewer_epochs_above == 1:
            return training.n_epochs
        try:
            start_ap = self._validation(validation, self.deadline)(self.edge.network)
        except ValidationCut:
            return training.n_epochs
        n_epochs = epochs_worthwhile(training, start_ap)
        if n_epochs < training.n_epochs:
            logger.info("start model: validation AP %.3f; %d epochs of %d", start_ap, n_epochs, training.n_epochs)
        return n_epochs

    def _validation(self, frames: Sequence[LabelledFrame], deadline: Deadline) -> Validation:
        return Validation(self.store, frames, self.edge, self._config, deadline)

    def _round(
        self,
        name: str,
        start: TrainableNetwork,
        training: Sequence[LabelledFrame],
        validation: Sequence[LabelledFrame],
        n_epochs: int,
        deadline: Deadline,
    ) -> TrainedStudent:
        config, folder = self._config, self._folder / name
        fingerprint = fingerprint_of(self.fingerprint, name, _hash_of(start, self.edge))
        samples = make_samples(config, self.store, training)
        self._export_labels(name, training, validation)
        try:
            result = tune(
                start,
                [*samples, *self.replayed],
                config.training.model_copy(update={"n_epochs": n_epochs}),
                input_size_wh=config.input_size,
                validate=self._validation(validation, deadline),
                folder=folder,
                fingerprint=fingerprint,
                deadline=deadline,
                progress=self.session.progress,
                previous=self.edge.network,
                may_keep_start=name != "second",
            )
        except TrainingDiverged as exc:
            raise TrainingDiverged(f"{exc}{self._keep_best(folder, fingerprint)}") from exc
        return TrainedStudent(result, list(training), samples)

    def _export_labels(self, name: str, training: Sequence[LabelledFrame], validation: Sequence[LabelledFrame]) -> None:
        """Write what this round is given, for other tools."""
        annotation, of_teacher = self._config.annotation, self._said.teacher
        is_second = name == "second"
        run = AnnotationRun(
            f"{of_teacher} + {_STUDENT}" if is_second else of_teacher,
            fingerprint_of(self.fingerprint, name) if is_second else self.annotated.fingerprint,
            annotation.min_score,
            annotation.uncertain_score,
        )
        parts = (("train", training), ("val", validation))
        self.store.export_training([(r, a, split) for split, part in parts for r, a in part], run)

    def _share_of_time(self, share: float) -> Deadline:
        """Return a deadline for the part that begins now and may take this share of what is left."""
        deadline = self.deadline
        if deadline.budget_s is None:
            return deadline
        return Deadline(max(deadline.remaining_s * share, 1e-3), self.session.clock)

    def _look_again(self, network: TrainableNetwork) -> dict[tuple[str, int], Annotation]:
        """Return better labels by frame; of all frames, unless time runs out."""
        annotation = with_grid_of(self.store, self._config.annotation)
        student = replace(self.edge, name=_STUDENT, network=network, sha256=_hash_of(network, self.edge))
        raw = self._said.fingerprint
        size = annotation.zoom_input
        path = self._folder / f"student-{fingerprint_of(student.sha256, size)}.onnx"
        n_parallel = n_cores(self._config.training.n_threads)
        n_threads = threads_each(self._config.training.n_threads, n_parallel)
        detector = student.as_detector(size, path, min_score=annotation.uncertain_score, n_threads=n_threads)
        labelled = look_again(
            self.store,
            RegionTeacher(detector, annotation, labels=self.edge.labels, name=_STUDENT),
            annotation,
            teacher=self._said.teacher,
            raw_fingerprint=raw,
            fingerprint=fingerprint_of("second look", raw, student.sha256, size),
            deadline=self._share_of_time(_LOOK_SHARE),
            progress=self.session.progress,
            n_parallel=n_parallel,
            dropped=[one.name for one in self._refinement.dropped] if self._refinement else (),
        )
        return {record.key: found for record, found in labelled}

    def _keep_best(self, folder: Path, fingerprint: str) -> str:
        """Write the best weights of an unfinished round as a model file; return a sentence that says where."""
        network = copy.deepcopy(self.edge.network)
        state = load_best(folder, fingerprint, network)
        if state is None:
            return ""
        path = self._folder / BEST_BEFORE_DIVERGENCE
        save_network(path, network, self.edge.labels)
        if state.best_epoch < 0:
            return f"; those that this round began with are in {path}"
        return f"; those of epoch {state.best_epoch} (validation AP {state.best_val_ap:.3f}) are in {path}"


def _cut_short(first: TrainedStudent) -> TrainedStudent:
    """Return the first round's outcome as that of a training that more time would continue."""
    return replace(first, result=replace(first.result, stopped_by="deadline"))


def _with_labels(frames: Sequence[LabelledFrame], labels: Mapping[tuple[str, int], Annotation]) -> list[LabelledFrame]:
    return [(record, labels.get(record.key, annotation)) for record, annotation in frames]


def _hash_of(network: TrainableNetwork, edge: EdgeModel) -> str:
    return hashlib.sha256(network_bytes(network, edge.labels)).hexdigest()
