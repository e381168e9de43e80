"""Draws which package imports which, from the imports of `src`, and lists what each package is for.

    python scripts/architecture.py            writes docs/images/architecture.svg and the table of the page
    python scripts/architecture.py --check    only says whether they are up to date

An arrow that others imply is left out: where `cli` imports `server` and `server` imports `pipeline`, there is no arrow
from `cli` to `pipeline`.
"""

from __future__ import annotations

import argparse
import ast
import html
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "edge_autotuner"
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
PAGE = ROOT / "docs" / "explanation" / "architecture.md"
BEGIN, END = "<!-- packages: written by scripts/architecture.py -->", "<!-- end of packages -->"

_NOT_DRAWN = {"__init__", "_version"}
_MOST_IN_ROW = 4
_WIDTH, _MARGIN = 440, 14  # narrow: on a phone the letters stay readable
_BOX_W, _BOX_H, _ROW_GAP = 86, 32, 36
_BETWEEN_ARROWS = 5  # in one gap

Graph = dict[str, set[str]]


def read_imports() -> Graph:
    """Return for each package, or module at the top, which others it imports, also inside functions."""
    graph: Graph = {}
    for path in sorted(SOURCE.rglob("*.py")):
        part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if part not in _NOT_DRAWN:
            targets = set(_own_imports(path)) - {part} - _NOT_DRAWN
            graph.setdefault(part, set()).update(targets)
    return graph


def _own_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "edge_autotuner":
            names = [f"edge_autotuner.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        yield from (name.split(".")[1] for name in names if name.startswith("edge_autotuner."))


def without_implied(graph: Graph) -> Graph:
    """Return the arrows that no chain of others implies; the graph has no cycle."""
    reached: Graph = {}

    def reach(part: str) -> set[str]:
        if part not in reached:
            reached[part] = graph[part].union(*(reach(target) for target in graph[part]))
        return reached[part]

    return {
        part: {one for one in targets if not any(one in reach(other) for other in targets)}
        for part, targets in graph.items()
    }


def arrange(graph: Graph) -> list[list[str]]:
    """Return rows from top to bottom: each package as high as possible below everything that imports it.

    A row with many packages becomes two, of which the lower one stands in the gaps of the upper one.
    """
    depth: dict[str, int] = {}

    def find_depth(part: str) -> int:
        if part not in depth:
            importers = [other for other, targets in graph.items() if part in targets]
            depth[part] = 1 + max((find_depth(other) for other in importers), default=-1)
        return depth[part]

    rows: list[list[str]] = []
    for level in range(1 + max(map(find_depth, sorted(graph)))):
        row = sorted(part for part in graph if depth[part] == level)
        while len(row) > _MOST_IN_ROW:
            rows.append(row[:_MOST_IN_ROW])
            row = row[_MOST_IN_ROW:]
        rows.append(row)
    return rows


def draw(graph: Graph) -> str:
    """Return the picture."""
    rows = arrange(graph)
    pitch = (_WIDTH - 2 * _MARGIN) / _MOST_IN_ROW
    place = {
        part: (_WIDTH / 2 + (column - (len(row) - 1) / 2) * pitch, _MARGIN + number * (_BOX_H + _ROW_GAP))
        for number, row in enumerate(rows)
        for column, part in enumerate(row)
    }
    row_of = {part: number for number, row in enumerate(rows) for part in row}
    height = round(2 * _MARGIN + len(rows) * (_BOX_H + _ROW_GAP) - _ROW_GAP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH * 5 // 4}" height="{height * 5 // 4}" '
        'font-family="system-ui, sans-serif" font-size="13" text-anchor="middle">',
        "<title>Which package imports which</title>",
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#5b6b7d"/></marker>',
    ]
    arrows = sorted((part, target) for part in graph for target in graph[part])
    ways = {arrow: _way(place, rows, row_of, *arrow, pitch) for arrow in arrows}
    lines += [_arrow(place[part], place[target], _spread(ways, (part, target))) for part, target in arrows]
    for part, (x, y) in sorted(place.items()):
        lines.append(
            f'<rect x="{x - _BOX_W / 2:g}" y="{y:g}" width="{_BOX_W}" height="{_BOX_H}" rx="6" fill="#e3edf7" '
            f'stroke="#2f5d8a"/><text x="{x:g}" y="{y + _BOX_H / 2 + 5:g}" fill="#102a43">{html.escape(part)}</text>'
        )
    return "\n".join([*lines, "</svg>", ""])


Gap = tuple[int, float]
"""A row, and the middle of a gap in it."""


def _way(
    place: dict[str, tuple[float, float]],
    rows: list[list[str]],
    row_of: dict[str, int],
    part: str,
    target: str,
    pitch: float,
) -> list[Gap]:
    """Return the gaps through which an arrow passes the rows between, each the closest to the straight line."""
    (x1, y1), (x2, y2) = place[part], place[target]
    way = []
    for number in range(row_of[part] + 1, row_of[target]):
        centers = [place[other][0] for other in rows[number]]
        y = place[rows[number][0]][1]
        wanted_x = x1 + (x2 - x1) * (y - y1) / (y2 - y1)
        gaps = [centers[0] - pitch / 2, *(x + pitch / 2 for x in centers)]
        way.append((number, min(gaps, key=lambda x: abs(x - wanted_x))))
    return way


def _spread(ways: dict[tuple[str, str], list[Gap]], arrow: tuple[str, str]) -> list[float]:
    """Return where an arrow passes its gaps, beside the others that use them."""
    found = []
    for gap in ways[arrow]:
        users = sorted(one for one, way in ways.items() if gap in way)
        found.append(gap[1] + (users.index(arrow) - (len(users) - 1) / 2) * _BETWEEN_ARROWS)
    return found


def _arrow(start: tuple[float, float], end: tuple[float, float], between: list[float]) -> str:
    x, y = start[0], start[1] + _BOX_H
    path = f"M{x:g} {y:g}"
    row_y = start[1]
    for gap_x in [*between, end[0]]:
        row_y += _BOX_H + _ROW_GAP
        path += f"C{x:g} {y + _ROW_GAP / 2:g} {gap_x:g} {row_y - _ROW_GAP / 2:g} {gap_x:g} {row_y:g}"
        x, y = gap_x, row_y + _BOX_H
        path += f"V{y:g}"
    path = path.rpartition("V")[0]
    return f'<path d="{path}" fill="none" stroke="#5b6b7d" stroke-width="1.3" marker-end="url(#tip)"/>'


def describe(graph: Graph) -> str:
    """Return the packages as a table, in the order of the picture, with the first sentence of their docstring."""
    rows = [f"| `{part}` | {_purpose(part)} |" for row in arrange(graph) for part in row]
    return "\n".join(["| Package | Purpose |", "|---|---|", *rows])


def _purpose(part: str) -> str:
    module = SOURCE / part / "__init__.py"
    text = (module if module.is_file() else SOURCE / f"{part}.py").read_text(encoding="utf-8")
    paragraph = " ".join((ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0].split())
    return paragraph.rstrip(".:") + "."


def main() -> int:
    """Write both, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    graph = without_implied(read_imports())
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    wanted = {PICTURE: draw(graph), PAGE: f"{before}{BEGIN}\n{describe(graph)}\n{END}{after}"}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not check:
            path.write_text(wanted[path], encoding="utf-8")
        print(f"{path.relative_to(ROOT)} {'is out of date: run scripts/architecture.py' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
