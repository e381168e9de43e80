"""Reads the replies of a service, with a check of size, encoding, type and form, and turns failures into our errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar

import httpx2
from pydantic import ValidationError

from edge_autotuner.core.json_limits import JsonLimits, check_json
from edge_autotuner.core.link_failures import (
    certificate_failure,
    connection_failure,
    is_foreign_protocol,
    redirect_words,
)
from edge_autotuner.core.printable import one_line
from edge_autotuner.errors import ServiceBadReply, ServiceBusy, ServiceError, ServiceRefused, ServiceUnreachable
from edge_autotuner.wire.messages import ProblemReply, Reply

Message = TypeVar("Message", bound=Reply)

_MAX_TEXT = 300
_LATER = {408, 425, 502, 503, 504, 507}  # a proxy or the service says: not now; 507 is its full disk
_NOT_CARRIED_OUT = {429, 503}


def read_json(reply: httpx2.Response, message: type[Message], limits: JsonLimits | None = None) -> Message:
    """Return the body of a reply as a message; limits (default: those of the message) are checked before decoding.

    Raises:
        ServiceBadReply: it is not JSON, has another form, is compressed, or exceeds its limits.
    """
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ServiceBadReply(f"{_asked(reply)} returned '{_printable(kind)}' instead of application/json")
    limits = limits or message.json_limits
    body = read_bounded(reply, limits.max_bytes)
    try:
        check_json(body, limits)
    except ValueError as exc:
        raise ServiceBadReply(f"{_asked(reply)} did not return a valid {message.__name__}: {exc}") from None
    try:
        return message.model_validate_json(body, strict=True)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise ServiceBadReply(
            f"{_asked(reply)} did not return a valid {message.__name__}: {_printable(where)}: "
            f"{_printable(first['msg'])}"
        ) from None  # the cause would show the whole reply


def read_bounded(reply: httpx2.Response, max_bytes: int) -> bytes:
    """Return the body, without ever holding more than `max_bytes`.

    Raises:
        ServiceBadReply: it is larger, or compressed.
    """
    check_plain(reply)
    announced = reply.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise ServiceBadReply(f"{_asked(reply)} announces {announced} bytes, more than the {max_bytes} expected")
    body = bytearray()
    for block in reply.iter_raw():
        body += block
        if len(body) > max_bytes:
            raise ServiceBadReply(f"{_asked(reply)} returned more than the expected {max_bytes} bytes")
    return bytes(body)


def check_plain(reply: httpx2.Response) -> None:
    """Raise `ServiceBadReply` for a compressed body: we ask for none, and a small one may unpack to a huge one."""
    encoding = reply.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise ServiceBadReply(f"{_asked(reply)} returned unrequested content-encoding '{_printable(encoding)}'")


def check_status(reply: httpx2.Response, *, now: datetime, url_setting: str) -> None:
    """Raise the error that a reply stands for; return for 200 to 299.

    Args:
        reply: any.
        now: for a Retry-After with a date.
        url_setting: the user's name of the setting with the address of the service.

    Raises:
        ServiceBusy: 429.
        ServiceUnreachable: a reply that means "later".
        ServiceRefused: any other 4xx.
        ServiceBadReply: anything else; redirects are not followed, because a token is for one origin only.
    """
    status = reply.status_code
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        where = redirect_words(reply.headers.get("location"), str(reply.request.url))
        raise ServiceBadReply(
            f"{_asked(reply)} answered {status}: {where}; redirects are not followed: set {url_setting} to the real "
            "address of the service"
        )
    kind, reason = _problem(reply)
    said = f"{_asked(reply)} answered {status}: {reason}"
    raise _error_of(status, said, kind, retry_after_s=_retry_after_s(reply, now))


def error_of_problem(problem: ProblemReply, about: str) -> ServiceError:
    """Return the error for a part of a request that failed while others succeeded."""
    said = f"{about}: {problem.status}: {_printable(problem.detail or problem.title)}"
    return _error_of(problem.status, said, _printable(problem.type))


class OutcomeUnknown(Exception):
    """A request broke off after it may have reached the service; `error` says how."""

    def __init__(self, error: ServiceUnreachable) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def http_errors(url: str, *, ca_setting: str) -> Iterator[None]:
    """Turn every error of the HTTP library into one of ours; `ca_setting` is the user's name of that setting."""
    try:
        yield
    except httpx2.ConnectError as exc:
        if (refusal := certificate_failure(exc)) is not None:
            raise ServiceError(
                f"{url} failed certificate verification:  {refusal}; for a private CA, set {ca_setting}"
            ) from exc
        raise ServiceUnreachable(f"{url} is unreachable ({connection_failure(exc)})") from exc
    except httpx2.ConnectTimeout as exc:
        raise ServiceUnreachable(f"{url} is unreachable ({connection_failure(exc)})") from exc
    except httpx2.TimeoutException as exc:
        raise OutcomeUnknown(ServiceUnreachable(f"{url} timed out ({connection_failure(exc)})")) from exc
    except (httpx2.NetworkError, httpx2.RemoteProtocolError) as exc:
        words = connection_failure(exc)
        what = f"{url} is not a service" if is_foreign_protocol(words) else f"the connection to {url} was interrupted"
        raise OutcomeUnknown(ServiceUnreachable(f"{what} ({words})")) from exc
    except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
        raise ServiceError(f"cannot send to {url}: {connection_failure(exc)}") from exc


def was_not_carried_out(reply: httpx2.Response) -> bool:
    """Whether a reply means that the request was not carried out and can be repeated."""
    return reply.status_code in _NOT_CARRIED_OUT


def _error_of(status: int, said: str, kind: str, *, retry_after_s: float | None = None) -> ServiceError:
    """Return the error that the status of a refusal stands for."""
    if status == 429:
        return ServiceBusy(said, retry_after_s=retry_after_s)
    if status in _LATER:
        return ServiceUnreachable(said, retry_after_s=retry_after_s)
    if 400 <= status < 500:
        return ServiceRefused(said, status=status, kind=kind)
    return ServiceBadReply(said)


def _problem(reply: httpx2.Response) -> tuple[str, str]:
    """Return kind and reason of a problem, both short and printable."""
    try:
        body = read_bounded(reply, ProblemReply.json_limits.max_bytes)
        check_json(body, ProblemReply.json_limits)
        problem = ProblemReply.model_validate_json(body)
    except (ValueError, ServiceBadReply):  # ValueError: also pydantic's
        return "", _reason_of_proxy(reply.status_code)
    return _printable(problem.type), _printable(problem.detail or problem.title)


def _reason_of_proxy(status: int) -> str:
    """Return words for an answer that comes from a proxy and not from the service."""
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return "a proxy before the service rejects bodies of this size; raise its limit (nginx: client_max_body_size)"
    phrases = {known.value: known.phrase for known in HTTPStatus}
    return phrases.get(status, "no reason given")


def _retry_after_s(reply: httpx2.Response, now: datetime) -> float | None:
    """Read the header, which is a number of seconds or a date."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a zone or a year with many digits
        return None
    return max(0.0, (date - now).total_seconds()) if date.tzinfo is not None else None


def _asked(reply: httpx2.Response) -> str:
    return f"{reply.request.method} {reply.request.url.copy_with(query=None)}"


def _printable(text: str) -> str:
    """Return text from outside as one short printable line."""
    return one_line(text, _MAX_TEXT)
