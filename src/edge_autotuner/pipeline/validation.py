"""Scores a network that is being trained on the last part of the training period."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge_autotuner.annotation.ahead import look_ahead, n_cores, threads_each
from edge_autotuner.config import RunConfig
from edge_autotuner.core import Annotation, Deadline
from edge_autotuner.core.tasks import task_of
from edge_autotuner.dataset import DatasetStore, FrameRecord
from edge_autotuner.deployment.export import onnx_content
from edge_autotuner.errors import TrainingError
from edge_autotuner.evaluation import Scores, truth_from_annotation
from edge_autotuner.models.onnx_detector import OnnxDetector
from edge_autotuner.models.preprocess import ResizedPicture
from edge_autotuner.models.torch_detector import TorchDetector
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.pipeline.edge_model import EdgeModel
from edge_autotuner.training import ValidationCut
from edge_autotuner.training.device import choose_device

_MIN_EXPORTED = 24  # frames that make up for an export, which takes as long as torch needs for about fifteen


class Validation:
    """Scores a network on some frames against the teacher's labels; called with a network, it returns its score.

    The score is the AP50:95 of the classes weighted by their number of labels: in the plain mean, a class with
    two labels in the whole slice would choose the checkpoint as much as one with two thousand.

    The frames are kept in memory in the size of the network's input. On a CPU, many frames are looked at in ONNX
    Runtime, as they will be at the camera: it needs about half of torch's time.
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
        on_cpu = choose_device(config.training.device).type == "cpu"
        self._n_parallel = n_cores(config.training.n_threads) if on_cpu else 1
        self._is_exported = on_cpu and len(frames) >= _MIN_EXPORTED
        resized = self._detector(edge.network).resized
        self._pictures = [resized(store.read_image(record)) for record, _ in frames]
        self._truths = [truth_from_annotation(a, min_score=config.annotation.min_score) for _, a in frames]

    def __call__(self, network: TrainableNetwork) -> float:
        """Return the score, in [0, 1].

        Raises:
            ValidationCut: the deadline came first.
            TrainingError: no frame has a label.
        """
        detector = self._opened(network)
        looks = look_ahead(self._until_deadline(), detector.detect_resized, n_threads=self._n_parallel)
        found = [detections for _, detections in looks]
        limits = self._config.evaluation
        scores: Scores = task_of(self._labels).score(
            found,
            self._truths,
            self._labels,
            max_detections=limits.max_detections,
            min_score=limits.min_score,
        )
        if scores.n_truths == 0:
            raise TrainingError("the validation frames have no labels; increase training.val_fraction")
        return sum(c.ap * c.n_truths for c in scores.per_class.values()) / scores.n_truths

    def _until_deadline(self) -> Iterator[ResizedPicture]:
        for number, picture in enumerate(self._pictures):
            if self._deadline.has_passed:
                raise ValidationCut(number / len(self._pictures))
            yield picture

    def _detector(self, network: TrainableNetwork) -> TorchDetector:
        return TorchDetector(
            network, self._labels, self._config.input_size, min_score=self._min_score, n_threads=self._n_threads
        )

    def _opened(self, network: TrainableNetwork) -> TorchDetector | OnnxDetector:
        if not self._is_exported:
            return self._detector(network)
        size_wh = self._config.input_size
        spec = network.detector_spec(network.architecture, self._labels, size_wh)
        content = onnx_content(network.decoded(size_wh).eval(), size_wh)
        return OnnxDetector(content, spec, min_score=self._min_score, n_threads=self._n_threads)

    @property
    def _min_score(self) -> float:
        return self._config.evaluation.min_score

    @property
    def _n_threads(self) -> int | None:
        return threads_each(self._config.training.n_threads, self._n_parallel)
