"""Short hashes that tell settings, models and labels apart."""

from __future__ import annotations

import hashlib
import json


def fingerprint_of(*parts: object) -> str:
    """Return a short hash of plain values, whatever order their keys have."""
    return fingerprint_values(parts)


def fingerprint_values(values: object) -> str:
    """Return a short hash of JSON values, whatever order their keys have; other values count by their text."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]
