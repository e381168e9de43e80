"""Fills the page: one HTML file without any reference to another file or address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_autotuner._version import __version__
from edge_autotuner.errors import MissingDependency
from edge_autotuner.evaluation.report import capture_section, point_section, sections
from edge_autotuner.evaluation.report.data import ReportData
from edge_autotuner.evaluation.report.wording import headline, standing
from edge_autotuner.storage.atomic import atomic_write_text

_FOLDER = Path(__file__).parent


def write_report(path: Path, data: ReportData) -> None:
    """Write the page in one step.

    Raises:
        StorageError: the disk is full or refuses the write; an older page stays.
        MissingDependency: jinja2 is not installed.
    """
    atomic_write_text(path, render_report(data))


def render_report(data: ReportData) -> str:
    """Return the whole page. All names and texts in `data` are escaped; parts that are missing are left out.

    Raises:
        MissingDependency: jinja2 is not installed.
    """
    return str(_load_template().render(page=_page(data)))


def _page(data: ReportData) -> dict[str, Any]:
    """Return the template's values; only our own functions produce strings with markup."""
    page = {
        "title": data.title,
        "headline": headline(data),
        "standing": standing(data),
        "css": (_FOLDER / "report.css").read_text(encoding="utf-8"),
        "version": __version__,
        "created_at": data.created_at.strftime("%Y-%m-%d %H:%M UTC") if data.created_at else "",
        "verdict": sections.verdict(data),
        "tiles": sections.tiles(data),
        "facts": sections.facts(data),
        "frames": sections.frames(data),
        "class_key": sections.class_key(data),
        "point": point_section.section(data),
        "accuracy": sections.accuracy_tables(data),
        "has_human_truth": sections.has_human_truth(data),
        "promotion": sections.promotion(data),
        "capture": capture_section.section(data),
        "teacher": sections.teacher_scores(data),
        "refinement": capture_section.refinement(data),
        "learning": sections.learning(data),
        "costs": sections.costs(data),
        "reproduces": bool(data.command or data.settings or data.versions or data.hashes),
        "data": data,
    }
    return page | {"links": _links(page)}


def _links(page: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (anchor, title) of the sections that the page has."""
    wanted = [
        ("frames", "Before and after", page["frames"]),
        ("point", "Found and missed", page["point"]),
        ("accuracy", "Accuracy", page["accuracy"]),
        ("promotion", "Promotion", page["promotion"]),
        ("selection", "Capture", page["capture"]),
        ("learning", "Learning", page["learning"] or page["teacher"] or page["refinement"]),
        ("costs", "Cost", page["costs"]),
        ("reproduce", "Reproduce", page["reproduces"]),
    ]
    return [(anchor, title) for anchor, title, shown in wanted if shown]


def _load_template() -> Any:  # noqa: ANN401  # jinja2 is loaded on use
    try:
        import jinja2
    except ImportError as exc:
        raise MissingDependency(
            "the report page needs jinja2; install it with: pip install 'edge-autotuner[train]'"
        ) from exc
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html")
