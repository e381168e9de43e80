"""Settings of the annotation service."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from edge_autotuner.config.base import FrozenConfig, InputSize, PlainName, Seconds

_DAY_S = 86400.0


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
    max_head_s: Seconds = Field(
        30.0,
        gt=0,
        le=3600,
        description="Longest time from a connection, or from the first byte of a request, to the end of its headers; "
        "then the connection is closed.",
    )
    max_body_s: Seconds = Field(
        3600.0, gt=0, le=7 * 86400, description="Longest time for a whole body; then the request ends (408)."
    )
    max_unread_s: Seconds = Field(
        300.0,
        gt=0,
        le=86400,
        description="Longest time in which a client takes nothing of its answer; then the connection is closed.",
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
    max_age_s: Seconds = Field(
        30 * _DAY_S,
        gt=0,
        description="Delete a result from the disk this long after its picture was last sent.",
    )
    shared: bool = Field(
        False,
        description="Answer a client with the cached result of another client. Saves work where several send the same "
        "pictures, but then `is_cached` and the time of an answer tell a client that another one has sent "
        "exactly this picture.",
    )


class BlobsConfig(FrozenConfig):
    """Uploaded contents: the files of bundles, and the pictures of trainings."""

    max_content_mb: float = Field(1024.0, gt=0, le=1_000_000, description="Largest content, MB of 10^6 bytes.")
    reserve_mb: float = Field(
        1024.0,
        ge=0,
        le=100_000_000,
        description="Disk space that uploads and jobs leave free, MB. With less, uploads are refused (507) and jobs "
        "wait.",
    )


class RetentionConfig(FrozenConfig):
    """How long bundles and uploaded contents are kept, and when the rest is removed."""

    max_age_s: Seconds = Field(90 * _DAY_S, gt=0, description="Delete bundles unused for this long.")
    min_age_s: Seconds = Field(
        7 * _DAY_S,
        gt=0,
        description="Keep bundles added or used within this time, even when the disk is full.",
    )
    n_rollbacks: int = Field(
        3, ge=0, le=1000, description="Earlier deployed bundles of each camera that stay, whatever their age."
    )
    max_contents_mb: float | None = Field(
        None,
        ge=0,
        le=1e9,
        description="While contents take more MB, the oldest bundles that may go are removed; null: no limit.",
    )
    grace_s: Seconds = Field(
        _DAY_S,
        gt=0,
        description="Delete content that nothing refers to this long after it was last uploaded or asked about.",
    )
    pictures_max_age_s: Seconds = Field(
        30 * _DAY_S,
        gt=0,
        description="Delete content that belongs to no bundle, such as pictures, this long after it was last uploaded "
        "or asked about, even if a training still waits for it.",
    )
    every_s: Seconds | None = Field(
        6 * 3600.0,
        ge=1,
        le=365 * _DAY_S,
        description="Time between two collections of what may go; null: only when an administrator asks.",
    )
    first_after_s: Seconds = Field(
        300.0, gt=0, le=_DAY_S, description="Time from the start of the service to its first look at what may go."
    )

    @model_validator(mode="after")
    def _ages_fit(self) -> RetentionConfig:
        if self.min_age_s > self.max_age_s:
            raise ValueError("retention.min_age_s must not be above retention.max_age_s")
        if self.grace_s > self.pictures_max_age_s:
            raise ValueError("retention.grace_s must not be above retention.pictures_max_age_s")
        return self


class JobsConfig(FrozenConfig):
    """Tuning jobs: trainings that clients leave to the service."""

    n_workers: int = Field(
        1,
        ge=0,
        le=64,
        description="Jobs at the same time; each has a process of its own. 0: only those of `edge-autotuner work`.",
    )
    n_threads: int | None = Field(None, ge=1, le=256, description="CPU threads of one job; null: all cores.")
    priority: Literal["idle", "low", "normal"] = Field(
        "low", description="Of a job's process. idle: it runs only when nothing else wants a core."
    )
    max_unfinished: int = Field(
        20, ge=1, le=100_000, description="Most queued and running jobs of one client; more are refused (429)."
    )
    max_kills: int = Field(
        3, ge=1, le=1000, description="A job has failed that takes its process down so often without getting further."
    )
    max_run_s: Seconds = Field(_DAY_S, gt=0, le=30 * _DAY_S, description="Longest time of one attempt at a job.")
    max_dataset_mb: float = Field(
        20_000.0, gt=0, le=1e9, description="Limit on the pictures of one job, MB; each counts as often as it is named."
    )
    max_folder_mb: float = Field(
        20_000.0,
        gt=0,
        le=1e9,
        description="Limit on what one job writes while it runs, such as kept features and models, MB; above it the "
        "job fails.",
    )
    max_ended: int = Field(
        1000, ge=1, le=1_000_000, description="Ended jobs to remember per client; the oldest are forgotten."
    )
    keep_s: Seconds = Field(
        7 * _DAY_S, gt=0, description="How long a job that has ended, and what it left, can be asked for."
    )
    signing_key: Path | None = Field(
        None,
        description="Private key that signs promoted candidates trained here from a trusted start: a model of the "
        "service's catalogue, or a bundle signed by the service or by one of `trusted_keys`. null: sign "
        "nothing.",
    )
    camera_keys: dict[PlainName, Path] = Field(
        {},
        max_length=10_000,
        description="Private keys for single cameras, used instead of `signing_key`: a camera that trusts only its "
        "own key runs no other camera's model.",
    )
    client_keys: dict[PlainName, Path] = Field(
        {},
        max_length=10_000,
        description="Private keys for single clients, used before `camera_keys` and `signing_key`: a token then gets "
        "no signature that another client's cameras trust.",
    )


class ServerConfig(FrozenConfig):
    """All of `edge-autotuner serve`."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0: all of this machine.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0: any free one.")
    tls: TlsConfig | None = Field(None, description="Certificates; null: HTTP without TLS, for behind a proxy only.")
    data: Path = Field(Path("server-data"), description="Folder of everything that the service keeps; made if new.")
    group_access: bool = Field(
        False,
        description="Let the data folder's group read the data; false: only its owner.",
    )
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
    trusted_keys: tuple[str, ...] = Field(
        (),
        max_length=1000,
        description="Public keys of those who sign bundles, `ed25519:...` or PEM files. If set, the registry accepts "
        "only their signatures and the service's own, and jobs may start from what they have signed.",
    )
    metrics_open: bool = Field(False, description="Whether /metrics needs no token.")
    drain_s: Seconds = Field(
        20.0, ge=0, le=600, description="Longest time that requests are finished in when the service is stopped."
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
        """A request that could never be carried out would be refused for ever."""
        if self.limits.max_batch_pictures > self.batching.max_queue:
            raise ValueError("limits.max_batch_pictures must not be above batching.max_queue")
        if self.limits.max_megapixels > self.batching.max_queue_megapixels:
            raise ValueError("limits.max_megapixels must not be above batching.max_queue_megapixels")
        if self.limits.max_body_mb > self.limits.max_bodies_mb:
            raise ValueError("limits.max_body_mb must not be above limits.max_bodies_mb")
        return self
