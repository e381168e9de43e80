"""No secret of an address is ever shown, however it is written."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.capture.live import parse_live_address, redact
from edge_autotuner.errors import ConfigError

MARK = "S3cret"  # in no host, path or key below
SECRETS = st.text(max_size=12).map(lambda text: MARK + text)
SCHEMES = st.sampled_from(["rtsp", "rtsps", "http", "https", "rtmp"])
HOSTS = st.sampled_from(["cam", "10.0.0.7:554", "[fe80::1]:8554", "cam.example:80"])
TAILS = st.sampled_from(["", "/", "/live/1", "/live?channel=1", "/a?b=1&c=2#d"])
KEYS = st.sampled_from(["password", "pwd", "token", "api_key", "auth", "user", "PassWord", "access%5Ftoken"])


def written(secret: str, encode: bool) -> str:
    return quote(secret, safe="") if encode else secret


@given(SCHEMES, SECRETS, SECRETS, st.booleans(), HOSTS, TAILS)
def test_login(scheme: str, user: str, password: str, encode: bool, host: str, tail: str) -> None:
    address = f"{scheme}://{written(user, encode)}:{written(password, encode)}@{host}{tail}"
    shown = redact(address)
    assert MARK not in shown
    assert shown == f"{scheme}://{host}{tail}"
    check_parsed(address, {})


@given(SCHEMES, KEYS, SECRETS, st.booleans(), HOSTS, st.sampled_from(["/live?", "/live?x=1&", "/", "/a?b;", "/a?b#"]))
def test_parameter(scheme: str, key: str, secret: str, encode: bool, host: str, before: str) -> None:
    value = written(secret, encode).replace("&", "")
    address = f"{scheme}://{host}{before}{key}={value}&channel=1"
    assert MARK not in redact(address)
    check_parsed(address, {})


@given(SECRETS, st.sampled_from(["rtsp://u:${S}@cam/1", "rtsp://${S}@cam/1", "http://cam/${S}", "http://cam/?a=${S}"]))
def test_variable(secret: str, text: str) -> None:
    check_parsed(text, {"S": secret})


@given(SCHEMES, SECRETS, HOSTS)
def test_what_ffmpeg_gets_decodes_to_what_was_meant(scheme: str, password: str, host: str) -> None:
    if scheme == "rtmp":
        return
    address = parse_live_address(f"{scheme}://me:${{S}}@{host}/1", {"S": password})
    assert address.url == f"{scheme}://me:{quote(password, safe='')}@{host}/1"


def check_parsed(text: str, environ: dict[str, str]) -> None:
    """Check that the parsed address, or the reason why there is none, shows no secret."""
    complaint = ""
    try:
        address = parse_live_address(text, environ)
    except ConfigError as exc:
        complaint = str(exc)
    else:
        assert MARK in address.url
        complaint = address.shown + repr(address) + address.scrub(address.url)
    assert MARK not in complaint
