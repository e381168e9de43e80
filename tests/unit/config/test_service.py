"""The connection to a service: which addresses are taken, and which settings change labels."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edge_autotuner.config import AnnotationConfig, RunConfig
from edge_autotuner.config.service import ServiceConfig


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        pytest.param("https://teacher.example", "https://teacher.example", id="https"),
        pytest.param("https://teacher.example:8443/lab/", "https://teacher.example:8443/lab", id="below a path"),
        pytest.param("http://127.0.0.1:8000", "http://127.0.0.1:8000", id="loopback"),
        pytest.param("http://localhost:8000/", "http://localhost:8000", id="loopback by name"),
        pytest.param("http://[::1]:8000", "http://[::1]:8000", id="loopback, IPv6"),
    ],
)
def test_addresses(url: str, taken: str) -> None:
    assert ServiceConfig(url=url).url == taken


@pytest.mark.parametrize(
    ("url", "why"),
    [
        pytest.param("teacher.example", "expected http", id="no scheme"),
        pytest.param("ftp://teacher.example", "expected http", id="another scheme"),
        pytest.param("https://", "expected http", id="no host"),
        pytest.param("https://user:secret@teacher.example", "use token_file", id="login"),
        pytest.param("https://teacher.example/?a=b", "must not contain", id="query"),
        pytest.param("https://teacher.example/#a", "must not contain", id="fragment"),
        pytest.param("https://teacher.example/a b", "must not contain", id="space"),
        pytest.param("https://teacher.example:99999", "out of range", id="port"),
        pytest.param("http://teacher.example", "allow_http", id="overheard"),
        pytest.param("http://127.0.0.1.teacher.example", "allow_http", id="looks like loopback"),
    ],
)
def test_wrong_addresses(url: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ServiceConfig(url=url)


def test_plain_http_can_be_allowed() -> None:
    assert ServiceConfig(url="http://teacher.example", allow_http=True).url == "http://teacher.example"


def remote(**service: Any) -> AnnotationConfig:
    values = {"url": "https://a.example"} | service
    return AnnotationConfig(teacher="remote:big", service=values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("service", "changes"),
    [
        pytest.param({"url": "https://b.example"}, False, id="where"),
        pytest.param({"token_file": "token"}, False, id="who"),
        pytest.param({"max_upload_kbps": 100, "max_attempts": 2, "max_batch": 1}, False, id="how fast"),
        pytest.param({"picture_format": "webp"}, False, id="another format without loss"),
        pytest.param({"picture_format": "jpg"}, True, id="a format with loss"),
        pytest.param({"send": "input size"}, True, id="smaller pictures"),
    ],
)
def test_labels_are_asked_for_again_only_if_they_may_differ(service: dict[str, Any], changes: bool) -> None:
    assert (remote(**service).teacher_fingerprint() != remote().teacher_fingerprint()) is changes


def test_a_local_teacher_does_not_depend_on_a_service() -> None:
    there = AnnotationConfig(service=ServiceConfig(url="https://a.example", send="input size"))
    assert there.teacher_fingerprint() == AnnotationConfig().teacher_fingerprint()


@pytest.mark.parametrize("teacher", ["remote:", "zoom,remote:"])
def test_a_remote_teacher_has_a_name(teacher: str) -> None:
    with pytest.raises(ValidationError, match="needs a model name"):
        AnnotationConfig(teacher=teacher, service=ServiceConfig(url="https://a.example"))


def test_a_remote_teacher_needs_an_address() -> None:
    with pytest.raises(ValidationError, match=r"annotation\.service\.url"):
        RunConfig.model_validate({"annotation": {"teacher": "zoom,remote:big"}})


def test_remote_models() -> None:
    assert AnnotationConfig().remote_models == ()
    mixed = AnnotationConfig(teacher="remote:a, zoom, remote:b", service=ServiceConfig(url="https://a.example"))
    assert mixed.remote_models == ("a", "b")
