"""`python held_service.py FOLDER KEY=VALUE...`: the service with a model that waits while FOLDER/hold exists.

Prints a token of the client `cam1`, then where it listens. Each call of the model adds a line to FOLDER/calls. The
clock is ahead by the seconds that are written in FOLDER/ahead.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from edge_autotuner.cli.settings import resolve_flags
from edge_autotuner.config.server import ServerConfig
from edge_autotuner.core import Detections
from edge_autotuner.core.clock import SystemClock
from edge_autotuner.core.types import ImageArray
from edge_autotuner.errors import ConfigError
from edge_autotuner.server.annotation.models import LoadedModel
from edge_autotuner.server.data_folder import database_url
from edge_autotuner.server.process import run_server
from edge_autotuner.server.tokens import open_authenticator
from support.service.service_samples import MODEL_SHA256, StubDetector

POLL_S = 0.005


class HeldDetector(StubDetector):
    """Waits while a file is there."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def detect_batch(self, images: Sequence[ImageArray]) -> list[Detections]:
        with (self._folder / "calls").open("a") as calls:
            calls.write(f"{len(images)}\n")
        while (self._folder / "hold").exists():
            time.sleep(POLL_S)
        return super().detect_batch(images)


class SetClock(SystemClock):
    """The machine's clock, as if somebody had set it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ahead"

    def now(self) -> datetime:
        ahead_s = float(self._path.read_text()) if self._path.exists() else 0.0
        return super().now() + timedelta(seconds=ahead_s)


def main() -> None:
    """Serve until a signal comes."""
    folder = Path(sys.argv[1])
    always = ["port=0", f"data={folder / 'data'}", "models={stub: {source: stub}}"]
    config = resolve_flags(ServerConfig, None, [*always, *sys.argv[2:]], {})
    config.data.mkdir(exist_ok=True)
    tokens = open_authenticator(database_url(config))
    try:
        made = tokens.add("cam1", ["annotate", "admin"])
    except ConfigError:  # it has one from before a restart
        made = tokens.rotate("cam1")
    tokens.close()
    print(made.text, flush=True)
    model = LoadedModel(HeldDetector(folder), MODEL_SHA256, "settings")
    run_server(config, say=print, loaders={"stub": lambda: model}, clock=SetClock(folder))


if __name__ == "__main__":
    main()
