"""Every setting of the main job, one model per stage, and the loader that explains mistakes."""

from edge_autotuner.config.annotation import AnnotationConfig, RefinementConfig
from edge_autotuner.config.augmentation import AugmentationConfig
from edge_autotuner.config.background import BackgroundConfig
from edge_autotuner.config.capture import CaptureConfig
from edge_autotuner.config.evaluation import EvaluationConfig
from edge_autotuner.config.feature_cache import FeatureCacheConfig
from edge_autotuner.config.loader import load_config, resolve_config, resolve_settings
from edge_autotuner.config.motion import MotionConfig
from edge_autotuner.config.privacy import PrivacyConfig
from edge_autotuner.config.replay import ReplayConfig
from edge_autotuner.config.run import RunConfig
from edge_autotuner.config.second_look import SecondLookConfig
from edge_autotuner.config.selection import SelectionConfig
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.config.stream import StreamConfig
from edge_autotuner.config.training import TrainingConfig

__all__ = [
    "AnnotationConfig",
    "AugmentationConfig",
    "BackgroundConfig",
    "CaptureConfig",
    "EvaluationConfig",
    "FeatureCacheConfig",
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
