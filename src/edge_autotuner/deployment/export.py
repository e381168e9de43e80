"""Exports a torch module to ONNX and proves that both give the same answers. Needs the `train` extra."""

from __future__ import annotations

import importlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_autotuner.core.types import FloatArray, SizeWH
from edge_autotuner.errors import MissingDependency, ModelBundleError, WeightsError
from edge_autotuner.models.onnx_detector import open_session
from edge_autotuner.storage.atomic import atomic_write_bytes

if TYPE_CHECKING:
    from torch import nn

INPUT_NAME = "images"
OUTPUT_NAMES = ("boxes", "scores")
_OPSET = 17
_MORE_SEEDS = range(1, 9)  # of noise, where some pictures are left out
_N_DECISIVE = 3
_AS_ROUNDED = np.float32(1 + 1e-6)
_SAME_CHOICE_PX = 0.5  # ten times what may be wrong by rounding; another choice moves boxes by more


@dataclass(frozen=True)
class ExportCheck:
    """How far ONNX Runtime is from torch.

    Attributes:
        max_box_error_px: largest difference of a box corner, pixels of the input; boxes larger than the input
            count relative to it.
        max_score_error: largest difference of a score.
    """

    max_box_error_px: float
    max_score_error: float


def export_onnx(module: nn.Module, input_size_wh: SizeWH, path: Path) -> None:
    """Write a module as an ONNX file with fixed shapes and the weights inside; see `onnx_content`.

    Args:
        module: as `onnx_content` takes it.
        input_size_wh: H and W, pixels.
        path: target file, replaced in one step.

    Raises:
        MissingDependency: torch or onnx is not installed.
        ModelBundleError: the module cannot be exported.
        StorageError: the disk is full or refuses.
    """
    atomic_write_bytes(path, onnx_content(module, input_size_wh))


def onnx_content(module: nn.Module, input_size_wh: SizeWH) -> bytes:
    """Return a module as the content of an ONNX file; the same module gives the same bytes.

    Args:
        module: takes (1, 3, H, W) float32, BGR 0-255, and returns boxes (1, N, 4) in input pixels and scores
            (1, N, C). Exported as in evaluation mode; not changed.
        input_size_wh: H and W, pixels.

    Raises:
        MissingDependency: torch or onnx is not installed.
        ModelBundleError: the module cannot be exported.
    """
    torch, onnx = _required("torch"), _required("onnx")
    device = next((tensor.device for tensor in module.parameters()), torch.device("cpu"))
    example = torch.zeros(1, 3, input_size_wh[1], input_size_wh[0], device=device)
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            # torch 2.13 calls this exporter legacy. The new one (dynamo=True) needs 9 s, not 0.6 s, for YOLOX-nano,
            # warns about torchvision, and writes paths of this machine into the file. Both files run equally fast.
            warnings.simplefilter("ignore", DeprecationWarning)
            # layers of other libraries look at shapes while they run; they are fixed here, and the file is checked
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
            warnings.filterwarnings("ignore", "Constant folding", UserWarning)  # not applied: the file is only longer
            torch.onnx.export(
                module,
                (example,),
                buffer,
                dynamo=False,
                opset_version=_OPSET,
                input_names=[INPUT_NAME],
                output_names=list(OUTPUT_NAMES),
            )
        onnx.checker.check_model(buffer.getvalue(), full_check=True)
    except (RuntimeError, ValueError, TypeError, onnx.checker.ValidationError) as exc:
        raise ModelBundleError(f"{type(module).__name__} cannot be exported to ONNX: {exc}") from exc
    return buffer.getvalue()


def check_export(
    module: nn.Module,
    path: Path,
    input_size_wh: SizeWH,
    *,
    images: Sequence[FloatArray] = (),
    box_tolerance_px: float = 0.05,
    score_tolerance: float = 1e-3,
    is_ordered: bool = True,
) -> ExportCheck:
    """Compare torch and ONNX Runtime on noise, on a drawn scene, and on the given inputs.

    Args:
        module: what was exported.
        path: the ONNX file.
        input_size_wh: of the export, pixels.
        images: further (1, 3, H, W) float32 inputs, for example real frames.
        box_tolerance_px: largest difference of a corner that is allowed.
        score_tolerance: largest difference of a score that is allowed.
        is_ordered: False for a module that chooses its rows by what it sees, the best first. Their order is then not
            compared, and pictures on which rounding alone changes the choice are left out.

    Raises:
        MissingDependency: torch is not installed.
        ModelBundleError: they differ by more than the tolerance, or the file is not what was exported.
    """
    try:
        session = open_session(path, path.name)
    except WeightsError as exc:
        raise ModelBundleError(str(exc)) from exc
    _check_interface(session, input_size_wh, path)
    checks = []
    pictures = [_noise(input_size_wh), _drawn_scene(input_size_wh), *images]
    if not is_ordered:
        pictures = _decisive(module, [*pictures, *(_noise(input_size_wh, seed) for seed in _MORE_SEEDS)], path)
    for image in pictures:
        from_torch, from_onnx = _run_torch(module, image), session.run(list(OUTPUT_NAMES), {INPUT_NAME: image})
        if [a.shape for a in from_torch] != [b.shape for b in from_onnx]:
            shapes = [a.shape for a in from_torch], [b.shape for b in from_onnx]
            raise ModelBundleError(f"{path}: torch gives shapes {shapes[0]}, ONNX Runtime {shapes[1]}")
        checks.append(_compare(from_torch, from_onnx if is_ordered else _in_order_of(from_torch, from_onnx), image))
    check = ExportCheck(max(c.max_box_error_px for c in checks), max(c.max_score_error for c in checks))
    # "not <=" also catches NaN
    if not (check.max_box_error_px <= box_tolerance_px and check.max_score_error <= score_tolerance):
        raise ModelBundleError(
            f"{path} differs from the trained network: boxes by {check.max_box_error_px:.3g} px (allowed "
            f"{box_tolerance_px}), scores by {check.max_score_error:.3g} (allowed {score_tolerance}); export it again"
        )
    return check


def _required(name: str) -> Any:  # noqa: ANN401 (a module)
    try:
        return importlib.import_module(name)
    except ImportError as exc:
        raise MissingDependency(f"export needs {name}: pip install 'edge-autotuner[train]'") from exc


def _check_interface(session: Any, input_size_wh: SizeWH, path: Path) -> None:  # noqa: ANN401 (untyped library)
    width, height = input_size_wh
    inputs = [(node.name, list(node.shape)) for node in session.get_inputs()]
    outputs = tuple(node.name for node in session.get_outputs())
    if inputs != [(INPUT_NAME, [1, 3, height, width])] or outputs != OUTPUT_NAMES:
        raise ModelBundleError(
            f"{path}: expected input {INPUT_NAME} (1, 3, {height}, {width}), got {inputs}, {outputs}"
        )


def _run_torch(module: nn.Module, image: FloatArray) -> list[FloatArray]:
    torch = _required("torch")
    device = next((tensor.device for tensor in module.parameters()), torch.device("cpu"))
    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            return [tensor.cpu().numpy() for tensor in module(torch.from_numpy(image).to(device))]
    finally:
        module.train(was_training)


def _compare(from_torch: Sequence[FloatArray], from_onnx: Sequence[FloatArray], image: FloatArray) -> ExportCheck:
    box_error = _box_error(from_torch[0], from_onnx[0], max(image.shape[2:]))
    return ExportCheck(box_error, _largest(np.abs(from_torch[1] - from_onnx[1])))


def _decisive(module: nn.Module, pictures: Sequence[FloatArray], path: Path) -> list[FloatArray]:
    """Return some pictures on which a module chooses the same rows when its input changes by as much as rounding.

    On a flat picture, or a noisy one, two places may be equal but for rounding; which of them is chosen last changes
    the answers by whole pixels, and says nothing about the export.

    Raises:
        ModelBundleError: there are too few.
    """
    found: list[FloatArray] = []
    for image in pictures:
        answers, again = _run_torch(module, image), _run_torch(module, image * _AS_ROUNDED)
        change = _compare(answers, _in_order_of(answers, again), image)
        if change.max_box_error_px < _SAME_CHOICE_PX:
            found.append(image)
        if len(found) == _N_DECISIVE:
            return found
    if not found:
        raise ModelBundleError(
            f"{path} cannot be compared with the network: on {len(pictures)} pictures, rounding alone changes which "
            "places it attends to; it may be untrained"
        )
    return found


def _in_order_of(a: Sequence[FloatArray], b: Sequence[FloatArray]) -> list[FloatArray]:
    """Return boxes and scores of `b` in the order of the most similar of `a`; as they are where a row lacks a twin."""
    rows_a, rows_b = (np.concatenate([part[0] for part in parts], axis=1) for parts in (a, b))
    nearest = np.array([np.abs(rows_b - row).max(axis=1).argmin() for row in rows_a])
    is_one_to_one = len(np.unique(nearest)) == len(nearest)
    return [part[:, nearest] for part in b] if is_one_to_one else list(b)


def _box_error(a_xyxy: FloatArray, b_xyxy: FloatArray, side_px: int) -> float:
    """Return the largest difference of corners; on noise, boxes may be many times larger than the input."""
    size = np.maximum(np.abs(a_xyxy) / side_px, 1)
    return _largest(np.abs(a_xyxy - b_xyxy) / size)


def _largest(values: FloatArray) -> float:
    return float(values.max()) if values.size else 0.0


def _noise(input_size_wh: SizeWH, seed: int = 0) -> FloatArray:
    shape = (1, 3, input_size_wh[1], input_size_wh[0])
    return np.random.default_rng(seed).uniform(0, 255, shape).astype(np.float32)


def _drawn_scene(input_size_wh: SizeWH) -> FloatArray:
    """Return a sky over a road with dark and bright blocks, and grey padding below: smooth areas and edges."""
    width, height = input_size_wh
    scene = np.empty((height, width, 3), np.float32)
    scene[:] = np.linspace(200, 90, height, dtype=np.float32)[:, None, None]
    scene[height // 2 : height * 3 // 4, width // 8 : width // 4] = (30, 30, 160)
    scene[height // 3 : height * 2 // 3, width // 2 : width * 3 // 4] = (210, 200, 190)
    scene[height * 7 // 8 :] = 114
    return np.ascontiguousarray(scene.transpose(2, 0, 1)[None])
