"""The benchmark of decoding runs, and says of every picture what it cost."""

from __future__ import annotations

from benchmarks.service import decoding
from benchmarks.service.hostile_pictures import png_bomb
from benchmarks.service.tables import decoding_table


def test_a_picture_is_decoded_or_refused_and_its_cost_is_counted() -> None:
    usual = decoding.usual(quick=True)[0]
    rows = [decoding._measured(case) for case in (usual, decoding.Case("bomb", png_bomb((64, 64), 2), ".png"))]
    assert [row["answer"] for row in rows] == ["decoded", "refused (422)"]
    assert rows[0]["n_bytes"] == len(usual.content)
    assert rows[0]["opencv_ms"] > 0
    assert "| bomb | " in decoding_table({"decoding": {"rows": rows}})


def test_without_results_the_table_says_so() -> None:
    assert "not measured" in decoding_table({}).lower()
