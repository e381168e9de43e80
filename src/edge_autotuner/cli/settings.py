"""Resolves flags, files and saved settings into one configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from edge_autotuner.config import RunConfig, resolve_settings
from edge_autotuner.config.server import ServerConfig
from edge_autotuner.config.settings_text import dump_yaml, read_yaml
from edge_autotuner.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


def merge_settings(file: Path | None, pairs: list[str] | None, flags: Mapping[str, Any]) -> RunConfig:
    """Merge defaults, a file, `--set` pairs and flags, in rising precedence; `--set KEY=null` clears a setting.

    Raises:
        ConfigError: a setting is wrong.
    """
    return resolve_flags(RunConfig, file, pairs, flags)


def resolve_flags(model: type[Model], file: Path | None, pairs: list[str] | None, flags: Mapping[str, Any]) -> Model:
    """Do the same for any settings.

    Args:
        model: class of the settings.
        file: YAML; None for none.
        pairs: KEY=VALUE; "null" clears a setting.
        flags: by key; None: not given.

    Raises:
        ConfigError: a setting is wrong.
    """
    overrides = parse_pairs(pairs)
    overrides |= {key: value for key, value in flags.items() if value is not None}
    return resolve_settings(model, file, overrides, cleared=[key for key, value in overrides.items() if value is None])


def parse_pairs(pairs: list[str] | None) -> dict[str, Any]:
    """Read KEY=VALUE settings, the values as YAML; None clears a setting.

    Raises:
        ConfigError: one is not of this form.
    """
    return dict(_parse_pair(pair) for pair in pairs or [])


def parse_class_map(pairs: list[str] | None) -> dict[str, str] | None:
    """Read "bus=car" pairs; None for none."""
    if not pairs:
        return None
    split = [pair.partition("=") for text in pairs for pair in text.split(",")]
    for source, equals, target in split:
        if not (source and equals and target):
            raise ConfigError(f"'{source}{equals}{target}' is not a class mapping; use e.g. truck=car")
    return {source.strip(): target.strip() for source, _, target in split}


def parse_classes(text: str | None) -> list[str] | None:
    """Read "person,car"; None for none."""
    return [name.strip() for name in text.split(",") if name.strip()] if text else None


def _parse_pair(pair: str) -> tuple[str, Any]:
    key, equals, value = pair.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {pair}: use KEY=VALUE, e.g. training.max_lr=0.0005")
    return key.strip(), read_yaml(value, where=f"--set {pair}")


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
