"""The service over months, in seconds: a full disk, a clock that is set, clients that stop in the middle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers import REPOSITORY
from support.service.held_service_process import Service, stub_service, wait_until
from support.service.service_samples import WAIT_S

DAY_S = 86400
PICTURE = b"a picture of somebody"
OFTEN = ("retention.every_s=1", "retention.first_after_s=0.05")


def upload(service: Service, content: bytes = PICTURE) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    assert service.client.put(f"/v1/blobs/{sha256}", content=content).status_code == 201
    return sha256


def is_there(service: Service, sha256: str) -> bool:
    return service.client.get(f"/v1/blobs/{sha256}").status_code == 200


def set_clock(folder: Path, ahead_s: float) -> None:
    new = folder / "ahead.new"
    new.write_text(str(ahead_s))
    new.replace(folder / "ahead")


def audit_lines(service: Service) -> list[str]:
    lines = [line for line in service.log.splitlines() if " audit " in line]
    return [line.split(" audit ", 1)[1].rpartition(" [")[0].split(" ", 1)[1] for line in lines]


def test_a_picture_goes_by_itself_when_its_time_is_over(tmp_path: Path) -> None:
    with stub_service(tmp_path, *OFTEN, "retention.grace_s=1h") as service:
        sha256 = upload(service)
        wait_until(lambda: service.metric('edge_autotuner_collections_total{outcome="done"') >= 1)
        assert is_there(service, sha256)
        set_clock(tmp_path, DAY_S)
        wait_until(lambda: any(line.startswith("blobs-collected") for line in audit_lines(service)))
        wait_until(lambda: not is_there(service, sha256))  # it is in the log before it is gone
        log = audit_lines(service)
        doubt = next(number for number, line in enumerate(log) if "the clock was set" in line)
        removal = next(number for number, line in enumerate(log) if line.startswith("blobs-collected"))
        assert doubt < removal, "the jump was noticed first, and a later collection removed"
        assert service.end() == 0
        assert "Traceback" not in service.log


def send_and_stop(service: Service, head: str, sent: bytes) -> bytes:
    """Send the beginning of a request, then nothing; return what comes until the connection is closed."""
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=WAIT_S) as connection:
        connection.sendall(head.encode() + sent)
        received = b""
        while piece := connection.recv(1 << 16):
            received += piece
    return received


def test_clients_that_stop_in_the_middle_leave_nothing(tmp_path: Path) -> None:
    sha256 = hashlib.sha256(PICTURE).hexdigest()
    with stub_service(tmp_path, "limits.max_pause_s=0.2", "limits.max_head_s=0.5") as service:
        token = f"Authorization: Bearer {service.token}\r\n"
        upload_head = f"PUT /v1/blobs/{sha256} HTTP/1.1\r\nHost: x\r\n{token}Content-Length: {len(PICTURE)}\r\n\r\n"
        assert send_and_stop(service, upload_head, PICTURE[:5]).startswith(b"HTTP/1.1 408 ")
        annotate_head = upload_head.replace(f"PUT /v1/blobs/{sha256}", "POST /v1/models/stub/annotations")
        assert send_and_stop(service, annotate_head, PICTURE[:5]).startswith(b"HTTP/1.1 408 ")
        assert send_and_stop(service, upload_head[:40], b"").startswith(b"HTTP/1.1 408 ")
        assert send_and_stop(service, "", b"") == b""
        assert list((tmp_path / "data" / "blobs" / "incoming").iterdir()) == []
        assert not is_there(service, sha256)
        assert is_there(service, upload(service)), "a client that does not stop is served"


@pytest.mark.slow
def test_a_full_disk_is_said_and_forgotten(tmp_path: Path) -> None:
    """What would need room gets 507 or 503, the rest goes on; with room all goes on, without a restart."""
    unshare = shutil.which("unshare")
    in_namespace = [unshare or "", "--mount", "--map-root-user"]
    probe = [*in_namespace, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if unshare is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("needs a mount namespace of its own (unshare --mount)")
    command = [
        *in_namespace,
        sys.executable,
        str(REPOSITORY / "tests" / "support" / "service" / "full_disk_of_service.py"),
        str(tmp_path),
    ]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["fills"]
    refused = [503, "storage"]
    assert result["full"] == {
        "upload": [507, "disk-full"],
        "missing": [200, None],
        "add": [507, "disk-full"],
        "promote": refused,
        "roll back": refused,
        "camera": refused,
        "annotate": [200, None],
        "wrong token": [401, "no-valid-token"],
        "ready": [503, "not-ready"],
        "list": [200, None],
    }
    assert (result["is_still_deployed"], result["incoming_when_full"]) == (True, 0)
    assert result["roomy"] == {
        **{name: [200, None] for name in result["full"]},
        "upload": [201, None],
        "wrong token": [401, "no-valid-token"],
    }
    assert (result["incoming"], result["lives"], result["code"]) == (0, True, 0)
    code, complaint = result["start_when_full"]
    assert code != 0
    assert "StorageError: cannot use the database" in complaint
