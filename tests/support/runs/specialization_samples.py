"""Entries of the specialization benchmark's result file, made by hand."""

from __future__ import annotations

from typing import Any

MACHINE = {
    "cpu": "Fast 9000",
    "cores": 2,
    "python": "3.11.2",
    "opencv": "5.0",
    "pyav": "18.1",
    "torch": "2.13.0",
    "threads": 2,
}


def entry(result: dict[str, Any], fingerprint: str = "") -> dict[str, Any]:
    return {"machine": MACHINE, "fingerprint": fingerprint, "wall_s": 1.0, "result": result}


def scores(ap50: float, ap: float) -> dict[str, Any]:
    return {"ap50": ap50, "ap": ap}


def trained(
    before: tuple[float, float], after: tuple[float, float], *, validation: tuple[float, float] = (0.9, 0.5)
) -> dict[str, Any]:
    """What a trial gives, with the keys that the tables read."""
    human = {
        "off-the-shelf edge": scores(*before),
        "specialized edge": scores(*after),
        "teacher": scores(0.9, 0.6),
    }
    return entry(
        {
            "scores": {"human": human},
            "one_box": {"before": scores(*before), "after": scores(*after)},
            "validation": {"human": {"before": scores(0.8, 0.4), "after": scores(*validation)}},
            "layers": "all",
            "best_epoch": 3,
            "seconds": {"capture": 1.0, "annotation": 20.0, "training": 300.0},
            "ms_per_frame": {"before": 30.0, "after": 29.0},
        }
    )
