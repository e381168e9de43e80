"""What the command itself does: version, help, exit codes, interrupts, warnings, and the debug flag."""

from __future__ import annotations

import errno
import os
import warnings
from pathlib import Path
from typing import NoReturn

import pytest
import typer

from edge_autotuner import __version__, errors
from edge_autotuner.cli import main as cli
from edge_autotuner.cli.run import typed_command
from support.runs.cli_runs import run_cli, run_script


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `edge-autotuner models show` end with an error."""

    def find_model(_: str) -> NoReturn:
        raise error

    monkeypatch.setattr("edge_autotuner.cli.models.find_model", find_model)


def test_version() -> None:
    outcome = run_cli("--version")
    assert (outcome.code, outcome.out, outcome.err) == (0, f"edge-autotuner {__version__}\n", "")


def test_help_names_every_command() -> None:
    outcome = run_cli("--help")
    assert outcome.code == 0
    commands = ("run", "capture", "annotate", "tune", "evaluate", "export", "report", "watch", "detect")
    commands += ("simulate", "models")
    for command in commands:
        assert f" {command} " in outcome.out
        assert run_cli(command, "-h").code == 0


def test_the_module_is_the_command() -> None:
    outcome = run_script("--version")
    assert (outcome.code, outcome.out) == (0, f"edge-autotuner {__version__}\n")


OUR_ERRORS = [
    value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)
]  # fmt: skip


@pytest.mark.parametrize("error", OUR_ERRORS, ids=lambda error: error.__name__)
def test_each_error_has_its_line_and_code(
    error: type[errors.EdgeAutotunerError], monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(error("it broke\n  at the second line; mend it"), monkeypatch)
    outcome = run_cli("models", "show", "x")
    assert outcome.code == error.exit_code
    assert outcome.err == f"edge-autotuner: {error.__name__}: it broke at the second line; mend it\n"


def test_the_codes_differ() -> None:
    codes = [error.exit_code for error in OUR_ERRORS]
    assert len(set(codes)) == len(codes)
    assert not {0, cli.INTERRUPTED, cli.UNEXPECTED} & set(codes)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort(), typer.Exit(130)], ids=lambda e: type(e).__name__)
def test_interrupts(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(error, monkeypatch)
    outcome = run_cli("models", "show", "x")
    assert outcome.code == 130
    assert outcome.err.splitlines() == ["edge-autotuner: interrupted; repeat the command to start again"]


@pytest.mark.parametrize("arguments", [("report", "runs/x"), ("--verbose", "report", "runs/x")])
def test_an_interrupted_run_can_be_continued(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    def load_pipeline() -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("edge_autotuner.cli.stages.load_pipeline", load_pipeline)
    outcome = run_cli(*arguments)
    assert outcome.code == 130
    assert outcome.err.splitlines() == [
        "edge-autotuner: interrupted; finished work is kept: repeat the command to continue"
    ]


def test_system_errors_are_about_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    raising(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "file"), monkeypatch)
    outcome = run_cli("models", "show", "x")
    assert outcome.code == 12
    assert "No space left on device: 'file'; check the disk and the path" in outcome.complaints[0]


def test_the_unforeseen_has_its_own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    raising(ZeroDivisionError("division by zero"), monkeypatch)
    outcome = run_cli("models", "show", "x")
    assert outcome.code == 70
    assert outcome.err == (
        "edge-autotuner: unexpected ZeroDivisionError: division by zero; run again with --debug to see where\n"
    )


@pytest.mark.parametrize("arguments", [("--debug", "models", "show", "x"), ("models", "show", "x", "--debug")])
def test_debug_shows_where(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    raising(ZeroDivisionError("division by zero"), monkeypatch)
    outcome = run_cli(*arguments)
    assert outcome.code == 70
    assert "Traceback (most recent call last)" in outcome.err
    assert "in find_model" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fly",), "No such command 'fly'"),
        (("run",), "Missing argument"),
        (("run", "x", "--fast"), "No such option: --fast"),
        (("run", "x", "--epochs", "many"), "--epochs"),
        (("simulate", "x.mp4", "--frames", "1"), "--frames"),
    ],
)
def test_mistakes_in_the_command_line(arguments: tuple[str, ...], message: str) -> None:
    outcome = run_cli(*arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err


def test_warnings_of_libraries_are_for_debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *_args, **_kwargs: heard.append(str(message)))

    def find_model(_: str) -> NoReturn:
        warnings.warn("old format", UserWarning, stacklevel=1)
        raise errors.ConfigError("no")

    monkeypatch.setattr("edge_autotuner.cli.models.find_model", find_model)
    assert run_cli("models", "show", "x").code == 2
    assert heard == []


def test_the_command_can_be_typed_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/edge-autotuner", "run", "my video.mp4", "--set", "a=[1, 2]"])
    assert typed_command() == "edge-autotuner run 'my video.mp4' --set 'a=[1, 2]'"
