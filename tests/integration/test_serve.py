"""The service as a process of its own, over real connections: load, shutdown, kill and restart, TLS."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx2
import pytest

from benchmarks.service.hostile_pictures import png_bomb, scan_bomb, text_bomb
from helpers import REPOSITORY, shared_data
from support.service.held_service_process import PNG, Service, stub_service, wait_until
from support.service.service_samples import WAIT_S, encoded, noise, png


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as pool:
        yield pool


def n_calls(folder: Path) -> int:
    path = folder / "calls"
    return len(path.read_text().splitlines()) if path.exists() else 0


def hold(folder: Path) -> Path:
    gate = folder / "hold"
    gate.touch()
    return gate


def ask_while_held(
    service: Service, folder: Path, threads: ThreadPoolExecutor, n: int
) -> tuple[Path, list[Future[httpx2.Response]]]:
    """Let the model hold one picture, and `n` more wait in the queue."""
    gate, before = hold(folder), n_calls(folder)
    asked = [threads.submit(service.annotate, png(1000))]
    wait_until(lambda: n_calls(folder) > before)
    asked += [threads.submit(service.annotate, png(2000 + number)) for number in range(n)]
    wait_until(lambda: service.metric('edge_autotuner_queue_pictures{model="stub"}') == n)
    return gate, asked


def test_a_picture_is_annotated_and_counted(tmp_path: Path) -> None:
    with stub_service(tmp_path) as service:
        first, again = service.annotate(png()), service.annotate(png())
        assert first.json()["boxes_xyxy"] == [[0, 0, 40, 30]]
        assert (first.json()["is_cached"], again.json()["is_cached"]) == (False, True)
        assert "server" not in first.headers
        assert service.metric('edge_autotuner_pictures_total{client="cam1",how="cached"') == 1
        assert service.end() == 0
        assert "route=/v1/models/{model}/annotations status=200" in service.log
        assert service.token not in service.log


def test_a_full_queue_answers_429_and_the_rest_is_served(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    with stub_service(tmp_path, "batching.max_queue=4", "limits.max_batch_pictures=4") as service:
        gate, asked = ask_while_held(service, tmp_path, threads, 4)
        refused = [service.annotate(png(number)) for number in range(10)]
        assert {reply.status_code for reply in refused} == {429}
        assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
        gate.unlink()
        assert {future.result().status_code for future in asked} == {200}
        assert n_calls(tmp_path) == 2, "what waited went together"


def test_sigterm_finishes_what_was_asked_and_takes_nothing_new(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    with stub_service(tmp_path) as service:
        gate, asked = ask_while_held(service, tmp_path, threads, 3)
        service.process.send_signal(signal.SIGTERM)
        address = service.url.removeprefix("http://").split(":")
        wait_until(lambda: not is_listening(address[0], int(address[1])))
        gate.unlink()
        assert [future.result().status_code for future in asked] == [200] * 4
        assert service.process.wait(WAIT_S) == 0
        assert "Traceback" not in service.log


def is_listening(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_model_that_never_ends_does_not_keep_the_service_alive(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    with stub_service(tmp_path, "drain_s=1") as service:
        _, asked = ask_while_held(service, tmp_path, threads, 1)
        assert service.end() == 0
        assert {future.result().status_code for future in asked} == {503}
        assert "retry-after" in asked[0].result().headers


def test_results_on_disk_survive_a_kill(tmp_path: Path) -> None:
    def on_disk(service: Service) -> bool:
        return (tmp_path / "data" / "results.sqlite-wal").stat().st_size > 0

    with stub_service(tmp_path) as service:
        answers = [service.annotate(png(number)).json() for number in range(20)]
        wait_until(lambda: on_disk(service))
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
    n_before = n_calls(tmp_path)
    with stub_service(tmp_path) as service:
        again = [service.annotate(png(number)).json() for number in range(20)]
    n_cached = sum(answer["is_cached"] for answer in again)
    assert n_cached >= 1
    assert n_calls(tmp_path) - n_before == 20 - n_cached
    assert [{**answer, "is_cached": False} for answer in again] == answers


def test_a_client_that_goes_away_leaves_the_queue(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    with stub_service(tmp_path) as service:
        gate, asked = ask_while_held(service, tmp_path, threads, 1)
        host, port = service.url.removeprefix("http://").split(":")
        leaver = socket.create_connection((host, int(port)))
        body = png(3000)
        head = (
            f"POST /v1/models/stub/annotations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}\r\n"
            f"Content-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        leaver.sendall(head.encode() + body)
        wait_until(lambda: service.metric('edge_autotuner_queue_pictures{model="stub"}') == 2)
        leaver.close()
        wait_until(lambda: service.metric('edge_autotuner_queue_pictures{model="stub"}') == 1)
        gate.unlink()
        assert {future.result().status_code for future in asked} == {200}
        assert "status=499" in service.log


@pytest.mark.parametrize("length", ["", "Content-Length: 900000000\r\n"], ids=["no length", "a length"])
def test_a_body_without_end_is_cut_off(length: str, tmp_path: Path) -> None:
    with stub_service(tmp_path, "limits.max_body_mb=1") as service:
        host, port = service.url.removeprefix("http://").split(":")
        connection = socket.create_connection((host, int(port)), timeout=WAIT_S)
        framing = length or "Transfer-Encoding: chunked\r\n"
        head = (
            f"POST /v1/models/stub/annotations/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}\r\n"
            f"Content-Type: multipart/form-data; boundary=b\r\n{framing}\r\n"
        )
        part = b'--b\r\nContent-Disposition: form-data; name="pictures"; filename="a"\r\n\r\n'
        connection.sendall(head.encode() + (b"" if length else b"%x\r\n%s\r\n" % (len(part), part)))
        sent = 0
        chunk = b"x" * 50_000 if length else b"c350\r\n" + b"x" * 50_000 + b"\r\n"
        try:
            while sent < 100_000_000:
                connection.sendall(chunk)
                sent += len(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        connection.close()
        assert sent < 50_000_000, "the connection was closed long before its end"
        wait_until(lambda: "status=413" in service.log)
        assert service.annotate(png()).status_code == 200


def test_pictures_larger_than_the_spool_of_the_framework_never_reach_the_disk(tmp_path: Path) -> None:
    large = encoded(noise((1200, 900)))
    assert len(large) > 2_000_000
    with stub_service(tmp_path) as service:
        files = [("pictures", (f"{number}.png", large, "image/png")) for number in range(3)]
        reply = service.client.post("/v1/models/stub/annotations/batch", files=files)
        assert [result["boxes_xyxy"] for result in reply.json()["results"]] == [[[0, 0, 1200, 900]]] * 3


def write_certificates(folder: Path) -> None:
    """Write an authority (ca.pem), and a certificate with key for the service and for a client."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    ca_key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    for who in ("ca", "service", "client"):
        key = ca_key if who == "ca" else ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(who))
            .issuer_name(name("ca"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=who == "ca", path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        )
        certificate = builder.sign(ca_key, hashes.SHA256())
        (folder / f"{who}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{who}.key").write_bytes(private)


def test_tls_with_certificates_of_clients(tmp_path: Path) -> None:
    write_certificates(tmp_path)
    certificates = (
        f"tls={{certificate: {tmp_path}/service.pem, key: {tmp_path}/service.key, client_ca: {tmp_path}/ca.pem}}"
    )
    trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    known = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    known.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    with stub_service(tmp_path, certificates, verify=known) as service:
        assert service.url.startswith("https://")
        assert service.client.get("/v1/health").headers["strict-transport-security"]
        with (
            httpx2.Client(base_url=service.url, verify=trusting, timeout=WAIT_S) as client,
            pytest.raises(httpx2.HTTPError),
        ):
            client.get("/v1/health")


def run_serve(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_autotuner.cli", "serve", *options]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_the_command_serves_a_real_model(tmp_path: Path) -> None:
    model = shared_data("models/deimv2_atto_320/deimv2_atto.onnx")
    (tmp_path / "tokens").mkdir()
    from edge_autotuner.config.server import ServerConfig
    from edge_autotuner.server.data_folder import database_url
    from edge_autotuner.server.tokens import open_authenticator

    config = tmp_path / "serve.yaml"
    config.write_text(f"models:\n  atto: {{source: {model}, adapter: deim, n_threads: 1}}\n")
    tokens = open_authenticator(database_url(ServerConfig(data=tmp_path)))
    token = tokens.add("cam1", ["annotate"]).text
    tokens.close()
    options = [str(config), "--port", "0", "--data", str(tmp_path)]
    service = Service([sys.executable, "-m", "edge_autotuner.cli", "serve", *options], tmp_path / "log", token=token)
    try:
        service.wait_ready()
        (listed,) = service.client.get("/v1/models").json()["models"]
        assert (listed["name"], listed["input_size_wh"], len(listed["classes"])) == ("atto", [320, 320], 80)
        reply = service.client.post("/v1/models/atto/annotations", content=png(), headers=PNG)
        assert reply.status_code == 200, reply.text
        assert service.end() == 0
    finally:
        service.process.kill()
        service.process.wait()
        service.client.close()
        assert service.process.stdout is not None
        service.process.stdout.close()


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        pytest.param(("--model", "a=missing.onnx"), 2, "missing.onnx does not exist", id="no such file"),
        pytest.param(("--model", "a=no-such-model"), 2, "unknown model", id="no such model"),
        pytest.param(("--set", "limits.max_body_mb=0"), 2, "limits.max_body_mb", id="a wrong setting"),
        pytest.param(("--set", "limits.max_bodie_mb=1"), 2, "no such setting", id="a misspelt setting"),
    ],
)
def test_mistakes_end_with_one_line(options: tuple[str, ...], code: int, complaint: str, tmp_path: Path) -> None:
    done = run_serve("--data", str(tmp_path), *options)
    assert done.returncode == code, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_that_is_taken_is_told(tmp_path: Path) -> None:
    model = shared_data("models/deimv2_atto_320/deimv2_atto.onnx")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        config = tmp_path / "serve.yaml"
        config.write_text(f"models:\n  atto: {{source: {model}, adapter: deim}}\n")
        done = run_serve(str(config), "--data", str(tmp_path / "data"), "--port", port)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1, port {port}" in done.stderr


HOSTILE = [
    pytest.param(png_bomb((64, 64), 14_000), "image/png", 422, id="small, 14 GB"),
    pytest.param(png_bomb((5000, 5000), 14_000), "image/png", 422, id="large, 14 GB"),
    pytest.param(text_bomb((1000, 1000), 900), "image/png", 200, id="texts of 7 GB, which are left out"),
    pytest.param(scan_bomb((2000, 2000), 101), "image/jpeg", 422, id="many scans"),
]


@pytest.mark.parametrize(("content", "kind", "status"), HOSTILE)
def test_hostile_pictures_do_not_refuse_anybody_else(
    content: bytes, kind: str, status: int, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    """More of them than there are decoders; a good client, with small and large pictures, is answered beside them."""
    with stub_service(tmp_path, "limits.request_timeout_s=30") as service:
        hostile = [threads.submit(service.annotate, content, **{"Content-Type": kind}) for _ in range(6)]
        large = encoded(noise((1920, 1080)), ".jpg")
        good = [service.annotate(png(1)), service.annotate(large, **{"Content-Type": "image/jpeg"})]
        assert [reply.status_code for reply in good] == [200, 200]
        assert {future.result().status_code for future in hostile} == {status}
        assert service.client.get("/v1/ready").status_code == 200
