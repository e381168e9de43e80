"""The page: complete, self-contained, escaped, and sensible whatever is missing."""

from __future__ import annotations

import re
import sys
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from edge_autotuner.core import CaptureEvent, Detections, LabelMap
from edge_autotuner.errors import MissingDependency, StorageError
from edge_autotuner.evaluation import (
    AGAINST_TEACHER,
    OFF_THE_SHELF,
    ClassScores,
    Comparison,
    FoundObjects,
    PromotionDecision,
    Scores,
)
from edge_autotuner.evaluation.report import (
    Costs,
    FrameComparison,
    LearningCurve,
    RefinementFacts,
    ReportData,
    TimelineFrame,
    render_report,
    write_report,
)
from edge_autotuner.evaluation.report.wording import headline, standing
from support.runs.report_sample import refused, sample_comparison, sample_report

EVIL = '<script>alert("x")</script>'
VOID = {"meta", "input", "img", "br", "image", "use", "rect", "line", "circle", "path", "polyline"}


class _Page(HTMLParser):
    """Collects text, ids and links, and checks that tags are closed in order."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.scripts = 0
        self.words: list[str] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.addresses += [values[n] or "" for n in ("src", "href", "action", "xlink:href") if n in values]
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def full_page() -> str:
    return render_report(sample_report(real_frames=False))


def test_page_is_well_formed_and_self_contained(full_page: str) -> None:
    page = _Page(full_page)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert page.addresses
    assert all(address.startswith(("data:image/webp;base64,", "#")) for address in page.addresses)
    assert all(address[1:] in page.ids for address in page.addresses if address.startswith("#"))
    assert page.scripts == 1
    outside = full_page.replace("data:image", "")
    assert not re.search(r"https?://|@import|url\(", outside)
    assert "default-src 'none'" in full_page


def test_page_shows_every_part(full_page: str) -> None:
    text = _Page(full_page).text
    for words in (
        "The specialized model finds 69% more of the teacher's objects: 931 of 1,021 instead of 552.",
        "Promoted",
        "Against the teacher's labels: AP50:95 0.283 → 0.614, AP50 0.610 → 0.902",
        "Against human boxes",
        "1,560",
        "60.2% of the captured pixels were sent",
        "4 min 17 s",
        "the moving objects were already sent",
        "1 of 29",
        "One box around all changes, mean 28% of the frame",
        "A whole frame of 768\N{MULTIPLICATION SIGN}576 1 of 4.3 pixels",
        "scene changed 82% of the picture is new",
        "for training: 255",
        "kept for the test: 159",
        "The weights of epoch 8 are kept.",
        "469 are uncertain",
        "Objects tracked through three frames or more 57",
        "Gaps filled: an object was missed between two frames 33",
        "Became uncertain because neighbouring frames are uncertain none",
        "Parts of the scene mistaken for an object 2 places",
        "Labels removed there 345",
        "Labels left in the training frames 2,741",
        "edge-autotuner run vtest.avi --input-size 320",
        "Lower bound at 95%",
        "+0.302",
        "9.8 ms per frame",
        "2026-01-02 03:04 UTC",
    ):
        assert words in text, words


def test_pictures_of_a_pair_are_embedded_once(full_page: str) -> None:
    # 6 test frames, 1 background, 2 motion examples
    assert full_page.count("data:image/webp;base64,") == 9
    assert full_page.count('<use href="#frame-') == 6


def test_without_human_boxes_the_page_says_what_the_gain_is_measured_against(full_page: str) -> None:
    text = _Page(render_report(sample_report(real_frames=False, with_human=False))).text
    assert "every gain on this page is measured against the teacher's labels , not against the truth" in text
    assert "The specialization benchmark in the documentation has measurements against human boxes." in text
    assert "docs/" not in text
    assert "docs/specialization.md" not in _Page(full_page).text
    assert "are the ones to believe" in _Page(full_page).text


def test_a_refused_model_is_not_praised() -> None:
    text = _Page(render_report(refused(sample_report(real_frames=False)))).text
    assert "finds 1% fewer of the teacher's objects: 548 of 1,021 instead of 552." in text
    assert "Not promoted" in text
    assert "with 95% confidence by at least -0.021" in text


def test_frames_too_far_apart_to_follow_objects() -> None:
    text = _Page(render_report(ReportData("cam", refinement=RefinementFacts(1, 30, 200, 0)))).text
    assert "How the labels were refined" in text
    assert "Objects were not tracked" in text
    assert "Gaps filled" not in text
    assert "Parts of the scene mistaken for an object 1 place Labels" in text


def test_without_refinement_nothing_is_said_of_it() -> None:
    text = _Page(render_report(replace(sample_report(real_frames=False), refinement=None))).text
    assert "469 are uncertain: neither object nor background. Training loss" in text
    assert "refined" not in text


def test_empty_page() -> None:
    page = _Page(render_report(ReportData("a video")))
    assert page.open == []
    assert "Nothing has been measured yet." in page.text
    assert "a video" in page.text
    assert page.ids == []


@pytest.mark.parametrize("missing", [f.name for f in fields(ReportData) if f.name not in {"title", "labels"}])
def test_any_part_may_be_missing(missing: str) -> None:
    data = _small_report()
    empty = getattr(ReportData("x"), missing)
    page = _Page(render_report(replace(data, **{missing: empty})))
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.parametrize("present", [f.name for f in fields(ReportData) if f.name not in {"title", "labels"}])
def test_any_part_may_be_alone(present: str) -> None:
    data = _small_report()
    page = _Page(render_report(replace(ReportData("x", labels=data.labels), **{present: getattr(data, present)})))
    assert page.open == []


def test_text_from_outside_is_escaped() -> None:
    labels = LabelMap((EVIL, "car"))
    scores = Scores(0.5, 0.25, {EVIL: ClassScores(0.5, 0.25, 3)}, 2, 3)
    image = np.zeros((40, 60, 3), np.uint8)
    found = Detections([[5, 5, 20, 20]], [0.9], [0])
    data = ReportData(
        title=EVIL,
        labels=labels,
        edge_model=EVIL,
        teacher=EVIL,
        comparison=Comparison({AGAINST_TEACHER: {OFF_THE_SHELF: scores, EVIL: scores}, EVIL: {EVIL: scores}}),
        promotion=PromotionDecision(False, EVIL, 0.1, 0.1, 0.0, 0.0, 0.0, 0.5, 0.95, 2),
        frames=(FrameComparison(EVIL, image, found, found),),
        selection_counts={EVIL: 3},
        events=(CaptureEvent("scene changed", 1.0, None, EVIL),),
        costs=Costs({EVIL: 1.0}),
        settings={EVIL: EVIL},
        command=EVIL,
        versions={EVIL: EVIL},
        hashes={EVIL: EVIL},
        notes=(EVIL,),
    )
    markup = render_report(data)
    page = _Page(markup)
    assert page.scripts == 1
    assert page.open == []
    assert "<script>alert" not in markup
    assert EVIL in page.text


def test_detections_missing_on_one_or_both_sides() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    found = Detections([[5, 5, 20, 20], [0, 0, 9, 9]], [0.9, 0.1], [0, 0])
    frames = (
        FrameComparison("a", image, found),
        FrameComparison("b", image),
        FrameComparison("c", image, found, found),
    )
    page = _Page(render_report(ReportData("x", labels=LabelMap(("person",)), frames=frames)))
    assert "No detections" in page.text
    assert "Off the shelf 1 box " in page.text
    assert page.text.count("1 box, 0 only here") == 2


def test_written_file_is_the_page(tmp_path: Path) -> None:
    data = ReportData("a video")
    write_report(tmp_path / "report.html", data)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render_report(data)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_missing_folder_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        write_report(tmp_path / "none" / "report.html", ReportData("a video"))


def test_missing_jinja_gives_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingDependency, match=r"pip install 'edge-autotuner\[train\]'"):
        render_report(ReportData("a video"))


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (
            FoundObjects(10, 0, 0),
            FoundObjects(10, 4, 0),
            "finds 4 of the teacher's 10 objects; the original found none",
        ),
        (FoundObjects(10, 4, 0), FoundObjects(10, 8, 0), "finds 2.0 times as many of the teacher's objects: 8 of 10"),
        (
            FoundObjects(10, 5, 0),
            FoundObjects(10, 6, 0),
            "finds 20% more of the teacher's objects: 6 of 10 instead of 5",
        ),
        (FoundObjects(10, 5, 0), FoundObjects(10, 5, 0), "finds as many of the teacher's objects as before: 5 of 10"),
        (
            FoundObjects(10, 5, 0),
            FoundObjects(10, 4, 0),
            "finds 20% fewer of the teacher's objects: 4 of 10 instead of 5",
        ),
        (FoundObjects(10, 0, 0), FoundObjects(10, 0, 0), "finds as many of the teacher's objects as before: 0 of 10"),
    ],
)
def test_headline_counts(before: FoundObjects, after: FoundObjects, sentence: str) -> None:
    assert sentence in headline(ReportData("x", found_before=before, found_after=after))


def test_a_second_look_is_told_beside_the_learning_curves() -> None:
    page = render_report(sample_report(real_frames=False))
    assert "After epoch 4 the edge model looked at 471 frames itself" in page
    assert "3,120 labels became 3,354" in page
    curve = LearningCurve((1.0,), (0.5,), best_epoch=1)
    assert "looked at" not in render_report(ReportData("x", learning=curve))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"comparison": sample_comparison()}, "is more accurate on this camera", id="scored"),
        pytest.param({"learning": LearningCurve((1.0,))}, "was trained", id="trained"),
        pytest.param({"teacher_scores": np.ones(1200, np.float32)}, "has given 1,200 boxes", id="labelled"),
        pytest.param({"timeline": (TimelineFrame(0.0, "train"),)}, "Frames were selected", id="captured"),
        pytest.param({}, "Nothing has been measured yet.", id="nothing"),
        pytest.param(
            {"found_before": FoundObjects(0, 0, 0), "found_after": FoundObjects(0, 0, 0)}, "Nothing", id="none"
        ),
    ],
)
def test_headline_of_unfinished_runs(changes: dict[str, object], words: str) -> None:
    assert words in headline(ReportData("x", **changes))  # type: ignore[arg-type]


def test_off_the_shelf_alone_and_nan_scores() -> None:
    nan = float("nan")
    alone = Comparison({AGAINST_TEACHER: {OFF_THE_SHELF: Scores(0.5, 0.25, {}, 1, 1)}})
    unknown = Comparison({AGAINST_TEACHER: {OFF_THE_SHELF: Scores(nan, nan, {}, 1, 0)}})
    assert "has not been specialized yet" in headline(ReportData("x", comparison=alone))
    assert standing(ReportData("x", comparison=alone)) == ["Against the teacher's labels: AP50:95 0.250, AP50 0.500."]
    assert standing(ReportData("x", comparison=unknown)) == []
    assert "nan" not in _Page(render_report(ReportData("x", comparison=unknown))).text


def _small_report() -> ReportData:
    """Return the sample with one small frame of each kind, which renders fast."""
    data = sample_report(real_frames=False)
    return replace(data, frames=data.frames[:1], motion_examples=data.motion_examples[:1], timeline=data.timeline[:9])
