"""Reads the description of a detector in a Hugging Face folder, without loading its weights.

    config.json               layers and classes
    preprocessor_config.json  input size, and how pixels are scaled
    model.safetensors         weights

Only these three files are read. Nothing is downloaded, unpickled or executed.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_autotuner.core.json_fields import FieldError, Fields, parse_json
from edge_autotuner.core.labels import COCO_80, LabelMap
from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import MissingDependency, WeightsError
from edge_autotuner.models.detector_spec import DetectorSpec, Triple

CONFIG_FILE = "config.json"
PIXELS_FILE = "preprocessor_config.json"
WEIGHTS_FILE = "model.safetensors"
ARCHITECTURES = {"rt_detr_v2": "rt-detr-v2", "d_fine": "d-fine"}
"""`model_type` of a configuration -> what we call the architecture."""

DETR_NMS_IOU = 0.8
"""A detector of this kind needs no suppression in theory; at 0.8 only true duplicates go, as for DEIM."""

_MAX_JSON_BYTES = 4 << 20
_BLOCK_BYTES = 1 << 20
# Some configurations name COCO's classes as Pascal VOC or Darknet did.
_COCO_NAME_OF = {
    "motorbike": "motorcycle",
    "aeroplane": "airplane",
    "sofa": "couch",
    "pottedplant": "potted plant",
    "diningtable": "dining table",
    "tvmonitor": "tv",
}


@dataclass(frozen=True)
class PixelScaling:
    """Scaling of pixels: `(pixel * factor - mean) / std`, planes in RGB order.

    Attributes:
        factor: for pixels of 0..255.
        mean: subtracted after scaling.
        std: divided by.
    """

    factor: float = 1 / 255
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class DetectorFolder:
    """A folder with a detector.

    Attributes:
        path: the folder.
        architecture: "rt-detr-v2" or "d-fine".
        labels: its classes; those of COCO with COCO's names.
        input_size_wh: the size it was trained for, pixels.
        pixels: scaling of pixels.
        config: content of `config.json`.
    """

    path: Path
    architecture: str
    labels: LabelMap
    input_size_wh: SizeWH
    pixels: PixelScaling
    config: Mapping[str, Any]

    @property
    def spec(self) -> DetectorSpec:
        """Pre- and post-processing; the detector scales pixels itself."""
        return DetectorSpec(
            self.path.name, self.labels, self.input_size_wh, "stretch", "bgr", "boxes_scores", nms_iou=DETR_NMS_IOU
        )

    def sha256(self) -> str:
        """Return a hash of everything that decides the detector's outputs."""
        digest = hashlib.sha256()
        for name in (CONFIG_FILE, PIXELS_FILE, WEIGHTS_FILE):
            with (self.path / name).open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
        return digest.hexdigest()


def is_detector_folder(path: Path) -> bool:
    """Whether a path is a folder with a model of the transformers library, by its files."""
    return (path / CONFIG_FILE).is_file()


def read_detector_folder(path: Path) -> DetectorFolder:
    """Read the descriptions in a folder, and check that its weights can be loaded.

    Raises:
        WeightsError: a file is missing or damaged, the model is of another kind, or its weights are a pickle.
        MissingDependency: the transformers library is not installed.
    """
    require_transformers()
    config = _read_json(path / CONFIG_FILE)
    model_type = config.values.get("model_type")
    if not isinstance(model_type, str) or model_type not in ARCHITECTURES:
        raise WeightsError(
            f"{path / CONFIG_FILE}: 'model_type' describes a model of type {model_type!r:.60}; "
            f"expected one of {', '.join(ARCHITECTURES)} (RTDetrV2ForObjectDetection, DFineForObjectDetection)"
        )
    _check_weights(path)
    size_wh, pixels = _read_pixels(path / PIXELS_FILE)
    return DetectorFolder(path, ARCHITECTURES[model_type], _labels_of(config, path), size_wh, pixels, config.values)


def require_transformers() -> None:
    """Check that the transformers library and its dependencies for these detectors are installed.

    Raises:
        MissingDependency: one is not.
    """
    missing = [name for name in ("transformers", "scipy") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependency(
            f"detectors of the transformers library need {' and '.join(missing)}: "
            "pip install 'edge-autotuner[train,transformers]'"
        )


def _check_weights(path: Path) -> None:
    if (path / WEIGHTS_FILE).is_file():
        return
    others = sorted(file.name for file in path.iterdir() if file.suffix in {".bin", ".pt", ".pth"})
    if others:
        raise WeightsError(
            f"{path} has {', '.join(others)} but no {WEIGHTS_FILE}: pickled weights can run code and are not opened; "
            "use the model's safetensors version, or save it with save_pretrained"
        )
    raise WeightsError(f"{path} has no {WEIGHTS_FILE}; sharded weights are not supported; save them as one file")


def _read_json(path: Path) -> Fields:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_JSON_BYTES + 1)
        if len(content) > _MAX_JSON_BYTES:
            raise WeightsError(f"{path}: expected an object with keys, of at most {_MAX_JSON_BYTES >> 20} MB")
        return Fields(parse_json(content), "")
    except OSError as exc:
        raise WeightsError(f"cannot read {path}: {exc.strerror}; copy the whole folder of the model") from exc
    except FieldError as exc:
        raise WeightsError(f"{path}: {exc}") from exc
    except ValueError as exc:
        raise WeightsError(f"{path} is not valid JSON: {exc}") from exc


def _labels_of(config: Fields, path: Path) -> LabelMap:
    where = path / CONFIG_FILE
    names = config.values.get("id2label")
    if not isinstance(names, dict) or not names or set(names) != {str(i) for i in range(len(names))}:
        raise WeightsError(f"{where}: id2label must name the classes 0, 1, 2, ...")
    try:
        by_id = Fields(names, "id2label")
        return LabelMap(tuple(_coco_name(by_id.text(str(i))) for i in range(len(names))))
    except FieldError as exc:
        raise WeightsError(f"{where}: {exc}") from exc
    except ValueError as exc:
        raise WeightsError(f"{where}: id2label: {exc}") from exc


def _coco_name(name: str) -> str:
    """Return COCO's name of a class in any spelling; other names stay unchanged."""
    plain = name.strip().lower()
    known = _COCO_NAME_OF.get(plain, plain)
    return known if known in COCO_80 else name


def _read_pixels(path: Path) -> tuple[SizeWH, PixelScaling]:
    """Return input size and scaling of pixels."""
    values = _read_json(path)
    size = values.values.get("size")
    if not isinstance(size, dict) or not {"width", "height"} <= set(size):
        raise WeightsError(f"{path}: expected a size of fixed height and width, got {size!r:.80}")
    try:
        sides = Fields(size, "size")
        size_wh = sides.whole("width", at_least=1), sides.whole("height", at_least=1)
        if values.has("do_pad") and values.flag("do_pad"):
            raise WeightsError(f"{path}: do_pad is not supported: pictures must fill the whole input")
        return size_wh, _read_scaling(values)
    except FieldError as exc:
        raise WeightsError(f"{path}: {exc}") from exc


def _read_scaling(values: Fields) -> PixelScaling:
    factor = 1.0
    if values.flag("do_rescale", default=True):
        factor = values.number("rescale_factor", default=1 / 255)
        if factor <= 0:
            raise values.error("rescale_factor", "positive")
    if not values.flag("do_normalize", default=False):
        return PixelScaling(factor)
    mean, std = (_triple(values, key) for key in ("image_mean", "image_std"))
    if min(std) <= 0:
        raise values.error("image_std", "positive")
    return PixelScaling(factor, mean, std)


def _triple(values: Fields, key: str) -> Triple:
    red, green, blue = values.numbers(key, 3)
    return red, green, blue
