"""What is taken out of messages, what stays, and that nothing prints or logs past it."""

from __future__ import annotations

import ast
import json
import logging
import sys
import threading
from pathlib import Path

import pytest

from edge_autotuner.core.redaction import (
    STARS,
    guard_tracebacks,
    known_secrets,
    redact_text,
    redact_values,
    redacting_handler,
    remember_secret,
    remember_secrets_in,
    remember_secrets_of_settings,
)
from helpers import REPOSITORY

SOURCE = REPOSITORY / "src" / "edge_autotuner"

PRINTS = {
    ("node/model_check.py", "print"): "what is wrong with models, to the process that started it",
    ("server/jobs/dataset_check.py", "sys.stdout.write"): "hashes and sizes, to the service that started it",
    ("cli/saying.py", "typer.echo"): "redacts",
    ("cli/main.py", "print"): "redacts",
    ("core/redaction.py", "print"): "redacts",
    ("storage/child_process.py", "print"): "redacts",
    ("cli/app.py", "typer.echo"): "the version",
    ("server/api_page.py", "print"): "the OpenAPI page",
    ("cli/tokens.py", "typer.echo"): "the token, on purpose, on standard output alone",
}
"""Every place that prints, and why no secret gets out there."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("ffmpeg:rtsp://admin:S3CRET@10.0.0.7/s#video=h264", "ffmpeg:rtsp://***@10.0.0.7/s#video=h264"),
        ('"rtsp://admin:S3CRET@10.0.0.7/s"', '"rtsp://***@10.0.0.7/s"'),
        ("rtsp:/admin:S3CRET@10.0.0.7/s", "rtsp:/***@10.0.0.7/s"),
        ("admin:S3CRET@10.0.0.7:554/s", "***@10.0.0.7:554/s"),
        ("rtspx:http://10.0.0.7/?password=S3CRET", "rtspx:http://10.0.0.7/?password=***"),
        ("rtsp://admin:S3CRET#10.0.0.7/s", "rtsp://***#10.0.0.7/s"),
        ("rtsp%3A%2F%2Fadmin%3AS3CRET%40h", "***%40h"),
        ("Authorization: Basic YWRtaW4=", "Authorization: ***"),
        ("sent Bearer eyJhbGciOi.x.y1", "sent Bearer ***"),
        ("the token eat_ab12_0123456789abcdef", "the token eat_ab12_***"),
        ("outputs.mqtt.password=S3CRET", "outputs.mqtt.password=***"),
        ("postgresql+psycopg://me:S3CRET@db/x failed", "postgresql+psycopg://***@db/x failed"),
        ("-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----", "***"),
    ],
)
def test_taken_out(text: str, shown: str) -> None:
    assert redact_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "expected http://HOST[:PORT] or https://HOST[:PORT]",
        "use e.g. rtsp://host:554/path, an IPv6 address in [ ]",
        "listening on http://127.0.0.1:8080; http://[::1]:80/x",
        "cannot reach http://127.0.0.1:8080: connection refused",
        "mail me@home, street@night.mp4, 12:30 o'clock, a=b",
        "use KEY=VALUE, e.g. training.max_lr=0.0005",
        "outputs.mqtt.password_file=/run/secrets/mqtt",
        "model bundles/a:1 of camera front, 0.5:0.95",
        "C:\\videos\\street.mp4",
    ],
)
def test_left_alone(text: str) -> None:
    assert redact_text(text) == text


def test_a_remembered_secret_is_starred_in_every_form() -> None:
    remember_secret("p@ss w/<rd")
    for text in ("p@ss w/<rd", "p%40ss%20w%2F%3Crd", "p%40ss+w%2F%3Crd", "p@ss w/&lt;rd", json.dumps("p@ss w/<rd")):
        assert "ss" not in redact_text(f"({text})")


def test_a_short_secret_is_starred_as_a_word_only() -> None:
    remember_secret("cats")
    assert redact_text("cats in catsup, 'cats'") == f"{STARS} in catsup, '{STARS}'"
    remember_secret("abc")  # too short to be told from other text
    assert redact_text("abc") == "abc"


def test_a_file_that_is_there_is_no_address(tmp_path: Path) -> None:
    file = tmp_path / "10:30:00@front.mp4"
    file.write_bytes(b"")
    remember_secrets_in(str(file))
    assert redact_text("at 30:00 or 30:00@front") == "at 30:00 or ***@front"


def test_values_are_redacted_and_keys_stay() -> None:
    remember_secrets_of_settings({"cameras": [{"source": "rtsp://u:hunter22@h"}], "mqtt": {"password": 123456}})
    values = {"source": "cannot read hunter22", "n": 123456, "list": ["123456", None, True], "token": "x"}
    expected = {"source": f"cannot read {STARS}", "n": 123456, "list": [STARS, None, True], "token": STARS}
    assert redact_values(values) == expected


def test_log_records_and_tracebacks_of_threads(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("excepthook", "unraisablehook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    guard_tracebacks()
    remember_secret("hunter22")

    def fail() -> None:
        raise ValueError("the password is hunter22")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    handler = redacting_handler(sys.stderr, "%(message)s")
    handler.emit(logging.LogRecord("x", logging.INFO, __file__, 1, "it is %s", ("hunter22",), None))
    printed = capsys.readouterr().err
    assert "the password is ***" in printed
    assert "it is ***" in printed
    assert "hunter22" not in printed


def called_names(path: Path) -> set[str]:
    """Return the names of all functions that a file calls."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return {ast.unparse(call.func) for call in calls}


def test_every_place_that_prints_is_known() -> None:
    printing = {
        "print",
        "typer.echo",
        "typer.secho",
        "click.echo",
        "sys.stdout.write",
        "sys.stderr.write",
        "traceback.print_exc",
    }
    found = {
        (path.relative_to(SOURCE).as_posix(), name)
        for path in SOURCE.rglob("*.py")
        for name in called_names(path) & printing
    }
    assert found == set(PRINTS), "print with `cli.saying.say`, or list here why no secret can get out"


def test_logging_is_set_up_with_handlers_that_redact() -> None:
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("basicConfig"):
                assert {"handlers"} <= {word.arg for word in call.keywords}, path
                assert "edacting" in path.read_text(encoding="utf-8"), path


def test_our_own_messages_are_not_taken_for_secrets() -> None:
    """Advice such as how to send a token is worth nothing when its end is starred."""
    starred = []
    for path in sorted((REPOSITORY / "src").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not _ends_as_message(call.func):
                continue
            for node in (each for argument in call.args for each in ast.walk(argument)):
                text = _text_of(node)
                if " " in text and redact_text(text) != text:
                    starred.append(f"{path.name}:{node.lineno}: {redact_text(text)}")  # type: ignore[attr-defined]
    assert starred == []


def _ends_as_message(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name.endswith(("Error", "Problem", "Missing")) or name in {"say", "warning", "error", "info"}


def _text_of(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_a_text_of_thousands_of_logins_does_not_make_every_later_line_slow() -> None:
    known_secrets.clear()
    remember_secrets_in("http://" + "rtsp://u:secret@h/" * 500)
    assert 0 < len(known_secrets._forms) < 2000
    assert redact_text("rtsp://u:secret@h/") == "rtsp://***@h/"
