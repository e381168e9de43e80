"""All commands of `edge-autotuner` in one tree."""

from __future__ import annotations

import logging

import typer
from rich.console import Console
from rich.logging import RichHandler

from edge_autotuner._version import __version__
from edge_autotuner.cli import audit as audit_command
from edge_autotuner.cli import jobs as jobs_command
from edge_autotuner.cli import keys as keys_command
from edge_autotuner.cli import models as models_command
from edge_autotuner.cli import registry as registry_command
from edge_autotuner.cli import replay as replay_command
from edge_autotuner.cli import stages as stage_commands
from edge_autotuner.cli import tokens as tokens_command
from edge_autotuner.cli.detect import detect
from edge_autotuner.cli.edge import edge
from edge_autotuner.cli.explain import config_app
from edge_autotuner.cli.forget import forget
from edge_autotuner.cli.run import run
from edge_autotuner.cli.serve import serve, work
from edge_autotuner.cli.simulate import simulate
from edge_autotuner.cli.watch import watch
from edge_autotuner.core.redaction import RedactingFormatter
from edge_autotuner.pipeline.loop import LOOP

app = typer.Typer(
    name="edge-autotuner",
    help="A fixed camera's own detector learns its scene by itself: no human labels, no extra compute at run time.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run)
for _stage in LOOP:
    app.command(rich_help_panel="Stages of a run, one at a time")(getattr(stage_commands, _stage.command))
app.command()(watch)
app.command()(detect)
app.command(rich_help_panel="Edge node and service")(edge)
app.command(rich_help_panel="Edge node and service")(serve)
app.command(rich_help_panel="Edge node and service")(work)
app.command(rich_help_panel="Models and data")(simulate)
app.command(rich_help_panel="Models and data")(forget)
app.add_typer(models_command.app, name="models", rich_help_panel="Models and data")
app.add_typer(replay_command.app, name="replay", rich_help_panel="Models and data")
app.add_typer(config_app, name="config", rich_help_panel="Administration")
app.add_typer(tokens_command.app, name="tokens", rich_help_panel="Administration")
app.add_typer(keys_command.app, name="keys", rich_help_panel="Administration")
app.add_typer(audit_command.app, name="audit", rich_help_panel="Administration")
app.add_typer(registry_command.app, name="registry", rich_help_panel="Edge node and service")
app.add_typer(jobs_command.app, name="jobs", rich_help_panel="Edge node and service")


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"edge-autotuner {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
    ),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log at INFO level."),
    debug: bool = typer.Option(False, "--debug", help="Log at DEBUG level, and show tracebacks."),
) -> None:
    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    handler = RichHandler(console=Console(stderr=True), show_path=debug, show_time=verbose or debug)
    handler.setFormatter(RedactingFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("edge_autotuner").setLevel(level)
