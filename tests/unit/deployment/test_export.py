"""Exported files hold the same function as the torch module, and nothing of the machine that made them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from edge_autotuner.core import LabelMap
from edge_autotuner.deployment import check_export, export, export_onnx
from edge_autotuner.errors import MissingDependency, ModelBundleError
from edge_autotuner.models import DecodedYolox, DetectorSpec, OnnxDetector, Yolox
from helpers import REPOSITORY

SIZE_WH = (48, 32)


class TinyDetector(nn.Module):
    """One convolution; six cells with a box and two scores each."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(3, 6, 16, 16)
        self.dropout = nn.Dropout(0.5)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.dropout(self.conv(images / 255)).flatten(2).transpose(1, 2)  # (1, 6, 6)
        return maps[..., :4] * 30, maps[..., 4:].sigmoid()


def test_torch_and_onnx_runtime_agree(tmp_path: Path) -> None:
    module = TinyDetector().train()
    export_onnx(module, SIZE_WH, tmp_path / "m.onnx")
    check = check_export(module, tmp_path / "m.onnx", SIZE_WH)
    assert check.max_box_error_px < 1e-3
    assert check.max_score_error < 1e-5
    assert module.training  # left as it was; the export is in evaluation mode, or dropout would differ


def test_the_file_has_fixed_shapes_and_names_and_its_weights_inside(tmp_path: Path) -> None:
    export_onnx(TinyDetector(), SIZE_WH, tmp_path / "m.onnx")
    graph = onnx.load(tmp_path / "m.onnx", load_external_data=False).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert shapes == {"images": [1, 3, 32, 48], "boxes": [1, 6, 4], "scores": [1, 6, 2]}
    assert not any(tensor.external_data for tensor in graph.initializer)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_the_same_module_gives_the_same_bytes_without_paths(tmp_path: Path) -> None:
    export_onnx(TinyDetector(), SIZE_WH, tmp_path / "a.onnx")
    export_onnx(TinyDetector(), SIZE_WH, tmp_path / "b.onnx")
    content = (tmp_path / "a.onnx").read_bytes()
    assert content == (tmp_path / "b.onnx").read_bytes()
    assert str(REPOSITORY).encode() not in content
    assert b".py" not in content


def test_weights_of_another_training_are_found_out(tmp_path: Path) -> None:
    export_onnx(TinyDetector(seed=0), SIZE_WH, tmp_path / "m.onnx")
    with pytest.raises(ModelBundleError, match=r"m.onnx differs from the trained network: boxes by"):
        check_export(TinyDetector(seed=1), tmp_path / "m.onnx", SIZE_WH)


def test_not_a_number_is_found_out(tmp_path: Path) -> None:
    module = TinyDetector()
    with torch.no_grad():
        module.conv.weight[4:] = float("nan")
    export_onnx(module, SIZE_WH, tmp_path / "m.onnx")
    with pytest.raises(ModelBundleError, match="scores by nan"):
        check_export(module, tmp_path / "m.onnx", SIZE_WH)


def test_given_pictures_are_compared_too(tmp_path: Path) -> None:
    """A module that differs only beyond what drawn pictures hold."""

    class Thresholded(TinyDetector):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            boxes, scores = super().forward(images)
            return boxes + 100 * (images.max() > 300), scores

    export_onnx(TinyDetector(), SIZE_WH, tmp_path / "m.onnx")
    check_export(Thresholded(), tmp_path / "m.onnx", SIZE_WH)
    bright = np.full((1, 3, 32, 48), 400, np.float32)
    with pytest.raises(ModelBundleError, match="differs from the trained network"):
        check_export(Thresholded(), tmp_path / "m.onnx", SIZE_WH, images=[bright])


def test_a_file_of_another_size_or_kind_is_refused(tmp_path: Path) -> None:
    export_onnx(TinyDetector(), SIZE_WH, tmp_path / "m.onnx")
    with pytest.raises(ModelBundleError, match=r"expected input images \(1, 3, 64, 64\)"):
        check_export(TinyDetector(), tmp_path / "m.onnx", (64, 64))
    (tmp_path / "bad.onnx").write_bytes(b"bad")
    with pytest.raises(ModelBundleError, match="is not a usable ONNX model"):
        check_export(TinyDetector(), tmp_path / "bad.onnx", SIZE_WH)


def test_a_module_that_cannot_be_exported_leaves_the_old_file(tmp_path: Path) -> None:
    class Impossible(nn.Module):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return torch.linalg.lstsq(images[0, 0], images[0, 1]).solution[None], images

    (tmp_path / "m.onnx").write_bytes(b"old")
    with pytest.raises(ModelBundleError, match="Impossible cannot be exported to ONNX"):
        export_onnx(Impossible(), SIZE_WH, tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == b"old"


def test_without_torch_the_install_command_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = TinyDetector()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependency, match=r"needs torch: pip install 'edge-autotuner\[train\]'"):
        export_onnx(module, SIZE_WH, tmp_path / "m.onnx")


def test_a_yolox_runs_as_a_bundle_would_run_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = DecodedYolox(Yolox("yolox-nano", 2), (96, 64)).eval()
    export_onnx(module, (96, 64), tmp_path / "m.onnx")
    check = check_export(module, tmp_path / "m.onnx", (96, 64))
    assert check.max_box_error_px < 0.01
    spec = DetectorSpec("y", LabelMap(("person", "car")), (96, 64), "letterbox", "bgr", "boxes_scores", nms_iou=0.6)
    image = np.random.default_rng(0).integers(0, 256, (50, 100, 3), np.uint8)
    found = OnnxDetector(tmp_path / "m.onnx", spec, min_score=0.0, n_threads=1).detect(image)
    assert 0 < len(found) <= 126
    assert (found.boxes_xyxy[:, 2:] <= (100, 50)).all()


class Choosing(nn.Module):
    """Returns the four best rows of another module, the best first, as detectors with queries do."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.detector = TinyDetector(seed)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, scores = self.detector(images)
        rows = scores.amax(dim=2).topk(4, dim=1).indices[..., None]
        return boxes.gather(1, rows.expand(-1, -1, 4)), scores.gather(1, rows.expand(-1, -1, 2))


class Shuffled(nn.Module):
    """The same rows in another order."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, scores = self.module(images)
        order = [2, 0, 3, 1]
        return boxes[:, order], scores[:, order]


def test_the_order_of_chosen_rows_is_no_difference(tmp_path: Path) -> None:
    module = Choosing()
    export_onnx(module, SIZE_WH, tmp_path / "m.onnx")
    check = check_export(Shuffled(module), tmp_path / "m.onnx", SIZE_WH, is_ordered=False)
    assert check.max_box_error_px < 1e-3
    with pytest.raises(ModelBundleError, match="differs from the trained network"):
        check_export(Shuffled(module), tmp_path / "m.onnx", SIZE_WH)


def test_other_rows_are_a_difference(tmp_path: Path) -> None:
    export_onnx(Choosing(), SIZE_WH, tmp_path / "m.onnx")
    with pytest.raises(ModelBundleError, match="differs from the trained network"):
        check_export(Choosing(seed=1), tmp_path / "m.onnx", SIZE_WH, is_ordered=False)


def test_pictures_on_which_rounding_decides_are_no_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that goes somewhere else when its input changes by a millionth cannot be compared on that picture."""
    module = Choosing()
    export_onnx(module, SIZE_WH, tmp_path / "m.onnx")
    seen = []

    def undecided(given: nn.Module, image: np.ndarray) -> list[np.ndarray]:
        seen.append(image)
        boxes, scores = run_torch(given, image)
        return [boxes + 7 * (len(seen) % 2 == 0) * (len(seen) <= n_undecided), scores]

    run_torch = export._run_torch
    monkeypatch.setattr(export, "_run_torch", undecided)
    n_undecided = 4
    check_export(module, tmp_path / "m.onnx", SIZE_WH, is_ordered=False)
    assert len(seen) == 2 * 2 + 3 * 2 + 3  # two pictures left out, three taken, and these compared
    seen.clear()
    n_undecided = 10**6
    with pytest.raises(ModelBundleError, match="on 10 pictures, rounding alone changes which places it attends to"):
        check_export(module, tmp_path / "m.onnx", SIZE_WH, is_ordered=False)
