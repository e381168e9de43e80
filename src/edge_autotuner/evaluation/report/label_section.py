"""What the page says of the labels: which of the teacher's boxes were changed in the light of all other frames."""

from __future__ import annotations

from typing import Any

from edge_autotuner.evaluation.report.data import RefinementFacts, ReportData

Rows = list[tuple[str, str]]

_NOT_FOLLOWED = (
    "Objects were not followed from frame to frame: the frames are too far apart or not in order of time, or the rules "
    "about time are switched off."
)


def refinement(data: ReportData) -> dict[str, Any] | None:
    """Return the rows about objects over time and about what is left, and a sentence where there are none."""
    facts = data.refinement
    if facts is None:
        return None
    return {
        "followed": _followed_rows(facts) if facts.is_followed else [],
        "not_followed": "" if facts.is_followed else _NOT_FOLLOWED,
        "left": _left_rows(facts),
    }


def _followed_rows(facts: RefinementFacts) -> Rows:
    counts = [
        ("Objects followed through three frames or more", facts.n_tracks),
        ("Boxes smoothed along the way of their object", facts.n_smoothed),
        ("Gaps filled: an object was missed between two frames", facts.n_filled),
        ("Flickers, which no neighbouring frame shows: now uncertain", facts.n_flickers),
        ("Became labels because the frames around are sure", facts.n_raised),
        ("Became uncertain because the frames around are unsure", facts.n_lowered),
        ("Got the one class that their object has", facts.n_reclassified),
    ]
    return [(name, _count_text(n)) for name, n in counts]


def _left_rows(facts: RefinementFacts) -> Rows:
    places = f"{facts.n_static_places:,} place{'' if facts.n_static_places == 1 else 's'}"
    return [
        ("Part of the scene, but taken for an object", places if facts.n_static_places else "none"),
        ("Labels taken away there", _count_text(facts.n_static_labels)),
        ("Labels left in the training frames", _count_text(facts.n_labels)),
        ("Training frames without any label", _count_text(facts.n_empty_frames)),
    ]


def _count_text(n: int) -> str:
    return f"{n:,}" if n else "none"
