"""Settings of the annotation service."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from edge_autotuner.config.base import FrozenConfig, InputSize, PlainName, Seconds


class TlsConfig(FrozenConfig):
    """Certificates, PEM files."""

    certificate: Path = Field(description="Certificate of the service, followed by those that vouch for it.")
    key: Path = Field(description="Private key of the certificate, without a password.")
    client_ca: Path | None = Field(
        None, description="Certificates that vouch for clients; a client without one is refused. null: tokens suffice."
    )


class ServedModel(FrozenConfig):
    """One groundtruth model of the service."""

    source: str = Field(
        description="A known model's name, an ONNX file, a bundle, a run (its deployed bundle), a weights file, or the "
        "folder of a detector of the transformers library."
    )
    adapter: Literal["deim", "picodet", "yolox"] | None = Field(
        None, description="How an ONNX file is fed and read; null: found out."
    )
    input_size: InputSize | None = Field(
        None,
        description="Input of an edge model or of a detector of the transformers library, WIDTHxHEIGHT; null: the one "
        "that it was made for. Other models have the input of their file.",
    )
    min_score: float = Field(
        0.05, ge=0, le=1, description="Boxes with a lower score are never returned, whatever a request asks for."
    )
    max_detections: int = Field(300, ge=1, le=10_000, description="Most boxes of a picture.")
    n_threads: int | None = Field(None, ge=1, le=256, description="CPU threads of one call; null: all cores.")
    n_parallel: int = Field(1, ge=1, le=16, description="Calls of the model at the same time.")


class BatchingConfig(FrozenConfig):
    """How pictures of all clients share the calls of a model."""

    max_batch: int = Field(8, ge=1, le=256, description="Most pictures of one call; 1: one by one.")
    max_wait_ms: float = Field(
        5.0,
        ge=0,
        le=10_000,
        description="Milliseconds that a picture waits for others. Matters where n_parallel is above 1: a model that "
        "does nothing never waits.",
    )
    max_queue: int = Field(64, ge=1, le=100_000, description="Most waiting pictures per model; more are refused (429).")
    max_queue_megapixels: float = Field(
        256.0, gt=0, le=100_000, description="Most waiting megapixels per model, 3 MB of memory each."
    )


class LimitsConfig(FrozenConfig):
    """What one request may ask for."""

    max_body_mb: float = Field(16.0, gt=0, le=1024, description="Largest body of a request, MB of 10^6 bytes.")
    max_bodies_mb: float = Field(
        256.0, gt=0, le=100_000, description="Most MB of bodies in memory, of all requests together."
    )
    max_pause_s: Seconds = Field(
        30.0, gt=0, le=3600, description="Longest time without another piece of a body; then the request ends (408)."
    )
    max_megapixels: float = Field(25.0, gt=0, le=1000, description="Largest picture, width times height / 10^6.")
    max_batch_pictures: int = Field(16, ge=1, le=256, description="Most pictures of one request.")
    request_timeout_s: Seconds = Field(60.0, gt=0, le=3600, description="Longest that a request waits for a model.")
    max_connections: int = Field(1000, ge=1, le=100_000, description="Most connections; more are answered with 503.")


class QuotaConfig(FrozenConfig):
    """What one client may ask for per minute; a minute's worth may come at once."""

    requests_per_minute: float | None = Field(
        6000.0, gt=0, le=1e9, description="Annotation requests of one client per minute; null: no limit."
    )
    megapixels_per_minute: float | None = Field(
        10_000.0, gt=0, le=1e9, description="Megapixels of one client that models look at per minute; null: no limit."
    )


class ResultCacheConfig(FrozenConfig):
    """Results that are kept, so that a picture that comes again costs nothing."""

    memory_mb: float = Field(64.0, ge=0, le=100_000, description="Results in memory, MB; 0: none.")
    disk_mb: float = Field(512.0, ge=0, le=1_000_000, description="Results in the data folder, MB; 0: none.")


class ServerConfig(FrozenConfig):
    """All of `edge-autotuner serve`."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0: all of this machine.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0: any free one.")
    tls: TlsConfig | None = Field(None, description="Certificates; null: HTTP without TLS, for behind a proxy only.")
    data: Path = Field(Path("server-data"), description="Folder of everything that the service keeps; made if new.")
    database_url: str | None = Field(
        None,
        min_length=1,
        description="Database of tokens, registry and jobs as SQLAlchemy writes it, such as postgresql+psycopg://host/"
        "name; null: SQLite in the data folder.",
    )
    models: dict[PlainName, ServedModel] = Field(
        {"street-nano": ServedModel(source="street-nano")},
        min_length=1,
        max_length=100,
        description="Groundtruth models: the name that requests use, and what it is.",
    )
    models_dir: Path | None = Field(None, description="Local mirror folder of model files.")
    metrics_open: bool = Field(False, description="Whether /metrics needs no token.")
    drain_s: Seconds = Field(
        20.0, ge=0, le=600, description="Longest time that requests are finished in when the service is stopped."
    )
    batching: BatchingConfig = BatchingConfig()
    limits: LimitsConfig = LimitsConfig()
    quotas: QuotaConfig = QuotaConfig()
    cache: ResultCacheConfig = ResultCacheConfig()

    @model_validator(mode="after")
    def _requests_fit(self) -> ServerConfig:
        """A request that could never be carried out would be refused for ever."""
        if self.limits.max_batch_pictures > self.batching.max_queue:
            raise ValueError("limits.max_batch_pictures must not be above batching.max_queue")
        if self.limits.max_megapixels > self.batching.max_queue_megapixels:
            raise ValueError("limits.max_megapixels must not be above batching.max_queue_megapixels")
        if self.limits.max_body_mb > self.limits.max_bodies_mb:
            raise ValueError("limits.max_body_mb must not be above limits.max_bodies_mb")
        return self
