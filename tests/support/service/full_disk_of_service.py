"""`python full_disk_of_service.py FOLDER`: fills the disk under a running service, and prints what it answered.

Needs to be root in a mount namespace of its own, for a small file system with the service's data. Prints one line of
JSON: the status of each request while the disk was full and after that.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import httpx2

from support.service.registry_samples import description
from support.service.service_samples import WAIT_S, png

ROOM = "64m"
MAX_CAMERAS = 2000


class Caller:
    """Asks the service."""

    def __init__(self, url: str, token: str) -> None:
        self.http = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=WAIT_S)
        self.n_pictures = 0

    def upload(self, content: bytes) -> httpx2.Response:
        return self.http.put(f"/v1/blobs/{hashlib.sha256(content).hexdigest()}", content=content)

    def add(self, name: str) -> httpx2.Response:
        model, weights = name.encode(), b"weights"
        text = description(name, model=model, weights=weights)
        return self.http.post("/v1/cameras/gate/bundles", json={"description": text})

    def promote(self, bundle: str) -> httpx2.Response:
        return self.http.post(f"/v1/cameras/gate/bundles/{bundle}/promote")

    def camera(self, name: str = "gate") -> httpx2.Response:
        return self.http.put(f"/v1/cameras/{name}", json={"place": "x" * 200, "shows": "y" * 200})

    def annotate(self) -> httpx2.Response:
        self.n_pictures += 1
        headers = {"Content-Type": "image/png"}
        return self.http.post("/v1/models/stub/annotations", content=png(self.n_pictures), headers=headers)

    def wrong_token(self) -> httpx2.Response:
        return self.http.get("/v1/cameras", headers={"Authorization": "Bearer nonsense"})

    def deployed(self) -> str:
        return str(self.http.get("/v1/cameras/gate/deployed").json()["id"])

    def fill_database(self) -> bool:
        """Add cameras until none can be added: what the database has on the disk already is used up then."""
        return any(self.camera(f"filler{number}").status_code == 503 for number in range(MAX_CAMERAS))


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 4096) == 4096:
            pass
    return filler


def answers(ask: Caller, bundle: str) -> dict[str, Any]:
    requests: dict[str, Callable[[], httpx2.Response]] = {
        "upload": lambda: ask.upload(b"another picture" * 1000),
        "missing": lambda: ask.http.post("/v1/blobs/missing", json={"sha256": ["0" * 64]}),
        "add": lambda: ask.add("second"),
        "promote": lambda: ask.promote(bundle),
        "roll back": lambda: ask.http.post("/v1/cameras/gate/rollback"),
        "camera": lambda: ask.camera("yard"),
        "annotate": ask.annotate,
        "wrong token": ask.wrong_token,
        "ready": lambda: ask.http.get("/v1/ready"),
        "list": lambda: ask.http.get("/v1/cameras/gate/bundles"),
    }
    found = {}
    for name, request in requests.items():
        reply = request()
        kind = reply.json().get("type") if reply.status_code >= 400 else None
        found[name] = [reply.status_code, kind]
    return found


def main() -> None:
    """Run the service on a disk that becomes full and has room again."""
    folder = Path(sys.argv[1])
    disk = folder / "data"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(disk)], check=True)
    stub = [sys.executable, str(Path(__file__).with_name("held_service.py")), str(folder), "blobs.reserve_mb=0"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(stub, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    token, url = (process.stdout.readline().strip() for _ in range(2))
    ask = Caller(url.removeprefix("listening on "), token)
    result: dict[str, Any] = {}
    try:
        while ask.http.get("/v1/ready").status_code != 200:
            pass
        ask.camera()
        for content in (b"first", b"second", b"third", b"weights"):
            ask.upload(content)
        first, third = (ask.add(name).json()["id"] for name in ("first", "third"))
        for bundle in (third, first):
            ask.promote(bundle)
        filler = fill(disk)
        result["fills"] = ask.fill_database()
        fill(disk)  # what the database's last attempt gave back
        result["full"] = answers(ask, third)
        result["is_still_deployed"] = ask.deployed() == first
        result["incoming_when_full"] = len(list((disk / "blobs" / "incoming").iterdir()))
        filler.unlink()
        result["roomy"] = answers(ask, third)
        result["incoming"] = len(list((disk / "blobs" / "incoming").iterdir()))
        result["lives"] = process.poll() is None
        process.terminate()
        result["code"] = process.wait(WAIT_S)
        fill(disk)
        again = subprocess.run(stub, capture_output=True, text=True, timeout=WAIT_S * 3, check=False)
        result["start_when_full"] = [again.returncode, again.stderr.strip().splitlines()[-1][:300]]
    finally:
        process.kill()
        process.wait()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
