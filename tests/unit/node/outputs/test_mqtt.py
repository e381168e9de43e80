"""The MQTT output against real brokers, which are slow, refuse, break and die."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_autotuner.config.node import MqttConfig
from edge_autotuner.core import FakeClock, LabelMap
from edge_autotuner.node.camera_health import CameraState
from edge_autotuner.node.outputs import mqtt_link
from edge_autotuner.node.outputs.mqtt import MqttOutput
from helpers import REPOSITORY
from support.cameras.live_servers import CameraServer
from support.service.certificates import make_certificate
from support.service.output_samples import FRONT, GARAGE, LABELS, Listener, make_report, wait_until

pytest.importorskip("paho.mqtt.client")

STUB = "mqtt_broker.py"


@pytest.fixture(params=[STUB, "mosquitto.py"])
def broker(request: pytest.FixtureRequest) -> Iterator[CameraServer]:
    if request.param == "mosquitto.py" and shutil.which("mosquitto") is None:
        pytest.skip("Mosquitto is not installed (scripts/test_servers)")
    with CameraServer(request.param) as server:
        yield server


@contextlib.contextmanager
def publishing(port: int, *, clock: FakeClock | None = None, **settings: object) -> Iterator[MqttOutput]:
    config = MqttConfig.model_validate({"host": "127.0.0.1", "port": port, "topic": "node"} | settings)
    output = MqttOutput(config, [FRONT, GARAGE], clock=clock, retry_s=(0.02, 0.1))
    try:
        yield output
    finally:
        output.close()


def announced(listener: Listener) -> dict[str, dict[str, object]]:
    """Return the announcements of classes that the broker holds, by unique id."""
    entities = [
        json.loads(payload) for topic, payload in listener.last.items() if topic.endswith("/config") and payload
    ]
    return {str(entity["unique_id"]): entity for entity in entities if ":camera:" not in entity["unique_id"]}


def told(condition: str, problem: str | None = None, *, event: str | None = None, camera: str = "front") -> CameraState:
    return CameraState(camera, condition, problem, datetime(2026, 5, 4, tzinfo=UTC), event)  # type: ignore[arg-type]


def test_a_report_and_the_states_arrive(broker: CameraServer) -> None:
    with Listener(broker.port) as listener, publishing(broker.port) as output:
        listener.expect(node__status=b"online")
        output.take(make_report(0, 0, index=3))
        listener.expect(
            node__front__person__count=b"2", node__front__person__present=b"ON",
            node__front__traffic_light__count=b"0", node__front__traffic_light__present=b"OFF",
        )  # fmt: skip
        wait_until(lambda: "node/front/detections" in listener.last)
        assert json.loads(listener.last["node/front/detections"]) == make_report(0, 0, index=3).to_json()
        assert set(announced(listener)) == {
            f"node:front:{name}:{kind}" for name in ("person", "traffic_light") for kind in ("present", "count")
        }
        wait_until(lambda: output.status.n_sent == 1)
    of_garage = {topic: payload for topic, payload, _ in listener.heard if topic.startswith("node/garage.2")}
    assert set(of_garage) == {f"node/garage.2/{name}" for name in ("availability", "problem", "state")}
    assert of_garage["node/garage.2/availability"] == b"offline", "it has not given one picture"


def test_what_stays_at_the_broker_is_what_should(broker: CameraServer) -> None:
    with publishing(broker.port) as output:
        output.take(make_report(1))
        with Listener(broker.port) as early:
            early.expect(node__front__traffic_light__present=b"ON")
        with Listener(broker.port) as late:
            late.expect(node__status=b"online", node__front__traffic_light__present=b"ON")
            assert all(was_retained for _, _, was_retained in late.heard)
            assert "node/front/detections" not in late.last
    with Listener(broker.port) as after:
        after.expect(node__status=b"offline")


def test_a_camera_is_announced_before_it_sees_anything(broker: CameraServer) -> None:
    with Listener(broker.port) as listener, publishing(broker.port) as output:
        output.announce("garage.2", LABELS)
        wait_until(lambda: len(announced(listener)) == 4)
        listener.expect(node__status=b"online", **{"node__garage.2__availability": b"offline"})
        assert not [topic for topic in listener.last if topic.endswith(("/present", "/count"))], "nobody has looked"


def test_a_lost_camera_is_unavailable_and_keeps_its_states(broker: CameraServer) -> None:
    """An alarm must not read a dead camera as an empty yard."""
    clock = FakeClock()
    with Listener(broker.port) as listener, publishing(broker.port, clock=clock, clear_after_s=5) as output:
        output.tell(told("watched"))
        output.take(make_report(0, 0))
        listener.expect(node__front__availability=b"online", node__front__person__present=b"ON")
        output.tell(told("lost", "connection lost: it broke off", event="camera_lost"))
        listener.expect(node__front__availability=b"offline", node__front__problem=b"ON")
        wait_until(lambda: "node/front/events" in listener.last)
        event = json.loads(listener.last["node/front/events"])
        assert (event["event_type"], event["camera"]) == ("camera_lost", "front")
        assert event["problem"] == "connection lost: it broke off"
        state = json.loads(listener.last["node/front/state"])
        assert (state["state"], state["problem"]) == ("lost", "connection lost: it broke off")
        clock.advance(20.0)  # far beyond `clear_after_s`, and less than the broker may take to acknowledge
        output.tell(told("lost", "connection failed: refused"))  # another attempt: no other event
        listener.expect(node__front__state=json.dumps(told("lost", "connection failed: refused").to_json()).encode())
        listener.expect(node__front__person__present=b"ON", node__front__person__count=b"2", node__status=b"online")
        output.tell(told("watched", event="camera_back"))
        output.take(make_report(index=1))
        listener.expect(node__front__availability=b"online", node__front__problem=b"OFF")
        wait_until(lambda: [topic for topic, _, _ in listener.heard].count("node/front/events") == 2)
    said = [(topic, payload) for topic, payload, _ in listener.heard]
    assert b"OFF" not in {payload for topic, payload in said if topic == "node/front/person/present"}
    events = [json.loads(payload)["event_type"] for topic, payload in said if topic == "node/front/events"]
    assert events == ["camera_lost", "camera_back"]
    assert not any(retained for topic, _, retained in listener.heard if topic == "node/front/events")


def test_states_change_only_when_they_do_and_flicker_is_left_out(broker: CameraServer) -> None:
    clock = FakeClock()
    with Listener(broker.port) as listener, publishing(broker.port, clock=clock, clear_after_s=5) as output:
        listener.expect(node__status=b"online")  # all that is said at first is said
        counts = [b"0", b"1", b"1", b"1", b"2", b"2", b"2"]
        for index, class_ids in enumerate([(), (0,), (), (0,), (0, 0), (), (1,)]):
            output.take(make_report(*class_ids, index=index))
            listener.expect(node__front__person__count=counts[index])
            wait_until(lambda index=index: output.status.n_sent == index + 1)
            clock.advance(1.0)
        listener.expect(node__front__traffic_light__present=b"ON", node__front__person__count=b"2")
        for index in range(7, 13):  # only frames in which nobody is make anybody go
            output.take(make_report(index=index))
            wait_until(lambda index=index: output.status.n_sent == index + 1)
            clock.advance(1.0)
        listener.expect(node__front__traffic_light__present=b"OFF", node__front__person__present=b"OFF")
        listener.expect(node__front__person__count=b"0")
    said = [(topic, payload) for topic, payload, _ in listener.heard]
    counts = [payload for topic, payload in said if topic == "node/front/person/count"]
    assert counts == [b"0", b"1", b"2", b"0"]
    assert [payload for topic, payload in said if topic == "node/front/person/present"] == [b"OFF", b"ON", b"OFF"]


def test_a_broker_that_was_killed_knows_everything_afterwards(broker: CameraServer) -> None:
    """It keeps nothing over a restart, so all that it knows was said again."""
    with publishing(broker.port) as output:
        output.take(make_report(0))
        with Listener(broker.port) as before:
            before.expect(node__front__person__count=b"1")
        broker.kill()
        wait_until(lambda: output.status.problem)
        output.take(make_report(0, 0, 0, index=1))
        output.take(make_report(0, camera="garage.2"))
        wait_until(lambda: output.status.n_dropped == 2)
        broker.start_again()
        with Listener(broker.port) as after:
            after.expect(
                node__status=b"online", node__front__person__count=b"3", node__front__person__present=b"ON",
                **{"node__garage.2__person__count": b"1"},
            )  # fmt: skip
            assert len(announced(after)) == 8
            output.take(make_report(index=2))
            wait_until(lambda: "node/front/detections" in after.last)
        assert output.status.problem is None
        assert output.status.n_failures > 0


def test_older_states_never_come_after_newer_ones(broker: CameraServer) -> None:
    """Killed and started again while states change: each listener ends up with the last one."""
    labels = LabelMap(tuple(f"class {n}" for n in range(30)))
    with publishing(broker.port, clear_after_s=0.001) as output:
        for life in range(4):
            for index in range(20):
                output.take(make_report(*([index] * (index + 1)), labels=labels))
            broker.kill()
            broker.start_again()
            output.take(make_report(*([life] * 50), labels=labels))
            with Listener(broker.port) as listener:
                wait_until(lambda: "node/status" in listener.last)
                wait_until(lambda listener=listener: output.take(make_report(labels=labels)) or all(
                    listener.last.get(f"node/front/class_{n}/present") == b"OFF" for n in range(30)
                ))  # fmt: skip


def read_packets(connection: socket.socket, *, until_s: float) -> list[tuple[int, bytes]]:
    """Return the first byte and the body of the MQTT packets that come within a time."""
    connection.settimeout(until_s)
    stream, packets = connection.makefile("rb"), []
    with contextlib.suppress(TimeoutError):
        while first := stream.read(1):
            length, shift, more = 0, 0, 128
            while more:
                byte = stream.read(1)[0]
                length, shift, more = length | (byte & 127) << shift, shift + 7, byte & 128
            packets.append((first[0], stream.read(length)))
    return packets


def test_nothing_of_a_lost_connection_is_repeated_on_the_next_one() -> None:
    """Paho would repeat it, and an old state could come after a newer one."""
    with socket.create_server(("127.0.0.1", 0)) as server, publishing(server.getsockname()[1]) as output:
        for life in range(3):
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"\x20\x02\x00\x00")  # accepted; nothing is ever acknowledged
                wait_until(lambda life=life: output.status.n_failures == life)
                output.take(make_report(*[0] * life))
                published = [first for first, _ in read_packets(connection, until_s=0.3) if first >> 4 == 3]
                assert len(published) > 10
                assert not any(first & 0x08 for first in published), "a duplicate"


def test_a_broker_that_freezes_delays_nothing(broker: CameraServer) -> None:
    """The kernel takes some megabytes for it, and then reports are dropped."""
    with publishing(broker.port) as output:
        output.take(make_report(0))
        wait_until(lambda: output.status.n_sent == 1)
        broker.send(signal.SIGSTOP)
        n = 1
        while output.status.n_dropped == 0:
            for _ in range(100):  # fewer than the queue holds
                output.take(make_report(*[0] * 100, index=n))
                n += 1
            wait_until(lambda n=n: output.status.n_sent + output.status.n_dropped == n)
        broker.send(signal.SIGCONT)
        with Listener(broker.port) as listener:
            listener.expect(node__front__person__count=b"100")
            n_sent = output.status.n_sent
            output.take(make_report(1, index=n))
            wait_until(lambda: output.status.n_sent > n_sent)


def test_a_broker_that_is_silent_is_left(broker: CameraServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_link, "KEEPALIVE_S", 1)
    with publishing(broker.port, clear_after_s=1e6) as output:
        output.take(make_report(0))
        with Listener(broker.port) as listener:
            listener.expect(node__front__person__count=b"1")
        broker.send(signal.SIGSTOP)
        output.take(make_report(0, 0))
        wait_until(lambda: output.status.problem)
        assert output.status.last_error == f"127.0.0.1:{broker.port}: the connection was lost: Keep alive timeout"
        broker.send(signal.SIGCONT)
        wait_until(lambda: output.status.problem is None)
        with Listener(broker.port) as listener:
            listener.expect(node__front__person__count=b"2", node__status=b"online")


def test_something_else_at_the_address_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_link, "KEEPALIVE_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with publishing(port) as output:
            wait_until(lambda: output.status.problem)
            assert output.status.problem == f"127.0.0.1:{port} accepts connections but is not an MQTT broker"


def test_a_broker_that_breaks_the_protocol_ends_nothing() -> None:
    """Whatever comes as an answer, the output goes on trying."""
    connack = b"\x20\x02\x00\x00"
    answers = [
        b"\xff" * 64,
        connack + b"\x40\x02\x00",
        connack + b"\x30\x04\x00\x09no",
        connack + b"\x90\x00",
        b"GET /",
    ]
    with socket.create_server(("127.0.0.1", 0)) as server, publishing(server.getsockname()[1]) as output:
        for index, answer in enumerate(answers * 2):
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(answer)
                with contextlib.suppress(OSError):  # the other side was faster
                    connection.shutdown(socket.SHUT_WR)
                wait_until(lambda index=index: output.status.n_failures > index)


def test_attempts_to_connect_leave_nothing_open(broker: CameraServer) -> None:
    def n_open() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    with publishing(broker.port) as output:
        for life in range(2):
            with Listener(broker.port) as listener:
                listener.expect(node__status=b"online")
            n_before = n_open()
            n_failures = output.status.n_failures
            broker.kill()
            wait_until(lambda n=n_failures: output.status.n_failures >= n + 8)
            broker.start_again()
            with Listener(broker.port) as listener:
                listener.expect(node__status=b"online")
            assert n_open() <= n_before, f"life {life}"


def test_home_assistant_hears_everything_again_when_it_starts(broker: CameraServer) -> None:
    with Listener(broker.port) as listener, publishing(broker.port) as output:
        output.take(make_report(0))
        listener.expect(node__front__person__present=b"ON", node__front__traffic_light__count=b"0")
        wait_until(lambda: len(announced(listener)) == 4)
        before = {topic: payload for topic, payload in listener.last.items() if "detections" not in topic}
        listener.last.clear()
        listener.say("homeassistant/status", b"online")
        wait_until(lambda: before.items() <= listener.last.items())
        listener.last.clear()
        listener.say("homeassistant/status", b"offline")
        output.take(make_report(0, 1, index=1))
        listener.expect(node__front__traffic_light__count=b"1", node__front__traffic_light__present=b"ON")
        assert set(listener.last) == {
            "homeassistant/status", "node/front/detections",
            "node/front/traffic_light/count", "node/front/traffic_light/present",
        }  # fmt: skip


def test_the_late_will_of_an_earlier_life_does_not_stay(broker: CameraServer) -> None:
    with Listener(broker.port) as listener, publishing(broker.port):
        listener.expect(node__status=b"online")
        listener.say("node/status", b"offline", is_retained=True)
        listener.expect(node__status=b"online")
        wait_until(lambda: [p for t, p, _ in listener.heard if t == "node/status"][-2:] == [b"offline", b"online"])


def test_classes_that_a_new_model_does_not_know_are_removed(broker: CameraServer) -> None:
    with Listener(broker.port) as listener, publishing(broker.port) as output:
        output.take(make_report(0))
        output.take(make_report(1, camera="garage.2"))
        wait_until(lambda: len(announced(listener)) == 8)
        listener.expect(node__front__person__present=b"ON")
        labels = LabelMap(("car", "person"))
        output.announce("front", labels)
        wait_until(lambda: "node:front:car:count" in announced(listener))
        output.take(make_report(1, labels=labels))
        listener.expect(node__front__traffic_light__present=b"", node__front__traffic_light__count=b"")
        wait_until(lambda: len(announced(listener)) == 8)
        assert {name for name in announced(listener) if "front" in name} == {
            "node:front:car:present", "node:front:car:count", "node:front:person:present", "node:front:person:count",
        }  # fmt: skip
    presence = [payload for topic, payload, _ in listener.heard if topic == "node/front/person/present"]
    assert presence == [b"ON"]  # the new model still sees the person


def test_classes_of_an_earlier_life_are_removed(broker: CameraServer) -> None:
    with publishing(broker.port) as output, Listener(broker.port) as listener:
        output.announce("front", LABELS)
        output.announce("garage.2", LABELS)
        wait_until(lambda: len(announced(listener)) == 8)
    with Listener(broker.port) as listener:
        listener.say("homeassistant/sensor/node/foreign/config", b'{"unique_id":"somebody else"}', is_retained=True)
    with publishing(broker.port) as output, Listener(broker.port) as listener:
        output.announce("front", LabelMap(("person",)))
        wait_until(lambda: listener.heard and len(announced(listener)) == 2 + 4 + 1)
    with Listener(broker.port) as after:
        wait_until(lambda: len(announced(after)) == 7)
        after.expect(node__status=b"offline")
        assert "node/front/traffic_light/count" not in after.last
        assert "node/front/traffic_light/present" not in after.last
        assert "node:garage.2:traffic_light:count" in announced(after)


def test_without_discovery_only_the_states_are_there(broker: CameraServer) -> None:
    with Listener(broker.port) as listener, publishing(broker.port, discovery_topic=None) as output:
        output.take(make_report(0))
        listener.expect(node__front__person__count=b"1", node__status=b"online")
        output.take(make_report(0, labels=LabelMap(("person",))))
        listener.expect(node__front__traffic_light__count=b"")
    assert {topic.partition("/")[0] for topic in listener.last} == {"node"}


def publish_in_a_process(port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PUBLISH_FOR_EVER, str(port)]
    paths = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY / "tests")])
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": paths}, text=True)


PUBLISH_FOR_EVER = """
import signal, sys
from edge_autotuner.config.node import MqttConfig
from edge_autotuner.node.outputs.mqtt import MqttOutput
from support.service.output_samples import FRONT, make_report
output = MqttOutput(MqttConfig(host="127.0.0.1", port=int(sys.argv[1]), topic="node"), [FRONT])
output.take(make_report(0))
signal.pause()
"""


def test_a_killed_node_is_offline(broker: CameraServer) -> None:
    with Listener(broker.port) as listener:
        node = publish_in_a_process(broker.port)
        listener.expect(node__status=b"online", node__front__person__present=b"ON")
        node.kill()
        node.wait()
        listener.expect(node__status=b"offline")
    with Listener(broker.port) as late:
        late.expect(node__status=b"offline")


def test_a_login_is_needed_and_is_no_secret_of_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    password = tmp_path / "password"
    with CameraServer(STUB, "--login", "camera:hunter2") as broker:
        password.write_text("hunter3\n")
        with publishing(broker.port, username="camera", password_file=password) as output:
            wait_until(lambda: output.status.problem)
            assert output.status.problem is not None
            assert "refused" in output.status.problem
        password.write_text("hunter2\n")
        with publishing(broker.port, username="camera", password_file=password) as output:
            output.take(make_report(0))
            wait_until(lambda: output.status.n_sent == 1)
    assert "hunter" not in caplog.text


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with key and certificate of 127.0.0.1, which is its own authority."""
    return make_certificate(tmp_path / "server.pem", "127.0.0.1")


@pytest.fixture
def collected() -> Iterator[None]:
    """Collect garbage before the test is over: what it warns about belongs to this test, not to a later one."""
    yield
    gc.collect()


# paho 2.2.0 leaves it to the garbage collector to close a socket whose handshake failed
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored while deallocating.*ssl.SSLSocket")
@pytest.mark.usefixtures("collected")
def test_tls_is_used_and_certificates_are_checked(certificate: Path, tmp_path: Path) -> None:
    with CameraServer(STUB, "--certificate", str(certificate)) as broker:
        with publishing(broker.port, tls=True, ca_file=certificate) as output:
            for index in range(50):
                output.take(make_report(*[0] * 50, index=index))
            wait_until(lambda: output.status.n_sent == 50)
        with publishing(broker.port, tls=True) as output:
            wait_until(lambda: output.status.problem)
            assert "its certificate is not valid: self-signed certificate" in str(output.status.problem)
        with publishing(broker.port) as output:
            output.take(make_report(0))
            wait_until(lambda: output.status.problem)
            assert output.status.n_sent == 0
    other = make_certificate(tmp_path / "other.pem", "127.0.0.2")
    with (
        CameraServer(STUB, "--certificate", str(other)) as broker,
        publishing(broker.port, tls=True, ca_file=other) as output,
    ):
        wait_until(lambda: output.status.problem)
        assert "its certificate is not valid: IP address mismatch" in str(output.status.problem)
