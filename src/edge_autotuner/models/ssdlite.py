"""SSDLite on MobileNetV2 in plain torch, with BatchNorm folded into the convolutions.

The edge family of the Edge AutoTuner paper. Six feature maps, from a sixteenth of the input down to a single cell,
have boxes of fixed sizes (anchors); the network predicts the offset of an object from its anchor, and its class.

Sources: Sandler et al., "MobileNetV2", arXiv 1801.04381 (blocks, section 6.2 SSDLite); Liu et al., "SSD", arXiv
1512.02325 (anchors, box code). Layers, padding and anchors are those of `ssdlite_mobilenet_v2_coco` in the TensorFlow
Object Detection API, so that its weights give its detections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_autotuner.core.types import SizeWH
from edge_autotuner.models.detector_spec import Resize
from edge_autotuner.models.ssdlite_anchors import BOXES_PER_CELL, Anchors, decode_boxes
from edge_autotuner.models.trainable import TrainableNetwork, size_of

_PIXEL_SCALE = 2 / 255  # pixels 0..255 become -1..1
_STEM = 32
# expansion, channels, blocks, stride of the first: MobileNetV2, table 2
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_TAPPED_BLOCK = 13  # the last but one map of the backbone is what this block expands to
_LAST = 1280
_EXTRAS = ((256, 512), (128, 256), (128, 256), (64, 128))  # channels between, channels of the map


@dataclass(frozen=True)
class SsdliteSize:
    """A member of the family: all channels are multiplied by `width`."""

    width: float

    def channels(self, n: int) -> int:
        """Return the number of channels for `n` at full width, a multiple of 8."""
        return max(8, int(n * self.width / 8 + 0.5) * 8)


SSDLITE_SIZES = {"ssdlite-mobilenet-v2": SsdliteSize(width=1.0)}


class Ssdlite(TrainableNetwork):
    """Backbone, extra layers and predictors.

    Input is (B, 3, H, W) float, BGR, 0-255, of any size; frames are stretched to it. The output is (B, N, 4 + C)
    over the anchors of `Anchors.of_input`: box (offset of the centre, log size, in the anchor's code), then class
    logits. There is no background class: an anchor on background has low scores for all classes.

    Inside, the picture and all kernels are turned by 180 degrees. TensorFlow's "SAME" padding puts an odd pixel at the
    last side, and torch's `padding=1` at the first. On a turned picture both agree, without a padding layer before each
    strided convolution.
    """

    resize: ClassVar[Resize] = "stretch"
    size_step_px: ClassVar[int] = 1

    def __init__(self, architecture: str, n_classes: int) -> None:
        """Build a network with random weights.

        Raises:
            ConfigError: the architecture is unknown.
        """
        super().__init__(architecture, n_classes)
        size = size_of(architecture, SSDLITE_SIZES)
        self.backbone = MobileNetV2(size)
        self.extras = nn.ModuleList()
        channels = self.backbone.out_channels
        for between, out in _EXTRAS:
            self.extras.append(ExtraLayer(channels[-1], size.channels(between), size.channels(out)))
            channels = (*channels, size.channels(out))
        self.box_heads = nn.ModuleList(Predictor(c, n, 4) for c, n in zip(channels, BOXES_PER_CELL, strict=True))
        self.class_heads = nn.ModuleList(
            Predictor(c, n, n_classes) for c, n in zip(channels, BOXES_PER_CELL, strict=True)
        )

    def features_before(self, images: Tensor, layers: str) -> tuple[Tensor, ...]:
        """Return all six maps for "box", the backbone's two for "top"."""
        if layers == "all":
            return (images,)
        maps = self._backbone_maps(images)
        return maps if layers == "top" else self._with_extras(maps)

    def outputs_of(self, features: tuple[Tensor, ...], layers: str) -> Tensor:
        """Return (B, N, 4 + C): box codes and class logits."""
        if layers == "all":
            features = self._backbone_maps(*features)
        if layers != "box":
            features = self._with_extras(features)
        levels = [
            torch.cat((box_head(x), class_head(x)), dim=2)
            for x, box_head, class_head in zip(features, self.box_heads, self.class_heads, strict=True)
        ]
        return torch.cat(levels, dim=1)

    def _backbone_maps(self, images: Tensor) -> tuple[Tensor, ...]:
        return cast(tuple[Tensor, ...], self.backbone(images.flip(2, 3) * _PIXEL_SCALE - 1))

    def _with_extras(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        for layer in self.extras:
            maps = (*maps, layer(maps[-1]))
        return maps

    def box_parameters(self) -> list[nn.Parameter]:
        """The predictors."""
        return [*self.box_heads.parameters(), *self.class_heads.parameters()]

    def top_parameters(self) -> list[nn.Parameter]:
        """Predictors and extra layers."""
        return [*self.box_parameters(), *self.extras.parameters()]

    def decoded(self, input_size_wh: SizeWH) -> DecodedSsdlite:
        """Return the network with decoding."""
        return DecodedSsdlite(self, input_size_wh)

    def state_of_classes(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Return the weights for some of the classes: their output channels, of every box of a cell."""
        state = dict(self.state_dict())
        for level, n_boxes in enumerate(BOXES_PER_CELL):
            for part in ("weight", "bias"):
                name = f"class_heads.{level}.predict.{part}"
                of_box = torch.unflatten(state[name], 0, (n_boxes, self.n_classes))
                state[name] = of_box[:, list(rows)].flatten(0, 1)
        return state


class ConvBlock(nn.Module):
    """Convolution with bias (the folded BatchNorm), then ReLU6 where wanted."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int, stride: int = 1, *, groups: int = 1, is_active: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=True)
        self.is_active = is_active

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, and activate."""
        x = self.conv(x)
        return functional.relu6(x) if self.is_active else x


class InvertedResidual(nn.Module):
    """Widen by 1x1, filter each channel by 3x3, narrow by 1x1; with a shortcut where shapes allow it."""

    def __init__(self, c_in: int, c_out: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = c_in * expansion
        self.expand = ConvBlock(c_in, hidden, 1) if expansion > 1 else nn.Identity()
        self.depthwise = ConvBlock(hidden, hidden, 3, stride, groups=hidden)
        self.project = ConvBlock(hidden, c_out, 1, is_active=False)
        self.has_shortcut = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's output and its expanded features."""
        expanded = self.expand(x)
        y = self.project(self.depthwise(expanded))
        return (y + x if self.has_shortcut else y), expanded


class MobileNetV2(nn.Module):
    """The backbone; gives feature maps at strides 16 and 32."""

    def __init__(self, size: SsdliteSize) -> None:
        super().__init__()
        c_in = size.channels(_STEM)
        self.stem = ConvBlock(3, c_in, 3, 2)
        self.blocks = nn.ModuleList()
        for expansion, c, n, first_stride in _STAGES:
            for i in range(n):
                block = InvertedResidual(c_in, size.channels(c), expansion, first_stride if i == 0 else 1)
                self.blocks.append(block)
                c_in = size.channels(c)
        self.last = ConvBlock(c_in, size.channels(_LAST), 1)
        tapped = cast(InvertedResidual, self.blocks[_TAPPED_BLOCK])
        self.out_channels: tuple[int, ...] = tapped.depthwise.conv.in_channels, size.channels(_LAST)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the expanded features of block 13, and the last map."""
        x = self.stem(x)
        tapped = x
        for i, block in enumerate(self.blocks):
            x, expanded = block(x)
            if i == _TAPPED_BLOCK:
                tapped = expanded
        return tapped, self.last(x)


class ExtraLayer(nn.Module):
    """One more, half as large feature map: narrow by 1x1, then a separable 3x3."""

    def __init__(self, c_in: int, between: int, c_out: int) -> None:
        super().__init__()
        self.narrow = ConvBlock(c_in, between, 1)
        self.depthwise = ConvBlock(between, between, 3, 2, groups=between)
        self.widen = ConvBlock(between, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the resolution."""
        return cast(Tensor, self.widen(self.depthwise(self.narrow(x))))


class Predictor(nn.Module):
    """A separable 3x3 with values for each box of each cell."""

    def __init__(self, channels: int, n_boxes: int, n_values: int) -> None:
        super().__init__()
        self.depthwise = ConvBlock(channels, channels, 3, groups=channels)
        self.predict = nn.Conv2d(channels, n_boxes * n_values, 1)
        self.n_values = n_values

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, cells * boxes, values), row by row of the turned map, the boxes of a cell together."""
        y = self.predict(self.depthwise(x))
        return cast(Tensor, y.permute(0, 2, 3, 1).reshape(y.shape[0], -1, self.n_values))


class DecodedSsdlite(nn.Module):
    """The network with decoding, for export.

    Returns corners (B, N, 4) in input pixels and scores (B, N, C).
    """

    def __init__(self, network: Ssdlite, input_size_wh: SizeWH) -> None:
        super().__init__()
        self.network = network
        anchors = Anchors.of_input(input_size_wh[1], input_size_wh[0])
        self.register_buffer("centres", anchors.centres, persistent=False)
        self.register_buffer("sizes", anchors.sizes, persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes and scores."""
        outputs = self.network(images)
        boxes = decode_boxes(outputs, cast(Tensor, self.centres), cast(Tensor, self.sizes))
        return boxes, outputs[..., 4:].sigmoid()
