"""Camera addresses: network streams and webcams.

An address may hold a password, which only FFmpeg gets; messages, logs, manifests and reports show the address without
secrets.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from edge_autotuner.core.plugins import SOURCES
from edge_autotuner.core.redaction import STARS, remember_secret, remember_secrets_in, without_secret_value
from edge_autotuner.errors import ConfigError

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_WEBCAM_SCHEME = "webcam"
_WEBCAM = re.compile(r"(?:webcam:|/dev/video)([0-9]{1,6})|(/dev/v4l/\S+)")
_NAME = re.compile(r"\$\{(\w+)\}")
_END_OF_HOST = re.compile(r"[/?#]")
_HOST = re.compile(r"(\[[^\]]+\]|[^\[\]:]*)(?::([0-9]*))?")
_LIKE_ADDRESS = re.compile(r":.*@|\?", re.DOTALL)
_LOGIN_IN_TEXT = re.compile(r"(?<=://)[^\s/?#'\"]*@")
_ANY_HOST = {"udp", "tcp", "srt"}  # they may listen
_WITH_PORT = {"udp", "tcp", "srt"}
_DECODING_LOGIN = {"rtsp", "rtsps", "http", "https"}  # FFmpeg 8 percent-decodes user and password of these only


@dataclass(frozen=True)
class LiveAddress:
    """Where a camera is.

    Attributes:
        scheme: one of `SOURCES`.
        url: the complete address with its secrets, for FFmpeg only; the device file of a webcam.
        shown: the address without secrets.
        secrets: every text that must not be shown, longest first.
    """

    scheme: str
    url: str = field(repr=False)
    shown: str
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_webcam(self) -> bool:
        """Whether it is a camera of this machine."""
        return self.scheme == _WEBCAM_SCHEME

    @property
    def sha256(self) -> str:
        """Hash of the shown address: it stays the same when a password changes."""
        return hashlib.sha256(self.shown.encode()).hexdigest()

    def scrub(self, text: str) -> str:
        """Return a text of another program without the secrets of this address, and without any login."""
        for secret in self.secrets:
            text = text.replace(secret, STARS)
        return _LOGIN_IN_TEXT.sub(f"{STARS}@", text)


def is_live_address(text: str) -> bool:
    """Whether a text names a camera rather than a file or folder: a webcam, or anything with "://".

    >>> [is_live_address(text) for text in ("rtsp://cam/1", "webcam:0", "street.mp4")]
    [True, True, False]
    """
    text = text.strip()
    leading = _NAME.match(text)
    if leading:
        if leading[1] not in os.environ:
            return True  # `parse_live_address` says what is wrong
        text = os.environ[leading[1]] + text[leading.end() :]
    return _WEBCAM.fullmatch(text) is not None or _ADDRESS.match(text) is not None


def parse_live_address(text: str, environ: Mapping[str, str] | None = None) -> LiveAddress:
    """Read an address; `${NAME}` stands for the environment variable of that name.

    A value that is used within user:password or in the query is taken as it is meant, not percent-encoded.
    What stands in the path or query for a `${NAME}` is never shown.

    Args:
        text: rtsp://user:password@host:554/path and the like, `/dev/video0` or `webcam:0`.
        environ: the environment variables; None for those of this process.

    Raises:
        ConfigError: it is no address that can be used, or a variable is not set; the message shows no secret.
    """
    lookup = _Variables(os.environ if environ is None else environ)
    text = text.strip()
    remember_secrets_in(text)
    leading = _NAME.match(text)
    if leading:  # the variable holds the beginning, or everything
        text = lookup(leading) + text[leading.end() :]
        remember_secrets_in(text)
    webcam = _WEBCAM.fullmatch(text)
    if webcam:
        device = webcam[2] or f"/dev/video{int(webcam[1])}"
        return LiveAddress(_WEBCAM_SCHEME, device, device)
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ConfigError(f"'{redact(text)}' is not a camera address; use e.g. rtsp://host:554/path")
    return _parse_network_address(match[1].lower(), match[2], lookup)


def redact(address: str) -> str:
    """Return an address without user, password and the values of query parameters that look like secrets.

    When in doubt it takes away too much: everything before the last "@", and all that follows in a parameter that
    looks like a secret. A text without "://" and user:password@ comes back as it is.

    >>> redact("rtsp://admin:pa@ss@10.0.0.7:554/live?channel=1&token=abc")
    'rtsp://10.0.0.7:554/live?channel=1&token=***'
    """
    match = _ADDRESS.fullmatch(address.strip())
    if match is None and not _LIKE_ADDRESS.search(address):
        return address
    scheme, rest = (f"{match[1].lower()}://", match[2]) if match else ("", address.strip())
    rest = rest.rpartition("@")[2]
    return scheme + "&".join(without_secret_value(chunk) for chunk in rest.split("&"))


class _Variables:
    """Replaces `${NAME}` in the way that fits its place."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __call__(self, match: re.Match[str]) -> str:
        value = self._environ.get(match[1])
        if value is None:
            raise ConfigError(f"the address uses the environment variable {match[1]}, which is not set")
        return value

    def expand(self, text: str, encode: Callable[[str], str]) -> str:
        return _NAME.sub(lambda match: encode(self(match)), text)


def _parse_network_address(scheme: str, rest: str, lookup: _Variables) -> LiveAddress:
    if scheme == _WEBCAM_SCHEME or scheme not in SOURCES:
        known = ", ".join(name for name in SOURCES.names if name != _WEBCAM_SCHEME)
        raise ConfigError(f"'{scheme}://' is not supported; use one of {known}, or webcam:0")
    authority, tail = _split_authority(rest)
    if "@" in tail:
        raise ConfigError(
            f"the address {scheme}://... has an '@' after its host; percent-encode special characters in a password "
            "(@ %40, / %2F, ? %3F, # %23), or use ${NAME} for it"
        )
    login, at, host = authority.rpartition("@")
    host = lookup.expand(host, str)
    _require_host(scheme, host)
    login = _encode_login(scheme, lookup.expand(login, lambda value: quote(value, safe=":")))
    url = f"{scheme}://{login}{at}{host}{_expand_tail(tail, lookup)}"
    _remember(login, tail, lookup)
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ConfigError(f"the address {scheme}://... contains a space or control character; use %20 for a space")
    return LiveAddress(scheme, url, redact(f"{scheme}://{host}{tail}"), _secrets_in(login, tail, lookup))


def _split_authority(rest: str) -> tuple[str, str]:
    end = _END_OF_HOST.search(rest)
    return (rest[: end.start()], rest[end.start() :]) if end else (rest, "")


def _require_host(scheme: str, host: str) -> None:
    match = _HOST.fullmatch(host)
    example = f"{scheme}://host:5000" if scheme in _WITH_PORT else f"{scheme}://host/path"
    if match is None or (match[2] and int(match[2]) > 65535):
        raise ConfigError(
            f"invalid host or port in the address {scheme}://...; use e.g. {example}, put an IPv6 address in [ ], and "
            "percent-encode special characters in a password (/ %2F, ? %3F, # %23)"
        )
    if not match[1] and scheme in SOURCES.built_in and scheme not in _ANY_HOST:
        raise ConfigError(f"the address {scheme}://... has no host; use e.g. {example}")
    if not match[2] and scheme in _WITH_PORT:
        raise ConfigError(f"the address {scheme}://{match[1]} has no port; use e.g. {example}")


def _encode_login(scheme: str, login: str) -> str:
    """Return user:password with every special character percent-encoded, those that were encoded included."""
    if scheme not in _DECODING_LOGIN:
        return login
    user, colon, password = login.partition(":")
    return quote(unquote(user), safe="") + colon + quote(unquote(password), safe="")


def _expand_tail(tail: str, lookup: _Variables) -> str:
    path, mark, query = tail.partition("?")
    return lookup.expand(path, str) + mark + lookup.expand(query, lambda value: quote(value, safe=""))


def _remember(login: str, tail: str, lookup: _Variables) -> None:
    """Keep login, keys and the values of variables out of all messages of this process."""
    remember_secrets_in(f"{login}@host{tail}" if login else f"host{tail}")
    for match in _NAME.finditer(tail):
        remember_secret(lookup(match))


def _secrets_in(login: str, tail: str, lookup: _Variables) -> tuple[str, ...]:
    found = {login, *login.split(":", 1)}
    for chunk in tail.split("&"):
        shown = without_secret_value(chunk)
        if shown != chunk:
            found.add(lookup.expand(chunk[len(shown) - len(STARS) :], str))
    found |= {lookup(match) for match in _NAME.finditer(tail)}
    found |= {unquote(text) for text in found}
    found |= {quote(text, safe="") for text in found}
    found.add(base64.b64encode(unquote(login).encode()).decode())  # how it is sent
    return tuple(sorted((text for text in found if text), key=lambda text: (-len(text), text)))
