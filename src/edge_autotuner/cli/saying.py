"""How commands print: whatever they say, no secret is in it."""

from __future__ import annotations

import typer

from edge_autotuner.core.redaction import redact_text


def say(text: object = "", *, err: bool = False) -> None:
    """Print a message, without passwords and tokens; data that programs read has ways of its own."""
    typer.echo(redact_text(str(text)), err=err)
