"""How flags and files become the settings of the service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_autotuner.cli.settings import resolve_flags
from edge_autotuner.config.server import ServerConfig
from edge_autotuner.config.settings_text import dump_yaml
from edge_autotuner.errors import ConfigError


def merge_server_settings(
    file: Path | None, pairs: list[str] | None, flags: Mapping[str, Any], *, models: list[str] | None
) -> ServerConfig:
    """Merge defaults, a file, `--set` pairs and flags, in rising precedence.

    Raises:
        ConfigError: a setting is wrong.
    """
    served = {"models": _parse_models(models)} if models else {}
    return resolve_flags(ServerConfig, file, pairs, {**flags, **served})


def settings_text(config: ServerConfig) -> str:
    """Return all settings as YAML, without the password of the database."""
    values = config.model_dump(mode="json")
    if config.database_url is not None and "@" in config.database_url:
        values["database_url"] = "(set, not shown: it may hold a password)"
    return dump_yaml(values).rstrip()


def _parse_models(texts: list[str]) -> dict[str, dict[str, str]]:
    """Read NAME=SOURCE; a name alone is its own source.

    >>> _parse_models(["street-nano", "big=models/big.onnx"])
    {'street-nano': {'source': 'street-nano'}, 'big': {'source': 'models/big.onnx'}}
    """
    models = {}
    for text in texts:
        name, equals, source = text.partition("=")
        if not name or (equals and not source):
            raise ConfigError(f"--model {text}: use NAME=SOURCE, e.g. femto=deimv2-femto")
        models[name] = {"source": source or name}
    return models
