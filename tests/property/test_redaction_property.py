"""No secret comes out of a message, wherever it was put and however the address was mistyped."""

from __future__ import annotations

import html
import json
import logging
from pathlib import Path
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.core.redaction import (
    RedactingFormatter,
    known_secrets,
    redact_text,
    redact_values,
    remember_secrets_in,
    remember_secrets_of_settings,
)

MARK = "Zq7M4rK9"
VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8)
ANYTHING = st.text(max_size=8)

BEGINNINGS = [
    "rtsp://", "RTSP://", "rtsp:/", "rtsp:///", "rtsp//", "rtsp:", "rtsp:\\\\", "//", "/", "",
    "rtps://", "rtspx://", "rstp://", "ffmpeg:rtsp://", "ffmpeg:http://", "exec:ffmpeg -i rtsp://",
    "webrtc:http://", "rtsp ://", "rtsp: //", "rtsp:// ", "'rtsp://", '"rtsp://', "<rtsp://",
    "(rtsp://", "[rtsp://", "- rtsp://", "source: rtsp://", "source=rtsp://", "url=http://",
    "http//", "https:/", "onvif://", "mqtt://", "postgresql+psycopg://", "rtsp:http://",
    "rtsp://rtsp://", "srt:", "tcp:/", " rtsp://", "rtsp%3A%2F%2F", "x-unknown+thing://",
]  # fmt: skip
"""How people begin an address."""

ENDS = ["", "/", "/s", ":554/s", "/s#video=h264", "/s?channel=1", '/s"', "/s'", "/s, other", "/s)", "/s;x=1"]
KEYS = ["password", "pwd", "token", "api_key", "auth", "PassWord", "sig", "access_token", "X-Amz-Signature", "psk"]


def messages_about(address: str) -> list[str]:
    """Return what this program and others write about an address."""
    return [
        f"VideoError: {address} does not exist",
        f"'{address}' is no address of a camera",
        f"got {address!r}",
        f"{Path(address)} does not exist" if "\0" not in address else "",
        " ".join(f"cannot open {address}\nnow".split()),
        json.dumps({"problem": f"cannot open {address}"}),
        f"<p>{html.escape(address)}</p>",
        f"[rtsp @ 0x55] method DESCRIBE failed: 401, Opening '{address}' for reading",
    ]


@given(st.sampled_from(BEGINNINGS), VISIBLE, VISIBLE, st.sampled_from(["@", "%40"]), st.sampled_from(ENDS))
def test_an_unknown_login_is_found_in_any_message(begin: str, before: str, after: str, at: str, end: str) -> None:
    known_secrets.clear()
    address = f"{begin}admin:{before}{MARK}{after}{at}10.0.0.7{end}"
    for message in messages_about(address):
        assert MARK not in redact_text(message)


@given(st.sampled_from(BEGINNINGS), ANYTHING, ANYTHING, st.sampled_from(ENDS))
def test_a_known_login_is_found_whatever_is_in_it(begin: str, before: str, after: str, end: str) -> None:
    known_secrets.clear()
    address = f"{begin}admin:{before}{MARK}{after}@10.0.0.7{end}"
    remember_secrets_in(address)
    for message in messages_about(address):
        assert MARK not in redact_text(message)


@given(st.sampled_from(["#", ";", "\uff20", ",", "(at)", " "]), st.sampled_from(ENDS))
def test_a_login_is_found_without_its_at_sign(instead: str, end: str) -> None:
    known_secrets.clear()
    address = f"rtsp://admin:{MARK}{instead}10.0.0.7{end}"
    assert MARK not in redact_text(f"cannot open {address}")


@given(
    st.sampled_from(KEYS),
    VISIBLE,
    st.sampled_from(["http://h/a?", "http:/h/a?x=1&", "rtspx:http://h/?", "rtsp://h/", "h/a?"]),
)
def test_a_key_is_found(key: str, after: str, before: str) -> None:
    known_secrets.clear()
    after = after.replace("&", "")
    for message in messages_about(f"{before}{key}={MARK}{after}&channel=1"):
        assert MARK not in redact_text(message)


@given(st.sampled_from(["Authorization: Basic ", "authorization=Bearer ", "Authorization: Digest username="]), VISIBLE)
def test_a_header_is_found(before: str, after: str) -> None:
    known_secrets.clear()
    assert MARK not in redact_text(f"sent {before}{MARK}{after}")


@given(ANYTHING, st.sampled_from(["password", "token", "secret", "outputs.mqtt.password"]))
def test_what_is_set_under_the_name_of_a_secret_is_one(after: str, key: str) -> None:
    known_secrets.clear()
    secret = MARK + after
    remember_secrets_of_settings({"outputs": {"mqtt": [{key: secret}]}})
    for text in (
        secret,
        f"got {secret!r}",
        quote(secret, safe="", errors="replace"),
        json.dumps([secret]),
        f"a {secret} b",
    ):
        assert MARK not in redact_text(text)
    assert MARK not in json.dumps(redact_values({"x": [secret, {"y": secret}], "n": 1}))


@given(st.text())
def test_a_redacted_text_stays_as_it_is(text: str) -> None:
    known_secrets.clear()
    once = redact_text(text)
    assert redact_text(once) == once


@given(st.sampled_from(BEGINNINGS), VISIBLE)
def test_a_traceback_in_the_log_holds_none(begin: str, after: str) -> None:
    known_secrets.clear()
    try:
        raise ValueError(f"{begin}admin:{MARK}{after}@10.0.0.7/s")
    except ValueError as exc:
        record = logging.LogRecord(
            "x", logging.ERROR, __file__, 1, "camera %s", ("a",), (ValueError, exc, exc.__traceback__)
        )
    text = RedactingFormatter("%(message)s").format(record)
    assert MARK not in text.replace(f'"{{begin}}admin:{MARK}', "")
    assert "Traceback" in text
