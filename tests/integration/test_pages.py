"""Pages that people open, in a browser: the report, the documentation, on a phone and on a desk, light and dark."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.core import Detections
from edge_autotuner.core.labels import STREET_6
from edge_autotuner.evaluation.report import render_report
from edge_autotuner.evaluation.report.pictures import boxes_svg
from helpers import REPOSITORY
from support.machine.pages_in_browser import DESK_PX, PHONE_PX, TOO_WIDE, Browser, browser
from support.runs.report_sample import sample_report
from support.runs.run_samples import FinishedRun

CUT_OFF = """
Array.from(document.querySelectorAll("pre > code")).filter(element => element.scrollWidth > element.clientWidth + 1)
  .map(element => element.textContent.slice(0, 60))
"""
BACKGROUND = "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3).map(Number)"
BROKEN_NAMES = """
Array.from(document.querySelectorAll("td:first-child code, h2 > code:not(.highlight)")).flatMap(code =>
  Array.from(code.childNodes).filter(node => node.nodeType === 3).filter(node => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return new Set(Array.from(range.getClientRects(), box => Math.round(box.top))).size > 1;
  }).map(node => node.textContent))
"""
"""Parts of names, between two places where a line may end, that are broken nevertheless."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the documentation; a link that leads nowhere is an error."""
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("needs the extra 'docs'")
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("width_px", [PHONE_PX, DESK_PX])
def test_the_report_fits(width_px: int, chromium: Browser, finished_run: FinishedRun) -> None:
    chromium.show((finished_run.folder / "report.html").as_uri(), width_px=width_px)
    assert chromium.value(TOO_WIDE) == []
    assert chromium.value(f"document.body.getBoundingClientRect().width <= {width_px}")


def test_scores_of_the_new_model_are_in_sight_on_a_phone(chromium: Browser, tmp_path: Path) -> None:
    """The page is about them, and the table may scroll: only those of the teacher are further to the right."""
    page = tmp_path / "report.html"
    page.write_text(render_report(sample_report(real_frames=False)), encoding="utf-8")
    chromium.show(page.as_uri(), width_px=PHONE_PX)
    edges = chromium.value(
        "[...document.querySelectorAll('.total td:nth-child(-n+6)')].map(td => td.getBoundingClientRect().right)"
    )
    assert len(edges) >= 5
    assert max(edges) <= PHONE_PX


def test_a_tap_shows_class_and_score_in_a_crowded_picture(chromium: Browser, tmp_path: Path) -> None:
    n = 13
    found = Detections([[6 * i, 20, 6 * i + 5, 30] for i in range(n)], [0.5] * n, [0] * n)
    boxes = boxes_svg(found, STREET_6, highlighted=np.zeros(n, np.bool_), width=80)
    css = (REPOSITORY / "src/edge_autotuner/evaluation/report/report.css").read_text(encoding="utf-8")
    page = tmp_path / "page.html"
    page.write_text(f'<style>{css}</style><svg class="frame" viewBox="0 0 80 60">{boxes}</svg>', encoding="utf-8")
    chromium.show(page.as_uri(), width_px=PHONE_PX)
    labels = "[...document.querySelectorAll('.tag-text')]"
    shown = f"{labels}.filter(e => e.getBoundingClientRect().width).map(e => e.textContent)"
    assert chromium.value(shown) == []
    chromium.value("document.querySelector('.box').focus()")
    assert chromium.value(shown) == ["person 0.50"]


def test_the_report_is_dark_where_the_system_is(chromium: Browser, finished_run: FinishedRun) -> None:
    chromium.show((finished_run.folder / "report.html").as_uri(), width_px=PHONE_PX)
    assert min(chromium.value(BACKGROUND)) > 200
    chromium.show((finished_run.folder / "report.html").as_uri(), width_px=PHONE_PX, is_dark=True)
    assert max(chromium.value(BACKGROUND)) < 60


@pytest.mark.slow
@pytest.mark.parametrize("width_px", [PHONE_PX, DESK_PX])
def test_no_page_of_the_documentation_scrolls_sideways(width_px: int, chromium: Browser, site: Path) -> None:
    pages = sorted(site.rglob("index.html"))
    assert len(pages) > 20
    for page in pages:
        chromium.show(page.as_uri(), width_px=width_px)
        assert (page.parent.name, chromium.value(TOO_WIDE)) == (page.parent.name, [])


@pytest.mark.slow
@pytest.mark.parametrize("width_px", [PHONE_PX, DESK_PX])
def test_the_home_diagram_is_whole_and_names_break_between_words(width_px: int, chromium: Browser, site: Path) -> None:
    chromium.show((site / "index.html").as_uri(), width_px=width_px)
    assert chromium.value(CUT_OFF) == []
    for name in ("settings", "node-settings", "service-settings"):
        chromium.show((site / "reference" / name / "index.html").as_uri(), width_px=width_px)
        assert chromium.value(BROKEN_NAMES) == []


@pytest.mark.slow
def test_names_are_whole_where_there_is_room_and_addresses_break_at_slashes(chromium: Browser, site: Path) -> None:
    chromium.show((site / "reference/settings/index.html").as_uri(), width_px=DESK_PX)
    lines = "[...document.querySelectorAll('td:first-child code')].map(code => code.getClientRects().length)"
    assert set(chromium.value(lines)) == {1}
    chromium.show((site / "reference/http-api/index.html").as_uri(), width_px=PHONE_PX)
    assert chromium.value(BROKEN_NAMES) == []


@pytest.mark.slow
def test_the_documentation_is_dark_where_the_system_is(chromium: Browser, site: Path) -> None:
    chromium.show((site / "index.html").as_uri(), width_px=DESK_PX, is_dark=True)
    assert max(chromium.value(BACKGROUND)) < 80


def test_the_python_reference_has_every_public_name(site: Path) -> None:
    import edge_autotuner

    page = (site / "reference" / "python-api" / "index.html").read_text(encoding="utf-8")
    names = set(edge_autotuner.__all__) - {"__version__"}
    assert [name for name in sorted(names) if f'.{name}"' not in page] == []
