"""Whatever others write, a terminal never obeys it: one function prints, and listings show escape codes as text."""

from __future__ import annotations

import ast
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from edge_autotuner.cli.progress_bar import ProgressBar
from edge_autotuner.cli.saying import say
from edge_autotuner.core.printable import is_printable
from edge_autotuner.core.redaction import RedactingFormatter
from helpers import REPOSITORY
from support.runs.cli_runs import run_cli
from support.service.scripted_server import ScriptedServer, read_request, reply

CLI = REPOSITORY / "src" / "edge_autotuner" / "cli"
HARM = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\u2066\r\x08\x7f"
ON_PURPOSE = {"saying.py", "main.py"}  # main prints what no command could
WITHOUT_FOREIGN_TEXT = {("tokens.py", "token.text"), ("app.py", "f'edge-autotuner {__version__}'")}


def is_safe(text: str) -> bool:
    return all(is_printable(line) for line in text.replace("\t", " ").split("\n"))


def prints() -> Iterator[tuple[str, str]]:
    """Yield every call in the command line that prints without `say`: its file, and what it prints."""
    for path in sorted(CLI.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and path.name not in ON_PURPOSE:
                name = ast.unparse(node.func)
                if name in {"print", "typer.echo", "typer.secho", "click.echo", "click.secho"} or name.endswith(
                    ("stdout.write", "stderr.write")
                ):
                    yield path.name, ast.unparse(node.args[0]) if node.args else ""


def test_only_say_prints() -> None:
    assert set(prints()) == WITHOUT_FOREIGN_TEXT


def test_say_writes_escape_codes_out(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"a\tb\n{HARM}")
    said = capsys.readouterr().out
    assert is_safe(said)
    assert said.startswith("a\tb\n\\x1b]0;owned\\x07")


def test_logs_write_them_out_too() -> None:
    record = logging.LogRecord("x", logging.ERROR, "f.py", 1, "%s: %s", ("gate", HARM), None)
    assert is_safe(RedactingFormatter("%(message)s").format(record))


def test_progress_shows_neither_escape_codes_nor_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    bar, out = ProgressBar(), io.StringIO()
    monkeypatch.setattr(bar, "_console", Console(file=out, width=300))
    bar.start(f"[bold]{HARM}[/bold][link=http://x]y", 3)
    assert is_safe(out.getvalue())
    assert "[bold]" in out.getvalue()


LISTED: dict[str, Any] = {
    "cameras": {"cameras": [{"camera": "gate", "place": HARM, "shows": f"{HARM}\nfake line", "deployed": None}]},
    "bundles": {
        "bundles": [
            {
                "id": "b1", "camera": "gate", "stage": "candidate", "name": HARM, "metrics": {"ap": 0.5}, "files": [],
                "description_sha256": "0" * 64, "is_signed": False, "parent": None, "data_sha256": None,
                "added_at": "2026-01-01T00:00:00Z", "added_by": HARM,
            }
        ]
    },
    "jobs": {
        "jobs": [
            {
                "id": "j1", "key": "k", "client": HARM, "camera": "gate", "state": "failed",
                "created_at": "2026-01-01T00:00:00Z", "started_at": None, "ended_at": None, "attempts": 1,
                "progress": {"task": HARM, "done": 0, "total": None}, "revision": 1,
                "error": {"kind": HARM, "detail": f"{HARM}\n{HARM}"},
            }
        ]
    },
    "events": {
        "events": [{"seq": 1, "at": "2026-01-01T00:00:00Z", "kind": "stage", "name": HARM, "text": f"a\n{HARM}"}]
    },
}  # fmt: skip
COMMANDS = {
    "cameras": ("registry", "cameras"),
    "bundles": ("registry", "list", "gate"),
    "jobs": ("jobs", "list"),
    "job": ("jobs", "show", "j1"),
    "refusal": ("registry", "promote", "gate", "b1"),
    "not JSON": ("registry", "archive", "gate", "b1"),
}


def answers(link: Any) -> None:
    asked: set[str] = set()
    while head := read_request(link):
        path = head.split(b" ")[1].decode().partition("?")[0]
        if path.endswith("/promote"):
            body = {"type": HARM, "title": HARM, "status": 409, "detail": f"{HARM}\n{HARM}"}
            link.sendall(reply(json.dumps(body).encode(), status="409 no"))
        elif path.endswith("/archive"):
            link.sendall(reply(b"x", headers="Content-Type: \x1b[2J"))
        elif path.endswith("/events"):
            link.sendall(reply(json.dumps({"events": []} if path in asked else LISTED["events"]).encode()))
        elif path.endswith("/j1"):
            link.sendall(reply(json.dumps(LISTED["jobs"]["jobs"][0]).encode()))
        else:
            link.sendall(reply(json.dumps(LISTED[path.rpartition("/")[2]]).encode()))
        asked.add(path)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_listings_of_a_hostile_service_are_safe(tmp_path: Path, command: tuple[str, ...]) -> None:
    token = tmp_path / "token"
    token.write_text("eat_" + "0" * 16 + "_" + "x" * 43, encoding="utf-8")
    token.chmod(0o600)
    with ScriptedServer(answers) as service:
        outcome = run_cli(*command, "--url", service.url, "--token-file", str(token))
    assert is_safe(outcome.out)
    assert is_safe(outcome.err)
    if command[1] not in {"promote", "archive"}:
        assert outcome.code == 0, outcome.err
        assert "evil" in outcome.out
