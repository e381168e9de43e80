"""Fine-tuning: the loss that knows what the teacher has not seen, augmentation, and the training loop."""

from edge_autotuner.training.losses import Assignment, LossParts, Target, assign, detection_loss
from edge_autotuner.training.pictures import Batch, BatchMaker
from edge_autotuner.training.samples import PreparedSample, TrainingSample, canvas_size, prepare_sample
from edge_autotuner.training.tune import TuningResult, Validate, choose_layers, learning_rate, tune

__all__ = [
    "Assignment",
    "Batch",
    "BatchMaker",
    "LossParts",
    "PreparedSample",
    "Target",
    "TrainingSample",
    "TuningResult",
    "Validate",
    "assign",
    "canvas_size",
    "choose_layers",
    "detection_loss",
    "learning_rate",
    "prepare_sample",
    "tune",
]
