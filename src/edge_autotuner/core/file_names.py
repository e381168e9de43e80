r"""File names as text that every other program can read, and back.

Linux allows any bytes in a name, while JSON, SQLite and HTML are Unicode. Python keeps bytes that are no UTF-8 as
lone surrogates, which none of them takes. Here each such byte is written as four characters, `\xe9` for 0xE9. A name
that holds text of this form itself gets its backslashes doubled, so that the way back is unambiguous; all other names
stay as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LIKE_BYTE = re.compile(r"\\x[0-9a-fA-F]{2}")
_SURROGATE = re.compile("[\udc80-\udcff]")
_WRITTEN = re.compile(r"\\(\\|x([0-9a-fA-F]{2}))")


def text_of_name(name: str | os.PathLike[str]) -> str:
    r"""Return a name or path as valid Unicode.

    >>> print(text_of_name("caf\udce9.mp4"), text_of_name("café.mp4"))
    caf\xe9.mp4 café.mp4
    """
    name = os.fspath(name)
    if _SURROGATE.search(name) is None and _LIKE_BYTE.search(name) is None:
        return name
    doubled = name.replace("\\", "\\\\")
    return _SURROGATE.sub(lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", doubled)


def name_of_text(text: str) -> str:
    r"""Return the name that `text_of_name` made the text of, as Python's file functions take it.

    >>> name_of_text(r"caf\xe9.mp4") == "caf\udce9.mp4"
    True
    """
    if _LIKE_BYTE.search(text) is None:
        return text
    return _WRITTEN.sub(lambda part: chr(0xDC00 + int(part[2], 16)) if part[2] else "\\", text)


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
