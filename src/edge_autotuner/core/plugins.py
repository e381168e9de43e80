"""Implementations by name: those of this package in plain tables, others by entry points of installed distributions.

`core/protocols.py` says what an implementation must do; the tables here say which ones there are. A distribution adds
one by an entry point in the group of the table, which is looked for only when a setting names it:

    [project.entry-points."edge_autotuner.backgrounds"]
    acme = "acme_edge.background:AcmeBackground"

Only the name comes from settings. The code is what the administrator installed, never a path in a file or a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from edge_autotuner.errors import ConfigError, EdgeAutotunerError


@dataclass(frozen=True)
class PluginTable:
    """The implementations of one seam.

    Attributes:
        noun: what error messages call one.
        group: of the entry points.
        built_in: name -> "module:object"; an entry point cannot replace one of these.
        reserved: further names of this package, which it opens with what only a run has; nothing can take or load them.
    """

    noun: str
    group: str
    built_in: Mapping[str, str]
    reserved: tuple[str, ...] = ()

    def __contains__(self, name: object) -> bool:
        return name in self.built_in or (isinstance(name, str) and bool(self._installed(name)))

    @property
    def names(self) -> tuple[str, ...]:
        """All names: those of this package, then those of installed distributions in alphabetical order."""
        own = (*self.built_in, *self.reserved)
        return (*own, *sorted({point.name for point in entry_points(group=self.group)}.difference(own)))

    def require(self, name: str) -> str:
        """Return the name, without importing anything.

        Raises:
            ValueError: nothing has this name; for the validation of settings.
        """
        if name not in self:
            raise ValueError(f"there is no {self.noun} '{name}'; choose from {', '.join(self.names)}")
        return name

    def distribution_of(self, name: str) -> str:
        """Return name and version of the distribution that adds an implementation; empty for one of this package."""
        return "" if name in self.built_in else _distribution_of(self._find(name))

    def load(self, name: str) -> Any:  # noqa: ANN401 (the protocol of the table)
        """Import an implementation.

        Raises:
            ConfigError: nothing has this name, two distributions have it, or its distribution does not work.
        """
        point = self._find(name)
        if name in self.built_in:
            return point.load()
        try:
            return point.load()
        except Exception as exc:  # foreign code may fail in any way
            raise ConfigError(
                f"{self.noun} {name} of the package {_distribution_of(point)} cannot be loaded: "
                f"{type(exc).__name__}: {exc}; update or remove the package"
            ) from exc

    def make(self, name: str, *arguments: Any, **settings: Any) -> Any:  # noqa: ANN401 (the protocol of the table)
        """Import an implementation and call it.

        Raises:
            ConfigError: as `load`; or that of another distribution fails.
            EdgeAutotunerError: as the implementation does.
        """
        implementation = self.load(name)
        if name in self.built_in:
            return implementation(*arguments, **settings)
        try:
            return implementation(*arguments, **settings)
        except EdgeAutotunerError:
            raise
        except Exception as exc:  # foreign code may fail in any way
            raise ConfigError(
                f"{self.noun} {name} of the package {self.distribution_of(name)} failed: {type(exc).__name__}: {exc}; "
                "check its settings, or update or remove the package"
            ) from exc

    def _find(self, name: str) -> EntryPoint:
        if name in self.built_in:
            return EntryPoint(name, self.built_in[name], self.group)
        found = self._installed(name)
        if not found:
            raise ConfigError(f"there is no {self.noun} '{name}'; choose from {', '.join(self.names)}")
        if len(found) > 1:
            packages = " and ".join(_distribution_of(point) for point in found)
            raise ConfigError(f"{self.noun} {name} is in the packages {packages}; remove one of them")
        return found[0]

    def _installed(self, name: str) -> list[EntryPoint]:
        return [] if name in self.reserved else list(entry_points(group=self.group, name=name))


def _distribution_of(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "of unknown origin"


_BACKGROUND = "edge_autotuner.capture.background"

BACKGROUNDS = PluginTable(
    "background method",
    "edge_autotuner.backgrounds",
    {
        "median": f"{_BACKGROUND}.median:MedianBackground.configured",
        "percentile": f"{_BACKGROUND}.median:MedianBackground.at_percentile",
        "running": f"{_BACKGROUND}.running:RunningBackground.configured",
        "first": f"{_BACKGROUND}.running:FirstFrame.configured",
        "mog2": f"{_BACKGROUND}.subtractors:Mog2Background.configured",
        "knn": f"{_BACKGROUND}.subtractors:KnnBackground.configured",
    },
)
"""Called with a `BackgroundConfig` and `quick_start: bool`; returns a new `BackgroundModel`.

`quick_start` asks for a background within five frames, a rough one: the scene has just changed.
"""

TEACHERS = PluginTable("teacher", "edge_autotuner.teachers", {}, reserved=("zoom", "remote"))
"""By the name in the settings up to a colon; any other name is a model's file or that of a known model.

An entry point is called with what follows the colon, an `AnnotationConfig` and `n_threads: int | None`, and returns a
`Detector` and a text that changes whenever its answers may. The detector is asked about views of a frame, from one
thread, and only about what the privacy settings let leave this machine. `pipeline.annotation_stage` opens the reserved
ones.
"""

_CAMERA_FEED = "edge_autotuner.capture.live.connection:CameraFeed"

SOURCES = PluginTable(
    "kind of camera",
    "edge_autotuner.sources",
    dict.fromkeys(("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "tcp", "srt", "webcam"), _CAMERA_FEED),
)
"""By the scheme of an address. Called with a `LiveAddress`, a `StreamConfig` and `clock`; returns a `Feed`."""

RUNTIMES = PluginTable(
    "runtime",
    "edge_autotuner.runtimes",
    {"onnxruntime": "edge_autotuner.models.onnx_detector:OnnxDetector"},
)
"""Called with the content of an ONNX file, a `DetectorSpec`, and `n_threads`, `min_score`, `max_detections`; returns a
`Detector`, which one thread uses at a time. Raises `WeightsError` for a file that it cannot run.
"""

OUTPUTS = PluginTable(
    "output",
    "edge_autotuner.outputs",
    {
        "json_lines": "edge_autotuner.node.outputs.json_lines:open_json_lines",
        "mqtt": "edge_autotuner.node.outputs.mqtt:MqttOutput",
        "webhook": "edge_autotuner.node.outputs.webhook:WebhookOutput",
    },
)
"""Called with the settings of the output, the `CameraConfig` of all cameras, and `clock`; returns a `DetectionOutput`.

The settings are a model of `config.node`; of another package's output they are the mapping in `outputs.plugins`.
"""

TRIGGERS = PluginTable(
    "learning trigger",
    "edge_autotuner.triggers",
    {"closed": "edge_autotuner.node.learning_rules:oldest_closed_batch"},
)
"""Called with a `CameraFolder`; returns the `BatchFolder` to learn from now, or None: a `LearningTrigger`."""
