r"""File names as text that every other program can read, and back.

Linux allows any bytes in a name, while JSON, SQLite and HTML are Unicode, and terminals obey control characters. Python
keeps bytes that are no UTF-8 as lone surrogates, which no other program takes. Here each such byte, and each byte of a
character that is not printable, is written as four characters, `\xe9` for 0xE9. A name that holds text of this form
itself gets its backslashes doubled, so that the way back is unambiguous; all other names stay as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_autotuner.core.printable import is_printable

_SHORT_BYTES = 180
_LIKE_BYTE = re.compile(r"\\x[0-9a-fA-F]{2}")
_SURROGATE = re.compile("[\udc80-\udcff]")
_WRITTEN = re.compile(r"\\(\\|x([0-9a-fA-F]{2}))")


def text_of_name(name: str | os.PathLike[str]) -> str:
    r"""Return a name or path as printable Unicode.

    >>> print(text_of_name("caf\udce9.mp4"), text_of_name("café.mp4"), text_of_name("a\nb"))
    caf\xe9.mp4 café.mp4 a\x0ab
    """
    name = os.fspath(name)
    if is_printable(name) and _LIKE_BYTE.search(name) is None:
        return name
    doubled = name.replace("\\", "\\\\")
    return "".join(character if is_printable(character) else _as_hex(character) for character in doubled)


def name_of_text(text: str) -> str:
    r"""Return the name that `text_of_name` made the text of, as Python's file functions take it.

    >>> name_of_text(r"caf\xe9.mp4") == "caf\udce9.mp4"
    True
    """
    if _LIKE_BYTE.search(text) is None:
        return text
    name = _WRITTEN.sub(lambda part: _byte(int(part[2], 16)) if part[2] else "\\", text)
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def holds_bytes(text: str) -> bool:
    """Whether a text of `text_of_name` holds bytes that are no UTF-8, so that its backslashes separate no folders."""
    return _LIKE_BYTE.search(text) is not None


def utf8_text(text: str) -> bytes:
    """Encode a text; bytes of names within it that are no UTF-8 are written as in `text_of_name`."""
    return _SURROGATE.sub(lambda byte: _as_hex(byte[0]), text).encode("utf-8")


def utf8_json(text: str) -> bytes:
    """Encode a text of JSON, whose strings then hold such bytes as in `text_of_name`."""
    return _SURROGATE.sub(lambda byte: "\\" + _as_hex(byte[0]), text).encode("utf-8")


def shortened(name: str) -> str:
    """Return the beginning of a name, so that something can be added to it: names have at most 255 bytes."""
    return os.fsdecode(os.fsencode(name)[:_SHORT_BYTES])


@contextmanager
def path_for_library(path: Path) -> Iterator[str]:
    """Yield a path by which a library can read a file, even one that takes names in UTF-8 only.

    Raises:
        OSError: the file has a name that is no UTF-8, and cannot be opened.
    """
    if _SURROGATE.search(str(path)) is None:
        yield str(path)
        return
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def _as_hex(character: str) -> str:
    """Return the bytes of a character in a file name, written out."""
    errors = "surrogateescape" if _SURROGATE.match(character) else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", errors))


def _byte(value: int) -> str:
    """Return a byte of a name as Python keeps it before bytes are joined to characters."""
    return chr(value) if value < 0x80 else chr(0xDC00 + value)
