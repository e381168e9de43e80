"""Texts for users are plain English: a short list of turns that read as translated stays out of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from helpers import REPOSITORY
from scripts.text_sheet import Text, all_texts

BANNED = {
    r"\bfor ever\b": "forever, or name the limit",
    r"\bwhoever\b": "name the role",
    r"\bwho vouches\b|\bvouch(es)? for\b": "CA bundle, trusted, signed by",
    r"\bso lately\b|\bsuch as [^.]* from now\b": "give the duration",
    r"\b(has|have) an end, too\b": "expires, ends",
    r"\bwhat nobody\b|\bas what\b|\belse as\b": "say the rule",
    r"\b[Ss]o many (entries|of them|frames|pictures)\b": "N entries, at most N",
    r"\bsuch as \d+(s|min|h|d) from now\b": "e.g. 2h",
    r"\bbegins? anew\b|\bstart(s|ing)? anew\b|\blearnt (anew|again)\b": "start again, rebuild",
    r"\b(is|are) not there any more\b": "no longer exists",
    r"\bdid not come\b|\bnothing came\b|\bno \w+ came\b": "timed out, no data",
    r"\bthe same to the last bit\b": "bit-identical",
    r"\btoo much to do\b": "overloaded",
    r"\bhung up\b|\bbroke (the connection )?off\b": "connection closed",
    r"\bmakes? no sense\b": "invalid",
    r"\bwrite for example\b": "use e.g.",
    r"\bin a circle\b": "in a loop",
    r"\b(may|can) go\b": "can be deleted",
    r"\bon the way (sees|can)\b": "on the network",
    r"\bmade if new\b|\bcreated where needed\b": "created if missing",
}
"""Pattern -> what to write instead."""

PAGES = [
    *sorted((REPOSITORY / "docs").rglob("*.md")),
    REPOSITORY / "README.md",
    *(path for path in sorted((REPOSITORY / "deploy").iterdir()) if path.is_file()),
]


@pytest.fixture(scope="module")
def texts() -> list[Text]:
    return all_texts()


@pytest.mark.parametrize("pattern", BANNED)
def test_no_banned_turn_in_messages_and_help(pattern: str, texts: list[Text]) -> None:
    found = [f"{text.place}: {text.words}" for text in texts if re.search(pattern, text.words)]
    assert not found, f"write: {BANNED[pattern]}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_banned_turn_in_pages(path: Path) -> None:
    text = " ".join(path.read_text(encoding="utf-8").split())
    found = {pattern: match[0] for pattern in BANNED if (match := re.search(pattern, text))}
    assert not found


def test_the_sheet_has_every_kind_of_text(texts: list[Text]) -> None:
    kinds = {text.kind for text in texts}
    assert kinds == {"help", "setting", "error", "log", "printed", "other", "heading"}
    assert len(texts) > 2000
