"""Collects the batches of a camera, one after the other, with pauses between them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from edge_autotuner.capture import BatchCollector, EventLog, redact
from edge_autotuner.capture.live_progress import LiveProgress
from edge_autotuner.config import RunConfig
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.core import Clock, Detector, Frame, FrameSource, MotionResult, Observation
from edge_autotuner.core.fingerprints import fingerprint_of
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.dataset.pictures import PictureTreatment
from edge_autotuner.errors import ConfigError, DatasetError, ModelBundleError, StorageError
from edge_autotuner.node.camera_folder import BatchFolder, CameraFolder
from edge_autotuner.node.deployed_model import DeployedModel
from edge_autotuner.node.observations import RateLimit
from edge_autotuner.pipeline.forgetting import forget_pictures
from edge_autotuner.pipeline.loop import CAPTURE
from edge_autotuner.pipeline.privacy import needs_hiding_model, open_ready_filter, stored_settings
from edge_autotuner.pipeline.run_folder import StageRecord
from edge_autotuner.pipeline.stage_results import CaptureResult
from edge_autotuner.storage import free_bytes

logger = logging.getLogger(__name__)

_MB = 1e6
_LOOK_AT_DISK_EVERY_S = 10.0
_TRY_EVERY_S = 1.0  # to begin a batch


class CameraCollector:
    """Observes one camera, and gives its frames to the current batch.

    A full disk stops the collecting until there is space again; it never stops the camera. After an unexpected error
    the batch is closed; the next frame opens it again.

    Args:
        address: of its source, for the records.
        node: when a batch is complete, and how much disk to keep free.
        model: the deployed one: its classes are the batch's, and scores ask it.

    Attributes:
        problem: why nothing is collected although it should be; None if all is well.
    """

    def __init__(
        self,
        folder: CameraFolder,
        address: str,
        run: RunConfig,
        node: NodeConfig,
        *,
        model: DeployedModel,
        clock: Clock,
    ) -> None:
        self._folder, self._address, self._run, self._node = folder, address, run, node
        self._model, self._clock = model, clock
        self._events = EventLog()  # waits for the batch that is open, or for the next one
        self._source: FrameSource | None = None
        self._open: _OpenBatch | None = None
        self._disk_limit, self._try_limit = RateLimit(1 / _LOOK_AT_DISK_EVERY_S), RateLimit(1 / _TRY_EVERY_S)
        self._pause_of: str | None = None  # end of the last batch, and when this process learned of it
        self._pause_since_s = 0.0
        self.problem: str | None = None

    @property
    def state(self) -> dict[str, object]:
        """Size of the open batch, JSON values; empty between two batches."""
        if self._open is None:
            return {}
        collector = self._open.collector
        return {"batch": self._open.batch.name, "n_train": collector.n_train, "n_test": collector.n_test}

    @property
    def needs_motion(self) -> bool:
        """Whether a batch is open."""
        return self._open is not None

    def begin_source(self, source: FrameSource) -> None:
        """Take the frames from here on as those of a source that was just opened."""
        self._source = source

    def observe(self, observation: Observation) -> None:
        """Give the next frame to the batch; begin one if it is time to.

        A frame without motion is left out: the gate failed, or no batch is open and it rests.
        """
        for event in observation.events:
            self._events.add(event)
        if observation.motion is None or self._source is None or self._disk_is_full(observation.frame.time_s):
            return
        try:
            self._collect(observation.frame, observation.motion, self._source)
        except (StorageError, ConfigError, ModelBundleError) as exc:
            self._complain(str(exc))
            self.close()
        except Exception:
            self.close()
            raise

    def finish_source(self) -> None:
        """Complete the batch at the end of a recording, if it can be learned from."""
        if self._open is not None and self._source is not None and self._open.collector.n_test:
            self._complete(self._open, self._source)
        self.close()

    def close(self) -> None:
        """Close the batch's files; the batch continues later."""
        if self._open is not None:
            self._open.store.close()
            self._open = None

    def progress(self) -> LiveProgress:
        """Return where on the camera's time line an interrupted batch continues."""
        batch = self._folder.collecting()
        if batch is None or not batch.run.dataset.is_dir():
            return LiveProgress()
        try:
            with DatasetStore.open(batch.run.dataset) as store:
                return LiveProgress.of(store)
        except DatasetError:  # nothing was written yet
            return LiveProgress()

    def _collect(self, frame: Frame, motion: MotionResult, source: FrameSource) -> None:
        self._give_up_if_old()
        if self._open is None and self._try_limit.is_due(frame.time_s):  # asks the disk
            self._open = self._begin(source)
        if self._open is not None:
            self._open.collector.see(frame, motion)
            if self._open.collector.is_complete:
                self._complete(self._open, source)

    def _give_up_if_old(self) -> None:
        """Delete a batch that is still incomplete after `keep_waiting_s`, counted in watched time, not by the clock."""
        if self._open is None or self._open.collector.watched_s <= self._node.storage.keep_waiting_s:
            return
        batch, watched = self._open.batch, timedelta(seconds=self._open.collector.watched_s)
        logger.warning(
            "%s: deleting the pictures of batch %s, which is NOT complete after %s of watching "
            "(storage.keep_waiting_s)",
            self._folder.path.name,
            batch.name,
            watched,
        )
        self.close()
        forget_pictures(batch.run)

    def _begin(self, source: FrameSource) -> _OpenBatch | None:
        model = self._model.detector
        if model is None:
            return None
        batch = self._folder.collecting()
        if batch is None:
            if self._is_pause():
                return None
            batch = self._folder.new_batch()
        treatment = None
        if self._run.privacy.treats_stored_pictures:
            if needs_hiding_model(self._run, self._folder.path):
                self._complain("the model for privacy.hide_classes is not available yet")
                return None
            treatment = open_ready_filter(self._run, self._folder.path, n_threads=self._node.detect.n_threads)
        return _OpenBatch(
            batch,
            source,
            model,
            run=self._run,
            node=self._node,
            treatment=treatment,
            clock=self._clock,
            events=self._events,
        )

    def _is_pause(self) -> bool:
        """Whether it is too early for the next batch."""
        last = self._folder.batches()[-1:]
        closed_at = last[0].closed_at if last else None
        if closed_at is None:
            return False
        pause_s = self._node.batch.pause_s
        if pause_s is None:
            return True
        if self._pause_of != closed_at:
            self._pause_of, self._pause_since_s = closed_at, self._clock.monotonic_s()
        by_wall_s = (self._clock.now() - datetime.fromisoformat(closed_at)).total_seconds()
        here_s = self._clock.monotonic_s() - self._pause_since_s
        return max(by_wall_s, here_s) < pause_s  # setting the clock back makes no pause longer

    def _complete(self, opened: _OpenBatch, source: FrameSource) -> None:
        opened.record(self._address, source, self._clock)
        logger.info("%s: batch %s is complete", self._folder.path.name, opened.batch.name)
        self.close()

    def _disk_is_full(self, now_s: float) -> bool:
        """Whether too little space is left; the disk is asked every few seconds."""
        if not self._disk_limit.is_due(now_s):
            return self.problem is not None
        free_mb = free_bytes(_existing(self._folder.path)) / _MB
        if free_mb < self._node.storage.min_free_mb:
            self._complain(f"{free_mb:.0f} MB free, storage.min_free_mb is {self._node.storage.min_free_mb:.0f}")
            return True
        if self.problem is not None:
            logger.warning("%s: collecting again", self._folder.path.name)
        self.problem = None
        return False

    def _complain(self, problem: str) -> None:
        if self.problem is None:
            logger.error("%s: not collecting: %s", self._folder.path.name, problem)
        self.problem = problem


class _OpenBatch:
    """A batch that is being filled."""

    def __init__(
        self,
        batch: BatchFolder,
        source: FrameSource,
        model: Detector,
        *,
        run: RunConfig,
        node: NodeConfig,
        treatment: PictureTreatment | None,
        clock: Clock,
        events: EventLog,
    ) -> None:
        self.batch = batch
        self._settings = {
            **run.capture.model_dump(mode="json", exclude={"deadline_s", "stream"}),
            **stored_settings(run),
            "batch": node.batch.model_dump(mode="json", exclude={"trigger"}),  # an open batch of version 0.1 continues
        }
        self.store = _open_store(
            batch,
            lambda: DatasetStore.create(
                batch.run.dataset,
                source=source.info,
                labels=model.labels,
                settings=self._settings,
                treatment=treatment,
                clock=clock,
            ),
            clock,
        )
        self.collector = BatchCollector(source, self.store, run.capture, node.batch, events=events, student=model)

    def record(self, address: str, source: FrameSource, clock: Clock) -> None:
        """Write that the batch is collected, as the capture stage of a run does."""
        self.store.export()
        collected = self.collector.summary()
        fingerprint = fingerprint_of(source.info.sha256, self._settings, self.store.labels.names, self.batch.name)
        result = CaptureResult(collected, redact(address)).to_json()
        record = StageRecord(fingerprint, collected.watched_s, clock.now().isoformat(), result)
        self.batch.run.finish(CAPTURE.name, record)


def _open_store(batch: BatchFolder, create: Callable[[], DatasetStore], clock: Clock) -> DatasetStore:
    """Start the batch's dataset, or continue it; move one with other settings aside."""
    folder = batch.run.dataset
    try:
        return create()
    except DatasetError as exc:
        aside = folder.with_name(f"dataset-until-{clock.now():%Y%m%dT%H%M%S}")
        logger.warning("batch %s starts again; its frames so far are kept in %s: %s", batch.name, aside.name, exc)
        folder.rename(aside)
        return create()


def _existing(path: Path) -> Path:
    """Return a folder, or the first one above it that exists."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
