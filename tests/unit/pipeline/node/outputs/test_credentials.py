"""Secrets come from files, and no message shows them."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from edge_autotuner.errors import ConfigError
from edge_autotuner.pipeline.node.outputs.credentials import make_ssl_context, read_bearer_token, read_secret


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


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_secret(tmp_path / "nothing")


@pytest.mark.parametrize("content", ["two words", "gr\u00fcn", " "])
def test_a_token_fits_into_a_header(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="does not hold a token"):
        read_bearer_token(path)
    path.write_text(" abc.DEF-123 \n")
    assert read_bearer_token(path) == "abc.DEF-123"


def test_certificates_are_checked(tmp_path: Path) -> None:
    context = make_ssl_context(None)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ConfigError, match=r"ca\.pem"):
        make_ssl_context(tmp_path / "ca.pem")
