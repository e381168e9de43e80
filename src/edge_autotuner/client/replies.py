"""Reads what a service answers, and trusts none of it: size, encoding, kind and form are checked."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar

import httpx2
from pydantic import ValidationError

from edge_autotuner.core.json_limits import JsonLimits, check_json
from edge_autotuner.core.link_failures import redirect_words
from edge_autotuner.core.printable import one_line
from edge_autotuner.errors import ServiceBadReply, ServiceBusy, ServiceError, ServiceRefused, ServiceUnreachable
from edge_autotuner.wire.messages import ProblemReply, Reply

Message = TypeVar("Message", bound=Reply)

_MAX_TEXT = 300
_LATER = {408, 425, 502, 503, 504, 507}  # a proxy or the service says: not now; 507 is its full disk
_CARRIED_OUT_BY_NOBODY = {429, 503}


def read_json(reply: httpx2.Response, message: type[Message], limits: JsonLimits | None = None) -> Message:
    """Return the body of a good reply as a message; what is too large or nested too deep is never decoded.

    Args:
        reply: with its body still on the wire.
        message: what it must be.
        limits: of this one; None: those of the message.

    Raises:
        ServiceBadReply: it is not JSON, has another form, is compressed, or beyond its limits.
    """
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ServiceBadReply(f"{_asked(reply)} answered with '{_printable(kind)}' instead of application/json")
    limits = limits or message.json_limits
    body = read_bounded(reply, limits.max_bytes)
    try:
        check_json(body, limits)
    except ValueError as exc:
        raise ServiceBadReply(f"{_asked(reply)} did not answer with a {message.__name__}: {exc}") from None
    try:
        return message.model_validate_json(body, strict=True)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise ServiceBadReply(
            f"{_asked(reply)} did not answer with a {message.__name__}: {_printable(where)}: {_printable(first['msg'])}"
        ) from None  # the cause would show the whole reply


def read_bounded(reply: httpx2.Response, max_bytes: int) -> bytes:
    """Return the body, and never hold more of it than allowed.

    Raises:
        ServiceBadReply: it is larger, or compressed: this side asks for plain bytes, and a small compressed reply
            may be a huge one.
    """
    check_plain(reply)
    announced = reply.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise ServiceBadReply(f"{_asked(reply)} announces {announced} bytes, more than the {max_bytes} expected")
    body = bytearray()
    for block in reply.iter_raw():
        body += block
        if len(body) > max_bytes:
            raise ServiceBadReply(f"{_asked(reply)} answers with more than the {max_bytes} bytes expected")
    return bytes(body)


def check_plain(reply: httpx2.Response) -> None:
    """Refuse a compressed body.

    Raises:
        ServiceBadReply: it is.
    """
    encoding = reply.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise ServiceBadReply(f"{_asked(reply)} answers with content-encoding '{_printable(encoding)}', unasked")


def check_status(reply: httpx2.Response, *, now: datetime) -> None:
    """Raise the error that a reply stands for; return for 200 to 299.

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
            f"{_asked(reply)} answered {status}: {where}; redirects are not followed: set the url of the service to "
            f"its real address"
        )
    kind, reason = _problem(reply)
    said = f"{_asked(reply)} answered {status}: {reason}"
    if status == 429:
        raise ServiceBusy(said, retry_after_s=_retry_after_s(reply, now))
    if status in _LATER:
        raise ServiceUnreachable(said, retry_after_s=_retry_after_s(reply, now))
    if 400 <= status < 500:
        raise ServiceRefused(said, status=status, kind=kind)
    raise ServiceBadReply(said)


def error_of_problem(problem: ProblemReply, about: str) -> ServiceError:
    """Return the error for one part of a request that was not carried out while others were."""
    said = f"{about}: {problem.status}: {_printable(problem.detail or problem.title)}"
    if problem.status == 429:
        return ServiceBusy(said)
    if problem.status in _LATER:
        return ServiceUnreachable(said)
    if 400 <= problem.status < 500:
        return ServiceRefused(said, status=problem.status, kind=_printable(problem.type))
    return ServiceBadReply(said)


def was_not_carried_out(reply: httpx2.Response) -> bool:
    """Whether a reply says that nothing happened, so that asking again cannot do it twice."""
    return reply.status_code in _CARRIED_OUT_BY_NOBODY


def _problem(reply: httpx2.Response) -> tuple[str, str]:
    """Return kind and reason of a problem; both are short and printable whoever wrote them."""
    try:
        body = read_bounded(reply, ProblemReply.json_limits.max_bytes)
        check_json(body, ProblemReply.json_limits)
        problem = ProblemReply.model_validate_json(body)
    except (ValueError, ServiceBadReply):  # ValueError: also pydantic's
        return "", _reason_of_proxy(reply.status_code)
    return _printable(problem.type), _printable(problem.detail or problem.title)


def _reason_of_proxy(status: int) -> str:
    """Return words for an answer that is none of the service's own problems: a proxy in between has given it."""
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return "a proxy before the service takes no body of this size; raise its limit (nginx: client_max_body_size)"
    phrases = {known.value: known.phrase for known in HTTPStatus}
    return phrases.get(status, "no reason given")


def _retry_after_s(reply: httpx2.Response, now: datetime) -> float | None:
    """Read the header, which is a number of seconds or a date."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isdigit() and len(text) < 10:
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (date - now).total_seconds()) if date.tzinfo is not None else None


def _asked(reply: httpx2.Response) -> str:
    return f"{reply.request.method} {reply.request.url.copy_with(query=None)}"


def _printable(text: str) -> str:
    """Return text from outside as one short line that a terminal and a log can bear."""
    return one_line(text, _MAX_TEXT)
