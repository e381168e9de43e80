"""The sections about the capture (motion, skipped frames and why, pixels worth sending) and about refined labels."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from edge_autotuner.core import CaptureEvent
from edge_autotuner.evaluation.report import charts, pictures
from edge_autotuner.evaluation.report.data import MotionFacts, RefinementFacts, ReportData, SentFacts
from edge_autotuner.evaluation.report.wording import (
    Tile,
    duration_text,
    one_of_text,
    percent_text,
    pixels_text,
    size_text,
)

Rows = list[tuple[str, str]]

_MAX_EVENTS = 20
_CHOSEN = {"selected", "empty"}

_REASONS = {
    "selected": "shows something new",
    "empty": "selected without motion, as a negative example",
    "background unknown": "the background was still being learned",
    "no motion": "no motion",
    "too soon": "too close to the previous selected frame; the budget is spread over time",
    "over budget": "the limit per hour, per day or of the whole capture was reached",
    "nothing new": "the moving objects were already sent",
    "too similar": "resembles a selected frame",
    "outscored": "another frame of the same time slot scored better",
}
"""Why frames are selected or not, in the words of the capture, and what is meant."""


def section(data: ReportData) -> dict[str, Any] | None:
    """Return all parts of the section; None when there are none."""
    parts = {
        "tiles": highlights(data),
        "selection": selection(data),
        "motion": motion(data),
        "sent": sent(data),
        "background": background(data),
        "motion_examples": motion_examples(data),
        "events": events(data),
    }
    return parts if any(parts.values()) else None


def highlights(data: ReportData) -> list[Tile]:
    """Return the large numbers of the section: frames skipped, share covered, pixels worth sending."""
    found = (_skipped_tile(data), _covered_tile(data.motion), _sent_tile(data.sent), _live_tile(data.motion))
    return [tile for tile in found if tile]


def selection(data: ReportData) -> dict[str, Any] | None:
    """Return counts per reason and the strip over time."""
    if not data.selection_counts and not data.timeline:
        return None
    kinds = {kind: [f.time_s for f in data.timeline if f.kind == kind] for kind in ("skipped", "train", "test")}
    names = {
        "train": f"for training: {len(kinds['train']):,}",
        "test": f"kept for the test: {len(kinds['test']):,}",
        "skipped": "skipped",
    }
    total = sum(data.selection_counts.values())
    rows = sorted(data.selection_counts.items(), key=lambda row: row[0] not in _CHOSEN)
    return {
        "strip": charts.timeline_strip(kinds) if data.timeline else "",
        "key": [(css, name) for css, name in names.items() if kinds[css]],
        "counts": [
            {
                "reason": reason,
                "meaning": _REASONS.get(reason, ""),
                "n": f"{n:,}",
                "percent": percent_text(n / max(total, 1)),
                "share": n / max(total, 1),
                "css": "train" if reason in _CHOSEN else "",
            }
            for reason, n in rows
        ],
    }


def motion(data: ReportData) -> dict[str, Any] | None:
    """Return the chart of the share that motion covers, and the numbers of the gate."""
    facts = data.motion
    if facts is None:
        return None
    chart = charts.share_histogram(
        facts.histogram,
        facts.histogram_edges,
        marked=("mean", facts.covered_fraction_with_motion),
        x_title="fraction of the frame covered by motion regions",
    )
    return {"chart": chart, "rows": motion_rows(facts)}


def motion_rows(facts: MotionFacts) -> Rows:
    """Return (name, value) of what a gate saw and of how a live source was watched."""
    compared = f"{facts.n_compared:,} of {facts.n_frames:,}"
    rows = [("Frames compared with the background", compared)]
    if facts.n_compared:
        n_still = facts.n_compared - facts.n_with_motion
        rows.append(("Frames without motion", f"{n_still:,} ({percent_text(n_still / facts.n_compared)})"))
    if facts.n_with_motion:
        rows += _size_rows(facts)
    cost = [(facts.gate_ms, "gate"), (facts.decode_ms, "decoding")]
    shown = ", ".join(f"{name} {ms:.1f} ms" for ms, name in cost if ms is not None)
    rows += [("Time per frame", shown)] if shown else []
    return [*rows, *(_live_rows(facts) if facts.is_live else _damage_rows(facts))]


def sent(data: ReportData) -> dict[str, Rows] | None:
    """Return how many pixels are sent, and how many of them are left at the teacher's input."""
    facts = data.sent
    if facts is None or not facts.pixels_of_frames:
        return None
    amounts = [("Pixels of all frames", pixels_text(facts.pixels_of_frames))]
    if facts.n_regions:
        amounts.append((f"In {facts.n_regions:,} regions of selected frames", _part_of(facts, facts.pixels_in_regions)))
    if facts.pixels_shown:
        amounts.append(("Shown to the teacher, test frames included", _part_of(facts, facts.pixels_shown)))
    return {"amounts": amounts, "kept": _kept_rows(facts, data.motion)}


def events(data: ReportData) -> dict[str, Any] | None:
    """Return the first events of the camera, and how many there were of each kind."""
    if not data.events:
        return None
    counts = Counter(event.kind for event in data.events)
    n_hidden = len(data.events) - _MAX_EVENTS
    return {
        "text": ", ".join(f"{n:,} \N{MULTIPLICATION SIGN} {kind}" for kind, n in counts.most_common()),
        "rows": [(_when(event), event.kind, event.detail) for event in data.events[:_MAX_EVENTS]],
        "rest": f"and {n_hidden:,} more in the dataset" if n_hidden > 0 else "",
    }


def background(data: ReportData) -> str:
    """Return the empty scene as a data URI."""
    return "" if data.background is None else pictures.data_uri(data.background)


def motion_examples(data: ReportData) -> list[dict[str, str]]:
    """Return frames with their motion regions."""
    return [
        {
            "caption": example.caption,
            "svg": pictures.frame_svg(
                example.image_bgr,
                picture_id=f"motion-{number}",
                content=pictures.regions_svg(example.regions_xyxy),
                description=f"{len(example.regions_xyxy)} motion regions",
            ),
        }
        for number, example in enumerate(data.motion_examples)
    ]


def _skipped_tile(data: ReportData) -> Tile | None:
    total = sum(data.selection_counts.values())
    if not total:
        return None
    n_chosen = sum(n for reason, n in data.selection_counts.items() if reason in _CHOSEN)
    return Tile(
        "Frames skipped",
        percent_text(1 - n_chosen / total),
        note=f"{n_chosen:,} of {total:,} are worth a teacher's look",
    )


def _covered_tile(facts: MotionFacts | None) -> Tile | None:
    if facts is None or not facts.n_with_motion:
        return None
    note = f"mean of one box around all changes; its regions cover {percent_text(facts.covered_fraction_with_motion)}"
    return Tile("Frame covered by motion", percent_text(facts.enclosing_fraction), note=note)


def _sent_tile(facts: SentFacts | None) -> Tile | None:
    if facts is None or not facts.pixels_in_regions:
        return None
    ratio = facts.pixels_of_frames / facts.pixels_in_regions
    return Tile("Pixels worth sending", one_of_text(ratio), note="regions of selected frames, of all captured pixels")


def _live_tile(facts: MotionFacts | None) -> Tile | None:
    if facts is None or not facts.is_live:
        return None
    return Tile("Watched", duration_text(facts.watched_s), note=f"frames dropped: {_dropped_text(facts)}")


def _size_rows(facts: MotionFacts) -> Rows:
    low, median, high = (percent_text(share) for share in facts.region_fractions)
    return [
        ("One box around all changes, mean", f"{percent_text(facts.enclosing_fraction)} of the frame"),
        ("Motion regions together, mean", f"{percent_text(facts.covered_fraction_with_motion)} of the frame"),
        ("Same, including frames without motion", f"{percent_text(facts.covered_fraction)} of the frame"),
        ("Half of the regions are smaller than", f"{median} of the frame"),
        ("Eight of ten lie between", f"{low} and {high}"),
    ]


def _live_rows(facts: MotionFacts) -> Rows:
    rows = [
        ("Watched", duration_text(facts.watched_s)),
        ("From", _stamp(facts.began_at)),
        ("To", _stamp(facts.ended_at)),
        ("Frames dropped", _dropped_text(facts)),
    ]
    return [(name, value) for name, value in rows if value]


def _damage_rows(facts: MotionFacts) -> Rows:
    rows = [("Damaged frames skipped", facts.n_lost), ("Frames with a repaired time", facts.n_times_repaired)]
    return [(name, f"{n:,}") for name, n in rows if n]


def _dropped_text(facts: MotionFacts) -> str:
    if not facts.n_dropped:
        return "none"
    n_given = facts.n_frames + facts.n_dropped
    return f"{facts.n_dropped:,} of {n_given:,} ({percent_text(facts.n_dropped / n_given)})"


def _part_of(facts: SentFacts, pixels: int) -> str:
    if pixels >= facts.pixels_of_frames:
        return f"{pixels_text(pixels)}, {pixels / facts.pixels_of_frames:.1f} times as many"
    return f"{pixels_text(pixels)}, {one_of_text(facts.pixels_of_frames / pixels)}"


def _kept_rows(facts: SentFacts, motion: MotionFacts | None) -> Rows:
    """Compare resolutions as Rivas et al. 2021, section 3.2: areas, whatever the shape of the region."""
    if facts.input_wh is None or motion is None:
        return []
    frame_px = motion.size_wh[0] * motion.size_wh[1]
    input_px = facts.input_wh[0] * facts.input_wh[1]
    rows = [(f"A whole frame of {size_text(motion.size_wh)}", _kept_text(frame_px / input_px))]
    if motion.n_with_motion:
        rows.append(("One box around all changes, mean", _kept_text(motion.enclosing_fraction * frame_px / input_px)))
        rows.append(("A region of median size", _kept_text(motion.region_fractions[1] * frame_px / input_px)))
    return [*rows, ("The teacher's input", size_text(facts.input_wh))]


def _kept_text(ratio: float) -> str:
    return "every pixel" if ratio <= 1 else f"{one_of_text(ratio)} pixels"


def _when(event: CaptureEvent) -> str:
    return charts.clock_text(event.time_s) if event.captured_at is None else _stamp(event.captured_at)


def _stamp(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""


_NOT_FOLLOWED = (
    "Objects were not tracked: the frames are too far apart or not in order of time, or the temporal rules are off."
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
        ("Objects tracked through three frames or more", facts.n_tracks),
        ("Boxes smoothed along their object's track", facts.n_smoothed),
        ("Gaps filled: an object was missed between two frames", facts.n_filled),
        ("Flickers that no neighbouring frame shows: now uncertain", facts.n_flickers),
        ("Became labels because neighbouring frames are certain", facts.n_raised),
        ("Became uncertain because neighbouring frames are uncertain", facts.n_lowered),
        ("Changed to the class of their object", facts.n_reclassified),
    ]
    return [(name, _count_text(n)) for name, n in counts]


def _left_rows(facts: RefinementFacts) -> Rows:
    places = f"{facts.n_static_places:,} place{'' if facts.n_static_places == 1 else 's'}"
    return [
        ("Parts of the scene mistaken for an object", places if facts.n_static_places else "none"),
        ("Labels removed there", _count_text(facts.n_static_labels)),
        ("Labels left in the training frames", _count_text(facts.n_labels)),
        ("Training frames without any label", _count_text(facts.n_empty_frames)),
        *((f"Dropped: {name}", said) for name, _, said in (one.partition(", ") for one in facts.dropped)),
    ]


def _count_text(n: int) -> str:
    return f"{n:,}" if n else "none"
