"""A model bundle: a folder with everything a camera needs to run a model, and why it was chosen.

    bundle.json           the description of the bundle, in format version 1
    bundle.json.sig       signature of these bytes, where the bundle was signed; see `acceptance`
    model.onnx            the network with decoding inside; ONNX Runtime runs it without torch
    weights.safetensors   the same weights for further training; only hashed here

A bundle appears whole or not at all, and nothing in it is used before its hash has been checked.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge_autotuner.config import FeedingConfig
from edge_autotuner.core.clock import Clock, SystemClock
from edge_autotuner.core.file_names import utf8_json
from edge_autotuner.core.json_fields import FieldError, Fields, unique_keys
from edge_autotuner.core.json_limits import MAX_ITEMS, JsonLimits, check_json, check_json_values, load_json
from edge_autotuner.core.labels import LabelMap
from edge_autotuner.core.operating_point import OperatingPoint
from edge_autotuner.core.printable import one_line
from edge_autotuner.errors import ModelBundleError, WeightsError
from edge_autotuner.models.detector_spec import DetectorSpec
from edge_autotuner.models.onnx_external import check_one_file, check_onnx_file
from edge_autotuner.storage import child_path, file_sha256, is_plain_name, remove_folder
from edge_autotuner.storage.atomic import TEMPORARY_SUFFIX, atomic_write_bytes, make_folder, storage_errors, sync_folder

FORMAT = "edge-autotuner-bundle"
FORMAT_VERSION = 1
DESCRIPTION_FILE = "bundle.json"
SIGNATURE_FILE = "bundle.json.sig"
MODEL_FILE = "model.onnx"
WEIGHTS_FILE = "weights.safetensors"

MAX_DESCRIPTION_BYTES = 4 << 20
_LIMITS = JsonLimits(MAX_DESCRIPTION_BYTES, max_items=100_000, max_depth=32, max_arrays=20_000, max_objects=20_000)
MAX_FILE_BYTES = 1 << 30
_MAX_VALUES = {"operating_point": _LIMITS.max_items}  # seven for each class

_MAX_NAME = 200

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class BundleFile:
    """A file of a bundle: its plain name, size in bytes and hash."""

    name: str
    n_bytes: int
    sha256: str


@dataclass(frozen=True)
class ModelBundle:
    """A bundle on disk.

    Attributes:
        architecture: of the network, for further training.
        metrics: of the evaluation, JSON values.
        promotion: whether it replaced the deployed model, and why; JSON values.
        lineage: of the start and the data, JSON values.
        operating_point: which of the detector's boxes to show; None where it was not measured.
        feeding: how the model wants to be fed; None: with whole frames.
    """

    folder: Path
    name: str
    architecture: str
    detector: DetectorSpec
    metrics: Mapping[str, Any]
    promotion: Mapping[str, Any]
    lineage: Mapping[str, Any]
    created_at: datetime
    model: BundleFile
    weights: BundleFile
    operating_point: OperatingPoint | None = None
    feeding: FeedingConfig | None = None

    @property
    def model_path(self) -> Path:
        """The ONNX file."""
        return child_path(self.folder, self.model.name, error=ModelBundleError)

    @property
    def weights_path(self) -> Path:
        """The weights file."""
        return child_path(self.folder, self.weights.name, error=ModelBundleError)

    def read_model(self) -> bytes:
        """Return the checked content of the ONNX file; raises `ModelBundleError` if it is missing or was changed."""
        return _read_verified(self.folder, self.model)

    def read_weights(self) -> bytes:
        """Return the checked content of the weights file; raises as `read_model`."""
        return _read_verified(self.folder, self.weights)


def write_bundle(
    folder: Path,
    *,
    name: str,
    architecture: str,
    detector: DetectorSpec,
    model: bytes,
    weights: bytes,
    metrics: Mapping[str, Any],
    promotion: Mapping[str, Any],
    lineage: Mapping[str, Any],
    operating_point: OperatingPoint | None = None,
    feeding: FeedingConfig | None = None,
    clock: Clock | None = None,
) -> ModelBundle:
    """Write a new bundle in one step, so that a kill leaves no part of it.

    Raises:
        ModelBundleError: the folder exists, or the model is no ONNX model or keeps weights in another file.
        ValueError: a value cannot be written as JSON, or is NaN or infinite.
        StorageError: the disk is full or refuses.
    """
    check_model_file(model)
    files = {"model": _described(MODEL_FILE, model), "weights": _described(WEIGHTS_FILE, weights)}
    description = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "name": name,
        "architecture": architecture,
        "created_at": (clock or SystemClock()).now().isoformat(),
        "detector": detector.to_json(),
        "files": {role: vars(file) for role, file in files.items()},
        "metrics": metrics,
        "promotion": promotion,
        "lineage": lineage,
        **({"operating_point": operating_point.to_json()} if operating_point else {}),
        **({"feeding": feeding.model_dump(mode="json")} if feeding else {}),
    }
    text = json.dumps(description, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    contents = {MODEL_FILE: model, WEIGHTS_FILE: weights, DESCRIPTION_FILE: utf8_json(text)}
    write_bundle_folder(folder, contents)
    return read_bundle(folder)


def read_bundle(folder: Path) -> ModelBundle:
    """Read and verify a bundle.

    Raises:
        ModelBundleError: it is missing or damaged, a file does not have its hash, the format is unknown, or a
            file name points elsewhere.
    """
    bundle = parse_description(read_description(folder), folder)
    verify_files(bundle)
    return bundle


def read_description(folder: Path) -> bytes:
    """Return the bytes of a bundle's description, which are what a signature signs.

    Raises:
        ModelBundleError: there is none, or it is too large to be one.
    """
    path = folder / DESCRIPTION_FILE
    try:
        with path.open("rb") as file:
            content = file.read(MAX_DESCRIPTION_BYTES + 1)
    except OSError as exc:
        raise ModelBundleError(f"{folder} is not a model bundle: cannot read {path.name}: {exc.strerror}") from exc
    if len(content) > MAX_DESCRIPTION_BYTES:
        raise ModelBundleError(
            f"{path} is larger than {MAX_DESCRIPTION_BYTES >> 20} MB, too large for a bundle's description"
        )
    return content


def parse_description(content: bytes, folder: Path = Path()) -> ModelBundle:
    """Parse a bundle's description; the bundle's files are not read.

    Args:
        content: of bundle.json.
        folder: of the bundle, which need not exist yet.

    Raises:
        ModelBundleError: it is damaged, the format is unknown, or a file name points elsewhere.
    """
    path = folder / DESCRIPTION_FILE
    try:
        check_json(content, _LIMITS)
    except ValueError as exc:
        raise ModelBundleError(f"{path} cannot be used: {exc}") from exc
    try:
        description = load_json(content, parse_constant=_refuse_constant, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as exc:
        raise ModelBundleError(f"{path} is not valid JSON: {exc}") from exc
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ModelBundleError(f"{path} is not a model bundle's description: wrong 'format'")
    for key, value in description.items():
        try:
            check_json_values(value, max_items=_MAX_VALUES.get(key, MAX_ITEMS))
        except ValueError as exc:
            raise ModelBundleError(f"{path} cannot be used: {key!r:.60}: {exc}") from exc
    if description.get("version") != FORMAT_VERSION or isinstance(description["version"], bool):
        raise ModelBundleError(
            f"{path} has format version {description.get('version')!r}, but this installation reads version "
            f"{FORMAT_VERSION}; use the version of edge-autotuner that wrote it, or export the model again"
        )
    return _parsed(folder, description)


def verify_files(bundle: ModelBundle) -> None:
    """Check sizes and hashes of a bundle's files, and that the model needs no other file.

    Raises:
        ModelBundleError: a file is missing, does not have its hash, or the model keeps weights in another file.
    """
    for file in (bundle.model, bundle.weights):
        _verify(bundle.folder, file)
    try:
        check_onnx_file(bundle.model_path)
    except WeightsError as exc:
        raise ModelBundleError(str(exc)) from exc


def check_model_file(content: bytes) -> None:
    """Raise `ModelBundleError` for a file that is no ONNX model, or keeps its weights in another file."""
    try:
        check_one_file(content, MODEL_FILE)
    except WeightsError as exc:
        raise ModelBundleError(str(exc)) from exc


def _described(name: str, content: bytes) -> BundleFile:
    return BundleFile(name, len(content), hashlib.sha256(content).hexdigest())


def write_bundle_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Fill a temporary folder beside the final one, then give it its name.

    Raises:
        ModelBundleError: the folder exists.
        StorageError: the disk is full or refuses.
    """
    make_folder(folder.parent)
    for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.*{TEMPORARY_SUFFIX}"):
        remove_folder(leftover, below=folder.parent)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        make_folder(temporary)
        for file_name, content in contents.items():
            atomic_write_bytes(temporary / file_name, content)
        if folder.exists():
            raise ModelBundleError(f"{folder} already exists, and bundles are never overwritten; choose another name")
        with storage_errors(folder):
            temporary.rename(folder)
            sync_folder(folder.parent)
    except BaseException:
        remove_folder(temporary, below=folder.parent)
        raise


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not a JSON number")


def _parsed(folder: Path, description: Mapping[str, Any]) -> ModelBundle:
    fields = Fields(description, "")
    try:
        files = _parsed_files(fields.inner("files"))
        detector = DetectorSpec.from_json(description.get("detector"))
        return ModelBundle(
            folder=folder,
            name=_name(fields, "name"),
            architecture=_name(fields, "architecture"),
            detector=detector,
            metrics=fields.inner("metrics").values,
            promotion=fields.inner("promotion").values,
            lineage=fields.inner("lineage").values,
            created_at=_time(fields, "created_at"),
            model=files["model"],
            weights=files["weights"],
            operating_point=_operating_point(fields, detector.labels),
            feeding=_feeding(fields),
        )
    except (ModelBundleError, FieldError) as exc:
        raise ModelBundleError(f"{folder / DESCRIPTION_FILE}: {exc}") from exc


def _operating_point(fields: Fields, labels: LabelMap) -> OperatingPoint | None:
    """Return the optional operating point; earlier versions wrote none."""
    return OperatingPoint.from_json(fields.inner("operating_point"), labels) if fields.has("operating_point") else None


def _feeding(fields: Fields) -> FeedingConfig | None:
    """Return how the model wants to be fed; optional, as earlier versions wrote nothing."""
    if not fields.has("feeding"):
        return None
    try:
        return FeedingConfig.model_validate(dict(fields.inner("feeding").values))
    except ValidationError as exc:
        first = exc.errors()[0]
        key = ".".join(map(str, ("feeding", *first["loc"])))
        raise ModelBundleError(f"{one_line(key, 100)}: {first['msg']}") from exc


def _name(fields: Fields, key: str) -> str:
    text = fields.text(key)
    if len(text) > _MAX_NAME:
        raise fields.error(key, f"text of at most {_MAX_NAME} characters")
    return text


def _time(fields: Fields, key: str) -> datetime:
    try:
        time = datetime.fromisoformat(fields.text(key))
    except ValueError as exc:
        raise ModelBundleError(f"{key}: {exc}") from exc
    if time.tzinfo is None:
        raise fields.error(key, "a time with its zone")
    return time


def _parsed_files(fields: Fields) -> Mapping[str, BundleFile]:
    files = {role: _parsed_file(fields.inner(role)) for role in ("model", "weights")}
    if len({DESCRIPTION_FILE, SIGNATURE_FILE, *(file.name for file in files.values())}) < 4:
        raise ModelBundleError(f"files: duplicate name, or a name reserved for {DESCRIPTION_FILE} or {SIGNATURE_FILE}")
    return files


def _parsed_file(fields: Fields) -> BundleFile:
    n_bytes = fields.whole("n_bytes", at_least=1, at_most=MAX_FILE_BYTES)
    file = BundleFile(fields.text("name", may_be_empty=True), n_bytes, fields.text("sha256"))
    if not is_plain_name(file.name):
        raise fields.error("name", "a plain file name")
    if not _SHA256.fullmatch(file.sha256):
        raise fields.error("sha256", "64 hexadecimal digits")
    return file


def _verify(folder: Path, file: BundleFile) -> None:
    """Compare size and hash without holding the file in memory."""
    path = _checked_path(folder, file)
    try:
        _check_hash(path, file, file_sha256(path))
    except OSError as exc:
        raise ModelBundleError(f"cannot read {path}: {exc.strerror}") from exc


def _read_verified(folder: Path, file: BundleFile) -> bytes:
    path = _checked_path(folder, file)
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ModelBundleError(f"cannot read {path}: {exc.strerror}") from exc
    _check_hash(path, file, hashlib.sha256(content).hexdigest())
    return content


def _checked_path(folder: Path, file: BundleFile) -> Path:
    path = child_path(folder, file.name, error=ModelBundleError)
    if path.is_symlink() or not path.is_file():
        raise ModelBundleError(f"{folder} is incomplete: {file.name} is missing or is not a plain file")
    if path.stat().st_size != file.n_bytes:
        raise ModelBundleError(
            f"{path} has {path.stat().st_size} bytes instead of {file.n_bytes}; copy or export the bundle again"
        )
    return path


def _check_hash(path: Path, file: BundleFile, got: str) -> None:
    if got != file.sha256:
        raise ModelBundleError(
            f"{path} was modified: sha256 {got} instead of {file.sha256}; copy or export the bundle again"
        )
