"""Three nodes with two cameras each at one service: what belongs to one camera never reaches another."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from edge_autotuner.annotation import RegionTeacher
from edge_autotuner.client import Connection, RegistryClient
from edge_autotuner.config import RunConfig
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.core import STREET_6, Annotation
from edge_autotuner.core.types import ImageArray
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.deployment import deployed_bundle, read_bundle
from edge_autotuner.models import describe_onnx
from edge_autotuner.models.onnx_detector import OnnxDetector
from edge_autotuner.node.camera_folder import BatchFolder, CameraFolder
from edge_autotuner.node.learning import deploy_start_model
from edge_autotuner.simulation import SimulatedCamera
from edge_autotuner.simulation.recording import write_video_file
from edge_autotuner.storage.journal import read_journal
from support.runs.cli_runs import CliProcess
from support.runs.run_samples import N_FRAMES, SEED, SIZE_WH, Samples, settings
from support.service.real_service import RealService
from support.service.service_samples import WAIT_S, png

pytestmark = pytest.mark.slow

MODEL = "changes"
NODES = {"north": ("gate", "yard"), "south": ("bridge", "quay"), "west": ("mill", "lock")}
CAMERAS = tuple(camera for cameras in NODES.values() for camera in cameras)
TRAFFIC = dict(zip(CAMERAS, range(3, 9), strict=True))  # how many pass: the same street, other pictures
QUOTA = 60.0  # requests per minute; a node needs 36


@dataclass(frozen=True)
class City:
    """A service and the nodes that have learned with it.

    Attributes:
        folder: with a folder for each node.
        service: running.
        tokens: token files by client.
    """

    folder: Path
    service: RealService
    tokens: dict[str, Path]

    def folder_of(self, name: str) -> CameraFolder:
        """Return what the camera's node keeps of it."""
        node = next(node for node, cameras in NODES.items() if name in cameras)
        return CameraFolder(self.folder / node / "node" / name)

    def batch(self, name: str) -> BatchFolder:
        """Return the one batch of a camera."""
        (batch,) = self.folder_of(name).batches()
        return batch

    def deployed(self, name: str) -> str:
        """Return the name of the bundle that a camera runs."""
        bundle = deployed_bundle(self.folder_of(name).path)
        assert bundle is not None
        return bundle.name

    @contextmanager
    def registry(self) -> Iterator[RegistryClient]:
        """Give the registry as somebody sees it who may do everything."""
        with Connection(ServiceConfig(url=self.service.url, token_file=self.tokens["admin"])) as connection:
            yield RegistryClient(connection)

    def n_answers(self, client: str, status: int, route: str = "") -> float:
        """Return how often the service gave a client such an answer."""
        token = self.tokens["admin"].read_text()
        page = httpx2.get(f"{self.service.url}/metrics", headers={"Authorization": f"Bearer {token}"}).text
        wanted = (f'client="{client}"', f'status="{status}"', route)
        lines = [line for line in page.splitlines() if line.startswith("edge_autotuner_requests_total{")]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(part in line for part in wanted))


@pytest.fixture(scope="module")
def city(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """Let all nodes watch their recordings, learn, and end."""
    folder = tmp_path_factory.mktemp("city")
    quotas = {"quotas": {"requests_per_minute": QUOTA}}
    with RealService(folder / "service", samples.teacher, name=MODEL, adapter="yolox", settings=quotas) as service:
        tokens = {node: service.add_token(node, "annotate", "train", "deploy") for node in NODES}
        tokens["admin"] = service.add_token("admin", "annotate", "train", "deploy", "admin")
        made = City(folder, service, tokens)
        start = CameraFolder(folder / "start")
        start.lock.mkdir(parents=True)
        deploy_start_model(start, RunConfig.model_validate(settings(samples)))
        for camera in CAMERAS:
            shutil.copytree(start.path, made.folder_of(camera).path, symlinks=True)
            street = SimulatedCamera(SIZE_WH, N_FRAMES, rate_hz=10.0, seed=SEED, n_objects=TRAFFIC[camera])
            street.write_video(folder / f"{camera}.mp4")
        nodes = {node: CliProcess(folder / node / "log", "edge", write_node(made, node, samples)) for node in NODES}
        for node, process in nodes.items():
            outcome = process.end()
            assert outcome.code == 0, f"{node}: {outcome.err}"
        yield made


def write_node(city: City, node: str, samples: Samples, *, slow: Path | None = None) -> Path:
    """Write the settings of a node; with `slow`, all its cameras show that, live, and there is nothing to learn."""
    service = {"url": city.service.url, "token_file": str(city.tokens[node])}
    run = settings(samples)
    run["annotation"] |= {"teacher": f"remote:{MODEL}", "service": service}
    run["capture"] |= {"stream": {"realtime": slow is not None}}
    values: dict[str, Any] = {
        "folder": str(city.folder / node / "node"),
        "cameras": [{"name": name, "source": str(slow or city.folder / f"{name}.mp4")} for name in NODES[node]],
        "run": run,
        "batch": {"max_frames": 10, "min_frames": 2, "max_age_s": 8, "pause_s": None},
        "background": {"max_cpu_percent": 100, "priority": "normal"},
        "storage": {"min_free_mb": 1},
        "outputs": {"json_lines": {"path": str(city.folder / node / "detections.jsonl")}},
    }
    if slow is not None:
        values["registry"] = {"service": service, "allow_unsigned": True, "poll_every_s": 0.1}
    path = city.folder / node / "node.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def labelled_frames(batch: BatchFolder) -> list[tuple[ImageArray, Annotation]]:
    """Return each frame's picture, and what the teacher itself said about it: the first labels that were written."""
    records = read_journal(batch.run.dataset / "journal.jsonl").records
    raw = next(str(record["fingerprint"]) for record in records if record["kind"] == "annotation")
    found = []
    with DatasetStore.open(batch.run.dataset) as store:
        for record in store.frames():
            annotation = store.annotation_of(record, raw)
            assert annotation is not None
            found.append((store.read_image(record), annotation))
    return found


def test_each_camera_has_learned_a_model_of_its_own(city: City) -> None:
    outcomes = {camera: city.batch(camera).outcome for camera in CAMERAS}
    assert {camera: outcome and outcome.outcome for camera, outcome in outcomes.items()} == dict.fromkeys(
        CAMERAS, "deployed"
    )
    # of the batch: what is deployed another test changes
    names = {camera: outcome.bundle for camera, outcome in outcomes.items() if outcome and outcome.bundle}
    bundles = [read_bundle(city.folder_of(camera).path / "bundles" / name) for camera, name in names.items()]
    assert len(bundles) == len(CAMERAS)
    assert len({bundle.weights.sha256 for bundle in bundles}) == len(CAMERAS)
    assert {bundle.lineage["edge_model"] for bundle in bundles} == {"start"}


def test_every_label_belongs_to_the_picture_that_it_is_kept_with(city: City, samples: Samples) -> None:
    """The service has one queue and one cache for all: its answers must be those for this very picture."""
    spec = describe_onnx(samples.teacher, "yolox")
    config = RunConfig.model_validate(settings(samples)).annotation
    detector = OnnxDetector(samples.teacher.read_bytes(), spec, min_score=config.uncertain_score)
    alone = RegionTeacher(detector, config, labels=STREET_6, name="alone")
    seen: dict[str, set[bytes]] = {}
    for camera in CAMERAS:
        frames = labelled_frames(city.batch(camera))
        assert len(frames) >= 10
        for image, annotation in frames:
            expected = alone.annotate(image, None).detections
            assert annotation.detections.boxes_xyxy.tolist() == expected.boxes_xyxy.tolist()
            assert annotation.detections.scores.tolist() == expected.scores.tolist()
        seen[camera] = {image.tobytes() for image, annotation in frames if len(annotation.detections)}
        assert len(seen[camera]) >= 5, "the labels tell pictures apart"
    assert not [pair for pair in combinations(CAMERAS, 2) if seen[pair[0]] & seen[pair[1]]]


def test_a_client_that_asks_too_much_is_refused_alone(city: City) -> None:
    greedy = city.service.add_token("greedy", "annotate")
    url = f"{city.service.url}/v1/models/{MODEL}/annotations"
    with httpx2.Client(timeout=WAIT_S) as http:

        def ask(token_file: Path) -> int:
            headers = {"Authorization": f"Bearer {token_file.read_text()}", "Content-Type": "image/png"}
            return http.post(url, content=png(), headers=headers).status_code

        statuses = [ask(greedy)]
        while statuses[-1] == 200 and len(statuses) < 10 * QUOTA:
            statuses.append(ask(greedy))
        assert statuses[-1] == 429
        assert len(statuses) > QUOTA
        assert [ask(city.tokens[node]) for node in NODES] == [200] * len(NODES)
    assert city.n_answers("greedy", 429) == 1
    assert [city.n_answers(node, 429) for node in NODES] == [0] * len(NODES)


def test_a_promotion_concerns_one_camera(city: City, samples: Samples) -> None:
    """All models are published; then one camera goes back to an older one, and the others hear nothing of it."""
    slow = city.folder / "slow.mp4"
    street = SimulatedCamera(SIZE_WH, N_FRAMES, rate_hz=10.0, seed=SEED)
    info = replace(street.info, rate_hz=0.1)  # a quarter of an hour: no node ends by itself
    write_video_file(slow, (frame.image_bgr for frame in street.frames()), info)
    with watching(city, samples, slow) as nodes, city.registry() as registry:
        for camera in CAMERAS:
            nodes["north"].wait_until(lambda camera=camera: is_deployed(registry, camera))  # type: ignore[misc]
        ids = {camera: {bundle.id for bundle in registry.bundles(camera)} for camera in CAMERAS}
        assert all(len(found) == 2 for found in ids.values()), "the start model and the one of the batch"
        assert not [pair for pair in combinations(CAMERAS, 2) if ids[pair[0]] & ids[pair[1]]]
        before = {known.camera: known.deployed for known in registry.cameras()}
        (older,) = ids["bridge"] - {before["bridge"]}
        registry.promote("bridge", older)
        nodes["south"].wait_until(lambda: city.deployed("bridge") == "start")
        wait_for_rounds(city, nodes)
        after = {known.camera: known.deployed for known in registry.cameras()}
    assert after == before | {"bridge": older}
    others = set(CAMERAS) - {"bridge"}
    assert {camera: city.deployed(camera) for camera in others} == dict.fromkeys(others, "batch-00000001")


@contextmanager
def watching(city: City, samples: Samples, source: Path) -> Iterator[dict[str, CliProcess]]:
    """Let all nodes watch something slow, in touch with the registry, until the block ends."""
    nodes = {
        node: CliProcess(city.folder / node / "again", "edge", write_node(city, node, samples, slow=source))
        for node in NODES
    }
    try:
        yield nodes
    finally:
        for process in nodes.values():
            process.send(signal.SIGTERM)
        outcomes = [process.end() for process in nodes.values()]
    assert [outcome.code for outcome in outcomes] == [0] * len(nodes)


def is_deployed(registry: RegistryClient, camera: str) -> bool:
    """Whether the registry knows the camera and what it runs."""
    return any(known.camera == camera and known.deployed for known in registry.cameras())


def wait_for_rounds(city: City, nodes: dict[str, CliProcess]) -> None:
    """Wait until every node has asked for each of its cameras twice more."""
    for node, process in nodes.items():
        n_before = n_questions(city, node)
        wanted = n_before + 2 * len(NODES[node]) + 1
        process.wait_until(lambda node=node, wanted=wanted: n_questions(city, node) >= wanted)  # type: ignore[misc]


def n_questions(city: City, node: str) -> float:
    """Return how often a node has asked what to deploy."""
    return sum(city.n_answers(node, status, "/deployed") for status in (200, 204))
