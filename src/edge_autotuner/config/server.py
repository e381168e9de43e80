"""Settings of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from edge_autotuner.config.base import FrozenConfig, InputSize, PlainName, Seconds

_DAY_S = 86400.0


class TlsConfig(FrozenConfig):
    """TLS certificates."""

    certificate: Path = Field(
        description="Certificate of the service (PEM), followed by any intermediate certificates."
    )
    key: Path = Field(description="Private key of the certificate (PEM), without a password.")
    client_ca: Path | None = Field(
        None,
        description=(
            "CA bundle (PEM) for client certificates; clients without a valid one are refused. null: tokens are enough."
        ),
    )


class ServedModel(FrozenConfig):
    """One groundtruth model of the service."""

    source: str = Field(
        description=(
            "A known model's name, an ONNX file, a bundle, a run (its deployed bundle), a weights file, or the "
            "folder of a transformers detector."
        )
    )
    adapter: Literal["deim", "picodet", "yolox"] | None = Field(
        None, description="Adapter for an ONNX file; null: detect."
    )
    input_size: InputSize | None = Field(
        None,
        description=(
            "Input size of an edge model or transformers detector, WIDTHxHEIGHT; null: the size it was made for. "
            "Other models have a fixed input size."
        ),
    )
    min_score: float = Field(
        0.05, ge=0, le=1, description="Minimum score of a returned box, whatever a request asks for."
    )
    max_detections: int = Field(300, ge=1, le=10_000, description="Maximum boxes per picture.")
    n_threads: int | None = Field(None, ge=1, le=256, description="CPU threads per call; null: all cores.")
    n_parallel: int = Field(1, ge=1, le=16, description="Concurrent calls of the model.")


class BatchingConfig(FrozenConfig):
    """How pictures of all clients are batched into model calls."""

    max_batch: int = Field(8, ge=1, le=256, description="Maximum pictures per call; 1: no batching.")
    max_wait_ms: float = Field(
        5.0,
        ge=0,
        le=10_000,
        description=(
            "Time a picture waits for others, milliseconds. Matters only if n_parallel is above 1: an idle model "
            "never waits."
        ),
    )
    max_queue: int = Field(
        64, ge=1, le=100_000, description="Maximum queued pictures per model; more are refused (429)."
    )
    max_queue_megapixels: float = Field(
        256.0, gt=0, le=100_000, description="Maximum queued megapixels per model; each takes 3 MB of memory."
    )


class LimitsConfig(FrozenConfig):
    """Limits on requests and connections."""

    max_body_mb: float = Field(16.0, gt=0, le=1024, description="Maximum request body, MB of 10^6 bytes.")
    max_bodies_mb: float = Field(
        256.0, gt=0, le=100_000, description="Maximum memory for all request bodies together, MB."
    )
    max_pause_s: Seconds = Field(
        30.0,
        gt=0,
        le=3600,
        description="Time without a byte of a request body after which the request times out (408).",
    )
    max_head_s: Seconds = Field(
        30.0,
        gt=0,
        le=3600,
        description=(
            "Time limit for the request headers, from the connection or the first byte; then the connection is closed."
        ),
    )
    max_body_s: Seconds = Field(
        3600.0, gt=0, le=7 * 86400, description="Time limit for a whole request body; then the request times out (408)."
    )
    max_unread_s: Seconds = Field(
        300.0,
        gt=0,
        le=86400,
        description="Time in which a client reads nothing of its response after which the connection is closed.",
    )
    max_megapixels: float = Field(25.0, gt=0, le=1000, description="Maximum picture size, width times height / 10^6.")
    max_batch_pictures: int = Field(16, ge=1, le=256, description="Maximum pictures per request.")
    request_timeout_s: Seconds = Field(60.0, gt=0, le=3600, description="Time limit for a request to wait for a model.")
    max_connections: int = Field(1000, ge=1, le=100_000, description="Maximum connections; more are refused (503).")


class QuotaConfig(FrozenConfig):
    """Rate limits per client; a burst may use a whole minute's quota at once."""

    requests_per_minute: float | None = Field(
        6000.0, gt=0, le=1e9, description="Annotation requests per client and minute; null: no limit."
    )
    megapixels_per_minute: float | None = Field(
        10_000.0, gt=0, le=1e9, description="Annotated megapixels per client and minute; null: no limit."
    )


class ResultCacheConfig(FrozenConfig):
    """Cache for annotation results, so that a repeated picture costs nothing."""

    memory_mb: float = Field(64.0, ge=0, le=100_000, description="Cache size in memory, MB; 0: off.")
    disk_mb: float = Field(512.0, ge=0, le=1_000_000, description="Cache size in the data folder, MB; 0: off.")
    max_age_s: Seconds = Field(
        30 * _DAY_S,
        gt=0,
        description="Delete results from disk this long after their picture was last sent.",
    )
    shared: bool = Field(
        False,
        description=(
            "Share cached results between clients. Saves work if several send the same pictures, but `is_cached` and "
            "the response time then tell a client that another one sent exactly this picture."
        ),
    )


class BlobsConfig(FrozenConfig):
    """Uploaded blobs: files of bundles and pictures for training."""

    max_content_mb: float = Field(1024.0, gt=0, le=1_000_000, description="Maximum size of a blob, MB of 10^6 bytes.")
    reserve_mb: float = Field(
        1024.0,
        ge=0,
        le=100_000_000,
        description=(
            "Disk space that uploads and jobs leave free, MB. With less, uploads are refused (507) and jobs wait."
        ),
    )

    @property
    def reserve_bytes(self) -> int:
        """`reserve_mb` in bytes."""
        return int(self.reserve_mb * 1e6)


class RetentionConfig(FrozenConfig):
    """Retention of bundles and blobs, and the schedule of garbage collection."""

    max_age_s: Seconds = Field(90 * _DAY_S, gt=0, description="Delete bundles unused for this long.")
    min_age_s: Seconds = Field(
        7 * _DAY_S,
        gt=0,
        description="Never delete bundles added or used within this time, even if the disk is full.",
    )
    n_rollbacks: int = Field(
        3, ge=0, le=1000, description="Earlier deployed bundles to keep per camera, whatever their age."
    )
    max_contents_mb: float | None = Field(
        None,
        ge=0,
        le=1e9,
        description=(
            "Maximum size of all blobs, MB; above it, delete the oldest bundles that retention allows. null: no limit."
        ),
    )
    grace_s: Seconds = Field(
        _DAY_S,
        gt=0,
        description="Delete unreferenced blobs this long after they were last uploaded or requested.",
    )
    pictures_max_age_s: Seconds = Field(
        30 * _DAY_S,
        gt=0,
        description=(
            "Delete blobs that belong to no bundle, such as pictures, this long after they were last uploaded or "
            "requested, even if a job still needs them."
        ),
    )
    every_s: Seconds | None = Field(
        6 * 3600.0,
        ge=1,
        le=365 * _DAY_S,
        description="Interval between garbage collections; null: only when an administrator asks.",
    )
    first_after_s: Seconds = Field(
        300.0, gt=0, le=_DAY_S, description="Delay from the start of the service to its first garbage collection."
    )

    @model_validator(mode="after")
    def _ages_fit(self) -> RetentionConfig:
        if self.min_age_s > self.max_age_s:
            raise ValueError("retention.min_age_s must not exceed retention.max_age_s")
        if self.grace_s > self.pictures_max_age_s:
            raise ValueError("retention.grace_s must not exceed retention.pictures_max_age_s")
        return self


class JobsConfig(FrozenConfig):
    """Tuning jobs: training at the service for its clients."""

    n_workers: int = Field(
        1,
        ge=0,
        le=64,
        description="Concurrent jobs, one process each. 0: leave jobs to `edge-autotuner work`.",
    )
    n_threads: int | None = Field(None, ge=1, le=256, description="CPU threads per job; null: all cores.")
    priority: Literal["idle", "low", "normal"] = Field(
        "low", description="Process priority of a job; idle: use only otherwise idle cores."
    )
    max_unfinished: int = Field(
        20, ge=1, le=100_000, description="Maximum queued and running jobs per client; more are refused (429)."
    )
    max_kills: int = Field(
        3,
        ge=1,
        le=1000,
        description="Fail a job after its process was killed this many times without progress in between.",
    )
    max_run_s: Seconds = Field(_DAY_S, gt=0, le=30 * _DAY_S, description="Time limit of one attempt at a job.")
    max_dataset_mb: float = Field(
        20_000.0,
        gt=0,
        le=1e9,
        description="Maximum size of a job's pictures, MB; a picture counts each time it is named.",
    )
    max_folder_mb: float = Field(
        20_000.0,
        gt=0,
        le=1e9,
        description=(
            "Maximum disk space that a running job may use, e.g. for cached features and models, MB; above it, the "
            "job fails."
        ),
    )
    max_ended: int = Field(
        1000, ge=1, le=1_000_000, description="Finished jobs to remember per client; the oldest are forgotten."
    )
    keep_s: Seconds = Field(7 * _DAY_S, gt=0, description="Time to keep a finished job and its results.")
    signing_key: Path | None = Field(
        None,
        description=(
            "Private key to sign promoted candidates with, if their training started from a trusted model: one of "
            "the service's catalogue, or a bundle signed by the service or one of `trusted_keys`. null: do not sign."
        ),
    )
    camera_keys: dict[PlainName, Path] = Field(
        {},
        max_length=10_000,
        description=(
            "Private keys per camera, used instead of `signing_key`; a camera that trusts only its own key runs no "
            "other camera's model."
        ),
    )
    client_keys: dict[PlainName, Path] = Field(
        {},
        max_length=10_000,
        description=(
            "Private keys per client, used before `camera_keys` and `signing_key`; a client then gets no signature "
            "that another client's cameras trust."
        ),
    )


class ServerConfig(FrozenConfig):
    """All settings of `edge-autotuner serve`."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0: all interfaces.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0: any free port.")
    tls: TlsConfig | None = Field(None, description="TLS certificates; null: plain HTTP, only for use behind a proxy.")
    data: Path = Field(Path("server-data"), description="Folder for all data of the service; created if missing.")
    group_access: bool = Field(
        False,
        description="Let the data folder's group read the data; false: owner only.",
    )
    database_url: str | None = Field(
        None,
        min_length=1,
        description=(
            "Database URL for tokens, registry and jobs, as for SQLAlchemy, e.g. postgresql+psycopg://host/name; "
            "null: SQLite in the data folder."
        ),
    )
    models: dict[PlainName, ServedModel] = Field(
        {"street-nano": ServedModel(source="street-nano")},
        min_length=1,
        max_length=100,
        description="Groundtruth models, by the name that requests use.",
    )
    models_dir: Path | None = Field(None, description="Local mirror of model files.")
    trusted_keys: tuple[str, ...] = Field(
        (),
        max_length=1000,
        description=(
            "Public keys of signers, `ed25519:...` or PEM files. If set, the registry accepts only bundles signed by "
            "them or by the service itself, and jobs may start from bundles they signed."
        ),
    )
    metrics_open: bool = Field(False, description="Serve /metrics without a token.")
    drain_s: Seconds = Field(
        20.0, ge=0, le=600, description="Time limit for finishing requests when the service stops."
    )
    batching: BatchingConfig = BatchingConfig()
    limits: LimitsConfig = LimitsConfig()
    quotas: QuotaConfig = QuotaConfig()
    cache: ResultCacheConfig = ResultCacheConfig()
    blobs: BlobsConfig = BlobsConfig()
    retention: RetentionConfig = RetentionConfig()
    jobs: JobsConfig = JobsConfig()

    @model_validator(mode="after")
    def _requests_fit(self) -> ServerConfig:
        """Reject limits under which a valid request could never fit into the queue."""
        if self.limits.max_batch_pictures > self.batching.max_queue:
            raise ValueError("limits.max_batch_pictures must not exceed batching.max_queue")
        if self.limits.max_megapixels > self.batching.max_queue_megapixels:
            raise ValueError("limits.max_megapixels must not exceed batching.max_queue_megapixels")
        if self.limits.max_body_mb > self.limits.max_bodies_mb:
            raise ValueError("limits.max_body_mb must not exceed limits.max_bodies_mb")
        return self
