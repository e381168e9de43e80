"""Refuses ONNX models with tensors in other files, so that the hash of a file covers all that runs.

ONNX Runtime reads external tensors even for a model given as bytes, from the current working directory. So the protobuf
is walked before loading, without the `onnx` package and in bounded work: fields are skipped by length, never copied.

Source:
    onnx.proto3 (messages and field numbers), Protocol Buffers encoding (varints, length-delimited fields).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from edge_autotuner.core.printable import one_line
from edge_autotuner.errors import WeightsError

MAX_ONNX_BYTES = 2 << 30
"""Protobuf's own limit."""

_MAX_FIELDS = 1_000_000
_MAX_DEPTH = 64
_MAX_TAG_BYTES, _MAX_VARINT_BYTES = 5, 10
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}

_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
    "external": {},
}
"""Which fields of which messages may hold a tensor; all others are skipped."""

_GRAPH, _DATA_LOCATION, _KEY, _VALUE = 7, 14, 1, 2


def read_onnx(path: Path, name: str) -> bytes:
    """Read an ONNX file without external tensors; errors name the model.

    Raises:
        WeightsError: the file is missing, too large, no ONNX model, or has external tensors.
    """
    try:
        if path.stat().st_size > MAX_ONNX_BYTES:
            raise WeightsError(f"{name}: {path} is larger than {MAX_ONNX_BYTES >> 30} GB, the limit for an ONNX file")
        content = path.read_bytes()
    except OSError as exc:
        raise WeightsError(f"{name}: cannot read {path}: {exc.strerror}") from exc
    check_one_file(content, f"{name}: {path}")
    return content


def check_onnx_file(path: Path) -> None:
    """Check a file without reading it into memory; see `check_one_file`.

    Raises:
        WeightsError: the file cannot be read, is no ONNX model, or has external tensors.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            check_one_file(content, str(path))
    except (OSError, ValueError) as exc:  # ValueError: the file is empty
        raise WeightsError(f"cannot read the ONNX model {path}: {exc}") from exc


def check_one_file(content: bytes | mmap.mmap, where: str) -> None:
    """Refuse content that is no ONNX model or has external tensors; errors say where.

    Raises:
        WeightsError: the content is refused.
    """
    try:
        outside = _external_location(content)
    except ValueError as exc:
        raise WeightsError(f"{where} is not a usable ONNX model: {exc}") from None
    if outside is not None:
        raise WeightsError(
            f"{where} stores weights in another file ({outside}), which the model's hash does not cover; merge them: "
            "python -c \"import onnx; onnx.save_model(onnx.load('IN.onnx'), 'OUT.onnx')\""
        )


def _external_location(content: bytes | mmap.mmap) -> str | None:
    """Return the location of an external tensor, as far as given; None if there is none.

    Raises:
        ValueError: the content is no ONNX model.
    """
    with memoryview(content) as data:
        return _walk(data)


def _walk(data: memoryview) -> str | None:
    n_fields, has_graph = 0, False
    waiting = [("model", 0, len(data), 0)]
    while waiting:
        kind, start, stop, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise ValueError(f"graphs are nested deeper than {_MAX_DEPTH} levels")
        inner = _MESSAGES[kind]
        for number, value, begin, end in _fields(data, start, stop):
            n_fields += 1
            if n_fields > _MAX_FIELDS:
                raise ValueError(f"more than {_MAX_FIELDS} fields")
            has_graph = has_graph or (kind == "model" and number == _GRAPH)
            if kind == "tensor" and number == _DATA_LOCATION and value != 0:
                return "data_location EXTERNAL"
            if number in inner:
                if value is not None:
                    raise ValueError("a field has the wrong type")
                if inner[number] == "external":
                    return _location(data, begin, end)
                waiting.append((inner[number], begin, end, depth + 1))
    if not has_graph:
        raise ValueError("it has no graph")
    return None


def _fields(data: memoryview, start: int, stop: int) -> Iterator[tuple[int, int | None, int, int]]:
    """Yield number, value (of a varint, else None), and position of each field of a message.

    Raises:
        ValueError: the bytes are no message.
    """
    position = start
    while position < stop:
        tag, position = _varint(data, position, stop, _MAX_TAG_BYTES)
        number, wire = tag >> 3, tag & 7
        if number == 0 or tag >= 1 << 32:
            raise ValueError("not an ONNX (protobuf) file")
        value, begin = None, position
        if wire == _VARINT:
            value, position = _varint(data, position, stop, _MAX_VARINT_BYTES)
        elif wire == _BYTES:
            n_bytes, begin = _varint(data, position, stop, _MAX_VARINT_BYTES)
            position = begin + n_bytes
        elif wire in _FIXED_BYTES:
            position += _FIXED_BYTES[wire]
        else:
            raise ValueError("not an ONNX (protobuf) file")
        if position > stop:
            raise ValueError("it is truncated")
        yield number, value, begin, position


def _varint(data: memoryview, position: int, stop: int, max_bytes: int) -> tuple[int, int]:
    value = 0
    for index in range(max_bytes):
        if position >= stop:
            raise ValueError("it is truncated")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position
    raise ValueError("not an ONNX (protobuf) file")


def _location(data: memoryview, start: int, stop: int) -> str:
    """Describe an entry of external_data for an error message."""
    parts = {number: bytes(data[begin:end][:200]) for number, _, begin, end in _fields(data, start, stop)}
    key, value = (parts.get(number, b"").decode("utf-8", "replace") for number in (_KEY, _VALUE))
    return one_line(value if key == "location" else f"{key}={value}", 100)
