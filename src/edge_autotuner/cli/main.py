"""The command `edge-autotuner`: parses, calls the pipeline, and maps errors to exit codes."""

from __future__ import annotations

import logging
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from types import FrameType

import typer
from rich.console import Console
from rich.logging import RichHandler

from edge_autotuner._version import __version__
from edge_autotuner.cli import models as models_command
from edge_autotuner.cli.detect import detect
from edge_autotuner.cli.run import run
from edge_autotuner.cli.settings import config_app
from edge_autotuner.cli.simulate import simulate
from edge_autotuner.cli.stages import annotate, capture, evaluate, export, report, tune
from edge_autotuner.errors import EdgeAutotunerError, StorageError

INTERRUPTED = 130
UNEXPECTED = 70

app = typer.Typer(
    name="edge-autotuner",
    help="A fixed camera's own detector learns its scene by itself: no human labels, no extra compute at run time.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run)
for _stage in (capture, annotate, tune, evaluate, export, report):
    app.command(rich_help_panel="One stage at a time, on the folder of a run")(_stage)
app.command()(detect)
app.command()(simulate)
app.add_typer(models_command.app, name="models")
app.add_typer(config_app, name="config")


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"edge-autotuner {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Show the version."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Show what happens inside."),
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks of errors."),
) -> None:
    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    handler = RichHandler(console=Console(stderr=True), show_path=debug, show_time=verbose or debug)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    logging.getLogger("edge_autotuner").setLevel(level)


def main() -> None:
    """Run the command; errors become one line and an exit code from the documented table."""
    signal.signal(signal.SIGTERM, _interrupt)
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]  # it may stand anywhere
    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")  # those of libraries; our own are logged
        code = _run(["--debug", *arguments] if debug else arguments, debug)
    sys.exit(code)


def _run(arguments: Sequence[str], debug: bool) -> int:
    try:
        code = app(arguments, standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except EdgeAutotunerError as exc:
        code = _fail(exc, exc.exit_code, debug)
    except typer.Exit as exc:
        code = exc.exit_code
    except OSError as exc:
        code = _fail(StorageError(f"{exc}; check the disk and the path"), StorageError.exit_code, debug)
    except Exception as exc:  # the process edge: usage errors of the parser, and what nobody foresaw
        code = _fail_unexpectedly(exc, debug)
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code, or into Abort, by its version
        _say("interrupted; what a run has finished is kept: the same command continues it")
    return int(code or 0)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fail(error: Exception, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    _say(f"{type(error).__name__}: {' '.join(str(error).split())}")
    return code


def _fail_unexpectedly(error: Exception, debug: bool) -> int:
    code = getattr(error, "exit_code", None)
    if code is not None and hasattr(error, "format_message"):  # click's usage errors
        show = getattr(error, "show", None)
        if show is not None:
            show()
        return int(code)
    if debug:
        traceback.print_exc()
    _say(f"unexpected {type(error).__name__}: {' '.join(str(error).split())}; run again with --debug to see where")
    return UNEXPECTED


def _say(text: str) -> None:
    print(f"edge-autotuner: {text}", file=sys.stderr)
