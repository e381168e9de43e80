"""Scores a network that is being trained on the last part of the training period."""

from __future__ import annotations

from collections.abc import Sequence

from edge_autotuner.config import RunConfig
from edge_autotuner.core import Annotation, Deadline, Detections
from edge_autotuner.dataset import DatasetStore, FrameRecord
from edge_autotuner.errors import TrainingError
from edge_autotuner.evaluation import score_detections, truth_from_annotation
from edge_autotuner.models.torch_detector import TorchDetector
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.pipeline.edge_model import EdgeModel
from edge_autotuner.training import ValidationCut


class Validation:
    """Scores a network on some frames against the teacher's labels; called with a network, it returns its score.

    The score is the AP50:95 of the classes weighted by their number of labels: in the plain mean, a class with
    two labels in the whole slice would choose the checkpoint as much as one with two thousand.

    The frames are kept in memory in the size of the network's input.
    """

    def __init__(
        self,
        store: DatasetStore,
        frames: Sequence[tuple[FrameRecord, Annotation]],
        edge: EdgeModel,
        config: RunConfig,
        deadline: Deadline,
    ) -> None:
        """Read the frames."""
        self._labels, self._config, self._deadline = store.labels, config, deadline
        resized = self._detector(edge.network).resized
        self._pictures = [resized(store.read_image(record)) for record, _ in frames]
        self._truths = [truth_from_annotation(a, min_score=config.annotation.min_score) for _, a in frames]

    def __call__(self, network: TrainableNetwork) -> float:
        """Return the score, in [0, 1].

        Raises:
            ValidationCut: the deadline came first.
            TrainingError: no frame has a label.
        """
        detector = self._detector(network)
        found: list[Detections] = []
        for picture in self._pictures:
            if self._deadline.has_passed:
                raise ValidationCut(len(found) / len(self._pictures))
            found.append(detector.detect_resized(picture))
        limits = self._config.evaluation
        scores = score_detections(
            found,
            self._truths,
            self._labels,
            max_detections=limits.max_detections,
            min_score=limits.min_score,
        )
        if scores.n_truths == 0:
            raise TrainingError("the validation frames have no labels; raise training.val_fraction")
        return sum(c.ap * c.n_truths for c in scores.per_class.values()) / scores.n_truths

    def _detector(self, network: TrainableNetwork) -> TorchDetector:
        config = self._config
        return TorchDetector(network, self._labels, config.input_size, min_score=config.evaluation.min_score)
