"""TensorFlow's tensors become our layers: order of axes, colours, classes and boxes, folded normalization, padding."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from edge_autotuner.core import COCO_80, COCO_CATEGORY_IDS
from edge_autotuner.errors import WeightsError
from edge_autotuner.models import Ssdlite, load_network
from edge_autotuner.models.ssdlite import ConvBlock

BACKBONE = "FeatureExtractor/MobilenetV2"
STAGES = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))
EXTRAS = ((1280, 2, 256, 512), (512, 3, 128, 256), (256, 4, 128, 256), (256, 5, 64, 128))


class Published:
    """Random tensors with the names and shapes of the published file."""

    def __init__(self) -> None:
        self._generator = torch.Generator().manual_seed(0)
        self.tensors: dict[str, Tensor] = {}
        self._plain("Conv", 3, 3, 32)
        self._blocks()
        self._plain("Conv_1", 1, 320, 1280)
        for c_in, number, between, out in EXTRAS:
            self._plain(f"layer_19_1_Conv2d_{number}_1x1_{between}", 1, c_in, between)
            self._depthwise(f"layer_19_2_Conv2d_{number}_3x3_s2_{out}_depthwise", between)
            self._plain(f"layer_19_2_Conv2d_{number}_3x3_s2_{out}", 1, between, out)
        for level, (channels, n_boxes) in enumerate(((576, 3), (1280, 6), (512, 6), (256, 6), (256, 6), (128, 6))):
            self._predictor(f"BoxPredictor_{level}/BoxEncodingPredictor", channels, n_boxes * 4)
            self._predictor(f"BoxPredictor_{level}/ClassPredictor", channels, n_boxes * 91)

    def _blocks(self) -> None:
        c_in, index = 32, 0
        for expansion, c_out, n in STAGES:
            for _ in range(n):
                name = f"expanded_conv_{index}" if index else "expanded_conv"
                if index:
                    self._plain(f"{name}/expand", 1, c_in, c_in * expansion)
                self._depthwise(f"{name}/depthwise", c_in * expansion)
                self._plain(f"{name}/project", 1, c_in * expansion, c_out)
                c_in, index = c_out, index + 1

    def _random(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator)

    def _plain(self, name: str, kernel: int, c_in: int, c_out: int) -> None:
        self.tensors[f"{BACKBONE}/{name}/Conv2D/merged_input"] = self._random(kernel, kernel, c_in, c_out)
        self.tensors[f"{BACKBONE}/{name}/BatchNorm/batchnorm/sub"] = self._random(c_out)

    def _depthwise(self, name: str, channels: int) -> None:
        self.tensors[f"{BACKBONE}/{name}/depthwise_weights"] = self._random(3, 3, channels, 1)
        self.tensors[f"{BACKBONE}/{name}/BatchNorm/batchnorm/mul"] = self._random(channels)
        self.tensors[f"{BACKBONE}/{name}/BatchNorm/batchnorm/sub"] = self._random(channels)

    def _predictor(self, name: str, channels: int, n_out: int) -> None:
        self.tensors[f"{name}_depthwise/depthwise_weights"] = self._random(3, 3, channels, 1)
        for part in ("gamma", "beta", "moving_mean"):
            self.tensors[f"{name}_depthwise/BatchNorm/{part}"] = self._random(channels)
        self.tensors[f"{name}_depthwise/BatchNorm/moving_variance"] = self._random(channels).square() + 0.01
        self.tensors[f"{name}/weights"] = self._random(1, 1, channels, n_out)
        self.tensors[f"{name}/biases"] = self._random(n_out)


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    return Published().tensors


@pytest.fixture(scope="module")
def network(published: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Ssdlite:
    path = tmp_path_factory.mktemp("ssdlite") / "published.safetensors"
    save_file(published, path)
    network, labels = load_network(path)
    assert isinstance(network, Ssdlite)
    assert labels == COCO_80
    return network


def upright(layer: ConvBlock, x: Tensor) -> Tensor:
    """Run a layer as the network does, on the turned picture, and turn its answer back."""
    return layer(x.flip(2, 3)).flip(2, 3)


def same_convolution(x: Tensor, kernels: Tensor, stride: int, groups: int) -> Tensor:
    """Convolve as TensorFlow does; the last side gets the odd zero."""
    missing = [max((-(-side // stride) - 1) * stride + 3 - side, 0) for side in x.shape[2:]]
    (rows, columns) = missing
    padded = functional.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
    return functional.conv2d(padded, kernels, stride=stride, groups=groups)


@pytest.mark.parametrize("size_hw", [(8, 8), (7, 9), (8, 5)], ids=["even", "odd", "even and odd"])
@torch.inference_mode()
def test_the_first_layer_pads_like_tensorflow_and_sees_bgr(
    size_hw: tuple[int, int], network: Ssdlite, published: dict[str, Tensor]
) -> None:
    rgb = torch.rand(1, 3, *size_hw)
    kernels = published[f"{BACKBONE}/Conv/Conv2D/merged_input"].permute(3, 2, 0, 1)
    bias = published[f"{BACKBONE}/Conv/BatchNorm/batchnorm/sub"]
    expected = (same_convolution(rgb, kernels, 2, 1) + bias[:, None, None]).clamp(0, 6)
    torch.testing.assert_close(upright(network.backbone.stem, rgb.flip(1)), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("index", "stride"), [(0, 1), (1, 2), (13, 2)])
@torch.inference_mode()
def test_depthwise_layers_are_scaled_channel_by_channel(
    index: int, stride: int, network: Ssdlite, published: dict[str, Tensor]
) -> None:
    prefix = f"{BACKBONE}/expanded_conv{f'_{index}' if index else ''}/depthwise"
    kernels = published[f"{prefix}/depthwise_weights"].permute(2, 3, 0, 1)
    factor, bias = (published[f"{prefix}/BatchNorm/batchnorm/{part}"][:, None, None] for part in ("mul", "sub"))
    x = torch.rand(1, len(kernels), 6, 7)
    expected = (same_convolution(x, kernels, stride, len(kernels)) * factor + bias).clamp(0, 6)
    layer = network.backbone.blocks[index].depthwise
    torch.testing.assert_close(upright(layer, x), expected, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_predictors_keep_coco_classes_and_turn_boxes_round(network: Ssdlite, published: dict[str, Tensor]) -> None:
    level, channels, n_boxes = 2, 512, 6
    x = torch.rand(1, channels, 2, 2)
    for head, name, numbers in (
        (network.box_heads[level], "BoxEncodingPredictor", [1, 0, 3, 2]),
        (network.class_heads[level], "ClassPredictor", [COCO_CATEGORY_IDS[label] for label in COCO_80]),
    ):
        prefix = f"BoxPredictor_{level}/{name}"
        gamma, beta, mean, variance = (
            published[f"{prefix}_depthwise/BatchNorm/{part}"]
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        kernels = published[f"{prefix}_depthwise/depthwise_weights"].permute(2, 3, 0, 1)
        features = same_convolution(x, kernels, 1, channels)
        features = functional.batch_norm(features, mean, variance, gamma, beta, eps=1e-3).clamp(0, 6)
        values = torch.einsum("bchw,co->bhwo", features, published[f"{prefix}/weights"][0, 0])
        expected = (values + published[f"{prefix}/biases"]).reshape(1, 4, n_boxes, -1)[..., numbers]
        ours = head(x.flip(2, 3)).reshape(1, 4, n_boxes, -1).flip(1)  # cells from the last to the first
        # sums of 512 products of numbers up to 6: float32 rounding
        torch.testing.assert_close(ours, expected, atol=2e-3, rtol=1e-4)


def test_a_file_without_one_of_the_layers_is_refused(published: dict[str, Tensor], tmp_path: Path) -> None:
    tensors = {name: tensor for name, tensor in published.items() if name != "BoxPredictor_3/ClassPredictor/biases"}
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"does not contain weights of ssdlite-mobilenet-v2 .*ClassPredictor/biases"):
        load_network(tmp_path / "w.safetensors", architecture="ssdlite-mobilenet-v2")
