"""The anchors of SSDLite, and the box code relative to them.

Source: Liu et al., "SSD", arXiv 1512.02325, section 2.2; scales and order of `ssd_anchor_generator` in the TensorFlow
Object Detection API, with six maps, scales 0.2 to 0.95 and fewer boxes on the first map.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

REFERENCE_SIDE_PX = 300  # scales are shares of this side: the input that the published weights were trained on
_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
_FIRST_SCALE = 0.1
_RATIOS = (1.0, 2.0, 0.5, 3.0, 0.3333)  # width to height, as rounded in the published configuration
_FINEST_STRIDE = 16
_CENTRE_SCALE, _SIZE_SCALE = 10.0, 5.0  # a code of 1 is a tenth of the anchor, or a factor of e ** (1 / 5)


def _boxes_of_maps() -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return scale and ratio of the boxes of a cell, for each map."""
    first = ((_FIRST_SCALE, 1.0), (_SCALES[0], 2.0), (_SCALES[0], 0.5))
    others = tuple(
        (*((scale, ratio) for ratio in _RATIOS), (math.sqrt(scale * following), 1.0))
        for scale, following in itertools.pairwise(_SCALES[1:])
    )
    return first, *others


_BOXES_OF_MAPS = _boxes_of_maps()
BOXES_PER_CELL = tuple(len(boxes) for boxes in _BOXES_OF_MAPS)


@dataclass(frozen=True)
class Anchors:
    """The N anchors of an input: map by map, from the last cell to the first, the boxes of a cell together.

    Attributes:
        centres: (N, 2) x and y, input pixels.
        sizes: (N, 2) width and height, input pixels. They do not grow with the input: the network has learnt
            objects of these sizes.
        strides: (N, 2) pixels per cell, along x and y.
    """

    centres: Tensor
    sizes: Tensor
    strides: Tensor

    @classmethod
    def of_input(cls, height: int, width: int) -> Anchors:
        """Create the anchors of an input."""
        centres, sizes, strides = [], [], []
        for level, boxes in enumerate(_BOXES_OF_MAPS):
            rows, columns = (math.ceil(side / (_FINEST_STRIDE << level)) for side in (height, width))
            stride = torch.tensor([width / columns, height / rows])
            y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            cells = (torch.stack((x, y), dim=2).reshape(-1, 2).flip(0) + 0.5) * stride
            centres.append(cells.repeat_interleave(len(boxes), dim=0))
            sides = [(scale * math.sqrt(ratio), scale / math.sqrt(ratio)) for scale, ratio in boxes]
            sizes.append(torch.tensor(sides).repeat(len(cells), 1) * REFERENCE_SIDE_PX)
            strides.append(stride.expand(len(cells) * len(boxes), 2))
        return cls(torch.cat(centres), torch.cat(sizes), torch.cat(strides))


def decode_boxes(codes: Tensor, centres: Tensor, sizes: Tensor) -> Tensor:
    """Turn the first four outputs of each anchor, (..., N, 4 + C), into corners (..., N, 4) in input pixels."""
    middles = centres + codes[..., :2] / _CENTRE_SCALE * sizes
    half = (codes[..., 2:4] / _SIZE_SCALE).exp() * sizes / 2
    return torch.cat((middles - half, middles + half), dim=-1)
