"""Annotated runs with made-up pictures, as they are described for a training elsewhere; nothing is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge_autotuner.config import RunConfig
from edge_autotuner.core import CaptureEvent
from edge_autotuner.dataset.replay import ReplayReservoir
from edge_autotuner.pipeline.remote_training.run_files import describe_run
from edge_autotuner.pipeline.replay_offers import add_dataset
from edge_autotuner.pipeline.run_folder import RunFolder
from edge_autotuner.wire.run_description import RunDescription, parse_description
from support.runs.dataset_folders import add_frame, annotation, new_store
from support.runs.stage_samples import annotation_result, capture_result, record_of

RAW, LABELS = "aa" * 8, "bb" * 8
PERSON, CAR = (1, 2, 20.25, 30, 0.9, 0), (10, 10, 30, 30.1, 0.8, 1)


def write_run(folder: Path) -> RunFolder:
    """Make a run of three training frames and a test frame, captured and annotated."""
    with new_store(folder / "dataset") as store:
        name = store.add_background(np.full((24, 32), 90, np.uint8))
        records = [add_frame(store, index, background=name) for index in (2, 4, 6)]
        records.append(add_frame(store, 90, "test", sent_xyxy=np.zeros((0, 4), np.float32)))
        store.add_event(CaptureEvent("scene changed", 0.5, None, "the light went on"))
        for fingerprint, rows in ((RAW, (PERSON, CAR)), (LABELS, (CAR,))):
            store.use_annotations(fingerprint, teacher="t", min_score=0.3, uncertain_score=0.1)
            for record in records:
                store.add_annotation(record, annotation(*rows), teacher="t", fingerprint=fingerprint)
    run = RunFolder(folder)
    run.finish("capture", record_of(capture_result("/films/gate.mp4"), "cc" * 8))
    run.finish("annotation", record_of(annotation_result(fingerprint=RAW), LABELS))
    return run


def write_reservoir(folder: Path) -> ReplayReservoir:
    """Make a reservoir of two pictures of another scene."""
    with new_store(folder / "other") as store:
        for index in (1, 3):
            add_frame(store, index + 100)
            store.add_annotation(store.frames()[-1], annotation(PERSON), teacher="t", fingerprint="f")
    add_dataset(folder / "reservoir", folder / "other")
    return ReplayReservoir(folder / "reservoir")


def described(folder: Path, **config: Any) -> tuple[RunDescription, dict[str, bytes], bytes]:
    """Return a run's description, the contents by their hash, and the description's text."""
    text, files = describe_run(write_run(folder / "run"), RunConfig(**config), replay=write_reservoir(folder))
    return parse_description(text), {sha256: path.read_bytes() for sha256, path in files.items()}, text
