"""Training material that a small network can learn in seconds: red and blue rectangles on grey noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from edge_autotuner.core import LabelMap
from edge_autotuner.core.types import FloatArray, ImageArray, SizeWH
from edge_autotuner.models.yolox import Yolox
from edge_autotuner.training import TrainingSample

LABELS = LabelMap(("red", "blue"))
_COLOURS_BGR = ((30, 30, 230), (230, 60, 30))


def coloured_sample(seed: int, size_wh: SizeWH = (64, 64), n_objects: int = 2) -> TrainingSample:
    """Return a picture of rectangles that the teacher has seen entirely, and their exact boxes.

    The rectangles stand in columns of their own, so that none covers another; red and blue take turns.
    """
    rng = np.random.default_rng(seed)
    image = rng.integers(100, 130, (size_wh[1], size_wh[0], 3), dtype=np.uint8)
    boxes, class_ids = [], (rng.integers(0, 2) + np.arange(n_objects)) % 2
    column_px = size_wh[0] // max(n_objects, 1)
    for column, class_id in enumerate(class_ids):
        width, height = (int(v) for v in rng.integers(14, 24, 2))
        x = column * column_px + int(rng.integers(0, column_px - width + 1))
        y = int(rng.integers(0, size_wh[1] - height + 1))
        image[y : y + height, x : x + width] = _COLOURS_BGR[class_id]
        boxes.append((x, y, x + width, y + height))
    return sample_of(image, boxes_xyxy=np.array(boxes, np.float32), class_ids=class_ids)


def sample_of(
    image: ImageArray,
    *,
    boxes_xyxy: FloatArray | None = None,
    class_ids: np.ndarray | None = None,
    ignored_xyxy: FloatArray | None = None,
    looked_xyxy: FloatArray | None = None,
    read_image: Callable[[], ImageArray] | None = None,
) -> TrainingSample:
    """Return a sample; without `looked_xyxy` the teacher has seen the whole picture."""
    height, width = image.shape[:2]
    no_boxes = np.zeros((0, 4), np.float32)
    boxes = no_boxes if boxes_xyxy is None else np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)
    return TrainingSample(
        read_image=read_image or (lambda: image),
        size_wh=(width, height),
        boxes_xyxy=boxes,
        class_ids=np.zeros(len(boxes), np.int64) if class_ids is None else np.asarray(class_ids, np.int64),
        ignored_xyxy=no_boxes if ignored_xyxy is None else ignored_xyxy,
        looked_xyxy=np.array([[0, 0, width, height]], np.float32) if looked_xyxy is None else looked_xyxy,
    )


def fresh_network(n_classes: int = 2, *, architecture: str = "yolox-nano", seed: int = 0) -> Yolox:
    """Return a network with random weights that can learn at once.

    These networks have no BatchNorm, so the start is He's, with pixels centred by the first layer. Objectness
    starts at 1 %, the prior of focal loss (Lin et al., arXiv 1708.02002).
    """
    torch.manual_seed(seed)
    network = Yolox(architecture, n_classes)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                module.bias.zero_()
        first = network.backbone.backbone.stem.conv.conv
        first.weight.div_(50)
        first.bias.copy_(-115 * first.weight.sum(dim=(1, 2, 3)))
        for predict in (*network.head.obj_preds, *network.head.cls_preds, *network.head.reg_preds):
            predict.weight.mul_(0.1)
        for predict in network.head.obj_preds:
            predict.bias.fill_(math.log(0.01 / 0.99))
    return network.eval()
