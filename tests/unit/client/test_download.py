"""Downloads go on where they broke off, and only the right content gets the name."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_autotuner.client import Connection, fetch_file
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.errors import ServiceBadReply, ServiceError, ServiceRefused, ServiceUnreachable, StorageError
from support.service.scripted_server import Script, ScriptedServer, read_request, reply, sending

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = f"/blobs/{SHA256}"
Asked = list[int]


def file_server(asked: Asked, *, breaks_after: int | None = None, knows_ranges: bool = True) -> Script:
    """Send what is asked for, and break off after so many bytes."""

    def script(link: socket.socket) -> None:
        found = re.search(rb"[Rr]ange: bytes=(\d+)-\r\n", read_request(link))
        start = int(found[1]) if found else 0
        asked.append(start)
        if not knows_ranges:
            start = 0
        status = "206 Partial Content" if start else "200 OK"
        headers = f"Content-Range: bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}" if start else "A: b"
        whole = reply(CONTENT[start:], status=status, headers=headers)
        head_end = whole.index(b"\r\n\r\n") + 4
        link.sendall(whole if breaks_after is None else whole[: head_end + breaks_after])

    return script


def fetch(folder: Path, *scripts: Script, attempts: int = 4, sha256: str = SHA256, n_bytes: int = len(CONTENT)) -> Path:
    with ScriptedServer(*scripts) as server:
        config = ServiceConfig(url=server.url, max_attempts=attempts, first_retry_s=0.001, read_timeout_s=60)
        with Connection(config) as connection:
            fetch_file(connection, PATH, folder / "model.onnx", sha256=sha256, n_bytes=n_bytes)
    return folder / "model.onnx"


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "model.onnx")


def test_a_file(tmp_path: Path) -> None:
    asked: Asked = []
    assert fetch(tmp_path, file_server(asked)).read_bytes() == CONTENT
    assert (asked, leftovers(tmp_path)) == ([0], [])


def test_only_the_rest_is_asked_for_again(tmp_path: Path) -> None:
    asked: Asked = []
    scripts = (file_server(asked, breaks_after=100_000), file_server(asked, breaks_after=50_000), file_server(asked))
    assert fetch(tmp_path, *scripts).read_bytes() == CONTENT
    assert (asked, leftovers(tmp_path)) == ([0, 100_000, 150_000], [])


def test_another_process_goes_on_with_the_part(tmp_path: Path) -> None:
    asked: Asked = []
    with pytest.raises(ServiceUnreachable):
        fetch(tmp_path, file_server(asked, breaks_after=1000), attempts=1)
    assert not (tmp_path / "model.onnx").exists()
    assert len(leftovers(tmp_path)) == 1
    assert fetch(tmp_path, file_server(asked)).read_bytes() == CONTENT
    assert (asked, leftovers(tmp_path)) == ([0, 1000], [])


def test_a_service_that_knows_no_ranges(tmp_path: Path) -> None:
    asked: Asked = []
    scripts = (file_server(asked, breaks_after=1000), file_server(asked, knows_ranges=False))
    assert fetch(tmp_path, *scripts).read_bytes() == CONTENT
    assert asked == [0, 1000]


def test_an_old_file_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"old")
    with pytest.raises(ServiceUnreachable):
        fetch(tmp_path, file_server([], breaks_after=1000), attempts=2)
    assert (tmp_path / "model.onnx").read_bytes() == b"old"
    fetch(tmp_path, file_server([]))
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT


def wrong_rest(link: socket.socket) -> None:
    read_request(link)
    link.sendall(reply(CONTENT[5:], status="206 Partial Content", headers="Content-Range: bytes 5-9/10"))


@pytest.mark.parametrize(
    ("script", "error", "why"),
    [
        pytest.param(
            sending(reply(b"x" * len(CONTENT))), ServiceBadReply, "not the expected file", id="another content"
        ),
        pytest.param(sending(reply(CONTENT + b"x")), ServiceBadReply, "more than the announced", id="too long"),
        pytest.param(sending(reply(CONTENT[:-1])), ServiceBadReply, "fewer than", id="too short"),
        pytest.param(wrong_rest, ServiceBadReply, "rest from byte 0", id="another part"),
        pytest.param(
            sending(reply(CONTENT, headers="Content-Encoding: gzip")), ServiceBadReply, "unrequested", id="compressed"
        ),
        pytest.param(sending(reply(b"", status="404 Not Found")), ServiceRefused, "404", id="not there"),
    ],
)
def test_a_wrong_file_never_gets_the_name(
    script: Callable[[socket.socket], None], error: type[ServiceError], why: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=why):
        fetch(tmp_path, script)
    assert not (tmp_path / "model.onnx").exists()


def test_a_damaged_part_is_thrown_away(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnreachable):
        fetch(tmp_path, file_server([], breaks_after=1000), attempts=1)
    (part,) = (tmp_path / name for name in leftovers(tmp_path))
    part.write_bytes(b"x" * 1000)
    with pytest.raises(ServiceBadReply, match="not the expected file"):
        fetch(tmp_path, file_server([]))
    assert leftovers(tmp_path) == []
    assert fetch(tmp_path, file_server([])).read_bytes() == CONTENT


def test_a_full_disk_keeps_what_arrived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(StorageError, match="free some space"):
        fetch(tmp_path, file_server([]))
    assert not (tmp_path / "model.onnx").exists()
    assert len(leftovers(tmp_path)) == 1


def test_an_empty_file_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        fetch(tmp_path, file_server([]), n_bytes=0)
