"""Prints every text that users read on one sheet, to be read through as a whole: `python -m scripts.text_sheet`.

Help of all commands, settings with their descriptions, error messages, log lines, other texts of the code (report,
HTTP problems, printed lines) and the headings of the documentation. Texts of the code come with file and line; what is
filled in at run time is shown in braces.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_SOURCE = _ROOT / "src" / "edge_autotuner"
_PAGES = [*sorted((_ROOT / "docs").rglob("*.md")), *(_ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]
_LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
_PRINTERS = {"say", "_say", "print", "echo"}


@dataclass(frozen=True)
class Text:
    """One text: what kind it is, where it stands, and what it says."""

    kind: str
    place: str
    words: str


def all_texts() -> list[Text]:
    """Return every text that users read, by kind."""
    return [*help_texts(), *settings_texts(), *code_texts(), *headings()]


def help_texts() -> Iterator[Text]:
    """Return the help of each command, and of each of its arguments and options."""
    from typer.main import get_command

    from edge_autotuner.cli.app import app

    yield from _help_of(get_command(app), "edge-autotuner")


def _help_of(command: object, name: str) -> Iterator[Text]:
    yield Text("help", name, str(getattr(command, "help", None) or ""))
    for parameter in getattr(command, "params", []):
        names = "/".join(getattr(parameter, "opts", None) or [parameter.name])
        text = getattr(parameter, "help", None)
        if text and text != "Show this message and exit.":
            yield Text("help", f"{name} {names}", str(text))
    for sub_name, sub in sorted(getattr(command, "commands", {}).items()):
        yield from _help_of(sub, f"{name} {sub_name}")


def settings_texts() -> Iterator[Text]:
    """Return the description of each setting of a run, of a node and of the service."""
    from edge_autotuner.cli import explain

    for describe in (explain.describe_settings, explain.describe_node_settings, explain.describe_service_settings):
        for key, _default, text in describe():
            yield Text("setting", key, text)


def code_texts() -> Iterator[Text]:
    """Return the texts of all modules that are no docstring and no help: errors, log lines and the rest."""
    for path in sorted(_SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        yield from _TextFinder(str(path.relative_to(_ROOT))).found_in(tree)


def headings() -> Iterator[Text]:
    """Return the headings of README and documentation."""
    for path in _PAGES:
        in_code = False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            in_code ^= line.startswith("```")
            if not in_code and re.match("#+ ", line):
                yield Text("heading", f"{path.relative_to(_ROOT)}:{number}", line)


class _TextFinder:
    """Walks a module and collects texts of at least two words."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: list[Text] = []

    def found_in(self, tree: ast.AST) -> list[Text]:
        self._walk(tree, "other")
        return self._found

    def _walk(self, node: ast.AST, kind: str) -> None:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        if isinstance(node, ast.arg | ast.AnnAssign) and "typer" in ast.unparse(node):
            return  # help texts
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Field":
            return  # settings
        kind = _kind_of(node) or kind
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            words = _words_of(node)
            if " " in words.strip() and re.search("[a-z]{2}", words):
                self._found.append(Text(kind, f"{self._name}:{node.lineno}", words))
            return
        for child in ast.iter_child_nodes(node):
            self._walk(child, kind)


def _kind_of(node: ast.AST) -> str | None:
    if isinstance(node, ast.Raise):
        return "error"
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        if re.search(r"\b_?log(ger)?\.", name) and name.rpartition(".")[2] in _LOG_METHODS:
            return "log"
        if name in _PRINTERS:
            return "printed"
        if name.endswith(("Error", "Problem", "Timeout", "Refused", "Busy")):
            return "error"
    return None


def _words_of(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(
        str(value.value) if isinstance(value, ast.Constant) else f"{{{ast.unparse(value.value)}}}"  # type: ignore[attr-defined]
        for value in node.values
    )


def main() -> None:
    """Print the sheet, or how many texts of each kind there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", help="Only texts of this kind: help, setting, error, log, printed, other, heading.")
    parser.add_argument("--count", action="store_true", help="Only count the texts of each kind.")
    arguments = parser.parse_args()
    texts = [text for text in all_texts() if arguments.kind in (None, text.kind)]
    texts.sort(key=lambda text: text.kind)
    if arguments.count:
        for kind in sorted({text.kind for text in texts}):
            print(f"{kind:<8} {sum(text.kind == kind for text in texts)}")
        return
    for text in texts:
        print(f"[{text.kind}] {text.place}\n    {' '.join(text.words.split())}")


if __name__ == "__main__":
    main()
