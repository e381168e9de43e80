"""Finds, downloads and verifies the files of known models.

Search order: the package, the folder of the caller, `$EDGE_AUTOTUNER_DATA/models`, the user's cache. If no hash is
known beforehand, the first one seen is pinned in the cache for all later files of that name.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from edge_autotuner.core.json_limits import load_json
from edge_autotuner.core.progress import NoProgress, Progress
from edge_autotuner.errors import StorageError, WeightsError
from edge_autotuner.models.catalogue import KnownModel, ModelFile, find_model, packaged_weights_folder
from edge_autotuner.models.download import MAX_DOWNLOAD_BYTES, DownloadError, download
from edge_autotuner.storage import file_sha256
from edge_autotuner.storage.atomic import atomic_write_json, make_folder

logger = logging.getLogger(__name__)

DATA_VARIABLE = "EDGE_AUTOTUNER_DATA"
WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".tgz")
"""Of files that hold weights to train from: our own and published ones, official YOLOX, TensorFlow.js."""

_PINS = "pins.json"


def locate(name: str, *, models_dir: Path | None = None) -> Path:
    """Return the verified file of a known model, without using the network.

    Args:
        name: in the catalogue.
        models_dir: folder to search first, after the package.

    Raises:
        ConfigError: the name is unknown.
        WeightsError: there is no file, or one does not have the expected hash.
    """
    return locate_model(find_model(name), models_dir=models_dir)


def locate_model(model: KnownModel, *, models_dir: Path | None = None) -> Path:
    """Return the verified file of a catalogue entry; see `locate`."""
    for file, path in _candidates(model, models_dir):
        if path.is_file():
            _verify(file, path)
            return path
    raise WeightsError(_how_to_get(model))


def pull(name: str, *, models_dir: Path | None = None, progress: Progress | None = None) -> Path:
    """Return the verified file of a known model; download it into the cache if needed.

    Args:
        name: in the catalogue.
        models_dir: folder to search before downloading.
        progress: of the download.

    Raises:
        ConfigError: the name is unknown.
        WeightsError: offline, refused, truncated, too large, or of another hash.
        StorageError: the cache cannot be written.
    """
    return pull_model(find_model(name), models_dir=models_dir, progress=progress)


def pull_model(
    model: KnownModel,
    *,
    models_dir: Path | None = None,
    progress: Progress | None = None,
    max_bytes: int = MAX_DOWNLOAD_BYTES,
    https_only: bool = True,
) -> Path:
    """Return the verified file of a catalogue entry, downloading it if needed; see `pull`."""
    cache = cache_folder()
    for candidate, path in _candidates(model, models_dir):
        if path.is_file() and (path.parent != cache or _is_verified(candidate, path)):
            _verify(candidate, path)
            return path
    file = next((file for file in model.files if file.address), None)
    if file is None or file.address is None:
        raise WeightsError(_how_to_get(model))
    target = cache / file.name
    expected = file.sha256 or _read_pins().get(file.name)
    make_folder(cache)
    try:
        sha256 = download(
            file.address,
            target,
            sha256=expected,
            max_bytes=max_bytes,
            progress=progress or NoProgress(),
            https_only=https_only,
        )
    except DownloadError as exc:
        raise WeightsError(f"cannot download {model.name}: {exc}. {_how_to_place(file, cache)}") from exc
    if expected is None:
        _pin(file, sha256)
    return target


def cache_folder() -> Path:
    """Return the cache folder: `$XDG_CACHE_HOME/edge-autotuner/models`, by default below ~/.cache.

    Raises:
        WeightsError: the user has no home folder and XDG_CACHE_HOME is not set.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if base and Path(base).is_absolute():  # the specification says that relative paths are ignored
        return Path(base) / "edge-autotuner" / "models"
    try:
        return Path.home() / ".cache" / "edge-autotuner" / "models"
    except RuntimeError as exc:
        raise WeightsError("no home folder for the cache; set XDG_CACHE_HOME") from exc


def _candidates(model: KnownModel, models_dir: Path | None) -> Iterator[tuple[ModelFile, Path]]:
    """Yield the paths where a file of the model may be, in search order."""
    if model.is_packaged:
        yield from ((file, packaged_weights_folder() / file.name) for file in model.files)
        return
    data = os.environ.get(DATA_VARIABLE)
    for folder in (models_dir, Path(data) / "models" if data else None, cache_folder()):
        for file in model.files:
            if folder is not None and file.mirror:
                yield file, folder / file.mirror
            if folder is not None:
                yield file, folder / file.name


def _verify(file: ModelFile, path: Path) -> None:
    got = _sha256_of(path)
    expected = file.sha256 or _read_pins().get(file.name)
    if expected is None:
        _pin(file, got)
    elif got != expected:
        raise WeightsError(
            f"{path} is damaged or the wrong file: expected sha256 {expected}, got {got}; delete it and download it "
            "again"
        )


def _is_verified(file: ModelFile, path: Path) -> bool:
    try:
        _verify(file, path)
    except WeightsError as exc:
        logger.warning("%s; downloading it again", exc)
        return False
    return True


def _sha256_of(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as exc:
        raise WeightsError(f"cannot read {path}: {exc.strerror}") from exc


def _read_pins() -> dict[str, str]:
    path = cache_folder() / _PINS
    try:
        pins = load_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise WeightsError(
            f"cannot read the recorded hashes {path}: {exc}; delete the file to record them again"
        ) from exc
    if not isinstance(pins, dict) or not all(isinstance(value, str) for value in pins.values()):
        raise WeightsError(f"{path}: expected file names and hashes; delete the file to record them again")
    return pins


def _pin(file: ModelFile, sha256: str) -> None:
    """Record the hash of a file seen for the first time."""
    path = cache_folder() / _PINS
    try:
        make_folder(path.parent)
        atomic_write_json(path, {**_read_pins(), file.name: sha256}, indent=2)
    except StorageError as exc:
        logger.warning("could not record the hash of %s: %s", file.name, exc)
        return
    logger.warning("no known hash for %s; recorded sha256 %s, which later downloads must match", file.name, sha256)


def _how_to_get(model: KnownModel) -> str:
    if model.is_packaged:
        return (
            f"{model.name}: its weights are missing from this installation; reinstall the package, or choose another "
            "model, e.g. yolox-nano"
        )
    file = next((file for file in model.files if file.address or file.fetched_by), model.files[0])
    pull_command = f"run `edge-autotuner models pull {model.name}`, or " if file.address else ""
    return f"{model.name} is not on this machine: {pull_command}{_how_to_place(file, cache_folder(), lower=True)}"


def _how_to_place(file: ModelFile, folder: Path, *, lower: bool = False) -> str:
    put = "put" if lower else "Put"
    source = f" from {file.address}" if file.address else f" of `{file.fetched_by}`" if file.fetched_by else ""
    sha256 = f" (sha256 {file.sha256})" if file.sha256 else ""
    return f"{put} the file {file.name}{source}{sha256} into {folder}, or into a folder that `models_dir` names"
