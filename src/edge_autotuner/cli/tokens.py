"""`edge-autotuner tokens`: who may use the service, and for what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from edge_autotuner.cli.loading import find_database_url, load_server_part
from edge_autotuner.cli.options import ConfigOption, DatabaseOption, DataOption
from edge_autotuner.cli.saying import say
from edge_autotuner.core.clock import parse_duration_s

if TYPE_CHECKING:
    from edge_autotuner.server.tokens import NewToken, TokenInfo, Tokens

app = typer.Typer(help="Manage the tokens of the service's clients.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the client, e.g. of the node.", show_default=False)]
Expires = Annotated[str | None, typer.Option(help="Validity, e.g. 90d. Default: unchanged, or no expiry.")]


@app.command()
def add(
    name: Name,
    scope: Annotated[
        list[str],
        typer.Option("--scope", help="Scope: annotate, train, deploy or admin; may be repeated.", show_default=False),
    ],
    expires: Expires = None,
    config: ConfigOption = None,
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Create a token for a new client, and print it once."""
    lifetime_s = parse_duration_s(expires) if expires is not None else None
    with _opened(find_database_url(config, data, database)) as tokens:
        _print_new(tokens.add(name, scope, expires_after_s=lifetime_s))


@app.command()
def rotate(
    name: Name,
    overlap: Annotated[
        str | None, typer.Option(help="Time the old token stays valid, e.g. 1d. Default: revoke it now.")
    ] = None,
    expires: Expires = None,
    config: ConfigOption = None,
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Replace a client's token, keeping its scopes, and print the new one once."""
    overlap_s = parse_duration_s(overlap) if overlap is not None else 0.0
    lifetime_s = parse_duration_s(expires) if expires is not None else None
    with _opened(find_database_url(config, data, database)) as tokens:
        _print_new(tokens.rotate(name, overlap_s=overlap_s, expires_after_s=lifetime_s))


@app.command()
def revoke(name: Name, config: ConfigOption = None, data: DataOption = None, database: DatabaseOption = None) -> None:
    """Revoke all tokens of a client; a running service applies it within seconds."""
    with _opened(find_database_url(config, data, database)) as tokens:
        n_revoked = tokens.revoke(name)
    say(f"{n_revoked} token{'s' if n_revoked > 1 else ''} of '{name}' revoked")


@app.command("list")
def list_tokens(config: ConfigOption = None, data: DataOption = None, database: DatabaseOption = None) -> None:
    """List all tokens, including old ones, without secrets."""
    with _opened(find_database_url(config, data, database)) as tokens:
        for token in tokens.all():
            say(_line(token))


@contextmanager
def _opened(url: str) -> Iterator[Tokens]:
    tokens: Tokens = load_server_part("tokens").open_authenticator(url)
    try:
        yield tokens
    finally:
        tokens.close()


def _print_new(token: NewToken) -> None:
    """Print the secret alone on standard output, so that it can go straight to a file."""
    until = "it does not expire" if token.expires_at is None else f"it expires at {_minute(token.expires_at)}"
    say(f"the token of '{token.client}', shown only once; {until}", err=True)
    typer.echo(token.text)  # the one secret that is printed on purpose


def _line(token: TokenInfo) -> str:
    expires = "never expires" if token.expires_at is None else f"expires {_minute(token.expires_at)}"
    used = "never used" if token.last_used_at is None else f"used {_minute(token.last_used_at)}"
    scopes = ",".join(token.scopes)
    return f"{token.client}  eat_{token.id}_...  {token.state}  {scopes}  {expires}  {used}"


def _minute(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC")
