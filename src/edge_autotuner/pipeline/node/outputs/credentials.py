"""Passwords and tokens from files, which no message ever shows, and TLS that checks certificates."""

from __future__ import annotations

import ssl
from pathlib import Path

from edge_autotuner.errors import ConfigError

_MAX_BYTES = 4096


def read_secret(path: Path) -> str:
    """Return the one line that a file holds, without its line end.

    Raises:
        ConfigError: it cannot be read, is empty, or holds something else; the message does not show its content.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror or type(exc).__name__}") from exc
    try:
        secret = data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not a text file; expected one line") from None
    if not secret or len(data) > _MAX_BYTES or not secret.isprintable():
        raise ConfigError(f"{path} does not hold a secret: expected one line of up to {_MAX_BYTES} bytes")
    return secret


def read_bearer_token(path: Path) -> str:
    """Return a token that can stand in a header of HTTP.

    Raises:
        ConfigError: as `read_secret`, or it holds characters that a header cannot carry.
    """
    token = read_secret(path).strip()
    if not token or not token.isascii() or any(character.isspace() for character in token):
        raise ConfigError(f"{path} does not hold a token: expected ASCII characters without spaces")
    return token


def make_ssl_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return TLS settings that check certificates, TLS 1.2 or newer.

    Raises:
        ConfigError: the file of authorities cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as exc:
        raise ConfigError(f"cannot use {ca_file}: {exc}; expected certificates in PEM form") from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
