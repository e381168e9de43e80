"""Cache of results in memory and on disk, both bounded, with LRU eviction."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass

from edge_autotuner.core.detections import Detections
from edge_autotuner.core.tasks import task_named
from edge_autotuner.server.annotation.result_store import ResultStore

logger = logging.getLogger(__name__)

_OVERHEAD_BYTES = 200  # of an entry in memory, beside its value


@dataclass(frozen=True)
class ResultKey:
    """Everything that a result depends on.

    Attributes:
        settings: hash of the model's settings.
        client: that may use the result; None: all clients.
        task: of the model, which decides how results are encoded.
    """

    picture_sha256: str
    model_sha256: str
    settings: str
    client: str | None = None
    task: str = "boxes"

    def to_bytes(self) -> bytes:
        """Return the key for the store."""
        owner = b"" if self.client is None else hashlib.sha256(self.client.encode()).digest()
        return owner + bytes.fromhex(self.picture_sha256) + bytes.fromhex(self.model_sha256) + self.settings.encode()


class ResultCache:
    """Caches detections; may be used by several threads.

    Args:
        max_memory_bytes: of results in memory; 0: none.
        store: results on disk, which survive a restart; None: none.
    """

    def __init__(self, max_memory_bytes: int, store: ResultStore | None = None) -> None:
        self._max_bytes = max_memory_bytes
        self._store = store
        self._lock = threading.Lock()
        self._packed: OrderedDict[bytes, bytes] = OrderedDict()
        self._n_bytes = 0

    @property
    def n_bytes(self) -> int:
        """Size of the results in memory."""
        return self._n_bytes

    def get(self, key: ResultKey) -> Detections | None:
        """Return a result from memory or disk, or None."""
        found = self.recall(key)
        if found is not None or self._store is None:
            return found
        packed = self._store.get(key.to_bytes())
        if packed is None:
            return None
        with suppress(ValueError):
            found = task_named(key.task).codec.from_bytes(packed)
            self._remember(key.to_bytes(), packed)
            return found
        logger.warning("ignoring a damaged cached result")
        return None

    def recall(self, key: ResultKey) -> Detections | None:
        """Return a result from memory, or None."""
        name = key.to_bytes()
        with self._lock:
            packed = self._packed.get(name)
            if packed is None:
                return None
            self._packed.move_to_end(name)
        return task_named(key.task).codec.from_bytes(packed)

    def put(self, key: ResultKey, found: Detections) -> None:
        """Store a result; it is written to the disk later."""
        name, packed = key.to_bytes(), task_named(key.task).codec.to_bytes(found)
        self._remember(name, packed)
        if self._store is not None:
            self._store.put(name, packed)

    def forget_old(self) -> None:
        """Delete results on disk that are older than the store keeps."""
        if self._store is not None:
            self._store.forget_old()

    def close(self) -> None:
        """Write pending results to the disk."""
        if self._store is not None:
            self._store.close()

    def _remember(self, name: bytes, packed: bytes) -> None:
        size = _size(name, packed)
        if size > self._max_bytes:
            return
        with self._lock:
            before = self._packed.pop(name, None)
            if before is not None:
                self._n_bytes -= _size(name, before)
            self._packed[name] = packed
            self._n_bytes += size
            while self._n_bytes > self._max_bytes:
                self._n_bytes -= _size(*self._packed.popitem(last=False))


def _size(name: bytes, packed: bytes) -> int:
    return len(name) + len(packed) + _OVERHEAD_BYTES
