"""A node as a process beside real faults: a camera that dies, a disk without room or names, a killed learner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_autotuner.config import resolve_settings
from edge_autotuner.config.node import NodeConfig
from edge_autotuner.deployment import deployed_bundle, read_bundle
from edge_autotuner.node.camera_folder import CameraFolder
from edge_autotuner.node.node_files import belongs_to_node
from edge_autotuner.pipeline.run_folder import StageRecord
from helpers import REPOSITORY
from support.cameras.live_servers import CameraServer
from support.machine.mount_namespace import shell_in_mount_namespace
from support.runs.cli_runs import CliProcess, run_script
from support.runs.run_samples import N_FRAMES, Samples
from support.service.output_samples import Hook, Listener, wait_until
from unit.deployment.test_bundle import made

IMPATIENT = {"read_timeout_s": 1.5, "first_retry_s": 0.1, "longest_retry_s": 0.4}
WITHOUT_TORCH = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "onnx", "safetensors"}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Missing())
"""


def write_node(place: Path, sources: dict[str, str], **changes: Any) -> Path:
    """Write the settings of a node that runs a finished bundle, and return the file."""
    bundle = place / "bundle"
    if not bundle.exists():
        made(bundle, name="street-v3", lineage={"edge_model": "street-nano"})
    values: dict[str, Any] = {
        "folder": str(place / "node"),
        "cameras": [{"name": name, "source": source} for name, source in sources.items()],
        "learns": False,
        "run": {"edge_model": str(bundle), "capture": {"stream": IMPATIENT}},
        "detect": {"max_rate_hz": 100},
        "outputs": {"json_lines": {"path": str(place / "detections.jsonl")}},
    }
    path = place / "node.yaml"
    path.write_text(yaml.safe_dump(values | changes), encoding="utf-8")
    return path


def lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / "detections.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def status(folder: Path) -> dict[str, Any]:
    path = folder / "node" / "status.json"
    return dict(json.loads(path.read_text())) if path.exists() else {"cameras": {}}


def unwrapped(log: str) -> str:
    """Return a log without the line ends that a narrow terminal makes."""
    return " ".join(log.split())


def slowly(is_so: Callable[[], bool]) -> Callable[[], bool]:
    """Look without taking the processor from who is waited for."""

    def look() -> bool:
        time.sleep(0.02)
        return is_so()

    return look


def test_a_finished_bundle_runs_as_it_is_without_torch(samples: Samples, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_TORCH, encoding="utf-8")
    bare = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY / 'src'}"}
    outcome = run_script("edge", write_node(tmp_path, {"gate": str(samples.video)}), environment=bare)
    assert outcome.code == 0, outcome.err
    seen = lines(tmp_path)
    assert [line["frame_index"] for line in seen] == list(range(N_FRAMES))
    assert {line["model"] for line in seen} == {"street-v3"}
    deployed = deployed_bundle(tmp_path / "node" / "gate")
    assert deployed is not None
    for path in (tmp_path / "bundle").iterdir():
        assert (deployed / path.name).read_bytes() == path.read_bytes()
    assert read_bundle(deployed).lineage == {"edge_model": "street-nano"}
    config = resolve_settings(NodeConfig, tmp_path / "node.yaml", {})
    foreign = [path.name for path in (tmp_path / "node").iterdir() if not belongs_to_node(config, None, path)]
    assert foreign == [], "a node that does not know its own files leaves them open to others"


def test_a_camera_that_dies_is_no_empty_yard(tmp_path: Path) -> None:
    """Killed and started again, beside another camera, with every output listening."""
    pytest.importorskip("paho.mqtt.client")
    pytest.importorskip("httpx2")
    with (
        CameraServer("mjpeg_server.py") as dying,
        CameraServer("mjpeg_server.py") as other,
        CameraServer("mqtt_broker.py") as broker,
        Listener(broker.port) as listener,
        Hook() as hook,
    ):
        sources = {n: f"http://127.0.0.1:{server.port}/moving" for n, server in (("dying", dying), ("other", other))}
        outputs = {
            "json_lines": {"path": str(tmp_path / "detections.jsonl")},
            "mqtt": {"host": "127.0.0.1", "port": broker.port, "topic": "node", "clear_after_s": 0.3},
            "webhook": {"url": hook.url, "min_gap_s": 0.01},
        }
        process = CliProcess(tmp_path / "log", "edge", write_node(tmp_path, sources, outputs=outputs))
        wait_until(lambda: listener.last.get("node/dying/car/present") == b"ON")
        listener.expect(
            node__status=b"online", node__dying__availability=b"online", node__other__availability=b"online"
        )
        dying.kill()
        listener.expect(node__dying__availability=b"offline", node__dying__problem=b"ON")
        n_before = len(lines(tmp_path))
        process.wait_until(slowly(lambda: len(lines(tmp_path)) > n_before + 30))
        process.wait_until(slowly(lambda: status(tmp_path)["cameras"]["dying"]["state"] == "lost"))
        assert status(tmp_path)["cameras"]["dying"]["problem"]
        assert status(tmp_path)["cameras"]["other"]["state"] == "watched"
        dying.start_again()
        listener.expect(node__dying__availability=b"online", node__dying__problem=b"OFF")
        process.wait_until(slowly(lambda: status(tmp_path)["cameras"]["dying"]["problem"] is None))
        wait_until(lambda: "camera_back" in {body.get("event_type") for body in hook.bodies})
        process.send(signal.SIGTERM)
        outcome = process.end()
        listener.expect(node__status=b"offline")
    assert outcome.code == 0, outcome.err
    events = [(line["camera"], line["event_type"]) for line in lines(tmp_path) if "event_type" in line]
    assert events == [("dying", "camera_lost"), ("dying", "camera_back")]
    posted = [body["event_type"] for body in hook.bodies if "event_type" in body]
    assert posted == ["camera_lost", "camera_back"]
    said = [payload for topic, payload, _ in listener.heard if topic == "node/dying/car/present"]
    assert said == [b"ON"], "never off: nobody looked"
    counts = {payload for topic, payload, _ in listener.heard if topic == "node/dying/car/count"}
    assert b"0" not in counts


ON_A_SMALL_DISK = """
mount -t tmpfs -o "$OPTIONS" tmpfs "$DISK" || exit 99
"$PYTHON" -m edge_autotuner.cli edge "$CONFIG" &
node=$!
while [ ! -e "$DISK/node/bad/bundle" ] || [ ! -e "$DISK/node/good/bundle" ]; do sleep 0.1; done
n=0; while head -c 4000 /dev/zero > "$DISK/fill-$n"; do n=$((n+1)); done 2> /dev/null
wait $node
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", ["size=3m", "nr_inodes=60"], ids=["no room", "no names"])
def test_a_disk_that_is_full_costs_no_frame(options: str, samples: Samples, tmp_path: Path) -> None:
    """The node's folder is on a file system of its own, which is filled while a batch waits to be learned from."""
    disk = tmp_path / "disk"
    disk.mkdir()
    in_namespace = shell_in_mount_namespace(disk)
    sources = dict.fromkeys(("bad", "good"), str(samples.video))
    run = {"edge_model": str(tmp_path / "bundle"), "capture": {"stream": {"realtime": True}}}
    config = write_node(
        tmp_path, sources, folder=str(disk / "node"), learns=True, run=run, storage={"min_free_mb": 0},
        background={"min_free_memory_mb": 0, "first_retry_s": 0.2}, detect={"max_rate_hz": 100},
    )  # fmt: skip
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": str(REPOSITORY / "src"),
        "OMP_NUM_THREADS": "1",
        "PYTHON": sys.executable,
        "CONFIG": str(config),
        "DISK": str(disk),
        "OPTIONS": options,
    }
    done = subprocess.run(
        [*in_namespace, ON_A_SMALL_DISK],
        env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in unwrapped(done.stderr)
    assert "Traceback" not in done.stderr
    assert "camera_lost" not in {line.get("event_type") for line in lines(tmp_path)}
    for camera in sources:  # played at its own pace, a busy machine may leave frames out, but never the last one
        indices = [line["frame_index"] for line in lines(tmp_path) if line["camera"] == camera]
        assert indices == sorted(set(indices))
        assert indices[-1] == N_FRAMES - 1, camera


def test_a_learner_that_is_killed_again_and_again_costs_no_frame(samples: Samples, tmp_path: Path) -> None:
    """The kernel does this when memory runs out."""
    sources = {"bad": str(samples.video), "good": str(samples.video)}
    config = write_node(
        tmp_path, sources, learns=True, background={"max_memory_mb": 1, "first_retry_s": 0.2}
    )  # fmt: skip
    batch = CameraFolder(tmp_path / "node" / "bad").new_batch()
    batch.run.dataset.mkdir()
    batch.run.finish("capture", StageRecord("f", 1.0, "2026-01-01T00:00:00+00:00"))
    outcome = run_script("edge", config)
    assert outcome.code == 0, outcome.err
    assert "MB of memory, background.max_memory_mb is 1; next attempt in" in unwrapped(outcome.err)
    assert "Traceback" not in outcome.err
    for camera in sources:
        indices = [line["frame_index"] for line in lines(tmp_path) if line["camera"] == camera]
        assert indices == list(range(N_FRAMES)), camera
