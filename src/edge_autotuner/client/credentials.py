"""How this side proves who it is, and how it finds out that the service is the right one."""

from __future__ import annotations

import logging
import os
import re
import ssl
import stat
from collections.abc import Mapping
from pathlib import Path

from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.errors import ConfigError

logger = logging.getLogger(__name__)

_MAX_TOKEN_BYTES = 4096
_TOKEN = re.compile(r"[\x21-\x7e]+")


def make_ssl_context(config: ServiceConfig) -> ssl.SSLContext:
    """Return the TLS settings: certificates are always checked, and TLS is 1.2 or newer.

    Raises:
        ConfigError: a certificate file is missing or is none.
    """
    if config.client_key is not None and config.client_cert is None:
        raise ConfigError("annotation.service.client_key needs annotation.service.client_cert")
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if config.client_cert is not None:
            context.load_cert_chain(config.client_cert, config.client_key)
    except (OSError, ValueError) as exc:
        files = ", ".join(str(path) for path in (config.ca_file, config.client_cert, config.client_key) if path)
        raise ConfigError(f"cannot use the certificates {files}: {exc}; they must be readable PEM files") from exc
    return context


def read_token(config: ServiceConfig, environment: Mapping[str, str] | None = None) -> str | None:
    """Return the token, from its file or the environment; None where neither is there.

    Raises:
        ConfigError: the file is missing, or its content cannot be a token. No message shows any of it.
    """
    if config.token_file is not None:
        return _checked(_read_file(config.token_file), str(config.token_file))
    value = (os.environ if environment is None else environment).get(config.token_env)
    return _checked(value, f"the environment variable {config.token_env}") if value else None


def warn_if_others_can_read(path: Path) -> None:
    """Say so when a secret's file is open to other users of this machine; containers often mount it like that."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # who reads it will say so
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        logger.warning("%s can be read by other users of this machine; `chmod 600` it", path)


def _read_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_TOKEN_BYTES + 1).decode("ascii")
    except OSError as exc:
        raise ConfigError(f"cannot read the token file {path}: {exc.strerror}") from exc
    except UnicodeDecodeError:
        raise ConfigError(f"{path} does not hold a token: expected one line of ASCII characters") from None


def _checked(text: str, where: str) -> str:
    token = text.strip()
    if len(token) > _MAX_TOKEN_BYTES or not _TOKEN.fullmatch(token):
        raise ConfigError(f"{where} does not hold a token: expected one line of ASCII characters without spaces")
    return token
