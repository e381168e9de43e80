"""The YOLOX detectors in plain torch, with BatchNorm folded into the convolutions.

One implementation serves nano, tiny and s: only width, depth and the kind of convolution differ. Folded
weights make training independent of the batch, and the exported graph equal to the trained one.

Source: Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv 2107.08430; module names follow the official
checkpoints, so that those load by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from edge_autotuner.core.types import SizeWH
from edge_autotuner.models.detector_spec import Resize
from edge_autotuner.models.trainable import TrainableNetwork, size_of

STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class YoloxSize:
    """A member of the family."""

    depth: float
    width: float
    is_depthwise: bool


YOLOX_SIZES = {
    "yolox-nano": YoloxSize(depth=0.33, width=0.25, is_depthwise=True),
    "yolox-tiny": YoloxSize(depth=0.33, width=0.375, is_depthwise=False),
    "yolox-s": YoloxSize(depth=0.33, width=0.50, is_depthwise=False),
}


class Yolox(TrainableNetwork):
    """Backbone, feature pyramid and decoupled head.

    Input is (B, 3, H, W) float, BGR, 0-255, H and W multiples of 32. The output is (B, N, 5 + C) logits over
    the cells of the strides 8, 16 and 32, row by row: box (dx, dy in cells, log w, log h in cells),
    objectness, classes.
    """

    resize: ClassVar[Resize] = "letterbox"
    size_step_px: ClassVar[int] = 32
    is_stable_in_bfloat16: ClassVar[bool] = True

    def __init__(self, architecture: str, n_classes: int) -> None:
        """Build a network with random weights.

        Raises:
            ConfigError: the architecture is unknown.
        """
        super().__init__(architecture, n_classes)
        size = size_of(architecture, YOLOX_SIZES)
        self.backbone = FeaturePyramid(size)
        self.head = DecoupledHead(size, n_classes)

    def features_before(self, images: Tensor, layers: str) -> tuple[Tensor, ...]:
        """Return the fused maps for "box"; the maps that the bottom-up half joins for "top"."""
        if layers == "all":
            return (images,)
        joined = self.backbone.top_down(images)
        return joined if layers == "top" else self.backbone.bottom_up(joined)

    def outputs_of(self, features: tuple[Tensor, ...], layers: str) -> Tensor:
        """Return (B, N, 5 + C) logits."""
        if layers == "all":
            features = self.backbone.top_down(*features)
        if layers != "box":
            features = self.backbone.bottom_up(features)
        return cast(Tensor, self.head(features))

    def box_parameters(self) -> list[nn.Parameter]:
        """The detection head."""
        return list(self.head.parameters())

    def top_parameters(self) -> list[nn.Parameter]:
        """Head and the pyramid's bottom-up half."""
        pyramid = self.backbone
        top = (pyramid.C3_p3, pyramid.bu_conv2, pyramid.C3_n3, pyramid.bu_conv1, pyramid.C3_n4)
        return [*self.box_parameters(), *(p for module in top for p in module.parameters())]

    def decoded(self, input_size_wh: SizeWH) -> DecodedYolox:
        """Return the network with decoding."""
        return DecodedYolox(self, input_size_wh)

    def state_of_classes(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Return the weights for some of the classes: their output channels, on every stride."""
        state = dict(self.state_dict())
        for name in [n for n in state if ".cls_preds." in n]:
            state[name] = state[name][list(rows)]
        return state


class ConvBlock(nn.Module):
    """Convolution with bias (the folded BatchNorm), then SiLU."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, (kernel - 1) // 2, groups=groups, bias=True)
        self.act = nn.SiLU()  # not in place: autograd would then copy its input

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and activate."""
        return cast(Tensor, self.act(self.conv(x)))


class DepthwiseBlock(nn.Module):
    """Depthwise 3x3, then pointwise 1x1."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.dconv = ConvBlock(c_in, c_in, kernel, stride, groups=c_in)
        self.pconv = ConvBlock(c_in, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve in space, then over channels."""
        return cast(Tensor, self.pconv(self.dconv(x)))


Block = Callable[[int, int, int, int], nn.Module]


def _block_of(size: YoloxSize) -> Block:
    return DepthwiseBlock if size.is_depthwise else ConvBlock


class Focus(nn.Module):
    """Four pixels become four groups of channels, then one convolution."""

    def __init__(self, c_out: int) -> None:
        super().__init__()
        self.conv = ConvBlock(12, c_out, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the resolution without losing a pixel."""
        corners = (x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2])
        return cast(Tensor, self.conv(torch.cat(corners, dim=1)))


class Bottleneck(nn.Module):
    """1x1, then 3x3, with an optional shortcut."""

    def __init__(self, channels: int, block: Block, *, shortcut: bool) -> None:
        super().__init__()
        self.conv1 = ConvBlock(channels, channels, 1)
        self.conv2 = block(channels, channels, 3, 1)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Transform, and add the input where there is a shortcut."""
        y = cast(Tensor, self.conv2(self.conv1(x)))
        return y + x if self.shortcut else y


class CspLayer(nn.Module):
    """Cross-stage partial layer: half of the channels pass the bottlenecks."""

    def __init__(self, c_in: int, c_out: int, n: int, block: Block, *, shortcut: bool = True) -> None:
        super().__init__()
        hidden = c_out // 2
        self.conv1 = ConvBlock(c_in, hidden, 1)
        self.conv2 = ConvBlock(c_in, hidden, 1)
        self.m = nn.Sequential(*(Bottleneck(hidden, block, shortcut=shortcut) for _ in range(n)))
        self.conv3 = ConvBlock(2 * hidden, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Split, transform one half, join."""
        left, right = self.conv1(x), self.conv2(x)
        return cast(Tensor, self.conv3(torch.cat((self.m(left), right), dim=1)))


class SppBottleneck(nn.Module):
    """Spatial pyramid pooling with windows of 5, 9 and 13 cells."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv1 = ConvBlock(c_in, c_in // 2, 1)
        self.m = nn.ModuleList(nn.MaxPool2d(k, stride=1, padding=k // 2) for k in (5, 9, 13))
        self.conv2 = ConvBlock(c_in // 2 * 4, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Pool at three sizes and join with the input."""
        x = self.conv1(x)
        return cast(Tensor, self.conv2(torch.cat([x, *(pool(x) for pool in self.m)], dim=1)))


class CspDarknet(nn.Module):
    """The backbone; gives feature maps at strides 8, 16 and 32."""

    def __init__(self, size: YoloxSize) -> None:
        super().__init__()
        base, n = int(size.width * 64), max(round(size.depth * 3), 1)
        block = _block_of(size)
        self.stem = Focus(base)
        self.dark2 = nn.Sequential(block(base, base * 2, 3, 2), CspLayer(base * 2, base * 2, n, block))
        self.dark3 = nn.Sequential(block(base * 2, base * 4, 3, 2), CspLayer(base * 4, base * 4, 3 * n, block))
        self.dark4 = nn.Sequential(block(base * 4, base * 8, 3, 2), CspLayer(base * 8, base * 8, 3 * n, block))
        self.dark5 = nn.Sequential(
            block(base * 8, base * 16, 3, 2),
            SppBottleneck(base * 16, base * 16),
            CspLayer(base * 16, base * 16, n, block, shortcut=False),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the maps of dark3, dark4 and dark5."""
        p3 = self.dark3(self.dark2(self.stem(x)))
        p4 = self.dark4(p3)
        return p3, p4, self.dark5(p4)


class FeaturePyramid(nn.Module):
    """Path-aggregation pyramid: features go down to stride 8 and up again to stride 32."""

    def __init__(self, size: YoloxSize) -> None:
        super().__init__()
        c3, c4, c5 = (int(c * size.width) for c in (256, 512, 1024))
        n, block = round(3 * size.depth), _block_of(size)
        self.backbone = CspDarknet(size)
        self.upsample = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.lateral_conv0 = ConvBlock(c5, c4, 1)
        self.C3_p4 = CspLayer(2 * c4, c4, n, block, shortcut=False)
        self.reduce_conv1 = ConvBlock(c4, c3, 1)
        self.C3_p3 = CspLayer(2 * c3, c3, n, block, shortcut=False)
        self.bu_conv2 = block(c3, c3, 3, 2)
        self.C3_n3 = CspLayer(2 * c3, c4, n, block, shortcut=False)
        self.bu_conv1 = block(c4, c4, 3, 2)
        self.C3_n4 = CspLayer(2 * c4, c5, n, block, shortcut=False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return fused maps at strides 8, 16 and 32."""
        return self.bottom_up(self.top_down(x))

    def top_down(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the maps that the bottom-up half joins: of the backbone at stride 8, of the way down at 16 and 32."""
        p3, p4, p5 = self.backbone(x)
        lateral5 = self.lateral_conv0(p5)
        lateral4 = self.reduce_conv1(self.C3_p4(torch.cat([self.upsample(lateral5), p4], dim=1)))
        return p3, lateral4, lateral5

    def bottom_up(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return fused maps at strides 8, 16 and 32 from those of `top_down`."""
        p3, lateral4, lateral5 = maps
        out3 = self.C3_p3(torch.cat([self.upsample(lateral4), p3], dim=1))
        out4 = self.C3_n3(torch.cat([self.bu_conv2(out3), lateral4], dim=1))
        out5 = self.C3_n4(torch.cat([self.bu_conv1(out4), lateral5], dim=1))
        return out3, out4, out5


class DecoupledHead(nn.Module):
    """Separate branches for classes and for boxes with objectness, on each stride."""

    def __init__(self, size: YoloxSize, n_classes: int) -> None:
        super().__init__()
        hidden, block = int(256 * size.width), _block_of(size)
        self.stems = nn.ModuleList(ConvBlock(int(c * size.width), hidden, 1) for c in (256, 512, 1024))
        self.cls_convs = nn.ModuleList(self._two(block, hidden) for _ in STRIDES)
        self.cls_preds = nn.ModuleList(nn.Conv2d(hidden, n_classes, 1) for _ in STRIDES)
        self.reg_convs = nn.ModuleList(self._two(block, hidden) for _ in STRIDES)
        self.reg_preds = nn.ModuleList(nn.Conv2d(hidden, 4, 1) for _ in STRIDES)
        self.obj_preds = nn.ModuleList(nn.Conv2d(hidden, 1, 1) for _ in STRIDES)

    @staticmethod
    def _two(block: Block, hidden: int) -> nn.Sequential:
        return nn.Sequential(block(hidden, hidden, 3, 1), block(hidden, hidden, 3, 1))

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Return (B, N, 5 + C) logits, strides in rising order."""
        levels = []
        for i, x in enumerate(maps):
            stem = self.stems[i](x)
            classes = self.cls_preds[i](self.cls_convs[i](stem))
            box_features = self.reg_convs[i](stem)
            parts = (self.reg_preds[i](box_features), self.obj_preds[i](box_features), classes)
            levels.append(torch.cat(parts, dim=1).flatten(2))  # (B, 5 + C, h * w)
        return torch.cat(levels, dim=2).transpose(1, 2)


@dataclass(frozen=True)
class CellGrid:
    """The N cells of an input.

    Attributes:
        corners: (N, 2) column and row of each cell on its map.
        strides: (N, 1) pixels per cell.
    """

    corners: Tensor
    strides: Tensor

    @classmethod
    def of_input(cls, height: int, width: int) -> CellGrid:
        """Create the grid of an input; both sides must be multiples of 32."""
        if height % 32 or width % 32:
            raise ValueError(f"input height and width must be multiples of 32, got {height} and {width}")
        corners, strides = [], []
        for stride in STRIDES:
            rows, columns = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
            corners.append(torch.stack((columns, rows), dim=2).reshape(-1, 2).float())
            strides.append(torch.full((len(corners[-1]), 1), float(stride)))
        return cls(torch.cat(corners), torch.cat(strides))

    @property
    def centres(self) -> Tensor:
        """(N, 2) centres of the cells, input pixels."""
        return (self.corners + 0.5) * self.strides


def decode_boxes(logits: Tensor, grid: CellGrid) -> Tensor:
    """Turn the first four logits into (B, N, 4) corners in input pixels."""
    centres = (logits[..., :2] + grid.corners) * grid.strides
    half = logits[..., 2:4].exp() * grid.strides * 0.5
    return torch.cat((centres - half, centres + half), dim=-1)


class DecodedYolox(nn.Module):
    """The network with decoding, for export.

    Returns corners (B, N, 4) in input pixels and scores (B, N, C) = objectness * class.
    """

    def __init__(self, network: Yolox, input_size_wh: SizeWH) -> None:
        super().__init__()
        self.network = network
        grid = CellGrid.of_input(input_size_wh[1], input_size_wh[0])
        self.register_buffer("corners", grid.corners, persistent=False)
        self.register_buffer("strides", grid.strides, persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes and scores."""
        logits = self.network(images)
        grid = CellGrid(cast(Tensor, self.corners), cast(Tensor, self.strides))
        scores = logits[..., 4:5].sigmoid() * logits[..., 5:].sigmoid()
        return decode_boxes(logits, grid), scores
