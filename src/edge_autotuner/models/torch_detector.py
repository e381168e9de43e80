"""Runs trainable networks with the pre- and post-processing of their later export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from edge_autotuner.core.detections import Detections
from edge_autotuner.core.labels import LabelMap
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.models.decode import decode_outputs
from edge_autotuner.models.detector_spec import DetectorSpec
from edge_autotuner.models.preprocess import ResizedPicture, input_of_resized, resized_picture
from edge_autotuner.models.trainable import TrainableNetwork


class TorchDetector:
    """A trainable network as a core `Detector`, on the network's device."""

    def __init__(
        self,
        network: TrainableNetwork,
        labels: LabelMap,
        input_size_wh: SizeWH,
        *,
        min_score: float = 0.05,
        max_detections: int = 300,
        n_threads: int | None = None,
    ) -> None:
        """Wrap a network without copying it, so that later training takes effect.

        Args:
            network: on its device.
            labels: its classes.
            input_size_wh: pixels.
            min_score: boxes below this are dropped.
            max_detections: most boxes per picture.
            n_threads: CPU threads; default: unchanged.

        Raises:
            ValueError: the network cannot have this input size, or the classes do not fit it.
        """
        if network.n_classes != len(labels):
            raise ValueError(f"the network has {network.n_classes} classes, the label map {len(labels)}")
        self._spec = network.detector_spec(network.architecture, labels, input_size_wh)
        self._device = next(network.parameters()).device
        self._decoded = network.decoded(input_size_wh).to(self._device).eval()
        self._min_score, self._max_detections = min_score, max_detections
        self._n_threads = n_threads

    @property
    def spec(self) -> DetectorSpec:
        """Pre- and post-processing of the network."""
        return self._spec

    @property
    def labels(self) -> LabelMap:
        """Classes of the network."""
        return self._spec.labels

    @property
    def input_size_wh(self) -> SizeWH:
        """Input size, pixels."""
        return self._spec.input_size_wh

    def detect(self, image_bgr: ImageArray) -> Detections:
        """Return the objects of a (H, W, 3) uint8 picture, in its pixels, by falling score."""
        return self.detect_resized(self.resized(image_bgr))

    def resized(self, image_bgr: ImageArray) -> ResizedPicture:
        """Resize a (H, W, 3) uint8 picture to the input, for repeated detection."""
        return ResizedPicture(*resized_picture(image_bgr, self._spec))

    def detect_resized(self, picture: ResizedPicture) -> Detections:
        """Return the objects of a picture from `resized`, in the pixels of the original, by falling score."""
        return self._detect_resized([picture])[0]

    def detect_batch(self, images: Sequence[ImageArray]) -> list[Detections]:
        """Return the objects of each (H, W, 3) uint8 picture; sizes may differ."""
        return self._detect_resized([self.resized(image) for image in images]) if images else []

    @torch.inference_mode()
    def _detect_resized(self, pictures: Sequence[ResizedPicture]) -> list[Detections]:
        pixels = np.concatenate([input_of_resized(picture.image_bgr, self._spec) for picture in pictures])
        with cpu_threads(self._n_threads):
            outputs = self._decoded(torch.from_numpy(pixels).to(self._device))
        boxes, scores = (output.cpu().numpy() for output in outputs)
        return [
            decode_outputs(
                [boxes[i : i + 1], scores[i : i + 1]],
                self._spec,
                picture.placement,
                min_score=self._min_score,
                max_detections=self._max_detections,
            )
            for i, picture in enumerate(pictures)
        ]


@contextmanager
def cpu_threads(n_threads: int | None) -> Iterator[None]:
    """Compute with this many CPU threads inside the block; None leaves their number unchanged."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
