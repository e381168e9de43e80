"""Accuracy and speed on real scenes: `scripts/bench`. Imports the package, never the reverse."""
