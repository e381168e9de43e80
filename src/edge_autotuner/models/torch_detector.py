"""Runs a network that is being trained, with the same pre- and post-processing as its later export."""

from __future__ import annotations

import numpy as np
import torch

from edge_autotuner.core.detections import Detections
from edge_autotuner.core.labels import LabelMap
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.models.decode import decode_outputs
from edge_autotuner.models.preprocess import prepare_input
from edge_autotuner.models.trainable import TrainableNetwork


class TorchDetector:
    """A trainable network as a core `Detector`, on the CPU."""

    def __init__(
        self,
        network: TrainableNetwork,
        labels: LabelMap,
        input_size_wh: SizeWH,
        *,
        min_score: float = 0.05,
        max_detections: int = 300,
    ) -> None:
        """Wrap a network; it is not copied, so that later training shows.

        Raises:
            ValueError: the network cannot have this input size, or the classes do not fit it.
        """
        if network.n_classes != len(labels):
            raise ValueError(f"the network has {network.n_classes} classes, the label map {len(labels)}")
        self._spec = network.detector_spec(network.architecture, labels, input_size_wh)
        self._decoded = network.decoded(input_size_wh).eval()
        self._min_score, self._max_detections = min_score, max_detections

    @property
    def labels(self) -> LabelMap:
        """The classes that it knows."""
        return self._spec.labels

    @property
    def input_size_wh(self) -> SizeWH:
        """The size that pictures are resized to, pixels."""
        return self._spec.input_size_wh

    @torch.inference_mode()
    def detect(self, image_bgr: ImageArray) -> Detections:
        """Return the objects of a (H, W, 3) uint8 picture, in its pixels, by falling score."""
        pixels, placement = prepare_input(image_bgr, self._spec)
        boxes, scores = self._decoded(torch.from_numpy(np.ascontiguousarray(pixels)))
        return decode_outputs(
            [boxes.numpy(), scores.numpy()],
            self._spec,
            placement,
            min_score=self._min_score,
            max_detections=self._max_detections,
        )
