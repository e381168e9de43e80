"""Reads and writes YAML, the same way for files, `--set` values and variables.

Scalars follow YAML 1.2: 5:20 is text and not 320, `no` is text and not false, 2024-01-01 is not a date. Numbers with
leading zeros stay text, so that a name such as 007 keeps them. Each setting then parses its own text: a switch takes
yes and no, a frame range 5:20. Size, depth and aliases are checked before anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from contextlib import suppress
from typing import Any

import yaml

from edge_autotuner.errors import ConfigError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_DIGITS = 100
MAX_NODES = 20_000
"""Counted with all aliases expanded."""

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # thirty times as fast, same events


class _TooMuch(yaml.MarkedYAMLError):
    """Valid YAML that exceeds a limit for settings."""


class _SettingsLoader(yaml.SafeLoader):
    """Builds plain values; keys must be unique text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (the library's own attribute)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Reject keys that are duplicates or not text."""
        seen = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if key.tag not in {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}:
                what = f"the key {name}" if name is not None else "a list or mapping used as a key"
                raise yaml.constructor.ConstructorError(None, None, f"{what} is not text; quote it", key.start_mark)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key '{name}'", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


_NUMBER = r"[-+]?(?:0|[1-9][0-9]*)"
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", rf"{_NUMBER}|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        rf"{_NUMBER}(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)|{_NUMBER}\.[0-9]*|[-+]?\.[0-9]+(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("merge", "<<", "<"),
):
    _SettingsLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), ["" if c == "\0" else c for c in _first]
    )


class _SettingsDumper(yaml.SafeDumper):
    """Also quotes text that this loader would read as a number, e.g. 1e3."""


_SettingsDumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+\Z"), list("-+0123456789.")
)


def _construct_float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node)).lower()
    try:
        return float(text.replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        raise yaml.constructor.ConstructorError(None, None, "not a number", node.start_mark) from None


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    if len(str(node.value)) > MAX_DIGITS:
        what = f"a number of {len(str(node.value))} digits; the limit for settings is {MAX_DIGITS}"
        raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
    try:
        return int(loader.construct_yaml_int(node))
    except ValueError:
        raise yaml.constructor.ConstructorError(None, None, "not a whole number", node.start_mark) from None


_SettingsLoader.add_constructor("tag:yaml.org,2002:float", _construct_float)
_SettingsLoader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def read_yaml(text: str, *, where: str) -> Any:  # noqa: ANN401 (YAML values)
    """Return the value of a YAML text: None, booleans, numbers, text, lists, and dicts with text as keys.

    Args:
        text: one document.
        where: file or option, for messages.

    Raises:
        ConfigError: the text is not YAML, exceeds a limit, or a key is a duplicate or not text.
    """
    node = compose_yaml(text, where=where)
    if node is None:
        return None
    loader = _SettingsLoader("")
    try:
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError) as exc:
        raise ConfigError(_explain(exc, text, where)) from exc
    finally:
        loader.dispose()


def compose_yaml(text: str, *, where: str) -> yaml.Node | None:
    """Return the nodes of a YAML text, with line numbers; None if empty. Raises like `read_yaml`."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ConfigError(
            f"{where}: larger than {MAX_BYTES // 1024} KiB, the limit for settings; is this the right file?"
        )
    try:
        with suppress(yaml.parser.ParserError, yaml.scanner.ScannerError, yaml.reader.ReaderError):
            _require_shallow(text)  # yaml.compose explains mistakes better
        node = yaml.compose(text, Loader=_SettingsLoader)
        if node is not None:
            _require_small(node)
    except RecursionError:
        raise ConfigError(f"{where}: nested deeper than {MAX_DEPTH} levels, the limit for settings") from None
    except (yaml.YAMLError, ValueError) as exc:
        raise ConfigError(_explain(exc, text, where)) from exc
    return node


def dump_yaml(values: Any) -> str:  # noqa: ANN401 (YAML values)
    """Return values as YAML text that `read_yaml` reads back unchanged."""
    return yaml.dump(values, Dumper=_SettingsDumper, sort_keys=False)


def _require_shallow(text: str) -> None:
    """Check number and depth of values without building any."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_PARSER)):
        if number > 2 * MAX_NODES:
            raise _TooMuch(problem=f"more than {MAX_NODES} values, the limit for settings")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise _TooMuch(problem=f"nested deeper than {MAX_DEPTH} levels (line {line}), the limit for settings")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _require_small(root: yaml.Node) -> None:
    """Count nodes with all aliases expanded, visiting each node once."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size_of(node: yaml.Node) -> int:
        if id(node) in open_nodes:
            raise _TooMuch(problem="an alias refers to a value that contains it", problem_mark=node.start_mark)
        if id(node) not in sizes:
            open_nodes.add(id(node))
            inner = node.value if isinstance(node, yaml.CollectionNode) else []
            parts = [part for pair in inner for part in pair] if isinstance(node, yaml.MappingNode) else inner
            sizes[id(node)] = 1 + sum(map(size_of, parts))
            open_nodes.discard(id(node))
            if sizes[id(node)] > MAX_NODES:
                raise _TooMuch(
                    problem=f"more than {MAX_NODES} values, the limit for settings", problem_mark=node.start_mark
                )
        return sizes[id(node)]

    size_of(root)


def _explain(error: Exception, text: str, where: str) -> str:
    line = _line_of_mistake(error, text)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    place = f"{where}:{line}" if line else where
    return f"{place}: {problem}" if isinstance(error, _TooMuch) else f"{place}: not valid YAML: {problem}"


def _line_of_mistake(error: Exception, text: str) -> int | None:
    """Return the 1-based line where parsing stopped."""
    if isinstance(error, yaml.reader.ReaderError):
        return text.count("\n", 0, error.position) + 1
    mark = getattr(error, "problem_mark", None)
    return mark.line + 1 if mark else None
