"""How commands print: whatever they say, no secret is in it, and nothing that a terminal obeys."""

from __future__ import annotations

import typer

from edge_autotuner.core.redaction import safe_text


def say(text: object = "", *, err: bool = False) -> None:
    """Print a message without passwords, tokens and escape codes; data that programs read has ways of its own."""
    typer.echo(safe_text(str(text)), err=err)
