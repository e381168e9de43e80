"""`python -m edge_autotuner.server.api_page`: prints docs/reference/http-api.md, made from the OpenAPI description."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI

from edge_autotuner.config.server import ResultCacheConfig, ServerConfig
from edge_autotuner.server.access import Caller
from edge_autotuner.server.annotation.quotas import Quotas
from edge_autotuner.server.annotation.result_cache import ResultCache
from edge_autotuner.server.annotation.service import AnnotationService
from edge_autotuner.server.app import create_app
from edge_autotuner.server.metrics import Metrics
from edge_autotuner.server.services import Services

_INTRODUCTION = """\
# HTTP interface

What `edge-autotuner serve` understands; made by `python -m edge_autotuner.server.api_page`. The service describes
itself in OpenAPI at `/v1/openapi.json`. How to run it is in [Annotation service](../how-to/annotation-service.md).

Requests carry `Authorization: Bearer TOKEN`. What is refused is answered with `application/problem+json` (RFC 9457):
`type` is a short name for programs, `detail` a sentence for people. 429 and 503 say in `Retry-After` when to try again.
Within `/v1`, fields are only added, always with a default; unknown fields of a request are refused.
"""

_METHODS = ("get", "put", "post", "delete")


class _Nobody:
    async def recognise(self, token: str) -> Caller | None:
        return None


_LIMITS = {
    "minimum": "from {}",
    "maximum": "to {}",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} items",
}
"""Words for the limits of a schema."""


def describe_api() -> dict[str, Any]:
    """Return the OpenAPI description without starting a service."""
    config = ServerConfig(cache=ResultCacheConfig(memory_mb=0, disk_mb=0))
    metrics = Metrics()
    quotas = Quotas(requests_per_minute=None, pixels_per_minute=None)
    annotations = AnnotationService(
        {}, {}, limits=config.limits, quotas=quotas, cache=ResultCache(0), metrics=metrics, n_decoders=1
    )
    app: FastAPI = create_app(Services(config, _Nobody(), annotations, metrics))
    annotations.close()
    return app.openapi()


def api_page(description: Mapping[str, Any]) -> str:
    """Return an OpenAPI description as a Markdown page."""
    lines = [_INTRODUCTION]
    for path, operations in description["paths"].items():
        for method in _METHODS:
            if method in operations:
                lines += _operation(f"{method.upper()} {path}", operations[method])
    lines += ["## Messages", ""]
    for name, schema in sorted(description["components"]["schemas"].items()):
        lines += _message(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _operation(title: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## `{title}`", "", operation.get("description", operation["summary"]).strip(), "")
    parameters = [p for p in operation.get("parameters", []) if p["in"] in ("query", "path")]
    if parameters:
        yield from ("| parameter | in | type | default | meaning |", "|---|---|---|---|---|")
        for parameter in parameters:
            schema = parameter["schema"]
            default = "required" if parameter.get("required") else f"`{json.dumps(schema.get('default'))}`"
            meaning = parameter.get("description", "")
            yield f"| `{parameter['name']}` | {parameter['in']} | {_type(schema)} | {default} | {meaning} |"
        yield ""
    if "requestBody" in operation:
        yield from (f"Body: {_contents(operation['requestBody'])}.", "")
    yield from ("| answer | what | meaning |", "|---|---|---|")
    for status, response in operation["responses"].items():
        meaning = _one_line(response["description"]).removeprefix("Successful Response")
        yield f"| {status} | {_contents(response)} | {meaning} |"
    yield ""


def _message(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"### {name}", "", _text(schema), "")
    fields = schema.get("properties", {})
    if not fields:
        return
    yield from ("| field | type | default |", "|---|---|---|")
    for field, facts in fields.items():
        default = "required" if field in schema.get("required", ()) else f"`{json.dumps(facts.get('default'))}`"
        yield f"| `{field}` | {_type(facts)} | {default} |"
    yield ""


def _text(schema: Mapping[str, Any]) -> str:
    """Return a docstring with its attributes as a Markdown list."""
    summary, _, attributes = str(schema.get("description", "")).partition("Attributes:")
    lines = [summary.strip()]
    for line in attributes.strip().splitlines():
        name, colon, meaning = line.strip().partition(": ")
        if colon and name.isidentifier():
            lines += ["", f"- `{name}`: {meaning}"] if lines[-1] == summary.strip() else [f"- `{name}`: {meaning}"]
        elif line.strip():
            lines[-1] += f" {line.strip()}"
    return "\n".join(lines)


def _contents(body: Mapping[str, Any]) -> str:
    contents = body.get("content", {})
    described = [f"`{kind}`{_of(content.get('schema', {}))}" for kind, content in contents.items()]
    return ", ".join(described) or "nothing"


def _of(schema: Mapping[str, Any]) -> str:
    name = schema["$ref"].rpartition("/")[2] if "$ref" in schema else schema.get("title", "")
    return f" {name}" if name and " " not in name else ""


def _type(schema: Mapping[str, Any]) -> str:
    """Return the type of a value in a few words, with its limits."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    kind = str(schema.get("type", "any"))
    if kind == "array" and "items" in schema:
        item = _type(schema["items"])
        kind = f"list of ({item})" if "," in item else f"list of {item}"
    limits = [words.format(schema[key]) for key, words in _LIMITS.items() if key in schema]
    return f"{kind}, {' '.join(limits)}" if limits else kind


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    print(api_page(describe_api()), end="")
