"""Whatever is written comes back, whole and in order, and a cut anywhere loses only the end."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge_autotuner.core import COCO_80, Annotation, Detections
from edge_autotuner.dataset.records import FrameRecord, annotation_from_json, annotation_to_json
from edge_autotuner.storage.journal import JournalWriter, encode_line, read_journal

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
records = st.lists(st.dictionaries(st.text(max_size=4), values, max_size=3), max_size=5)
finite = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=50)
@given(records)
def test_records_come_back(written: list[dict[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        writer = JournalWriter(path, end=0)
        for record in written:
            writer.append(record)
        writer.close()
        assert list(read_journal(path).records) == written


@settings(max_examples=100)
@given(records, st.integers(0, 10_000))
def test_a_cut_anywhere_loses_only_the_end(written: list[dict[str, object]], position: int) -> None:
    lines = [encode_line(record) for record in written]
    data = b"".join(lines)
    cut = data[: position % (len(data) + 1)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        path.write_bytes(cut)
        part = read_journal(path)
    n_whole = cut.count(b"\n")
    assert list(part.records) == written[:n_whole]
    assert part.end == sum(map(len, lines[:n_whole]))


@settings(max_examples=50)
@given(hnp.arrays(np.float32, st.tuples(st.integers(0, 5), st.just(9)), elements=finite), st.integers(0, 10**9))
def test_annotations_come_back_bit_by_bit(table: np.ndarray, n_pixels: int) -> None:
    detections = Detections(table[:, :4], table[:, 8], np.arange(len(table)))
    annotation = Annotation(detections, table[:, 4:8], len(table), n_pixels)
    again = annotation_from_json(annotation_to_json(annotation, COCO_80), COCO_80)
    np.testing.assert_array_equal(again.detections.boxes_xyxy, detections.boxes_xyxy)
    np.testing.assert_array_equal(again.detections.scores, detections.scores)
    np.testing.assert_array_equal(again.detections.class_ids, detections.class_ids)
    np.testing.assert_array_equal(again.looked_xyxy, annotation.looked_xyxy)
    assert (again.n_calls, again.n_pixels) == (annotation.n_calls, n_pixels)


@given(
    st.builds(
        FrameRecord,
        file=st.sampled_from(["frames/train_00000001.jpg", "frames/test_00000007.png"]),
        split=st.sampled_from(["train", "test"]),
        index=st.integers(0, 10**9),
        time_s=st.floats(0, 1e9),
        size_wh=st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
        sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
        file_name=st.none() | st.text(min_size=1, max_size=20),
        regions_xyxy=st.just(()) | st.tuples(st.tuples(*[st.integers(0, 999).map(float)] * 4)),
        motion_fraction=st.floats(0, 1),
        background=st.none() | st.just("backgrounds/000003.png"),
        reason=st.text(max_size=20),
    )
)
def test_frame_records_come_back(record: FrameRecord) -> None:
    assert FrameRecord.from_json(record.to_json()) == record
