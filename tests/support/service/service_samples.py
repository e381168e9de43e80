"""What tests of the service share: pictures, a teacher that waits to be let through, and an app in process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import cv2
import httpx2
import numpy as np

from edge_autotuner.config.server import ServerConfig
from edge_autotuner.core import Detections, DetectorBase, LabelMap
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.server.access import SCOPES, Caller, Scope
from edge_autotuner.server.annotation.models import LoadedModel
from edge_autotuner.server.app import create_app
from edge_autotuner.server.metrics import Metrics
from edge_autotuner.server.services import Services, open_annotations
from support.cameras.plain_scene import LABELS

MODEL_SHA256 = "ab" * 32
WAIT_S = 120.0  # of a test for something that must happen; only reached when it does not

MIME = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


def noise(size_wh: SizeWH = (40, 30), seed: int = 0) -> ImageArray:
    """Return a (H, W, 3) picture that differs from that of any other seed."""
    return np.random.default_rng(seed).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)


def encoded(image: ImageArray, suffix: str = ".png", *options: int) -> bytes:
    """Return a picture file."""
    ok, content = cv2.imencode(suffix, image, list(options))
    assert ok
    return content.tobytes()


def png(seed: int = 0, size_wh: SizeWH = (40, 30)) -> bytes:
    """Return a small picture file that differs from that of any other seed."""
    return encoded(noise(size_wh, seed))


class StubDetector:
    """Sees one box in each picture: its whole, with a score that tells pictures apart.

    Args:
        is_open: whether calls go through at once; else each waits until `open` is called.
    """

    input_size_wh: SizeWH = (64, 64)

    def __init__(self, labels: LabelMap = LABELS, *, is_open: bool = True) -> None:
        self.labels = labels
        self.calls: list[int] = []
        self.poison: set[float] = set()
        self._gate = threading.Event()
        self._started = threading.Semaphore(0)
        if is_open:
            self._gate.set()

    def open(self) -> None:
        """Let all calls through from now on."""
        self._gate.set()

    def wait_for_call(self) -> None:
        """Return when one more call has begun."""
        assert self._started.acquire(timeout=WAIT_S), "no call has begun"

    def detect(self, image_bgr: ImageArray) -> Detections:
        """Return the one box of a picture."""
        return self.detect_batch([image_bgr])[0]

    def detect_batch(self, images: Sequence[ImageArray]) -> list[Detections]:
        """Return the one box of each picture; a poisoned picture spoils the call."""
        self.calls.append(len(images))
        self._started.release()
        assert self._gate.wait(WAIT_S), "the gate was never opened"
        if any(score_of(image) in self.poison for image in images):
            raise RuntimeError("secret-path: the model does not like this picture")
        return [whole_picture(image) for image in images]


class OneByOne(DetectorBase):
    """A stub that knows no batches."""

    def __init__(self, stub: StubDetector) -> None:
        self.labels, self.input_size_wh, self._stub = stub.labels, stub.input_size_wh, stub

    def detect(self, image_bgr: ImageArray) -> Detections:
        """Ask the stub."""
        return self._stub.detect(image_bgr)


def score_of(image: ImageArray) -> float:
    """Return a score that depends on the picture."""
    return float(np.float32(0.5 + image.mean(dtype=np.float64) / 1000))


def whole_picture(image: ImageArray) -> Detections:
    """Return one detection as large as the picture."""
    height, width = image.shape[:2]
    return Detections(np.array([[0, 0, width, height]]), np.array([score_of(image)]), np.array([1]))


class FixedTokens:
    """An authenticator whose tokens are the names of clients, or NAME-SCOPE."""

    async def recognise(self, token: str) -> Caller | None:
        """Return a caller for any known token."""
        name, _, scope = token.partition("-")
        if not name.startswith("cam"):
            return None
        scopes: tuple[Scope, ...] = ("annotate",)
        if scope:
            scopes = tuple(known for known in SCOPES if known == scope)
        return Caller(name, frozenset(scopes))


def make_services(
    folder: Path, detectors: dict[str, StubDetector | OneByOne] | None = None, **settings: object
) -> Services:
    """Return services with stub models, and a cache in memory unless the settings say otherwise."""
    stubs = {"stub": StubDetector()} if detectors is None else detectors
    values: dict[str, object] = {"cache": {"disk_mb": 0}, **settings}
    models = {name: {"source": "stub"} for name in stubs}
    config = ServerConfig.model_validate({"data": folder, "models": models, **values})
    metrics = Metrics()
    loaders = {name: (lambda stub=stub: LoadedModel(stub, MODEL_SHA256, "settings")) for name, stub in stubs.items()}
    annotations = open_annotations(config, metrics, loaders=loaders)
    return Services(config, FixedTokens(), annotations, metrics, closers=[annotations.close])


@asynccontextmanager
async def running(services: Services, *, token: str = "cam1") -> AsyncIterator[httpx2.AsyncClient]:
    """Give a client of an app in this process whose models are loaded."""
    await services.load()
    transport = httpx2.ASGITransport(create_app(services))
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with httpx2.AsyncClient(transport=transport, base_url="http://service/v1", headers=headers) as client:
            yield client
    finally:
        services.close()


async def annotate(
    client: httpx2.AsyncClient, content: bytes, kind: str = "image/png", **query: object
) -> httpx2.Response:
    """Ask the stub about one picture."""
    url = "/models/stub/annotations"
    return await client.post(url, content=content, headers={"Content-Type": kind}, params=query)  # type: ignore[arg-type]


async def in_thread(call: object) -> None:
    """Wait for a blocking call without blocking the loop."""
    await asyncio.to_thread(call)  # type: ignore[arg-type]
