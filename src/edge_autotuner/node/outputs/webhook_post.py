"""Posts a body to one address, and sorts the answers: accepted, refused for good, try later."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from edge_autotuner._version import __version__
from edge_autotuner.client.credentials import make_ssl_context, read_token_file
from edge_autotuner.config.node import WebhookConfig
from edge_autotuner.core import Clock
from edge_autotuner.core.clock import Deadline
from edge_autotuner.core.link_failures import connection_failure, origin_of, redirect_words
from edge_autotuner.errors import ConfigError, EdgeAutotunerError, MissingDependency

if TYPE_CHECKING:
    import httpx2

_MAX_ANSWER_BYTES = 1 << 16  # of the body, read so that the connection can be used again
_TOO_MANY_REQUESTS = 429


class RefusedForGood(EdgeAutotunerError):
    """The peer refuses this request for good."""


class NotNow(EdgeAutotunerError):
    """The request may succeed later.

    Attributes:
        retry_after_s: the wait that the peer asked for.
    """

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class JsonPost:
    """Posts JSON; path and query of the address never appear in a message, because they are often secret.

    The transport is used without the HTTP client around it, which would follow environment variables to proxies, and
    log whole addresses.

    Args:
        clock: of the time limit, which holds for a request as a whole.

    Raises:
        MissingDependency: httpx2 is not installed.
        ConfigError: the address, the token or the authorities cannot be used.
    """

    def __init__(self, config: WebhookConfig, clock: Clock) -> None:
        self._url = parse_webhook_url(config.url)
        from edge_autotuner.client.transport import PatientTransport  # needs httpx2, which is there

        self._where = origin_of(config.url)
        self._timeout_s, self._clock = config.timeout_s, clock
        self._headers = {"Content-Type": "application/json", "User-Agent": f"edge-autotuner/{__version__}"}
        if config.token_file is not None:
            self._headers["Authorization"] = f"Bearer {read_token_file(config.token_file)}"
        self._transport = PatientTransport(make_ssl_context(config.ca_file), None, max_connections=1)

    def send(self, json_text: str) -> None:
        """Post once; redirects are not followed, because they would carry the token elsewhere.

        Raises:
            NotNow: no connection, no answer in time, or an answer that asks for patience (5xx, 429).
            RefusedForGood: any other answer but 2xx.
        """
        import httpx2

        try:
            reply = self._transport.handle_request(self._make_request(json_text))
        except (httpx2.HTTPError, OSError) as exc:
            raise NotNow(f"{self._where}: {connection_failure(exc)}") from exc
        status = reply.status_code
        with suppress(httpx2.HTTPError, OSError):  # the answer is known by its head
            _read_bounded(reply)
        if 200 <= status < 300:
            return
        if status == _TOO_MANY_REQUESTS or status >= 500:
            raise NotNow(f"{self._where} answered {status}", _asked_wait_s(reply.headers))
        if 300 <= status < 400:
            where = redirect_words(reply.headers.get("location"), str(self._url))
            raise RefusedForGood(f"{self._where} answered {status}: {where}; redirects are not followed")
        raise RefusedForGood(f"{self._where} answered {status}")

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def _make_request(self, json_text: str) -> httpx2.Request:
        import httpx2

        from edge_autotuner.client.transport import PATIENCE, Patience

        patience = Patience(self._timeout_s, Deadline(clock=self._clock), self._clock)
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        return httpx2.Request(
            "POST",
            self._url,
            headers=self._headers,
            content=json_text.encode("ascii"),
            extensions={"timeout": timeouts, PATIENCE: patience},
        )


def _read_bounded(reply: httpx2.Response) -> None:
    """Read the whole body of an answer, or close the connection when it is long."""
    n_bytes = 0
    try:
        for chunk in reply.iter_raw():
            n_bytes += len(chunk)
            if n_bytes > _MAX_ANSWER_BYTES:
                break
    finally:
        reply.close()


def _asked_wait_s(headers: Mapping[str, str]) -> float:
    text = headers.get("retry-after", "").strip()
    return float(text) if text.isdecimal() and text.isascii() and len(text) < 10 else 0.0


def parse_webhook_url(url: str) -> httpx2.URL:
    """Return an address that reports can be sent to.

    Raises:
        ConfigError: it is none, or holds a login.
        MissingDependency: the library for HTTP is not installed.
    """
    try:
        import httpx2
    except ImportError as exc:
        raise MissingDependency(
            "the webhook output needs httpx2; install it with: pip install 'edge-autotuner[edge]'"
        ) from exc
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as exc:
        raise ConfigError("the webhook's URL is not valid; expected https://HOST[:PORT]/PATH") from exc
    if not parsed.host or parsed.userinfo:
        raise ConfigError("the webhook's URL needs a host and must not contain a login; use token_file")
    if parsed.port is not None and not 1 <= parsed.port <= 65535:
        raise ConfigError(f"the webhook's URL has port {parsed.port}; expected 1 to 65535")
    return parsed
