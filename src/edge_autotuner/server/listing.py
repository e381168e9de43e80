"""What lists show of many things, so that a client takes them: `LONG_LIST` bounds the replies that it reads.

Metrics are chosen by whoever adds a bundle. A list shows those of usual size, of the newest first, up to a budget; the
whole of them is in the description of a bundle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edge_autotuner.core.json_values import check_json_values

MAX_BUNDLES = 2000
"""Newest bundles of a camera that are listed: less than half of what a reply may have, even with the longest names."""

MAX_CAMERAS = 5000
"""Of a service: all are listed in one reply."""

MAX_VALUES = 500
MAX_BYTES = 8 << 10
_BUDGET_VALUES = 200_000
_BUDGET_BYTES = 4 << 20


class ShownMetrics:
    """Decides which metrics a reply shows: those of usual size, as long as all of them together are not too much."""

    def __init__(self) -> None:
        self._n_values, self._n_bytes = _BUDGET_VALUES, _BUDGET_BYTES

    def of(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Return metrics, or none where they are unusually large, not printable, or too much for the reply."""
        text = json.dumps(metrics)
        n_values = text.count(",") + text.count(":") + text.count("[") + text.count("{")
        if len(text) > min(MAX_BYTES, self._n_bytes) or n_values > self._n_values:
            return {}
        try:
            check_json_values(metrics, max_items=MAX_VALUES)
        except ValueError:  # an earlier version accepted it without bounds
            return {}
        self._n_values -= n_values
        self._n_bytes -= len(text)
        return dict(metrics)
