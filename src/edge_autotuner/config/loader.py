"""Reads settings files, merges them with flags, and reports mistakes with file, line and key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from edge_autotuner.config.run import RunConfig
from edge_autotuner.config.settings_text import MAX_BYTES, compose_yaml, read_yaml
from edge_autotuner.core.arguments import checked_arguments
from edge_autotuner.core.redaction import redact_text, remember_secrets_of_settings
from edge_autotuner.errors import ConfigError
from edge_autotuner.storage import PLAIN_NAME

WORDS_OF_PATTERNS = {
    PLAIN_NAME: "expected at most 100 letters, digits, dots, dashes and underscores, starting with a letter or digit",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "expected the name of an environment variable: letters, digits and underscores",
    r"^[1-9]\d{0,4}x[1-9]\d{0,4}$": "expected WIDTHxHEIGHT, e.g. 1280x720",
    r"^https?://": "expected a URL that starts with http:// or https://",
}
"""Explanations of the patterns used by settings, shown instead of a regular expression."""

_A_LIST, _A_SECTION = "expected a list, e.g. [a, b]", "expected a section of KEY: VALUE lines"
WORDS_OF_TYPES = {
    "tuple_type": _A_LIST,
    "list_type": _A_LIST,
    "dict_type": _A_SECTION,
    "mapping_type": _A_SECTION,
    "model_type": _A_SECTION,
    "model_attributes_type": _A_SECTION,
}
"""Explanations of Pydantic's error types, shown instead of a class name."""

_MAX_SHOWN, _MAX_TOLD = 200, 50  # letters of a wrong value, and mistakes in one message

_Config = TypeVar("_Config", bound=BaseModel)


@checked_arguments
def load_config(path: Path) -> RunConfig:
    """Read a YAML file.

    Raises:
        ConfigError: the file is missing, is not YAML, or a setting is wrong.
    """
    return resolve_config(path, {})


def resolve_config(path: Path | None, overrides: Mapping[str, Any], *, cleared: Collection[str] = ()) -> RunConfig:
    """Merge defaults, an optional YAML file and flags for `edge-autotuner run`; see `resolve_settings`."""
    return resolve_settings(RunConfig, path, overrides, cleared=cleared)


def resolve_settings(
    model: type[_Config], path: Path | None, overrides: Mapping[str, Any], *, cleared: Collection[str] = ()
) -> _Config:
    """Merge defaults, an optional YAML file and flags, in rising precedence.

    Args:
        model: class of the settings.
        path: YAML file, or None.
        overrides: dotted keys, for example {"training.layers": "box"}; None values are ignored.
        cleared: dotted keys to set to None, whatever the file says.

    Raises:
        ConfigError: with file, line and key if known.
    """
    text = _read(path) if path else ""
    values = _parse(text, path)
    remember_secrets_of_settings(values)
    remember_secrets_of_settings(overrides)
    for dotted, value in overrides.items():
        if value is not None:
            _set_nested(values, dotted, value)
    for dotted in cleared:
        _set_nested(values, dotted, None)
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        explained = _explain(exc, text, path, {**overrides, **dict.fromkeys(cleared, "null")})
        raise ConfigError(redact_text(explained)) from exc


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1).decode("utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"cannot read settings file {path}: {exc.strerror}; check the path") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"cannot read settings file {path}: not UTF-8 text; is this the right file?") from exc


def _parse(text: str, path: Path | None) -> dict[str, Any]:
    values = read_yaml(text, where=str(path))
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected KEY: VALUE lines at the top level, got {type(values).__name__}")
    return values


def _set_nested(values: dict[str, Any], dotted: str, value: object) -> None:
    """Set the value of a dotted key; a number selects an existing item of a list."""
    place: Any = values
    *outer, last = dotted.split(".")
    for key in outer:
        if isinstance(place, list):
            place = place[_index(place, key, dotted)]
        elif isinstance(place, dict):
            place = place.setdefault(key, {})
    if isinstance(place, list):
        place[_index(place, last, dotted)] = value
    elif isinstance(place, dict):
        place[last] = value
    # anything else is a wrong value in the file, which validation reports


def _index(items: list[Any], key: str, dotted: str) -> int:
    if not key.isdecimal() or int(key) >= len(items):
        raise ConfigError(
            f"{dotted}: {key!r} is not an item of the file's list, which has {len(items)} items, counted from 0"
        )
    return int(key)


def _explain(error: ValidationError, text: str, path: Path | None, overrides: Mapping[str, Any]) -> str:
    lines = []
    found = error.errors()
    root = compose_yaml(text, where="") if text else None
    for item in found[:_MAX_TOLD]:
        is_a_consequence = item["type"] == "too_short" and any(
            other["loc"][: len(item["loc"])] == item["loc"] and len(other["loc"]) > len(item["loc"]) for other in found
        )
        if is_a_consequence:  # Pydantic calls a list too short if none of its items is valid
            continue
        keys = tuple(str(part) for part in item["loc"])
        dotted = ".".join(keys)
        message = WORDS_OF_TYPES.get(item["type"], item["msg"].removeprefix("Value error, "))
        if item["type"] == "string_pattern_mismatch":
            pattern = str(item.get("ctx", {}).get("pattern"))
            message = WORDS_OF_PATTERNS.get(pattern, "has the wrong format; see the settings reference")
        if item["type"] == "extra_forbidden":
            message = "no such setting"
        if item["type"] == "tuple_type":
            message = "expected a list, i.e. YAML lines that start with a dash"
        flagged = any(
            value is not None and (dotted == name or dotted.startswith(f"{name}.")) for name, value in overrides.items()
        )
        line = None if flagged else _line_of(root, keys)
        # a conflict between settings, or a missing one
        is_whole = path is not None and not overrides and (not keys or item["type"] == "missing")
        where = f"{path}:{line}: " if line else f"{path}: " if is_whole else ""
        is_shown = item["type"] not in {"missing", "extra_forbidden"} and not isinstance(item["input"], Mapping)
        got = f" (got {_shortened(repr(item['input']))})" if is_shown else ""
        lines.append(f"{where}{dotted or 'settings'}: {message}{got}")
    if len(found) > _MAX_TOLD:
        lines.append(f"and {len(found) - _MAX_TOLD} more mistakes")
    return "; ".join(lines)


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def place_in_file(path: Path, keys: tuple[str, ...]) -> str:
    """Return `FILE:LINE: ` of nested keys, for mistakes that only a look at several settings finds."""
    text = _read(path)
    line = _line_of(compose_yaml(text, where="") if text else None, keys)
    return f"{path}:{line}: " if line else f"{path}: "


def _line_of(root: yaml.Node | None, keys: tuple[str, ...]) -> int | None:
    """Return the 1-based line of the deepest of the nested keys in the file."""
    node = root
    line = None
    for key in keys:
        if isinstance(node, yaml.SequenceNode) and key.isdigit() and int(key) < len(node.value):
            node = node.value[int(key)]
            line = node.start_mark.line + 1
            continue
        if not isinstance(node, yaml.MappingNode):
            break
        match = next(((k, v) for k, v in node.value if k.value == key), None)
        if match is None:
            break
        line, node = match[0].start_mark.line + 1, match[1]
    return line
