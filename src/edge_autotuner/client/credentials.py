"""Tokens, secrets and TLS certificates of a client."""

from __future__ import annotations

import logging
import os
import re
import ssl
import stat
from collections.abc import Mapping
from pathlib import Path

from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.core.redaction import remember_secret
from edge_autotuner.errors import ConfigError

logger = logging.getLogger(__name__)

_MAX_BYTES = 4096
_TOKEN = re.compile(r"[\x21-\x7e]+")


def make_ssl_context(
    ca_file: Path | None, *, client_cert: Path | None = None, client_key: Path | None = None
) -> ssl.SSLContext:
    """Return TLS settings that require valid certificates (of `ca_file`, or the system's CAs) and TLS 1.2 or newer.

    Raises:
        ConfigError: a certificate file cannot be used, or there is a key without a certificate.
    """
    if client_key is not None and client_cert is None:
        raise ConfigError("client_key needs client_cert, the certificate that it belongs to")
    try:
        context = ssl.create_default_context(cafile=ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if client_cert is not None:
            context.load_cert_chain(client_cert, client_key)
    except (OSError, ValueError) as exc:
        files = ", ".join(str(path) for path in (ca_file, client_cert, client_key) if path)
        raise ConfigError(f"cannot use the certificates {files}: {exc}; they must be readable PEM files") from exc
    return context


def read_token(config: ServiceConfig, environment: Mapping[str, str] | None = None) -> str | None:
    """Return the token from its file or the environment, None if there is neither; raises as `read_token_file`."""
    if config.token_file is not None:
        return read_token_file(config.token_file)
    value = (os.environ if environment is None else environment).get(config.token_env)
    return _checked(value, f"the environment variable {config.token_env}") if value else None


def read_token_file(path: Path) -> str:
    """Return the token in a file.

    Raises:
        ConfigError: the file cannot be read, or its content cannot be a token. No message shows any of it.
    """
    return _checked(_read_text(path, "token"), str(path))


def read_secret(path: Path) -> str:
    """Return the single line of a file, such as a password, without its line end.

    Raises:
        ConfigError: the file cannot be read, is empty, or holds something else. No message shows any of it.
    """
    secret = _read_text(path, "secret").removesuffix("\n").removesuffix("\r")
    if not secret or not secret.isprintable():
        raise ConfigError(f"{path} does not contain a secret: expected one line of text")
    remember_secret(secret)
    return secret


def warn_if_others_can_read(path: Path) -> None:
    """Log a warning if other users can read a secret's file; containers often mount one like that."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # reading it will say why
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        logger.warning("other users can read %s; run `chmod 600` on it", path)


def _read_text(path: Path, what: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"cannot read {_shown(path, what)}: {exc.strerror or type(exc).__name__}") from exc
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} does not contain a {what}: expected one line of text") from None
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{path} does not contain a {what}: more than {_MAX_BYTES} bytes")
    return text


def _shown(path: Path, what: str) -> str:
    """Return the name of a file for a message, unless it may be the secret itself."""
    looks_like_file = len(path.parts) > 1 or path.suffix or path.exists()
    return str(path) if looks_like_file else f"the {what}'s file (set a path, never the {what} itself)"


def _checked(text: str, where: str) -> str:
    token = text.strip()
    if len(token) > _MAX_BYTES or not _TOKEN.fullmatch(token):
        raise ConfigError(f"{where} does not contain a token: expected one line of ASCII characters without spaces")
    remember_secret(token)
    return token
