"""Steps of the documentation's build (mkdocs.yml)."""

from __future__ import annotations

import re

_NARROW = re.compile(r"(<(td|h2)[^>]*>(?:(?!</\2>).)*?</\2>)", re.DOTALL)
_CODE = re.compile(r"<code>([^<]*)</code>")


def on_page_content(html: str, **_: object) -> str:
    """Let names in tables and headings break after dots, underscores and slashes, and nowhere else."""
    return _NARROW.sub(lambda cell: _CODE.sub(_with_breaks, cell[1]), html)


def _with_breaks(code: re.Match[str]) -> str:
    return "<code>" + re.sub(r"([._/])(?=\w|\{)", r"\1<wbr>", code[1]) + "</code>"
