"""Settings models, one module per stage, and the loader that explains mistakes."""

from edge_autotuner.config.annotation import AnnotationConfig, JudgingConfig, RefinementConfig
from edge_autotuner.config.capture import (
    BackgroundConfig,
    CaptureConfig,
    MotionConfig,
    SelectionConfig,
    StreamConfig,
)
from edge_autotuner.config.feeding import FeedingConfig
from edge_autotuner.config.loader import load_config, resolve_config, resolve_settings
from edge_autotuner.config.run import EvaluationConfig, PrivacyConfig, RunConfig
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.config.training import (
    AugmentationConfig,
    FeatureCacheConfig,
    ReplayConfig,
    SecondLookConfig,
    TrainingConfig,
)

__all__ = [
    "AnnotationConfig",
    "AugmentationConfig",
    "BackgroundConfig",
    "CaptureConfig",
    "EvaluationConfig",
    "FeatureCacheConfig",
    "FeedingConfig",
    "JudgingConfig",
    "MotionConfig",
    "PrivacyConfig",
    "RefinementConfig",
    "ReplayConfig",
    "RunConfig",
    "SecondLookConfig",
    "SelectionConfig",
    "ServiceConfig",
    "StreamConfig",
    "TrainingConfig",
    "load_config",
    "resolve_config",
    "resolve_settings",
]
