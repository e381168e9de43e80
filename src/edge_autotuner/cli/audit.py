"""`edge-autotuner audit`: what happened at the service that matters for security."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edge_autotuner.cli.loading import find_database_url, load_server_part
from edge_autotuner.cli.options import ConfigOption, DatabaseOption, DataOption
from edge_autotuner.cli.saying import say
from edge_autotuner.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from edge_autotuner.server.audit import AuditLog

app = typer.Typer(help="Show and verify the service's audit log.", no_args_is_help=True)


@app.command()
def show(
    last: Annotated[int, typer.Option(min=1, max=1_000_000, help="Show the last N entries.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON per entry.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Show the last entries, oldest first."""
    for entry in _opened(find_database_url(config, data, database)).last(last):
        if as_json:
            say(json.dumps(asdict(entry) | {"at": entry.at.isoformat()}))
        else:
            time = entry.at.strftime("%Y-%m-%d %H:%M:%S")
            line = (
                f"{entry.seq}  {time}  {entry.client}  {entry.action}  {entry.subject}  {entry.outcome}  {entry.detail}"
            )
            say(line.rstrip())


@app.command()
def verify(
    known: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER:HASH", help="Known entry to compare with, as printed by an earlier `audit verify`."
        ),
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Verify that no entry was modified, removed or inserted; the exit code tells."""
    check = _opened(find_database_url(config, data, database)).verify(_parse_known(known))
    if check.damage is not None:
        raise StorageError(f"the audit log is damaged or was tampered with: {check.damage}")
    say(f"{check.n_entries} entries are intact; the last is {check.n_entries}:{check.head_sha256}")


def _opened(url: str) -> AuditLog:
    log: AuditLog = load_server_part("audit").AuditLog(load_server_part("database").Database(url))
    return log


def _parse_known(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    number, _, sha256 = text.partition(":")
    if not number.isdecimal() or len(sha256) != 64:
        raise ConfigError(f"--known {text}: use NUMBER:HASH as printed by `audit verify`")
    return int(number), sha256
