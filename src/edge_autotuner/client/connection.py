"""A connection to a service: bounded in time, bytes and attempts, with one token for one origin.

All clients send their requests through `Connection`. A request is repeated only when the service did not answer or was
busy, never when it refused.
"""

from __future__ import annotations

import logging
import random
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel

from edge_autotuner._version import __version__
from edge_autotuner.client.budget import UploadBudget
from edge_autotuner.client.credentials import make_ssl_context, read_token, warn_if_others_can_read
from edge_autotuner.client.replies import (
    Message,
    OutcomeUnknown,
    check_status,
    http_errors,
    read_json,
    was_not_carried_out,
)
from edge_autotuner.client.transport import PATIENCE, Patience, PatientTransport
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.core.backoff import Backoff
from edge_autotuner.core.clock import Clock, Deadline, SystemClock
from edge_autotuner.core.json_limits import JsonLimits
from edge_autotuner.errors import ConfigError, ServiceBadReply, ServiceError, ServiceUnreachable
from edge_autotuner.wire.messages import API_PREFIX

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Query = Mapping[str, str | int | float]


def path_of(*segments: str) -> str:
    """Return a path of escaped segments, none of which can lead elsewhere.

    >>> path_of("models", "a/b c", "annotations")
    '/models/a%2Fb%20c/annotations'
    """
    if any(segment in {"", ".", ".."} for segment in segments):
        raise ConfigError(f"'{'/'.join(segments)}' cannot be requested: a name is empty or only dots")
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


@dataclass(frozen=True)
class ApiRequest:
    """A request that can be sent several times.

    Attributes:
        path: from `path_of`, without `API_PREFIX`.
        arguments: returns arguments of httpx2's `build_request` for an attempt; headers among them are added.
        is_repeatable: whether the request is idempotent.
        silence_s: added to the read time limit, for a service that waits for news.
    """

    method: str
    path: str
    query: Query = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    arguments: Callable[[], Mapping[str, Any]] = dict
    is_repeatable: bool = True
    silence_s: float = 0.0


class Connection:
    """Talks to one service; may be used by several threads, and must be closed.

    Args:
        sleep: waits this many seconds; the default also ends when the connection is closed.
        rng: draws the jitter of retries.
        transport: replaces the network in tests.
        setting_of: returns the user's name of a field of `config`, for messages.

    Raises:
        ConfigError: there is no address, or certificates cannot be used.
    """

    def __init__(
        self,
        config: ServiceConfig,
        *,
        clock: Clock | None = None,
        sleep: Callable[[float], object] | None = None,
        rng: random.Random | None = None,
        transport: httpx2.BaseTransport | None = None,
        setting_of: Callable[[str], str] = "annotation.service.{}".format,
    ) -> None:
        if config.url is None:
            raise ConfigError(f"no address of a service is set; set {setting_of('url')}")
        self._config, self._setting_of = config, setting_of
        self._base = config.url + API_PREFIX
        self._clock = clock or SystemClock()
        self._closed = threading.Event()
        self._sleep = sleep or self._closed.wait
        self._rng = rng or random.Random()
        if config.token_file is not None:
            warn_if_others_can_read(config.token_file)
        self._http = httpx2.Client(
            transport=transport or PatientTransport(_ssl_context_of(config), self._budget()),
            headers={"User-Agent": f"edge-autotuner/{__version__}", "Accept-Encoding": "identity"},
            trust_env=False,  # a proxy or a .netrc of the environment would see the token
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End all requests and waits; those of other threads raise `ServiceError`."""
        self._closed.set()
        self._http.close()

    @property
    def url(self) -> str:
        """The address of the service."""
        return self._base.removesuffix(API_PREFIX)

    def get_json(
        self,
        path: str,
        reply: type[Message],
        *,
        query: Query | None = None,
        deadline: Deadline | None = None,
        limits: JsonLimits | None = None,
    ) -> Message:
        """Get a message, within the limits of its class, or other ones; no attempt begins after the deadline.

        Raises:
            ServiceUnreachable: no answer within the attempts or before the deadline.
            ServiceRefused: the service refuses the request.
            ServiceBadReply: the answer is not such a message.
        """
        return self.call(ApiRequest("GET", path, query or {}), _json_reader(reply, limits), deadline)

    def poll_json(
        self, path: str, reply: type[Message], *, query: Query, wait_s: float, deadline: Deadline | None = None
    ) -> Message | None:
        """Wait up to `wait_s` for news; None when there are none. Raises as `get_json`."""

        def read(response: httpx2.Response) -> Message | None:
            return None if response.status_code == 204 else read_json(response, reply)

        return self.call(ApiRequest("GET", path, query, silence_s=wait_s), read, deadline)

    def post_json(
        self,
        path: str,
        message: BaseModel,
        reply: type[Message],
        *,
        method: str = "POST",
        query: Query | None = None,
        is_repeatable: bool = True,
        deadline: Deadline | None = None,
    ) -> Message:
        """Send a message and return the answer. Raises as `get_json`.

        A request that is not `is_repeatable` is sent again only if it was certainly not carried out.
        """
        content = message.model_dump_json().encode()
        headers = {"Content-Type": "application/json"}
        request = ApiRequest(method, path, query or {}, headers, lambda: {"content": content}, is_repeatable)
        return self.call(request, _json_reader(reply), deadline)

    def post_bytes(
        self,
        path: str,
        content: bytes,
        content_type: str,
        reply: type[Message],
        *,
        query: Query | None = None,
        deadline: Deadline | None = None,
        limits: JsonLimits | None = None,
    ) -> Message:
        """Send bytes and return the answer. Raises as `get_json`."""
        request = ApiRequest("POST", path, query or {}, {"Content-Type": content_type}, lambda: {"content": content})
        return self.call(request, _json_reader(reply, limits), deadline)

    def post_files(
        self,
        path: str,
        fields: Mapping[str, str],
        files: Sequence[tuple[str, bytes, str]],
        read: Callable[[httpx2.Response], Answer],
        *,
        deadline: Deadline | None = None,
    ) -> Answer:
        """Send a form with fields and files (name of the field, content, type). Raises as `get_json`."""
        parts = [(name, (str(number), content, kind)) for number, (name, content, kind) in enumerate(files)]
        return self.call(
            ApiRequest("POST", path, arguments=lambda: {"data": dict(fields), "files": parts}), read, deadline
        )

    def put_stream(
        self,
        path: str,
        open_body: Callable[[], Iterable[bytes]],
        n_bytes: int,
        reply: type[Message],
        *,
        deadline: Deadline | None = None,
    ) -> Message:
        """Upload a stream of known length; `open_body` is called for each attempt.

        Raises:
            ServiceError: the stream's length is not `n_bytes`, or as for `get_json`.
        """
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(n_bytes)}
        request = ApiRequest("PUT", path, {}, headers, lambda: {"content": _exactly(open_body(), n_bytes)})
        return self.call(request, _json_reader(reply), deadline)

    def call(
        self, request: ApiRequest, read: Callable[[httpx2.Response], Answer], deadline: Deadline | None = None
    ) -> Answer:
        """Send a request until it is answered, and return what `read` makes of the answer. Raises as `get_json`.

        `read` gets replies of 200 to 299 before their body was read. It may raise `ServiceUnreachable` to have the
        request sent again.
        """
        deadline = deadline or Deadline(None, self._clock)
        config, n_attempts = self._config, 0
        backoff = Backoff(config.first_retry_s, config.longest_retry_s, jitter=1.0, draw=self._rng.uniform)
        while True:
            n_attempts += 1
            try:
                return self._attempt(request, read, deadline)
            except OutcomeUnknown as exc:
                if not request.is_repeatable:
                    raise ServiceUnreachable(
                        f"{exc}; it may or may not have been done: check before trying again"
                    ) from exc
                self._wait(exc.error, n_attempts, backoff, deadline)
            except ServiceUnreachable as exc:
                self._wait(exc, n_attempts, backoff, deadline)

    def _attempt(self, request: ApiRequest, read: Callable[[httpx2.Response], Answer], deadline: Deadline) -> Answer:
        with http_errors(self.url, ca_setting=self._setting_of("ca_file")):
            reply = self._send(request, deadline)
            try:
                check_status(reply, now=self._clock.now(), url_setting=self._setting_of("url"))
                return read(reply)
            except ServiceUnreachable as exc:
                if was_not_carried_out(reply):
                    raise
                raise OutcomeUnknown(exc) from exc
            except ServiceBadReply as exc:  # what is left of an answer when another thread closes the client
                if not self._closed.is_set():
                    raise
                raise ServiceError(f"the connection to {self.url} was closed") from exc
            finally:
                reply.close()

    def _send(self, request: ApiRequest, deadline: Deadline) -> httpx2.Response:
        if self._closed.is_set():
            raise ServiceError(f"the connection to {self.url} was closed")
        config = self._config
        token = read_token(config)
        arguments = dict(request.arguments())
        headers = {**request.headers, **arguments.pop("headers", {})}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        patience = Patience(config.request_timeout_s + request.silence_s, deadline, self._clock)
        timeout = httpx2.Timeout(
            connect=config.connect_timeout_s,
            read=config.read_timeout_s + request.silence_s,
            write=config.read_timeout_s,
            pool=config.request_timeout_s,
        )
        sent = self._http.build_request(
            request.method,
            self._base + request.path,
            params=dict(request.query),
            headers=headers,
            timeout=timeout,
            extensions={PATIENCE: patience},
            **arguments,
        )
        try:
            return self._http.send(sent, stream=True)
        except RuntimeError as exc:  # the library's word for a client that another thread has closed meanwhile
            if not self._closed.is_set():
                raise
            raise ServiceError(f"the connection to {self.url} was closed") from exc

    def _wait(self, error: ServiceUnreachable, n_attempts: int, backoff: Backoff, deadline: Deadline) -> None:
        """Wait before the next attempt, or raise when there is none.

        The backoff has full jitter, so that many clients of a service that comes back do not ask at the same moment. It
        is added to the time that the service asks for.
        """
        config = self._config
        asked_s = error.retry_after_s or 0.0
        if self._closed.is_set():
            raise ServiceError(f"the connection to {self.url} was closed")
        if n_attempts >= config.max_attempts or asked_s > config.longest_retry_s or deadline.has_passed:
            raise error
        wait_s = min(asked_s + backoff.next_wait_s(), deadline.remaining_s)
        logger.warning("%s; attempt %d of %d in %.1f s", error, n_attempts + 1, config.max_attempts, wait_s)
        self._sleep(wait_s)
        if deadline.has_passed:
            raise error

    def _budget(self) -> UploadBudget | None:
        kbps = self._config.max_upload_kbps
        return None if kbps is None else UploadBudget(kbps, clock=self._clock, sleep=self._sleep)


def _ssl_context_of(config: ServiceConfig) -> ssl.SSLContext:
    return make_ssl_context(config.ca_file, client_cert=config.client_cert, client_key=config.client_key)


def _exactly(blocks: Iterable[bytes], n_bytes: int) -> Iterator[bytes]:
    """Yield the blocks, as long as they keep to the announced length."""
    n_left = n_bytes
    for block in blocks:
        n_left -= len(block)
        if n_left < 0:
            break
        yield block
    if n_left != 0:
        raise ServiceError(f"the upload no longer has {n_bytes} bytes; was the file changed?")


def _json_reader(reply: type[Message], limits: JsonLimits | None = None) -> Callable[[httpx2.Response], Message]:
    return lambda response: read_json(response, reply, limits)
