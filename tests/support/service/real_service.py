"""The annotation service as a process of its own that can be killed and started again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from edge_autotuner.config.server import ServerConfig
from edge_autotuner.server.audit import AuditLog
from edge_autotuner.server.data_folder import database_url
from edge_autotuner.server.database import Database
from edge_autotuner.server.tokens import Tokens
from helpers import REPOSITORY
from support.machine.free_ports import free_port

_START_LIMIT_S = 120.0
_POLL_S = 0.02


class RealService:
    """`edge-autotuner serve` with one model; killed at the end of the `with` block.

    Args:
        folder: of its data and its token; the token is made in it.
        model: ONNX file.
        name: what requests call the model.
        adapter: how the file is read.
        settings: of the service, besides port, data and model.

    Attributes:
        port: where it listens, also after a new start.
        token_file: of a client that may annotate.
    """

    def __init__(
        self, folder: Path, model: Path, *, name: str, adapter: str, settings: Mapping[str, Any] | None = None
    ) -> None:
        self.port = free_port()
        self.token_file = folder / "token"
        self._folder = folder
        self._model, self._name, self._adapter = model, name, adapter
        self._settings = dict(settings or {})
        (folder / "data").mkdir(parents=True)
        self.add_token("edge", "annotate")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def add_token(self, client: str, *scopes: str) -> Path:
        """Return a file with a new token; that of the client `edge` is `token`."""
        token_file = self.token_file if client == "edge" else self._folder / f"{client}-token"
        database = Database(database_url(ServerConfig.model_validate(self._storage())))
        tokens = Tokens(database, AuditLog(database))
        try:
            token_file.touch(0o600)
            token_file.write_text(tokens.add(client, scopes).text)
        finally:
            tokens.close()
            database.close()
        return token_file

    def start(self, model: Path | None = None) -> None:
        """Start it, with another model where one is given, and wait until it is ready."""
        self._model = model or self._model
        with (self._folder / "service.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edge_autotuner.cli", "serve", str(self._write_settings())],
                env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready()

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _write_settings(self) -> Path:
        path = self._folder / "serve.yaml"
        model = {"source": str(self._model), "adapter": self._adapter, "n_threads": 1}
        values = {
            "port": self.port,
            **self._storage(),
            "models": {self._name: model},
            **self._settings,
        }
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return path

    def _storage(self) -> dict[str, Any]:
        return {"data": str(self._folder / "data"), "database_url": self._settings.get("database_url")}

    def _wait_until_ready(self) -> None:
        began_s = time.monotonic()
        while not self._is_ready():
            assert self._process is not None
            assert self._process.poll() is None, (self._folder / "service.log").read_text()
            assert time.monotonic() - began_s < _START_LIMIT_S, "the service does not become ready"
            time.sleep(_POLL_S)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/v1/ready", timeout=5.0) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False
