"""Metrics for Prometheus."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from edge_autotuner.errors import StorageError

logger = logging.getLogger(__name__)

_PREFIX = "edge_autotuner"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

MEDIA_TYPE = prometheus_client.CONTENT_TYPE_LATEST


class Metrics:
    """Metrics of one service, not shared between services of a process.

    Labels have few values: known names of models, clients and routes, never text of a request.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self.registry)
        self.requests = self._counter("requests", "Answered requests.", "method", "route", "status", "client")
        self.request_seconds = self._histogram("request_seconds", "Time until the response.", _SECONDS, "route")
        self.received_bytes = self._counter("received_bytes", "Bytes of request bodies.", "route")
        self.sent_bytes = self._counter("sent_bytes", "Bytes of response bodies.", "route")
        self.pictures = self._counter(
            "pictures",
            "Annotated pictures: computed, cached, or shared with a running request.",
            "model",
            "client",
            "how",
        )
        self.batch_pictures = self._histogram("batch_pictures", "Pictures per model call.", _BATCHES, "model")
        self.call_seconds = self._histogram("call_seconds", "Time per model call.", _SECONDS, "model")
        self.queue_pictures = self._gauge("queue_pictures", "Queued pictures.", "model")
        self.cache_bytes = self._gauge("cache_memory_bytes", "Cached results in memory.")
        self.collections = self._counter("collections", "Garbage collections.", "outcome")
        for outcome in ("done", "only-noted", "failed"):
            self.collections.labels(outcome)  # so that 0 is shown
        self.last_collection_time = self._gauge(
            "last_collection_time_seconds", "Last garbage collection of this process, Unix time; 0: none yet."
        )
        self.last_collection_bytes = self._gauge("last_collection_bytes", "Bytes that it freed.")

    def watch(self, name: str, text: str, label: str, read: Callable[[], Mapping[str, int]]) -> None:
        """Add a gauge that is read on each request, with one value for each value of a label."""
        self.registry.register(_Watched(f"{_PREFIX}_{name}", text, label, read))

    def page(self) -> bytes:
        """Return all metrics in the text format of Prometheus; may read the database."""
        return prometheus_client.generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", text, labels, registry=self.registry, buckets=buckets)


class _Watched(Collector):
    """A gauge whose values are read on request."""

    def __init__(self, name: str, text: str, label: str, read: Callable[[], Mapping[str, int]]) -> None:
        self._name, self._text, self._label, self._read = name, text, label, read

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield the name, without reading anything."""
        yield GaugeMetricFamily(self._name, self._text, labels=[self._label])

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the current values; none if they cannot be read."""
        found = GaugeMetricFamily(self._name, self._text, labels=[self._label])
        try:
            for value, n in self._read().items():
                found.add_metric([value], n)
        except StorageError as exc:
            logger.error("cannot collect /metrics: %s", exc)
        yield found
