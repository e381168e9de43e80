"""Fine-tuning: losses that know what the teacher has not seen, augmentation, and the training loop."""

from edge_autotuner.training.checkpoints import load_best
from edge_autotuner.training.losses import assign, detection_loss
from edge_autotuner.training.objectives import Objective, objective_for
from edge_autotuner.training.pictures import Batch, BatchMaker
from edge_autotuner.training.samples import PreparedSample, TrainingSample, canvas_size, prepare_sample
from edge_autotuner.training.schedule import choose_layers, learning_rate
from edge_autotuner.training.ssdlite_losses import match_anchors, ssdlite_loss
from edge_autotuner.training.targets import Assignment, LossParts, Target
from edge_autotuner.training.time_budget import ValidationCut
from edge_autotuner.training.tune import TuningResult, Validate, tune

__all__ = [
    "Assignment",
    "Batch",
    "BatchMaker",
    "LossParts",
    "Objective",
    "PreparedSample",
    "Target",
    "TrainingSample",
    "TuningResult",
    "Validate",
    "ValidationCut",
    "assign",
    "canvas_size",
    "choose_layers",
    "detection_loss",
    "learning_rate",
    "load_best",
    "match_anchors",
    "objective_for",
    "prepare_sample",
    "ssdlite_loss",
    "tune",
]
