"""What a terminal obeys is written out, and all that people write stays."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.core.printable import is_printable, one_line, printable

FINE = [
    "", "north gate", "Köln, Tor 3", "駐車場", "a\u00a0b", "نمی\u200cشود", "👩\u200d🔧", "caf\u0065\u0301",
]  # fmt: skip
HARMFUL = {
    "escape": "\x1b[2J", "osc title": "\x1b]0;x\x07", "bell": "\a", "backspace": "abc\b\b\b", "return": "real\rfake",
    "delete": "\x7f", "C1 CSI": "\x9b31m", "nul": "a\0b", "bidi override": "a\u202eb", "bidi isolate": "\u2066x",
    "mark": "\u200fx", "zero width": "a\u200bb", "byte order": "\ufeffa", "line separator": "a\u2028b",
    "paragraph": "a\u2029b", "soft hyphen": "a\u00adb", "tag": "a\U000e0041", "half": "a\ud800",
    "filler": "\u3164", "half filler": "a\uffa0", "jamo": "\u115f", "braille": "a\u2800b", "joiner": "a\u034fb",
    "vowel": "\u17b4", "selectors": "a\U000e0100\U000e01ef",
}  # fmt: skip


@pytest.mark.parametrize("text", FINE, ids=repr)
def test_what_people_write_stays(text: str) -> None:
    assert is_printable(text)
    assert printable(text) == text


@pytest.mark.parametrize("text", HARMFUL.values(), ids=HARMFUL)
def test_what_a_terminal_obeys_is_written_out(text: str) -> None:
    assert not is_printable(text)
    shown = printable(text)
    assert is_printable(shown)
    assert "\\" in shown
    assert one_line(text, 200) == printable(" ".join(text.split()))


def test_line_ends_and_tabs_stay_in_longer_texts() -> None:
    assert printable("a\n\tb\x1b") == "a\n\tb\\x1b"
    assert not is_printable("a\nb")
    assert one_line(" a\n\tb ") == "a b"


@given(st.text(), st.integers(4, 50))
def test_whatever_the_text_the_result_is_safe_and_short(text: str, max_length: int) -> None:
    line = one_line(text, max_length)
    assert len(line) <= max_length
    assert is_printable(line)
    assert all(
        unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") or c in "\n\t\u200c\u200d"
        for c in printable(text)
    )
