"""The deployed model of a camera; a new one takes over between two frames."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from edge_autotuner.config.node import DetectConfig
from edge_autotuner.core import Detector, Frame, ModelFindings, MotionResult, OperatingPoint
from edge_autotuner.deployment import ModelBundle, deployed_bundle, read_bundle
from edge_autotuner.deployment.runtime import feeding_of, open_bundle
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.models.regions import RegionDetector
from edge_autotuner.models.shown import only_shown

DEFAULT_MIN_SCORE = 0.3
"""Where neither the settings nor the bundle say from which score boxes are reported."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Loaded:
    bundle: ModelBundle
    detector: Detector
    point: OperatingPoint | None
    regions: RegionDetector | None


class DeployedModel:
    """Follows the link to a camera's deployed bundle.

    `refresh` loads and checks a new bundle, from any thread; the detecting thread never waits for it. A damaged bundle
    is refused, and the old model stays.
    """

    def __init__(self, folder: Path, config: DetectConfig) -> None:
        self._folder, self._config = folder, config
        self._loaded: _Loaded | None = None
        self._refused: str | None = None

    @property
    def bundle(self) -> ModelBundle | None:
        """The bundle in use; None before the first."""
        return self._loaded.bundle if self._loaded else None

    @property
    def detector(self) -> Detector | None:
        """Its detector."""
        return self._loaded.detector if self._loaded else None

    @property
    def needs_motion(self) -> bool:
        """Whether the model looks at what moves, and so the gate must look first."""
        return self._loaded is not None and self._loaded.regions is not None

    @property
    def mode(self) -> str | None:
        """How the model is fed, and why, one line; None before the first."""
        if self._loaded is None:
            return None
        return self._loaded.regions.explanation if self._loaded.regions else "full"

    @property
    def refused(self) -> str | None:
        """Why the deployed bundle is not in use; None if it is."""
        return self._refused

    def refresh(self) -> bool:
        """Load the deployed bundle if it is another one; return whether it was."""
        try:
            folder = deployed_bundle(self._folder)
            if folder is None or (self._loaded and self._loaded.bundle.folder.name == folder.name):
                self._refused = None
                return False
            self._loaded = self._load(folder)
        except EdgeAutotunerError as exc:
            if str(exc) != self._refused:
                logger.error("%s: refused the new model, keeping the old one: %s", self._folder.name, exc)
            self._refused = str(exc)
            return False
        self._refused = None
        logger.info("%s: using model %s", self._folder.name, folder.name)
        return True

    def forget_scene(self) -> None:
        """Forget what stood still: other frames follow."""
        if self._loaded is not None and self._loaded.regions is not None:
            self._loaded.regions.reset()

    def look(self, frame: Frame, motion: MotionResult | None = None) -> ModelFindings | None:
        """Run the model on a frame; None before a model is deployed.

        Args:
            frame: the next one of the camera.
            motion: what the gate saw in it, for a model that needs it; None: look at the whole frame.
        """
        loaded = self._loaded
        if loaded is None:
            return None
        if motion is not None and loaded.regions is not None:
            found = loaded.regions.detect(frame, motion).detections
        else:
            found = loaded.detector.detect(frame.image_bgr)
        if loaded.point is not None:
            found = only_shown(found, loaded.point, loaded.detector.labels)
        return ModelFindings(loaded.bundle.folder.name, loaded.detector.labels, found)

    def _load(self, folder: Path) -> _Loaded:
        bundle = read_bundle(folder)
        point = bundle.operating_point if self._config.min_score is None else None
        detector = open_bundle(
            bundle,
            n_threads=min(self._config.n_threads, len(os.sched_getaffinity(0))),
            min_score=self._min_score(point),
            max_detections=self._config.max_detections,
            runtime=self._config.runtime,
        )
        feeding = feeding_of(bundle, self._config.mode)
        regions = None if feeding.mode == "full" else RegionDetector(detector, feeding)
        return _Loaded(bundle, detector, point, regions)

    def _min_score(self, point: OperatingPoint | None) -> float:
        """Return the score from which boxes are looked at; the point drops more of them."""
        if point is not None:
            return min(of_class.min_score for of_class in point.per_class.values())
        return self._config.min_score or DEFAULT_MIN_SCORE
