"""`python -m benchmarks.service.stub FOLDER PER_CALL_MS PER_PICTURE_MS KEY=VALUE...`: the service with a stub.

The stub's call takes a fixed time, and a fixed time for each of its pictures, in which it sleeps: it stands for a model
on an accelerator, which leaves the processor to the service. It sees ten boxes in each picture. Prints a token of an
administrator, one of a client that may only deploy, and where the service listens.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_autotuner.cli.settings import resolve_flags
from edge_autotuner.config.server import ServerConfig
from edge_autotuner.core import STREET_6, Detections
from edge_autotuner.core.types import ImageArray, SizeWH
from edge_autotuner.server.annotation.models import LoadedModel
from edge_autotuner.server.data_folder import database_url
from edge_autotuner.server.process import run_server
from edge_autotuner.server.tokens import open_authenticator

MODEL = "stub"
N_BOXES = 10


@dataclass(frozen=True)
class CallCost:
    """What a call of the stub costs.

    Attributes:
        per_call_ms: however many pictures it has.
        per_picture_ms: on top, for each picture.
    """

    per_call_ms: float
    per_picture_ms: float

    def of(self, n_pictures: int) -> float:
        """Return the milliseconds of a call.

        >>> CallCost(10, 2).of(4)
        18
        """
        return self.per_call_ms + n_pictures * self.per_picture_ms


class StubTeacher:
    """Sleeps as long as its call costs, and sees the same boxes in every picture."""

    labels = STREET_6
    input_size_wh: SizeWH = (416, 416)

    def __init__(self, cost: CallCost) -> None:
        self._cost = cost
        rng = np.random.default_rng(0)
        corners = np.sort(rng.random((N_BOXES, 2, 2), np.float32) * 100, axis=1)
        scores = np.linspace(0.9, 0.4, N_BOXES, dtype=np.float32)
        self._seen = Detections(corners.reshape(N_BOXES, 4), scores, rng.integers(0, 6, N_BOXES))

    def detect(self, image_bgr: ImageArray) -> Detections:
        """Return the boxes."""
        return self.detect_batch([image_bgr])[0]

    def detect_batch(self, images: Sequence[ImageArray]) -> list[Detections]:
        """Return the boxes of each picture, after the time that all of them take."""
        time.sleep(self._cost.of(len(images)) / 1000)
        return [self._seen] * len(images)


def main(folder: Path, cost: CallCost, pairs: list[str]) -> None:
    """Serve the stub until a signal comes."""
    always = ["port=0", f"data={folder}", f"models={{{MODEL}: {{source: stub}}}}"]
    config = resolve_flags(ServerConfig, None, [*always, *pairs], {})
    config.data.mkdir(parents=True, exist_ok=True)
    tokens = open_authenticator(database_url(config))
    print(tokens.add("cameras", ["annotate", "admin"]).text, flush=True)
    print(tokens.add("nobody", ["deploy"]).text, flush=True)
    tokens.close()
    model = LoadedModel(StubTeacher(cost), "0" * 64, "stub", resize="letterbox")
    run_server(config, say=print, loaders={MODEL: lambda: model})


if __name__ == "__main__":
    main(Path(sys.argv[1]), CallCost(float(sys.argv[2]), float(sys.argv[3])), sys.argv[4:])
