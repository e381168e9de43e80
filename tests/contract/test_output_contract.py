"""What every output of a node must do, whatever its other side does."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_autotuner.config.node import MqttConfig, WebhookConfig
from edge_autotuner.core import LabelMap
from edge_autotuner.core.plugins import OUTPUTS
from edge_autotuner.node.camera_health import CameraState
from edge_autotuner.node.outputs import DetectionOutput, DetectionReport
from edge_autotuner.node.outputs.json_lines import JsonLinesFile, JsonLinesStream
from edge_autotuner.node.outputs.mqtt import MqttOutput
from edge_autotuner.node.outputs.webhook import WebhookOutput
from support.cameras.live_servers import CameraServer
from support.machine.free_ports import free_port
from support.machine.installed_plugin import NAME as EXAMPLE
from support.machine.installed_plugin import installed_example
from support.service.output_samples import FRONT, LABELS, Hook, Listener, make_report, wait_until

pytest.importorskip("paho.mqtt.client")
pytest.importorskip("httpx2")

N_MANY = 2000
AT_ONCE_S = 2.0  # for all of them; the slow peers below would take minutes
CLOSE_S = 6.0
LOST = CameraState("front", "lost", "stalled", datetime(2026, 5, 4, tzinfo=UTC), "camera_lost")


class Peer(ABC):
    """The other side of an output, and what it got."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack

    @abstractmethod
    def connect(self) -> DetectionOutput:
        """Return an output whose other side works."""

    @abstractmethod
    def connect_slow(self) -> DetectionOutput:
        """Return an output whose other side takes nothing, and does not refuse."""

    @abstractmethod
    def connect_broken(self) -> DetectionOutput:
        """Return an output whose other side fails at once."""

    @abstractmethod
    def got(self) -> list[dict[str, Any]]:
        """Return the messages that arrived, in order."""


class File(Peer):
    def connect(self) -> DetectionOutput:
        return JsonLinesFile(self.folder / "seen.jsonl", max_bytes=10**9)

    connect_slow = connect  # a local file is written at once

    def connect_broken(self) -> DetectionOutput:
        output = JsonLinesFile(self.folder / "gone" / "seen.jsonl", max_bytes=10**9)
        shutil.rmtree(self.folder / "gone")
        return output

    def got(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "seen.jsonl").read_text().splitlines()]


class Stream(Peer):
    def connect(self) -> DetectionOutput:
        self.lines: list[dict[str, Any]] = []
        output = self.connect_slow()
        reader = os.fdopen(self.reader, closefd=False)
        self.reading = threading.Thread(target=lambda: self.lines.extend(map(json.loads, reader)))
        self.reading.start()
        return output

    def connect_slow(self) -> DetectionOutput:
        self.reader, self.writer = os.pipe()
        self.stack.callback(os.close, self.reader)
        self.stack.callback(self._end)
        return JsonLinesStream(self.writer)

    def connect_broken(self) -> DetectionOutput:
        reader, writer = os.pipe()
        os.close(reader)
        self.stack.callback(os.close, writer)
        return JsonLinesStream(writer)

    def got(self) -> list[dict[str, Any]]:
        self._end()
        return self.lines

    def _end(self) -> None:
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1
        if hasattr(self, "reading"):
            self.reading.join()


class Broker(Peer):
    def connect(self) -> DetectionOutput:
        server = self.stack.enter_context(CameraServer("mqtt_broker.py"))
        self.listener = self.stack.enter_context(Listener(server.port, "node/front/detections", "node/front/events"))
        return self._output(server.port)

    def connect_slow(self) -> DetectionOutput:
        silent = self.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        return self._output(silent.getsockname()[1])

    def connect_broken(self) -> DetectionOutput:
        return self._output(free_port())

    def got(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for _, payload, _ in self.listener.heard]

    def _output(self, port: int) -> DetectionOutput:
        config = MqttConfig(host="127.0.0.1", port=port, topic="node")
        return MqttOutput(config, [FRONT], retry_s=(0.02, 0.1))


class Address(Peer):
    def __init__(self, folder: Path, stack: ExitStack) -> None:
        super().__init__(folder, stack)
        self.hook = stack.enter_context(Hook())

    def connect(self) -> DetectionOutput:
        return WebhookOutput(WebhookConfig(url=self.hook.url, when="detection", min_gap_s=0.001), [FRONT])

    def connect_slow(self) -> DetectionOutput:
        self.hook.gate.clear()
        return self.connect()

    def connect_broken(self) -> DetectionOutput:
        self.hook.answer = 500, {}
        return self.connect()

    def got(self) -> list[dict[str, Any]]:
        return self.hook.bodies


class Example(Peer):
    """The output of another package, made as the node makes it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        super().__init__(folder, stack)
        stack.enter_context(installed_example(folder / "site"))

    def connect(self) -> DetectionOutput:
        return self._output(self.folder / "seen.txt")

    connect_slow = connect

    def connect_broken(self) -> DetectionOutput:
        return self._output(self.folder / "no folder" / "seen.txt")

    def got(self) -> list[dict[str, Any]]:
        path = self.folder / "seen.txt"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _output(self, path: Path) -> DetectionOutput:
        output: DetectionOutput = OUTPUTS.load(EXAMPLE)({"path": str(path)}, [FRONT], clock=None)
        return output


PEERS = {"json lines file": File, "json lines stream": Stream, "mqtt": Broker, "webhook": Address, "example": Example}


def test_every_output_is_here() -> None:
    tested = {"json_lines": File, "mqtt": Broker, "webhook": Address, EXAMPLE: Example}
    assert set(tested) == {*OUTPUTS.names, EXAMPLE}


@pytest.fixture(params=PEERS.values(), ids=list(PEERS))
def peer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Peer]:
    with ExitStack() as stack:
        yield request.param(tmp_path, stack)


def sent_one_by_one(output: DetectionOutput, reports: list[DetectionReport]) -> None:
    """Give each report to an output after the one before has arrived."""
    before = output.status.n_sent
    for number, report in enumerate(reports, start=1):
        output.take(report)
        wait_until(lambda n=before + number: output.status.n_sent >= n)  # type: ignore[misc]


def test_every_report_arrives_in_the_documented_form(peer: Peer) -> None:
    output = peer.connect()
    output.announce("front", LABELS)
    reports = [make_report(*[0] * (1 + index % 3), index=index) for index in range(5)]
    sent_one_by_one(output, reports)
    output.close()
    wait_until(lambda: len(peer.got()) >= 5)
    assert peer.got() == [report.to_json() for report in reports]
    status = output.status
    assert (status.n_sent, status.n_dropped, status.problem) == (5, 0, None)


def test_a_lost_camera_is_told(peer: Peer) -> None:
    output = peer.connect()
    output.tell(CameraState("front", "watched", None, datetime(2026, 5, 4, tzinfo=UTC)))
    output.tell(LOST)
    wait_until(lambda: output.status.n_sent + output.status.n_dropped == 1)
    output.close()
    wait_until(lambda: peer.got() or output.status.n_dropped)
    assert [message["event_type"] for message in peer.got()] == ["camera_lost"] * output.status.n_sent


def test_inputs_are_not_changed(peer: Peer) -> None:
    report = make_report(0, 1)
    before = report.detections.boxes_xyxy.copy(), report.detections.scores.copy(), report.detections.class_ids.copy()
    output = peer.connect()
    sent_one_by_one(output, [report, report])
    output.close()
    after = report.detections.boxes_xyxy, report.detections.scores, report.detections.class_ids
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("state", ["slow", "broken"])
def test_a_peer_that_takes_nothing_holds_nobody_up(peer: Peer, state: str) -> None:
    output = peer.connect_slow() if state == "slow" else peer.connect_broken()
    began_s = time.monotonic()
    for index in range(N_MANY):
        output.take(make_report(0, index=index))
    output.tell(LOST)
    assert time.monotonic() - began_s < AT_ONCE_S
    began_s = time.monotonic()
    output.close()
    assert time.monotonic() - began_s < CLOSE_S


def test_a_failure_is_counted_and_said_and_what_is_lost_as_well(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    output = peer.connect_broken()
    output.take(make_report(0))
    wait_until(lambda: output.status.problem is not None)
    output.close()
    wait_until(lambda: output.status.n_dropped > 0)
    status = output.status
    assert (status.n_sent, status.n_dropped) == (0, 1)
    assert status.n_failures >= 1
    assert status.last_error
    assert f"output {output.name}: " in caplog.text
    assert "secret" not in caplog.text + str(status)


def test_close_delivers_what_waits_or_counts_it(peer: Peer) -> None:
    output = peer.connect()
    sent_one_by_one(output, [make_report(0)])
    output.take(make_report(0, 0, index=1))
    output.close()
    wait_until(lambda: output.status.n_sent + output.status.n_dropped == 2)
    wait_until(lambda: len(peer.got()) >= output.status.n_sent)


def test_after_close_everything_is_dropped_and_a_second_close_does_nothing(peer: Peer) -> None:
    output = peer.connect()
    output.close()
    before = output.status.n_dropped
    output.take(make_report(0))
    output.tell(LOST)
    output.announce("front", LabelMap(("car",)))
    output.close()
    assert output.status.n_dropped >= before + 2
    assert output.status.n_sent == 0


def test_threads_may_share_an_output(peer: Peer) -> None:
    output = peer.connect()

    def take() -> None:
        for index in range(50):
            output.take(make_report(0, index=index))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    output.close()
    assert output.status.n_sent + output.status.n_dropped <= 200
    assert all(message["camera"] == "front" for message in peer.got())
