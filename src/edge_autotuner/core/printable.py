"""Makes foreign text safe for terminals, logs and pages: no control codes, no hidden and no reversed text.

An escape sequence in a name repaints a terminal, sets its title, or hides what follows. `is_printable` decides which
names and lines are accepted; `printable` makes any text safe to print; `one_line` also shortens it to a line.

Source:
    Unicode categories Cc (controls: C0, DEL, C1), Cf (formats: bidirectional overrides, invisible characters), Cs (half
    characters), Zl and Zp (line ends that a terminal does not count). The two joiners that scripts need stay. Fillers
    of Hangul and Braille, and what Default_Ignorable_Code_Point lists besides, are letters or marks that nobody sees.
"""

from __future__ import annotations

import unicodedata

_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters, marks and symbols that show nothing
_SELECTORS = range(0xE0100, 0xE01F0)  # 240 more marks, in which a text can be hidden
_JOINERS = "\u200c\u200d"  # Persian, Indic scripts and emoji are wrong without them


def is_printable(text: str) -> bool:
    r"""Whether a text has no control, format, or line end characters; spaces and all letters are fine.

    >>> is_printable("Nordtor 3, Köln"), is_printable("a\x1b[2J"), is_printable("a\u202eb")
    (True, False, False)
    """
    return (text.isascii() and text.isprintable()) or not any(map(_is_harmful, text))


def printable(text: str) -> str:
    r"""Return a text with its harmful characters written out; line ends and tabs stay.

    >>> printable("a\x1b[2Jb\nc")
    'a\\x1b[2Jb\nc'
    """
    if is_printable(text):
        return text
    return "".join(_written_out(character) for character in text)


def one_line(text: str, max_length: int = 200) -> str:
    r"""Return a text as one short printable line.

    >>> one_line("a\n  b\x07", 20)
    'a b\\x07'
    """
    line = printable(" ".join(text[: 4 * max_length].split()))
    return line if len(line) <= max_length else f"{line[: max_length - 3]}..."


def _is_harmful(character: str) -> bool:
    if character in _BLANK or ord(character) in _SELECTORS:
        return True
    return unicodedata.category(character) in _HARMFUL and character not in _JOINERS


def _written_out(character: str) -> str:
    if character in "\n\t" or not _is_harmful(character):
        return character
    return character.encode("unicode_escape").decode("ascii")
