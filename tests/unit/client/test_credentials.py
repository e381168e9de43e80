"""Tokens and certificates: where they come from, and what is refused without showing it."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest

from edge_autotuner.client.credentials import (
    make_ssl_context,
    read_secret,
    read_token,
    read_token_file,
    warn_if_others_can_read,
)
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.errors import ConfigError


def token_file(folder: Path, content: bytes) -> ServiceConfig:
    path = folder / "token"
    path.write_bytes(content)
    return ServiceConfig(token_file=path)


@pytest.mark.parametrize("content", [b"eat_abc.DEF-123", b"eat_abc.DEF-123\n", b" eat_abc.DEF-123 \r\n"])
def test_a_token_is_one_line(content: bytes, tmp_path: Path) -> None:
    assert read_token(token_file(tmp_path, content)) == "eat_abc.DEF-123"


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"secret words", b"secret\r\nX-Other: 1", b"s\xc3\xa4cret", b"secret\x00", b"s" * 5000],
    ids=["empty", "blank", "two words", "another header", "not ASCII", "control", "too long"],
)
def test_what_cannot_be_a_token_is_refused_and_not_shown(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not contain a token") as caught:
        read_token(token_file(tmp_path, content))
    assert "secret" not in str(caught.value)
    assert "cret" not in repr(caught.value.__cause__)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*none: No such file"):
        read_token(ServiceConfig(token_file=tmp_path / "none"))


def test_the_file_comes_before_the_environment(tmp_path: Path) -> None:
    config = token_file(tmp_path, b"of-the-file")
    assert read_token(config, {"EDGE_AUTOTUNER_TOKEN": "of-the-environment"}) == "of-the-file"


def test_the_environment() -> None:
    config = ServiceConfig(token_env="LAB_TOKEN")
    assert read_token(config, {"LAB_TOKEN": "abc"}) == "abc"
    assert read_token(config, {}) is None
    with pytest.raises(ConfigError, match="the environment variable LAB_TOKEN does not contain a token"):
        read_token(config, {"LAB_TOKEN": "two words"})


@pytest.mark.parametrize("content", [b"pass word\n", b"pass word\r\n", b"pass word"])
def test_the_line_end_is_no_part_of_a_secret(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    assert read_secret(tmp_path / "secret") == "pass word"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\n", id="empty line"),
        pytest.param(b"hunter2\nhunter2\n", id="two lines"),
        pytest.param(b"hunter2\xff", id="not text"),
        pytest.param(b"hunter2\0", id="control character"),
        pytest.param(b"hunter2" * 1000, id="too long"),
    ],
)
def test_what_is_no_secret_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_secret(tmp_path / "secret")
    assert "hunter2" not in str(caught.value)
    assert str(tmp_path / "secret") in str(caught.value)


@pytest.mark.parametrize("content", ["two words", "gr\u00fcn", " "])
def test_a_token_fits_into_a_header(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="does not contain a token"):
        read_token_file(path)
    path.write_text(" abc.DEF-123 \n")
    assert read_token_file(path) == "abc.DEF-123"


@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_can_read(mode: int, warns: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "token"
    path.write_text("secret")
    path.chmod(mode)
    with caplog.at_level(logging.WARNING):
        warn_if_others_can_read(path)
    assert ("other users can read" in caplog.text) is warns
    assert "secret" not in caplog.text


def test_certificates_are_always_checked() -> None:
    context = make_ssl_context(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("setting", ["ca_file", "client_cert"])
def test_wrong_certificates(setting: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.pem"
    with pytest.raises(ConfigError, match=r"wrong\.pem"):
        make_ssl_context(**{"ca_file": None, setting: path})
    path.write_text("no certificate")
    with pytest.raises(ConfigError, match="must be readable PEM files"):
        make_ssl_context(**{"ca_file": None, setting: path})


def test_a_key_without_its_certificate(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="client_key needs"):
        make_ssl_context(None, client_key=tmp_path / "key.pem")
