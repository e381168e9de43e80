"""The help of all commands shows every word: none is taken for markup."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import typer

from edge_autotuner.cli.app import app
from support.runs.cli_runs import run_cli


def commands() -> Iterator[tuple[tuple[str, ...], typer.core.TyperCommand]]:
    def below(path: tuple[str, ...], command: object) -> Iterator[tuple[tuple[str, ...], typer.core.TyperCommand]]:
        children = getattr(command, "commands", {})
        for name, child in children.items():
            yield from below((*path, name), child)
        yield path, command  # type: ignore[misc]

    return below((), typer.main.get_command(app))


COMMANDS = dict(commands())


def words(text: str) -> str:
    """Return the text without lines, frames and runs of blanks."""
    return re.sub(r"\s+", " ", re.sub(r"[│╭╮╰╯─┃]", " ", text)).strip()


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_every_word(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "4000")
    monkeypatch.setenv("NO_COLOR", "1")
    command = COMMANDS[path]
    shown = run_cli(*path, "--help")
    assert shown.code == 0
    page = words(shown.out)
    texts = [command.help or "", *(getattr(parameter, "help", None) or "" for parameter in command.params)]
    for text in texts:
        for paragraph in text.split("\n\n"):
            assert words(paragraph) in page


def test_there_are_many_commands() -> None:
    assert {("run",), ("edge",), ("tokens", "add"), ()} <= COMMANDS.keys()
