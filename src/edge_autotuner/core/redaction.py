"""Keeps passwords and tokens out of everything that is printed, logged, or written for others to read.

Two layers. Secrets that this process has met (in an address, a setting, a token's file) are remembered and replaced
wherever they appear. Texts of unknown origin are searched for what looks like a login or a key, mistyped ones included.
When in doubt it removes too much. Entry points install it: `redacting_handler` for logging, `guard_tracebacks`
for what Python prints by itself, `redact_text` and `redact_values` for messages and files.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO
from urllib.parse import quote, quote_plus, unquote

from edge_autotuner.core.printable import printable

STARS = "***"

SECRET_WORDS = (
    "pass", "pwd", "psw", "pw", "token", "key", "auth", "secret", "sig", "credential", "session", "login", "user",
    "usr", "account", "jwt", "psk", "nonce", "ticket", "hash",
)  # fmt: skip
"""What the name of a secret parameter of an address contains."""

_MIN_LENGTH = 4  # shorter ones would star parts of ordinary words; the patterns still find them in addresses
_WHOLE_WORD_BELOW = 8
_MAX_WORD = 10_000
_MAX_SECRETS = 100  # of one text; addresses hold a few, and each is looked for in all that is printed

_SCHEMES = (
    "rtsps?|rtsph?|rtps?|rtmps?|https?|udp|tcp|srt|onvif|mqtts?|wss?|ftps?|sftp|ssh|smb|file|rist|mms|unix|webcam|"
    "ffmpeg|postgres(?:ql)?(?:\\+[a-z0-9]+)?|mysql(?:\\+[a-z0-9]+)?|redis"
)
_KNOWN_PREFIX = re.compile(rf"\W*(?:(?:ffmpeg|exec|webrtc|go2rtc):)?(?:{_SCHEMES})(?::?[/\\]+|:)", re.IGNORECASE)
_ANY_PREFIX = re.compile(r"\W*(?:[A-Za-z][A-Za-z0-9+.-]*:?)?(?:[A-Za-z][A-Za-z0-9+.-]*)?:?[/\\]+")
_WORD = re.compile(r"\S+")
_AT = re.compile(r"@|%40|%2540", re.IGNORECASE)
_COLON = re.compile(r":|%3a|%253a", re.IGNORECASE)
_AFTER_SCHEME = re.compile(r"(?::|%3a)(?:[/\\]|%2f){1,}", re.IGNORECASE)
_AUTHORITY = re.compile(r"(://)(?!\[)([^\s/?#:\[\]]*:)(?!PORT\b)([^\s/?#]*)")
_KEY = re.compile(r"[^/?;#,=&]*=")
_NAMED = re.compile(
    r"(?i)(?<![A-Za-z0-9])(pass(?:word|wd|phrase|code)?|pwd|pw|secret|token|access[-_]?token|api[-_]?key|access[-_]?key|"
    r"auth|sig|signature|psk|jwt|bearer)(\s*=\s*|['\"]?:\s*['\"])(?!\*\*\*)([^\s&]+)"
)
_HEADER = re.compile(r"(?i)(authorization['\"]?\s*[:=]\s*)(?!\*\*\*)[^\r\n]+")
_SCHEME_OF_HEADER = re.compile(r"(?i)\b(bearer|basic)\s+(?=[^\s]*[0-9=_-])([A-Za-z0-9._~+/=-]{8,})")
_OUR_TOKEN = re.compile(r"\beat_([A-Za-z0-9]+)_[A-Za-z0-9_-]{8,}")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)

_SECRET_SETTINGS = {
    "password", "passwd", "passphrase", "pass", "pwd", "pw", "secret", "token", "access_token", "api_key", "apikey",
    "bearer", "authorization", "psk", "pin", "jwt", "credentials",
}  # fmt: skip


class KnownSecrets:
    """The secrets that a process has met; may be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: set[str] = set()
        self._forms: tuple[str, ...] = ()

    def add(self, secret: str) -> None:
        """Remember a secret, and the forms in which it may appear; very short ones cannot be told from other text."""
        if len(secret) < _MIN_LENGTH or set(secret) <= {"*"} or secret in self._secrets:
            return
        with self._lock:
            self._secrets.add(secret)
            known = {*self._forms, *(form for form in _forms(secret) if len(form) >= _MIN_LENGTH)}
            self._forms = tuple(sorted(known, key=lambda text: (-len(text), text)))

    def scrub(self, text: str) -> str:
        """Return a text without them."""
        for form in self._forms:
            if form in text:
                text = _as_pattern(form).sub(STARS, text)
        return text

    def clear(self) -> None:
        """Forget them all; for tests."""
        with self._lock:
            self._secrets, self._forms = set(), ()


known_secrets = KnownSecrets()
"""Those of this process."""


def remember_secret(text: str) -> None:
    """Remember a password or a token, so that it is never shown."""
    known_secrets.add(text)
    known_secrets.add(text.strip())


def remember_secrets_in(text: str) -> None:
    """Remember the login and the keys of what may be an address, however mistyped; ignore other texts."""
    text = text.strip()
    if len(text) > _MAX_WORD or not _may_hold_secret(text) or _is_file(text):
        return
    for secret in islice(_secrets_of(text), _MAX_SECRETS):
        known_secrets.add(secret)


def remember_secrets_of_settings(values: object) -> None:
    """Remember the secrets in nested settings: those in addresses, and values of settings named as secrets."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            if str(key).rpartition(".")[2].lower() in _SECRET_SETTINGS and isinstance(value, str | int | float):
                remember_secret(str(value))
            remember_secrets_of_settings(value)
    elif isinstance(values, list | tuple):
        for value in values:
            remember_secrets_of_settings(value)
    elif isinstance(values, str | Path):
        remember_secrets_in(str(values))


def redact_text(text: str) -> str:
    """Return a message without secrets.

    >>> redact_text("cannot open rtsp:/admin:S3CRET@10.0.0.7/s")
    'cannot open rtsp:/***@10.0.0.7/s'
    >>> redact_text("frame 7 of street.mp4")
    'frame 7 of street.mp4'
    """
    text = known_secrets.scrub(text)
    text = _PRIVATE_KEY.sub(STARS, text)
    text = _HEADER.sub(rf"\1{STARS}", text)
    text = _SCHEME_OF_HEADER.sub(rf"\1 {STARS}", text)
    text = _OUR_TOKEN.sub(rf"eat_\1_{STARS}", text)
    text = _WORD.sub(lambda match: _without_secrets(match[0]), text)
    return _NAMED.sub(rf"\1\2{STARS}", text)


def redact_values(value: Any) -> Any:  # noqa: ANN401 (JSON values: what comes in goes out)
    """Return JSON values with every text in them redacted; keys stay."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            key: STARS
            if str(key).lower() in _SECRET_SETTINGS and isinstance(each, str | int | float)
            else redact_values(each)
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_values(each) for each in value]
    return value


def without_secret_value(chunk: str) -> str:
    """Return the part of an address between two "&", starred from the first value on whose key looks like a secret."""
    for match in _KEY.finditer(chunk):
        key = unquote(match[0]).lower()
        if any(word in key for word in SECRET_WORDS):
            return chunk[: match.end()] + STARS
    return chunk


def safe_text(text: str) -> str:
    """Return a message as a terminal and a log may show it: without secrets, and with escape codes written out."""
    return printable(redact_text(text))


class RedactingFormatter(logging.Formatter):
    """Formats a record, its traceback included, and takes the secrets out."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        return safe_text(super().format(record))


def redacting_handler(stream: TextIO | None, layout: str) -> logging.Handler:
    """Return a log handler that writes to a stream, without secrets."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter(layout))
    return handler


def guard_tracebacks() -> None:
    """Take secrets out of the tracebacks that Python prints by itself: of the process, and of its threads."""
    sys.excepthook = _print_redacted
    threading.excepthook = _print_of_thread
    sys.unraisablehook = _print_unraisable


def _print_redacted(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    if sys.stderr is not None:
        print(safe_text("".join(traceback.format_exception(kind, error, where))), end="", file=sys.stderr)


def _print_of_thread(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None and not issubclass(failure.exc_type, SystemExit):
        _print_redacted(failure.exc_type, failure.exc_value, failure.exc_traceback)


def _print_unraisable(failure: Any) -> None:  # noqa: ANN401 (sys.UnraisableHookArgs exists in type stubs only)
    if failure.exc_value is not None:
        _print_redacted(failure.exc_type, failure.exc_value, failure.exc_traceback)


def _without_secrets(word: str) -> str:
    """Return a run of characters without spaces, without the login and keys of the address that it may be."""
    if len(word) > _MAX_WORD or not _may_hold_secret(word):
        return word
    before, at, after = _split_login(word)
    if at:
        return _shown_prefix(before) + STARS + at + _without_keys(after)
    word = _AUTHORITY.sub(_star_login, word)
    return _without_keys(word) if "?" in word or "://" in word else word


def _without_keys(text: str) -> str:
    return "&".join(without_secret_value(chunk) for chunk in text.split("&"))


def _split_login(word: str) -> tuple[str, str, str]:
    """Split at the last "@" whose left side may be a login; without one everything is on the right."""
    *_, last = [None, *_AT.finditer(word)]
    if last is None:
        return "", "", word
    before = word[: last.start()]
    if not before.rstrip("/\\") or not (_COLON.search(before) or "//" in before or "\\\\" in before):
        return "", "", word
    return before, last[0], word[last.end() :]


def _shown_prefix(before: str) -> str:
    """Return the scheme that a login follows; what is not known as one may be a part of the password."""
    match = _KNOWN_PREFIX.match(before)
    return match[0] if match else ""


def _star_login(match: re.Match[str]) -> str:
    """Star host and port where the port is none: it is a login whose "@" was mistyped."""
    port = match[3].rstrip("'\"`,.:;)>]}")
    return match[0] if not port or port.isdigit() or port.startswith("...") else f"{match[1]}{STARS}"


def _may_hold_secret(text: str) -> bool:
    return "@" in text or "=" in text or "://" in text or "%40" in text or "%3" in text.lower()


def _is_file(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


def _secrets_of(text: str) -> Iterator[str]:
    """Yield what may be secret in an address: the login, the password, and the values of keys."""
    before, at, after = _split_login(text)
    if not at:
        for match in _AUTHORITY.finditer(text):
            if _star_login(match) != match[0]:
                yield from _passwords(match[2] + match[3])
    elif before:
        yield from _passwords(before)
        for pattern in (_KNOWN_PREFIX, _ANY_PREFIX):
            prefix = pattern.match(before)
            if prefix:
                yield from _passwords(before[prefix.end() :])
        for scheme in _AFTER_SCHEME.finditer(before):
            yield from _passwords(before[scheme.end() :])
    for chunk in (after if at else text).split("&"):
        shown = without_secret_value(chunk) if "?" in text or "://" in text or at else chunk
        if shown != chunk:
            value = chunk[len(shown) - len(STARS) :]
            yield value
            yield re.split(r"[;#/,_]", value)[0]


def _passwords(login: str) -> Iterator[str]:
    """Yield user:password, the password, and the form in which HTTP sends them."""
    colon = _COLON.search(login)
    if colon is not None:
        yield login
        yield login[colon.end() :]
        yield base64.b64encode(unquote(login).encode("utf-8", "surrogatepass")).decode()


def _forms(secret: str) -> set[str]:
    """Return how a secret may be written: encoded for addresses, JSON, HTML, Python, and on one line."""
    decoded = unquote(secret)
    forms = {secret, decoded, " ".join(secret.split())}
    for plain in (secret, decoded):
        forms |= {quote(plain, safe="", errors="replace"), quote(plain, safe="/:", errors="replace")}
        forms |= {
            quote_plus(plain, errors="replace"),
            json.dumps(plain)[1:-1],
            json.dumps(plain, ensure_ascii=False)[1:-1],
        }
        forms |= {html.escape(plain), repr(plain)[1:-1], plain.replace("'", "''"), plain.replace("'", "'\"'\"'")}
    return forms


def _as_pattern(text: str) -> re.Pattern[str]:
    """Return a pattern that finds a secret; a short one matches only as a whole word."""
    pattern = re.escape(text)
    if len(text) < _WHOLE_WORD_BELOW:
        left = r"(?<![A-Za-z0-9])" if text[0].isalnum() else ""
        pattern = left + pattern + (r"(?![A-Za-z0-9])" if text[-1].isalnum() else "")
    return re.compile(pattern)
