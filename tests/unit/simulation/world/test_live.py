"""The served camera among viewers that are many, slow, silent, or speak badly."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_autotuner.errors import StorageError
from edge_autotuner.simulation.world import SimulatedWorld, live
from edge_autotuner.simulation.world.live import LiveWorld
from support.runs.cli_runs import run_cli

GET = b"GET /video.mjpeg HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def camera() -> Iterator[LiveWorld]:
    world = SimulatedWorld("campus", size_wh=(96, 96), n_frames=10, rate_hz=50)
    with LiveWorld(world, "127.0.0.1", 0) as served:
        yield served


def connect(camera: LiveWorld, request: bytes = GET) -> socket.socket:
    port = int(camera.url.rpartition(":")[2].partition("/")[0])
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.sendall(request)
    return client


def read_until(client: socket.socket, part: bytes) -> bytes:
    data = b""
    while part not in data:
        more = client.recv(4096)
        if not more:
            return data
        data += more
    return data


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /video.mjpeg HTTP/1.0\r\n\r\n", b" 200 "),
        (b"GET /video.mjpeg?x=1 HTTP/1.1\r\nRange: bytes=0-9\r\n\r\n", b" 200 "),
        (b"HEAD /video.mjpeg HTTP/1.1\r\n\r\n", b" 200 "),
        (b"GET / HTTP/1.1\r\n\r\n", b" 404 "),
        (b"GET /../etc/passwd HTTP/1.1\r\n\r\n", b" 404 "),
        (b"POST /video.mjpeg HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n", b" 405 "),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", b" 405 "),
        (b"BREW /video.mjpeg HTTP/1.1\r\n\r\n", b" 501 "),
        (b"GET /video.mjpeg HTTP/9.9\r\n\r\n", b" 505 "),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b" 414 "),
        (b"GET /video.mjpeg HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b" 431 "),
    ],
)
def test_every_request_is_answered_by_its_status(camera: LiveWorld, request_: bytes, status: bytes) -> None:
    with connect(camera, request_) as client:
        assert status in read_until(client, b"\r\n").splitlines()[0]


def test_a_head_request_has_no_body(camera: LiveWorld) -> None:
    with connect(camera, GET.replace(b"GET", b"HEAD")) as client:
        assert read_until(client, b"never").endswith(b"\r\n\r\n")


def test_clients_that_neither_read_nor_ask_do_not_stop_others(camera: LiveWorld) -> None:
    lazy = [connect(camera) for _ in range(3)] + [connect(camera, b"GET /vid") for _ in range(100)]
    with connect(camera) as client:
        assert read_until(client, b"\xff\xd9\r\n--simulated-frame")
    for one in lazy:
        one.close()


def test_viewers_beyond_the_limit_are_refused_until_one_has_gone(
    camera: LiveWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewers = [connect(camera) for _ in range(live.MAX_VIEWERS)]
    for viewer in viewers:
        assert b" 200 " in read_until(viewer, b"\r\n\r\n")
    with connect(camera) as refused:
        assert b" 503 " in read_until(refused, b"\r\n")
    for viewer in viewers:
        viewer.close()
    status = b""
    while b" 200 " not in status:  # the camera notices with its next frames
        with connect(camera) as client:
            status = read_until(client, b"\r\n")


def test_a_request_that_comes_byte_by_byte_is_left(camera: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_REQUEST_S", 0.0)
    with connect(camera, b"G") as client:
        assert client.recv(100) == b""


def test_a_client_that_breaks_off_leaves_no_traceback(camera: LiveWorld, capfd: pytest.CaptureFixture[str]) -> None:
    for request in (b"GET /vid", GET):
        client = connect(camera, request)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, no polite end
        client.close()
    with connect(camera) as client:
        assert b" 200 " in read_until(client, b"\r\n\r\n")
    time.sleep(0.1)
    assert "Traceback" not in capfd.readouterr().err


def test_an_address_of_ipv6_is_served_and_written_as_one() -> None:
    try:
        camera = LiveWorld(SimulatedWorld("street", size_wh=(96, 96)), "::1", 0)
    except StorageError:
        pytest.skip("this machine has no IPv6")
    assert camera.url.startswith("http://[::1]:")
    assert camera.is_private
    camera.close()


@pytest.mark.parametrize("host", ["no such host", "a" * 300, "x..y"])
def test_an_address_that_cannot_be_is_said(host: str) -> None:
    with pytest.raises(StorageError, match="choose another --serve address"):
        LiveWorld(SimulatedWorld("street", size_wh=(96, 96)), host, 0)


def test_an_address_in_use_is_refused_before_anything_is_drawn(tmp_path: Path, camera: LiveWorld) -> None:
    script = tmp_path / "short.yaml"
    script.write_text("{length: 1s, size: 96x96}")
    in_use = camera.url.removeprefix("http://").removesuffix("/video.mjpeg")
    for address, code in ((in_use, 12), ("127.0.0.1", 2), ("127.0.0.1:٣", 2)):
        outcome = run_cli("simulate", tmp_path / "x.mp4", "--script", script, "--serve", address)
        assert outcome.code == code
        assert list(tmp_path.iterdir()) == [script]


def test_a_camera_that_others_reach_is_not_private() -> None:
    camera = LiveWorld(SimulatedWorld("street", size_wh=(96, 96)), "0.0.0.0", 0)
    assert not camera.is_private
    camera.close()


@pytest.mark.parametrize("flags", [("--script", "short.yaml"), ("ignored.mp4", "--frames", "3", "--size", "96x96")])
def test_the_truth_goes_to_standard_output(
    flags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short.yaml").write_text("{length: 1s, size: 96x96}")
    outcome = run_cli("simulate", *flags, "--ground-truth", "-")
    assert outcome.code == 0
    assert {"images", "annotations", "categories"} <= json.loads(outcome.out).keys()
    assert not Path("-").exists()
