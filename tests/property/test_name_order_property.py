"""What holds for any picture names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.capture.picture_listing import name_order

NAMES = st.lists(st.text("aB01239_./é²", min_size=1, max_size=8), max_size=8)


@given(st.lists(st.integers(0, 10**6), unique=True), st.sampled_from(["", "img_", "cam1/"]))
def test_numbers_sort_by_value(numbers: list[int], prefix: str) -> None:
    names = [f"{prefix}{number}.jpg" for number in numbers]
    assert sorted(names, key=name_order) == [f"{prefix}{number}.jpg" for number in sorted(numbers)]


@given(st.integers(0, 999), st.integers(0, 999), st.integers(3, 8))
def test_padding_with_zeros_keeps_the_order(a: int, b: int, width: int) -> None:
    plain = name_order(f"{a}.png") < name_order(f"{b}.png")
    padded = name_order(f"{a:0{width}}.png") < name_order(f"{b:0{width}}.png")
    assert plain == padded


@given(NAMES)
def test_any_names_have_one_order(names: list[str]) -> None:
    backwards = names[::-1]
    backwards.sort(key=name_order)
    assert sorted(names, key=name_order) == backwards
