"""Settings of a connection to a service."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from edge_autotuner.config.base import FrozenConfig, Seconds

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class ServiceConfig(FrozenConfig):
    """Address, credentials, timeouts, retries and upload format.

    A token is never a setting, because settings are saved with every run.
    """

    url: str | None = Field(None, description="Address of the service, e.g. https://teacher.example:8443.")
    token_file: Path | None = Field(
        None, description="File with the token; read for each request, so a new token takes effect at once."
    )
    token_env: str = Field(
        "EDGE_AUTOTUNER_TOKEN",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Environment variable with the token, used without token_file.",
    )
    ca_file: Path | None = Field(
        None,
        description="CA bundle (PEM) to verify the service with, used instead of the system's; null: the system's.",
    )
    client_cert: Path | None = Field(None, description="Client certificate (PEM), if the service asks for one.")
    client_key: Path | None = Field(None, description="Private key of the client certificate; null: in the same file.")
    allow_http: bool = Field(
        False,
        description="Allow plain HTTP to another machine, where anyone on the network can read pictures and token.",
    )
    connect_timeout_s: Seconds = Field(10.0, gt=0, description="Connection timeout.")
    read_timeout_s: Seconds = Field(
        60.0, gt=0, description="Time without a byte from the service after which a request times out."
    )
    request_timeout_s: Seconds = Field(
        300.0, gt=0, description="Time limit of one request, not counting delays caused by max_upload_kbps."
    )
    max_attempts: int = Field(
        10, ge=1, le=100, description="Maximum attempts while the service is busy or does not answer."
    )
    first_retry_s: Seconds = Field(
        0.5, gt=0, description="Upper limit of the random delay before the second attempt; doubles each time."
    )
    longest_retry_s: Seconds = Field(
        60.0, gt=0, description="Maximum delay between attempts; if the service asks for more, give up for now."
    )
    max_upload_kbps: float | None = Field(
        None, gt=0, le=1e9, description="Upload limit, kilobits per second; null: no limit."
    )
    picture_format: Literal["png", "webp", "jpg"] = Field(
        "png", description="Format of sent pictures. png and webp are lossless; jpg is not."
    )
    jpeg_quality: int = Field(90, ge=1, le=100, description="JPEG quality, for jpg.")
    send: Literal["full resolution", "input size"] = Field(
        "full resolution",
        description=(
            "full resolution: send each view as it is; input size: shrink larger views to the teacher's input size "
            "first."
        ),
    )
    max_batch: int = Field(8, ge=1, le=64, description="Maximum pictures per request.")

    def shaping_labels(self) -> dict[str, object]:
        """Return only the settings that can change the labels."""
        if self.picture_format == "jpg":
            return {"send": self.send, "jpeg_quality": self.jpeg_quality}
        return {"send": self.send}  # lossless formats give the same pictures

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii():
            raise ValueError("expected http://HOST[:PORT] or https://HOST[:PORT]")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the URL must not contain a login; use token_file")
        if parts.query or parts.fragment or any(character.isspace() for character in url):
            raise ValueError("the URL must not contain ?, # or spaces")
        if parts.port == 0:
            raise ValueError("port 0 is not valid")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _is_not_overheard(self) -> ServiceConfig:
        parts = urlsplit(self.url or "")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not self.allow_http:
            raise ValueError(
                "plain HTTP exposes pictures and token to anyone on the network; use https, or set allow_http"
            )
        return self
