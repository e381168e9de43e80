"""Stage 3: the edge model is fine-tuned on the teacher's labels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_autotuner.config import RunConfig
from edge_autotuner.core import Deadline
from edge_autotuner.core.sampling import evenly_spread
from edge_autotuner.dataset import DatasetStore, LabelledFrame
from edge_autotuner.errors import DatasetError, NoLabelsFound, WeightsError
from edge_autotuner.models.torch_weights import save_network
from edge_autotuner.models.trainable_weights import load_network
from edge_autotuner.pipeline.edge_model import EdgeModel
from edge_autotuner.pipeline.evaluation_result import CANDIDATE, START
from edge_autotuner.pipeline.loop import ANNOTATION, EVALUATION, TRAINING
from edge_autotuner.pipeline.rounds import StudentTraining
from edge_autotuner.pipeline.run_folder import StageRecord
from edge_autotuner.pipeline.session import Prepared, Session
from edge_autotuner.pipeline.stage_results import AnnotationResult, TrainingResult
from edge_autotuner.pipeline.training_identity import settings_fingerprint, take_snapshot, training_fingerprint
from edge_autotuner.pipeline.training_samples import is_kept_for_replay, keep_for_replay, replayed_samples
from edge_autotuner.storage.atomic import make_folder
from edge_autotuner.storage.lock import FolderLock

_CLOSING_S = 0.5  # to write the candidate and the records
_REPLAY_S_PER_FRAME = 0.02  # to offer a frame to the reservoir


@contextmanager
def prepare(session: Session) -> Iterator[Prepared[TrainingResult]]:
    """Open the labels, to fine-tune the edge model and keep the best weights in the run's training folder.

    Raises:
        TrainingError: there is too little to train on, or the loss diverged.
        ConfigError: the edge model does not have the dataset's classes.
    """
    folder, config = session.folder, session.config
    annotated = folder.require(ANNOTATION.name, before=TRAINING.name)
    deadline = session.deadline(TRAINING)
    with DatasetStore.open(folder.dataset) as store, _only_one_in(folder.path / "training"):
        edge = session.edge_model(of_dataset=store.labels)
        use_labels(store, annotated.fingerprint, folder.result(ANNOTATION, before=TRAINING.name), config)
        snapshot = take_snapshot(folder, config, settings_fingerprint(folder, config, edge.sha256))
        fingerprint = training_fingerprint(folder, config, edge.sha256)
        weights = folder.candidate_weights(fingerprint)

        def work() -> TrainingResult:
            training, validation = split_for_validation(store, annotated.fingerprint, config)
            replayed = [] if snapshot is None else replayed_samples(snapshot, store)
            until = time_to_train(deadline, session, n_frames=len(training))
            student = StudentTraining(session, store, edge, annotated, fingerprint, replayed=replayed, deadline=until)
            trained = student.train(training, validation)
            save_network(weights, trained.result.network, edge.labels)
            keep_for_replay(session, store, trained.with_samples(), fingerprint)
            return trained.to_result(
                allowed_s=_allowed_s(config), n_replayed_frames=len(replayed), n_validation_frames=len(validation)
            )

        is_kept = weights.is_file() and is_final(session, fingerprint) and is_kept_for_replay(session, fingerprint)
        yield Prepared(work, fingerprint, is_kept=is_kept)


def use_labels(store: DatasetStore, fingerprint: str, annotated: AnnotationResult, config: RunConfig) -> None:
    """Make sure that the labels in use, which other tools read, are those that a training is given.

    They differ after an interrupted annotation with other settings, or with other thresholds.
    """
    store.use_annotations(
        fingerprint,
        teacher=annotated.numbers.teacher,
        min_score=config.annotation.min_score,
        uncertain_score=config.annotation.uncertain_score,
    )
    store.refresh()


def is_final(session: Session, fingerprint: str) -> bool:
    """Whether a training is done, and would not go on if it were started again.

    A training that a deadline stopped goes on where the settings allow more time than they did then, or any time. The
    same command again does nothing.
    """
    done = session.folder.find_result(TRAINING) if session.is_done(TRAINING, fingerprint) else None
    if done is None or done.stopped_by != "deadline" or done.allowed_s is None:
        return done is not None
    allowed_s = _allowed_s(session.config)
    return allowed_s is not None and allowed_s <= done.allowed_s


def _allowed_s(config: RunConfig) -> float | None:
    """Return the shorter of the deadlines that the settings give a training; None without any."""
    return min((s for s in (config.training.deadline_s, config.deadline_s) if s is not None), default=None)


def time_to_train(deadline: Deadline, session: Session, *, n_frames: int) -> Deadline:
    """Return until when the training proper may last: what follows it in this stage takes a moment, too."""
    if deadline.budget_s is None:
        return deadline
    has_reservoir = session.config.training.replay.folder is not None
    closing_s = _CLOSING_S + (_REPLAY_S_PER_FRAME * n_frames if has_reservoir else 0.0)
    return Deadline(max(deadline.remaining_s - closing_s, 1e-3), session.clock)


@contextmanager
def _only_one_in(folder: Path) -> Iterator[None]:
    """Keep others from training in the same run.

    Raises:
        DatasetError: somebody does.
    """
    make_folder(folder)
    lock = FolderLock(folder)
    try:
        yield
    finally:
        lock.release()


def require_training(session: Session, *, before: str) -> StageRecord:
    """Return the record of the finished training, which must be that of the present settings.

    Raises:
        DatasetError: there is none, or it was done with another edge model or other settings.
    """
    record = session.folder.require(TRAINING.name, before=before)
    if record.fingerprint != training_fingerprint(session.folder, session.config, session.edge_sha256):
        raise DatasetError(
            f"the training in {session.folder.path} used another edge model or other settings; run `edge-autotuner "
            "tune` with the new ones, or use the old ones"
        )
    return record


def split_for_validation(
    store: DatasetStore, fingerprint: str, config: RunConfig
) -> tuple[list[LabelledFrame], list[LabelledFrame]]:
    """Divide the annotated training frames by time; the last ones choose the checkpoint.

    The cut is made where the last `val_fraction` of the frames with labels begins, so that both parts have
    some. Validation frames beyond `max_val_images` are used for neither.

    Raises:
        NoLabelsFound: fewer than two training frames have labels.
    """
    frames = store.labelled("train", fingerprint)
    with_labels = [i for i, (_, a) in enumerate(frames) if (a.detections.scores >= config.annotation.min_score).any()]
    if len(with_labels) < 2:
        raise NoLabelsFound(
            f"{len(with_labels)} of {len(frames)} training frames have labels, but at least 2 are needed; capture "
            "more, lower annotation.min_score, or choose another teacher"
        )
    n_val = max(1, round(len(with_labels) * config.training.val_fraction))
    cut = with_labels[-n_val]
    later = frames[cut:]
    return frames[:cut], [later[i] for i in evenly_spread(len(later), config.training.max_val_images)]


def open_models(session: Session) -> dict[str, EdgeModel]:
    """Return the start model and all candidates of the finished training, by contender name.

    Raises:
        WeightsError: somebody has damaged a file.
    """
    record = session.folder.require(TRAINING.name, before=EVALUATION.name)
    path, edge = session.folder.candidate_weights(record.fingerprint), session.edge_model()
    try:
        network, labels = load_network(path)
    except WeightsError as exc:
        raise WeightsError(f"{exc}; or delete {path} and run `edge-autotuner tune` again") from exc
    return {START: edge, CANDIDATE: EdgeModel(edge.name, network, labels, edge.sha256)}
