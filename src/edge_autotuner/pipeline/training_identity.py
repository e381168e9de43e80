"""What a training is known by, on every machine the same: labels, start, settings and the pictures it replays.

Needs no torch, so that a node can ask for a training that it cannot do itself.
"""

from __future__ import annotations

from typing import Any

from edge_autotuner.config import RunConfig
from edge_autotuner.core.fingerprints import fingerprint_of
from edge_autotuner.dataset.replay import ReplayReservoir
from edge_autotuner.pipeline.loop import ANNOTATION, TRAINING
from edge_autotuner.pipeline.run_folder import RunFolder

_NOT_OF_THE_RESULT: dict[str, Any] = {
    "deadline_s": True,
    "n_threads": True,
    "device": True,
    "replay": {"max_pictures", "max_mb"},
}

_ADDED_LATER = {"repeat_rare": 0.0, "fewer_epochs_above": 0.5}
"""Setting of a training -> the value with which a training is the same as before there was this setting."""


def settings_fingerprint(folder: RunFolder, config: RunConfig, edge_sha256: str) -> str:
    """Return the fingerprint of a training, without its replayed pictures.

    Raises:
        DatasetError: the run is not annotated.
    """
    annotated = folder.require(ANNOTATION.name, before=TRAINING.name)
    n_frames = folder.result(ANNOTATION, before=TRAINING.name).numbers.n_frames
    settings = config.training.model_dump(mode="json", exclude=_NOT_OF_THE_RESULT)
    for name, default in _ADDED_LATER.items():
        if settings[name] == default:
            del settings[name]  # as in versions that did not have it
    if settings["replay"]["folder"] is not None:
        settings["replay"]["folder"] = "a reservoir"  # what is in it counts, not where it is
    thresholds = config.annotation.min_score, config.annotation.uncertain_score
    return fingerprint_of((annotated.fingerprint, n_frames), edge_sha256, config.input_size, settings, thresholds)


def snapshot_of(folder: RunFolder, config: RunConfig, fingerprint: str) -> ReplayReservoir | None:
    """Return where the reservoir's content of a training is, or will be; None without a reservoir.

    Args:
        folder: of the run.
        config: its settings, which name the reservoir.
        fingerprint: what `settings_fingerprint` returned. The first training with it takes the snapshot, every later
            one finds it: a resumed training sees the same pictures.
    """
    reservoir = config.training.replay.folder
    if reservoir is None:
        return None
    return ReplayReservoir(folder.path / "training" / f"replay-{fingerprint_of(fingerprint, str(reservoir))}")


def take_snapshot(folder: RunFolder, config: RunConfig, fingerprint: str) -> ReplayReservoir | None:
    """Copy what the reservoir holds now, unless this training has its snapshot already; return the snapshot.

    Raises:
        DatasetError: the reservoir is damaged, or another process is writing to it for too long.
        StorageError: the snapshot cannot be written.
    """
    snapshot, reservoir = snapshot_of(folder, config, fingerprint), config.training.replay.folder
    if snapshot is None or reservoir is None:
        return None
    return ReplayReservoir(reservoir).snapshot(snapshot.folder)


def training_fingerprint(folder: RunFolder, config: RunConfig, edge_sha256: str) -> str:
    """Return the fingerprint of a training: its settings, with the replay snapshot if there is one.

    Raises:
        DatasetError: the run is not annotated.
    """
    fingerprint = settings_fingerprint(folder, config, edge_sha256)
    snapshot = snapshot_of(folder, config, fingerprint)
    if snapshot is None or not snapshot.exists:
        return fingerprint
    return fingerprint_of(fingerprint, snapshot.digest())
